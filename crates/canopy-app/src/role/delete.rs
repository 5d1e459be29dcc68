//! Delete a role.

use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange, Step};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::Change;
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::port::WriteScope;
use canopy_domain::role::change::delete;
use canopy_domain::{EnvironmentPlace, Expected, RoleError, RoleId};

/// Deletes a custom role; with `force` the assignments that name it go with it.
///
/// # Errors
/// [`RoleError::NotFound`], [`RoleError::System`], [`RoleError::Stale`] when it is not at version `seen`,
/// [`RoleError::InUse`]; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    id: RoleId,
    seen: impl Into<Expected> + Send,
    force: bool,
) -> Result<(), AppError> {
    let seen = seen.into();
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let role = tx.role(place.environment, id).await?.ok_or(RoleError::NotFound)?;
        let assignments = tx.assignments_naming(place.environment, &[id], &[]).await?;
        delete(&role, seen, &assignments, force)?;
        let held = tx.assignments(place.environment, &assignments).await?;
        let mut details = Details::default();
        let steps: Vec<Step<'_>> = held.iter().map(Step::Revoked).collect();
        details.assignments(tx.as_mut(), place, &steps).await?;
        let bundled = tx.role_permissions(place.environment, id).await?;
        details.keys(
            Some((id, &role.name)),
            ListChange::Removed,
            bundled.iter().map(|(_, key)| key),
        );
        tx.delete_assignments(place.environment, &assignments).await?;
        tx.delete_roles(place.environment, &[id]).await?;
        let entry = AuditEntry::within(place, "role.delete", AuditCategory::Catalog)
            .on("role", id, &role.name)
            .grave(if assignments.is_empty() {
                AuditSeverity::Info
            } else {
                AuditSeverity::Warning
            })
            .saying(vec![
                ("force", Detail::Flag(force)),
                ("assignment_ids", described::first(&assignments)),
                ("permission_keys", described::first(bundled.iter().map(|(_, key)| key))),
            ])
            .detailing(details);
        let grants = assignments.into_iter().map(Change::GrantRemoved);
        let changes = grants.chain([Change::RoleRemoved(id)]).collect();
        app.commit_within(tx, call, place, now, changes, entry, &()).await?;
        Ok(())
    })
    .await
}
