//! Converts a hierarchy to the flat model.

use crate::audit::described::{self, Step};
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::changeset::{ChangeSet, EnvironmentRow, Rows};
use canopy_domain::hierarchy::revert::{Revert, RevertCounts, plan};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::tenancy::change;
use canopy_domain::{
    AccessModel, Assignment, AssignmentId, Environment, EnvironmentRef, HierarchyError, NodeId, TenancyError, Tenant,
};
use std::collections::HashMap;

/// Moves every assignment to the root and deletes all other nodes and the schema.
///
/// Fails with [`TenancyError::Stale`] if the call expects another version, with [`HierarchyError::AlreadyFlat`] or
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct RevertToFlat {
    /// The environment.
    pub environment: EnvironmentRef,
}

#[async_trait]
impl Write for RevertToFlat {
    type Outcome = RevertCounts;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<RevertCounts>, AppError> {
        let place = &self.environment;
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let environment = facts.environment(place.environment).await?.ok_or_else(absent)?;
        change::check(Tenant::Environment, environment.version, at.expected())?;
        if environment.access_model == AccessModel::Flat {
            return Err(HierarchyError::AlreadyFlat.into());
        }
        let (_, schema) = facts.hierarchy(place.environment).await?.ok_or_else(absent)?;
        let nodes = facts.nodes(place.environment).await?;
        let (root, others) = nodes
            .split_first()
            .ok_or(AppError::Broken("an environment has no root"))?;
        let ids: Vec<NodeId> = nodes.iter().map(|node| node.id).collect();
        let assignments = facts.assignments_at(place.environment, &ids).await?;
        let revert = plan(root, others, &schema, &assignments, at.now());
        let mut details = at.details();
        let steps = told_steps(&revert, &assignments);
        details.assignments(facts, place, &steps).await?;
        details.removed_nodes(facts, place.environment, &revert.nodes).await?;
        let entry = AuditEntry::within(place, "environment.revert_to_flat", AuditCategory::Hierarchy)
            .resource("environment", environment.id, &environment.name)
            .severity(AuditSeverity::Warning)
            .detail(told(&revert))
            .detailing(details);
        let flat = Environment {
            access_model: AccessModel::Flat,
            version: environment.version.next(),
            updated_at: at.now(),
            ..environment.clone()
        };
        let row = |environment, schema| EnvironmentRow { environment, schema };
        let changes = ChangeSet {
            environments: Rows::update(row(environment, schema), row(flat, revert.schema.clone())),
            ..revert.change_set(&nodes, &assignments)
        };
        Ok(Plan::new(changes, revert.counts, entry))
    }
}

/// Returns the changes to assignments: those that stay at the root in another row or window, then deleted ones.
fn told_steps<'a>(revert: &'a Revert, assignments: &'a [Assignment]) -> Vec<Step<'a>> {
    let before: HashMap<AssignmentId, &Assignment> = assignments.iter().map(|one| (one.id, one)).collect();
    let moved_to_root = revert.moved_to_root.iter().filter_map(|after| {
        let before = before.get(&after.id)?;
        Some(Step::Changed(before, after))
    });
    let dropped = revert.dropped.iter().filter_map(|id| before.get(id));
    moved_to_root.chain(dropped.map(|one| Step::Revoked(one))).collect()
}

fn told(revert: &Revert) -> Vec<(&'static str, Detail)> {
    let counts = revert.counts;
    vec![
        ("assignments_moved", Detail::count(counts.moved)),
        ("assignments_deduplicated", Detail::count(counts.deduplicated)),
        ("assignments_expired_dropped", Detail::count(counts.expired_dropped)),
        ("assignments_inactive_dropped", Detail::count(counts.inactive_dropped)),
        ("nodes_deleted", Detail::count(counts.nodes_deleted)),
        ("schema_cleared", Detail::Flag(counts.schema_cleared)),
        (
            "identities_gaining_reach",
            Detail::count(counts.identities_gaining_reach),
        ),
        (
            "reseated_assignment_ids",
            described::first(revert.moved_to_root.iter().map(|one| one.id)),
        ),
        ("dropped_assignment_ids", described::first(&revert.dropped)),
        ("deleted_node_ids", described::first(&revert.nodes)),
    ]
}
