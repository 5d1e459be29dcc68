//! Assignments.

mod bulk_create;
mod bulk_remove;
mod change_role;
mod get;
mod list;
mod patch;
mod remove;

pub use bulk_create::CreateAssignments;
pub use bulk_remove::RemoveAssignments;
pub use change_role::ChangeAssignmentRoles;
pub use get::get_assignment;
pub use list::{list_assignments, summarize_assignments};
pub use patch::ChangeAssignment;
pub use remove::RemoveAssignment;

use crate::AppError;
use crate::audit::described;
use crate::audit_entry::AuditEntry;
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{AssignmentId, EnvironmentRef};

/// Returns the audit entry of a change to assignments.
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

/// Returns the error of a lost race. The environment is locked, so a duplicate triple means that the lock failed: the
/// write is retried.
fn lost_race(unique: Unique) -> Option<AppError> {
    let conflict = || StoreError::Conflict("an assignment was created without the environment's lock".into());
    (unique == Unique::AssignmentKey).then(|| conflict().into())
}
