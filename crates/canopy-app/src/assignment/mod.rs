//! Assignments.

pub mod bulk_create;
pub mod bulk_remove;
pub mod change_role;
pub mod get;
pub mod list;
pub mod patch;
pub mod remove;

use crate::app::AuditEntry;
use crate::audit::described;
use canopy_domain::access::{Change, GrantFact};
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::{Assignment, AssignmentId, EnvironmentRef};

/// What an audit event says of a change to assignments.
fn audit_entry(
    place: &EnvironmentRef,
    action: &'static str,
    ids: &[AssignmentId],
    more: Vec<(&'static str, Detail)>,
) -> AuditEntry {
    let mut metadata = vec![
        ("count", Detail::count(ids.len())),
        ("assignment_ids", described::first(ids)),
    ];
    metadata.extend(more);
    AuditEntry::within(place, action, AuditCategory::Assignment)
        .resource(
            "assignment",
            ids.first().map(ToString::to_string).unwrap_or_default(),
            "",
        )
        .detail(metadata)
}

fn granted(assignments: &[Assignment]) -> Vec<Change> {
    assignments
        .iter()
        .map(|assignment| Change::GrantPut(GrantFact::from(assignment)))
        .collect()
}

fn removed(ids: &[AssignmentId]) -> Vec<Change> {
    ids.iter().map(|id| Change::GrantRemoved(*id)).collect()
}
