//! Remove a node, alone or with everything below it.

use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange, Step};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::hierarchy::change::check_version;
use canopy_domain::hierarchy::remove::{check, steps};
use canopy_domain::port::WriteScope;
use canopy_domain::{AssignmentId, EnvironmentPlace, Expected, HierarchyError, NodeId};

/// Removes a node; with `force` all nodes below it and all assignments at them go with it, in one transaction.
///
/// # Errors
/// [`HierarchyError::NodeNotFound`], [`HierarchyError::NodeStale`] when the node is not at version `seen`,
/// [`HierarchyError::RootStays`], [`HierarchyError::NodeInUse`] without `force`; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    id: NodeId,
    force: bool,
    seen: impl Into<Expected> + Send,
) -> Result<(), AppError> {
    let seen = seen.into();
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let environment = place.environment;
        let node = tx.node(environment, id).await?.ok_or(HierarchyError::NodeNotFound)?;
        check_version(&node, seen)?;
        check(&node, tx.node_uses(environment, id).await?, force)?;
        let subtree = tx.subtree(environment, id).await?;
        let nodes: Vec<NodeId> = subtree.iter().map(|one| one.id).collect();
        let assignments = tx.assignments_at(environment, &nodes).await?;
        let mut details = Details::default();
        let revoked: Vec<Step<'_>> = assignments.iter().map(Step::Revoked).collect();
        details.assignments(tx.as_mut(), place, &revoked).await?;
        details
            .nodes(tx.as_mut(), environment, ListChange::Removed, &nodes)
            .await?;
        let assignments: Vec<AssignmentId> = assignments.iter().map(|one| one.id).collect();
        tx.delete_assignments(environment, &assignments).await?;
        tx.delete_nodes(environment, &nodes).await?;
        let mut entry = AuditEntry::within(place, "node.remove", AuditCategory::Hierarchy)
            .on("node", id, &node.name)
            .saying(vec![
                ("count", Detail::count(nodes.len())),
                ("node_ids", described::first(&nodes)),
                ("assignment_count", Detail::count(assignments.len())),
                ("assignment_ids", described::first(&assignments)),
                (
                    "nodes",
                    described::first_entries(subtree.iter().map(|one| {
                        Detail::Map(vec![
                            ("id", Detail::text(one.id)),
                            ("name", Detail::text(&one.name)),
                            ("slug", Detail::text(&one.slug)),
                            ("parent_node_id", Detail::optional(one.parent)),
                        ])
                    })),
                ),
            ])
            .detailing(details);
        if !assignments.is_empty() {
            entry.severity = AuditSeverity::Warning;
        }
        let changes = steps(&assignments, &nodes);
        app.commit_within(tx, call, place, now, changes, entry, &()).await
    })
    .await
}
