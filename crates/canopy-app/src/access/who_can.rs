//! The identities that have a permission at a node now.

use super::Asker;
use super::part::{Bookmark, CursorPage};
use crate::decisions::Consistency;
use crate::{App, AppError};
use canopy_domain::access::PermissionHolder;
use canopy_domain::{IdentityId, NodeId};

/// Returns the identities for which a check would be allowed: the first `limit`, or those after `begun`. Empty for
/// unknown ids. `show` maps each one to a result while the index is borrowed.
///
/// # Errors
/// Like [`evaluate`](super::evaluate::evaluate), and [`AppError::Work`].
pub async fn find_holders<R: Send + 'static>(
    app: &App,
    asker: Asker<'_>,
    node: NodeId,
    permission: &str,
    (begun, limit): (Option<Bookmark<IdentityId>>, usize),
    show: impl Fn(PermissionHolder<'_>) -> R + Send + 'static,
) -> Result<CursorPage<R, IdentityId>, AppError> {
    let (state, now) = asker.hold(app, Consistency::Strong).await?;
    asker.may_check(permission)?;
    let permission = permission.to_owned();
    let work = asker.work_apart(app, move |pace| {
        let (at, after) = (begun.map_or(now, |one| one.at), begun.map(|one| one.after));
        let part = state
            .index
            .who_can_in_steps(&permission, node, at, (after, limit), || pace.check())?;
        let judged = (state.index.revision(), at);
        Ok(CursorPage::new(part, judged, begun, |holder| holder.identity, show))
    });
    work.await
}
