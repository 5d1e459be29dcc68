//! Assignments.

pub mod bulk_create;
pub mod bulk_remove;
pub mod change_role;
pub mod get;
pub mod list;
pub mod patch;
pub mod remove;

use crate::app::AuditEntry;
use canopy_domain::access::{Change, GrantFact};
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::port::EnvironmentChanges;
use canopy_domain::{Assignment, AssignmentId, EnvironmentPlace};

/// What an audit event says of a change to assignments.
fn audit_entry(
    place: &EnvironmentPlace,
    action: &'static str,
    ids: &[AssignmentId],
    more: Vec<(&'static str, Detail)>,
) -> AuditEntry {
    let mut metadata = vec![
        ("count", Detail::count(ids.len())),
        ("assignment_ids", Detail::texts(ids)),
    ];
    metadata.extend(more);
    AuditEntry {
        account: place.account,
        application: Some(place.application),
        environment: Some(place.environment),
        action,
        category: AuditCategory::Assignment,
        severity: AuditSeverity::Info,
        resource_type: "assignment",
        resource_id: ids.first().map(ToString::to_string).unwrap_or_default(),
        resource_label: String::new(),
        metadata: Detail::Map(metadata),
    }
}

fn granted(place: &EnvironmentPlace, assignments: &[Assignment]) -> Vec<EnvironmentChanges> {
    let changes = assignments
        .iter()
        .map(|assignment| Change::GrantPut(GrantFact::from(assignment)))
        .collect();
    vec![EnvironmentChanges {
        environment: place.environment,
        changes,
    }]
}

fn removed(place: &EnvironmentPlace, ids: &[AssignmentId]) -> Vec<EnvironmentChanges> {
    let changes = ids.iter().map(|id| Change::GrantRemoved(*id)).collect();
    vec![EnvironmentChanges {
        environment: place.environment,
        changes,
    }]
}
