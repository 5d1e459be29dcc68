//! The nodes at which an identity has a permission now.

use super::Asker;
use super::part::{Bookmark, CursorPage};
use crate::decisions::Consistency;
use crate::{App, AppError};
use canopy_domain::{IdentityId, NodeId};

/// Returns the nodes at which a check would be allowed: the first `limit`, or those after `begun`. Empty for unknown
/// ids.
///
/// # Errors
/// Like [`evaluate`](super::evaluate::evaluate), and [`AppError::Work`].
pub async fn find_nodes(
    app: &App,
    asker: Asker<'_>,
    identity: IdentityId,
    permission: &str,
    (begun, limit): (Option<Bookmark<NodeId>>, usize),
) -> Result<CursorPage<NodeId, NodeId>, AppError> {
    let (state, now) = asker.hold(app, Consistency::Strong).await?;
    asker.may_check(permission)?;
    let permission = permission.to_owned();
    let work = asker.work_apart(app, move |pace| {
        let (at, after) = (begun.map_or(now, |one| one.at), begun.map(|one| one.after));
        let part = state
            .index
            .nodes_where_in_steps(identity, &permission, at, (after, limit), || pace.check())?;
        let judged = (state.index.revision(), at);
        Ok(CursorPage::new(part, judged, begun, |node| *node, |node| node))
    });
    work.await
}
