//! Where may this identity do this, now?

use super::Asker;
use super::part::{Bookmark, ToldPart};
use crate::decisions::{Consistency, EnvironmentState};
use crate::{App, AppError};
use canopy_domain::{IdentityId, NodeId, Timestamp};

/// The nodes at which a check would be answered with yes: the first `limit`, or those from where `begun` says. None for what
/// is unknown.
///
/// # Errors
/// As [`evaluate::run`](super::evaluate::run).
pub async fn run(
    app: &App,
    asker: Asker<'_>,
    identity: IdentityId,
    permission: &str,
    (begun, limit): (Option<Bookmark<NodeId>>, usize),
) -> Result<ToldPart<NodeId, NodeId>, AppError> {
    let ask = |state: &EnvironmentState, now: Timestamp| {
        asker.may_check(permission)?;
        let (at, after) = (begun.map_or(now, |one| one.at), begun.map(|one| one.after));
        let part = state.index.nodes_where(identity, permission, at, after, limit);
        let judged = (state.index.revision(), at);
        Ok(ToldPart::new(part, judged, begun, |node| *node, |node| node))
    };
    asker.ask(app, Consistency::Strong, ask).await?
}
