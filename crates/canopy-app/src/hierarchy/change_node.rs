//! Changes a node: its fields and its parent.

use super::slug_taken;
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::hierarchy::change::{NodePatch, PlaceFacts, check_version, patch};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{EnvironmentRef, Expected, HierarchyError, Node, NodeId, TenancyError, Tenant};

/// Changes a node; a moved node keeps its subtree. A change without effect writes nothing.
///
/// Fails with [`HierarchyError::NodeNotFound`], [`HierarchyError::NodeStale`], the rules of
/// [`change::patch`](canopy_domain::hierarchy::change::patch), or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeNode {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The node.
    pub id: NodeId,
    /// The change.
    pub patch: NodePatch,
    /// The expected version.
    pub seen: Expected,
}

#[async_trait]
impl Write for ChangeNode {
    type Outcome = Node;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::NodeManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Node>, AppError> {
        let within = self.environment.environment;
        let before = facts.node(within, self.id).await?;
        let before = before.ok_or(HierarchyError::NodeNotFound)?;
        check_version(&before, self.seen)?;
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let (_, schema) = facts.hierarchy(within).await?.ok_or_else(absent)?;
        let found = place_facts(facts, &before, &self.patch).await?;
        let after = patch(&before, &self.patch, &schema, &found, at.now())?;
        if after == before {
            return Ok(Plan::unchanged(before));
        }
        let action = if after.parent == before.parent {
            "node.change"
        } else {
            "node.move"
        };
        let entry = AuditEntry::within(&self.environment, action, AuditCategory::Hierarchy)
            .resource("node", self.id, &after.name)
            .detail(vec![("before", state(&before)), ("after", state(&after))]);
        let changes = ChangeSet {
            nodes: Rows::update(before, after.clone()),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, after, entry))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        slug_taken(unique)
    }
}

/// Returns the facts about the new position of the node; reads nothing if it does not move.
async fn place_facts(tx: &mut dyn ReadTx, node: &Node, asked: &NodePatch) -> Result<PlaceFacts, AppError> {
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
