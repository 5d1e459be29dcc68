//! Change a node: its fields, and where it stands.

use crate::app::AuditEntry;
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::{Change, NodeFact};
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::hierarchy::change::{NodePatch, PlaceFacts, check_version, patch};
use canopy_domain::port::{ReadTx, StoreError, Unique, WriteScope};
use canopy_domain::{EnvironmentPlace, Expected, HierarchyError, Node, NodeId, TenancyError, Tenant};

/// Changes a node; what stands below a moved one goes with it. A change that changes nothing leaves no trace.
///
/// # Errors
/// [`HierarchyError::NodeNotFound`], [`HierarchyError::NodeStale`] when the node is not at version `seen`, the rules of
/// [`change::patch`](canopy_domain::hierarchy::change::patch); [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    id: NodeId,
    asked: &NodePatch,
    seen: impl Into<Expected> + Send,
) -> Result<Node, AppError> {
    let seen = seen.into();
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let before = tx.node(place.environment, id).await?;
        let before = before.ok_or(HierarchyError::NodeNotFound)?;
        check_version(&before, seen)?;
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let (_, schema) = tx.hierarchy(place.environment).await?.ok_or_else(absent)?;
        let facts = facts(tx.as_mut(), &before, asked).await?;
        let after = patch(&before, asked, &schema, &facts, now)?;
        if after == before {
            return Ok(before);
        }
        let changed = core::slice::from_ref(&after);
        tx.update_nodes(changed).await.map_err(|error| match error {
            StoreError::Duplicate(Unique::NodeSlug) => HierarchyError::SlugTaken.into(),
            other => AppError::from(other),
        })?;
        let action = if after.parent == before.parent {
            "node.change"
        } else {
            "node.move"
        };
        let entry = AuditEntry::within(place, action, AuditCategory::Hierarchy)
            .on("node", id, &after.name)
            .saying(vec![("before", state(&before)), ("after", state(&after))]);
        let steps = vec![Change::NodePut(NodeFact::from(&after))];
        app.commit_within(tx, call, place, now, steps, entry, &after).await?;
        Ok(after)
    })
    .await
}

/// What there is at the place that the node would take; nothing is read where it stays.
async fn facts(tx: &mut dyn ReadTx, node: &Node, asked: &NodePatch) -> Result<PlaceFacts, AppError> {
    let environment = node.environment_id;
    let Some((parent, slug)) = asked.place(node) else {
        return Ok(PlaceFacts::default());
    };
    let wanted = [(parent, slug)];
    let found = tx.node_facts(environment, &[parent], &wanted).await?;
    let mut facts = PlaceFacts {
        is_taken: wanted.iter().any(|place| found.taken.contains(place)),
        parent: found.parents.get(&parent).cloned(),
        ..PlaceFacts::default()
    };
    if asked.destination(node).is_some() && facts.parent.is_some() {
        let above = tx.ancestors(environment, parent).await?;
        facts.is_below = parent == node.id || above.iter().any(|one| one.id == node.id);
        facts.height = tx.subtree_height(environment, node.id).await?;
    }
    Ok(facts)
}

fn state(node: &Node) -> Detail {
    Detail::Map(vec![
        ("name", Detail::text(&node.name)),
        ("slug", Detail::text(&node.slug)),
        ("status", Detail::text(node.status)),
        ("parent_node_id", Detail::optional(node.parent)),
    ])
}
