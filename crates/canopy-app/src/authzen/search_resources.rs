//! With which resources may this subject do this, now?

use super::named::{Named, Wanted};
use super::terms::{ResourceType, permission};
use super::{Entity, Found, judge_apart};
use crate::access::Asker;
use crate::decisions::EnvironmentState;
use crate::long_work::{Pace, Stopped};
use crate::{App, AppError};
use canopy_domain::access::AccessIndex;
use canopy_domain::{IdentityId, NodeId, Resolution, Timestamp};

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSearch {
    /// The identity.
    pub subject: Entity,
    /// The permission to check.
    pub action: String,
    /// The type of what is looked for.
    pub resource_type: String,
}

/// Finds at most `limit` resources, by id, after the one that the part before ended with. None where something is unknown, or
/// where a key may not ask about it.
///
/// # Errors
/// [`AppError::InvalidApiKey`] for a key that is not good any more; [`AppError::Store`].
pub async fn search_resources(
    app: &App,
    asker: Asker<'_>,
    search: &ResourceSearch,
    after: Option<NodeId>,
    limit: usize,
) -> Result<Found<NodeId>, AppError> {
    let mut wanted = Wanted::default();
    wanted.subject(app, asker.place(), &search.subject);
    let permission = permission(&search.resource_type, &search.action).unwrap_or_default();
    let of = ResourceType::parse(&search.resource_type).filter(|_| asker.allows(&permission));
    let owned = (app.clone(), *asker.place(), search.subject.clone());
    let among_all = of == Some(ResourceType::AnyNode);
    let judge_state =
        move |state: &EnvironmentState, now: Timestamp, named: &Named, wanted: &mut Wanted, pace: &mut Pace| {
            let (app, place, subject) = &owned;
            let Some(subject) = named.subject(app, place, subject, wanted) else {
                return Ok(None);
            };
            let (nodes, has_more) = match (subject, &of) {
                (Resolution::Unique(identity), Some(of)) => {
                    let held = Held {
                        index: &state.index,
                        identity,
                        permission: &permission,
                        now,
                    };
                    held.of_type(of, after, limit, pace)?
                }
                _ => (vec![], false),
            };
            let next = nodes.last().copied().filter(|_| has_more);
            Ok(Some((nodes, next, state.index.revision())))
        };
    let (nodes, next, revision) = judge_apart(app, asker, wanted, judge_state).await?;
    let named = if nodes.is_empty() {
        vec![]
    } else {
        let mut tx = app.read(asker.place()).await?;
        tx.named_nodes(asker.place().environment, &nodes).await?
    };
    Ok(Found {
        names: named.iter().map(|node| node.shown(among_all)).collect(),
        next,
        revision,
    })
}

/// What an identity may do wherever it may.
struct Held<'a> {
    index: &'a AccessIndex,
    identity: IdentityId,
    permission: &'a str,
    now: Timestamp,
}

impl Held<'_> {
    /// The first nodes of a type where it may, and whether there are more.
    fn of_type(
        &self,
        of: &ResourceType,
        after: Option<NodeId>,
        limit: usize,
        pace: &mut Pace,
    ) -> Result<(Vec<NodeId>, bool), Stopped> {
        let mut nodes = |limit| {
            self.index
                .nodes_where_in_steps(self.identity, self.permission, self.now, (after, limit), || {
                    pace.check()
                })
        };
        if *of == ResourceType::AnyNode {
            let part = nodes(limit)?;
            return Ok((part.items, part.has_more));
        }
        let is_such = |node: &NodeId| self.index.node_type(*node).is_some_and(|node_type| of.has(node_type));
        let mut such = nodes(usize::MAX)?.items.into_iter().filter(is_such);
        let first: Vec<NodeId> = such.by_ref().take(limit).collect();
        Ok((first, such.next().is_some()))
    }
}
