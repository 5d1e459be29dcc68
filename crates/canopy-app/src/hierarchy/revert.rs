//! Turn a hierarchy back into a flat environment.

use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange, Step};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::hierarchy::revert::{Revert, RevertCounts, plan};
use canopy_domain::port::{ReadTx, WriteScope};
use canopy_domain::tenancy::change;
use canopy_domain::{
    AccessModel, Assignment, AssignmentId, Environment, EnvironmentPlace, Expected, HierarchyError, NodeId,
    TenancyError, Tenant, Timestamp,
};
use std::collections::HashMap;

/// Reseats every assignment at the root and deletes all other nodes and the schema.
///
/// # Errors
/// [`TenancyError::Stale`] where the call expects another version, [`HierarchyError::AlreadyFlat`]; [`AppError::Store`].
pub async fn run(app: &App, call: &Call, place: &EnvironmentPlace) -> Result<RevertCounts, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let (mut environment, revert, assignments) = planned(tx.as_mut(), place, now, call.expected).await?;
        let mut details = Details::default();
        let steps = told_steps(&revert, &assignments);
        details.assignments(tx.as_mut(), place, &steps).await?;
        let environment_id = place.environment;
        details
            .nodes(tx.as_mut(), environment_id, ListChange::Removed, &revert.nodes)
            .await?;
        tx.delete_assignments(place.environment, &revert.dropped).await?;
        tx.update_assignments(&revert.reseated).await?;
        tx.delete_nodes(place.environment, &revert.nodes).await?;
        tx.update_nodes(revert.root.as_slice()).await?;
        environment.access_model = AccessModel::Flat;
        environment.version = environment.version.next();
        environment.updated_at = now;
        tx.update_environment(&environment, &revert.schema).await?;
        let mut entry = AuditEntry::within(place, "environment.revert_to_flat", AuditCategory::Hierarchy)
            .on("environment", environment.id, &environment.name)
            .saying(told(&revert))
            .detailing(details);
        entry.severity = AuditSeverity::Warning;
        app.commit_within(tx, call, place, now, revert.steps(), entry, &revert.counts)
            .await?;
        Ok(revert.counts)
    })
    .await
}

/// What [`run`] would do, in numbers.
///
/// # Errors
/// As [`run`].
pub async fn dry_run(app: &App, call: &Call, place: &EnvironmentPlace) -> Result<RevertCounts, AppError> {
    let mut tx = app.read(place).await?;
    let (_, revert, _) = planned(tx.as_mut(), place, app.now(), call.expected).await?;
    Ok(revert.counts)
}

async fn planned(
    tx: &mut dyn ReadTx,
    place: &EnvironmentPlace,
    now: Timestamp,
    expected: Expected,
) -> Result<(Environment, Revert, Vec<Assignment>), AppError> {
    let absent = || TenancyError::NotFound(Tenant::Environment);
    let environment = tx.environment(place.environment).await?.ok_or_else(absent)?;
    change::check(Tenant::Environment, environment.version, expected)?;
    if environment.access_model == AccessModel::Flat {
        return Err(HierarchyError::AlreadyFlat.into());
    }
    let (_, schema) = tx.hierarchy(place.environment).await?.ok_or_else(absent)?;
    let nodes = tx.nodes(place.environment).await?;
    let (root, others) = nodes
        .split_first()
        .ok_or(AppError::Broken("an environment has no root"))?;
    let ids: Vec<NodeId> = nodes.iter().map(|node| node.id).collect();
    let assignments = tx.assignments_at(place.environment, &ids).await?;
    let revert = plan(root, others, &schema, &assignments, now);
    Ok((environment, revert, assignments))
}

/// The changes to assignments: those that stay at the root in another row or window, then those that go.
fn told_steps<'a>(revert: &'a Revert, assignments: &'a [Assignment]) -> Vec<Step<'a>> {
    let before: HashMap<AssignmentId, &Assignment> = assignments.iter().map(|one| (one.id, one)).collect();
    let reseated = revert.reseated.iter().filter_map(|after| {
        let before = before.get(&after.id)?;
        Some(Step::Changed(before, after))
    });
    let dropped = revert.dropped.iter().filter_map(|id| before.get(id));
    reseated.chain(dropped.map(|one| Step::Revoked(one))).collect()
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
            described::first(revert.reseated.iter().map(|one| one.id)),
        ),
        ("dropped_assignment_ids", described::first(&revert.dropped)),
        ("deleted_node_ids", described::first(&revert.nodes)),
    ]
}
