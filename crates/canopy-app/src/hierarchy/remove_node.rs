//! Deletes a node, alone or with its subtree.

use crate::audit::described::{self, Step};
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::hierarchy::change::check_version;
use canopy_domain::hierarchy::remove::check;
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{EnvironmentRef, Expected, HierarchyError, Node, NodeId};

/// Deletes a node; with `force`, all nodes below it and all assignments at them too, in one transaction.
///
/// Fails with [`HierarchyError::NodeNotFound`], [`HierarchyError::NodeStale`], [`HierarchyError::RootStays`],
/// [`HierarchyError::NodeInUse`] without `force`, or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct RemoveNode {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The node.
    pub id: NodeId,
    /// True to delete its dependents too.
    pub force: bool,
    /// The expected version.
    pub seen: Expected,
}

#[async_trait]
impl Write for RemoveNode {
    type Outcome = ();

    const REQUIRES: Option<AreaScope> = Some(AreaScope::NodeManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<()>, AppError> {
        let (place, id) = (&self.environment, self.id);
        let environment = place.environment;
        let node = facts.node(environment, id).await?.ok_or(HierarchyError::NodeNotFound)?;
        check_version(&node, self.seen)?;
        check(&node, facts.node_uses(environment, id).await?, self.force)?;
        let subtree = facts.subtree(environment, id).await?;
        let nodes: Vec<NodeId> = subtree.iter().map(|one| one.id).collect();
        let assignments = facts.assignments_at(environment, &nodes).await?;
        let mut details = at.details();
        let revoked: Vec<Step<'_>> = assignments.iter().map(Step::Revoked).collect();
        details.assignments(facts, place, &revoked).await?;
        details.removed_nodes(facts, environment, &nodes).await?;
        let mut entry = AuditEntry::within(place, "node.remove", AuditCategory::Hierarchy)
            .resource("node", id, &node.name)
            .detail(vec![
                ("count", Detail::count(nodes.len())),
                ("node_ids", described::first(&nodes)),
                ("assignment_count", Detail::count(assignments.len())),
                ("assignment_ids", described::first(assignments.iter().map(|one| one.id))),
                ("nodes", described::first_entries(subtree.iter().map(described_node))),
            ])
            .detailing(details);
        if !assignments.is_empty() {
            entry.severity = AuditSeverity::Warning;
        }
        let changes = ChangeSet {
            nodes: Rows::removed(subtree),
            assignments: Rows::removed(assignments),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, (), entry))
    }
}

fn described_node(node: &Node) -> Detail {
    Detail::Map(vec![
        ("id", Detail::text(node.id)),
        ("name", Detail::text(&node.name)),
        ("slug", Detail::text(&node.slug)),
        ("parent_node_id", Detail::optional(node.parent)),
    ])
}
