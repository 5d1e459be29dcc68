//! Delete a permission.

use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::Change;
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::permission::change::delete;
use canopy_domain::port::WriteScope;
use canopy_domain::{EnvironmentPlace, Expected, PermissionError, PermissionId, Role, RoleId};

/// Deletes a custom permission; with `force` the roles that bundle it do so no longer, which raises their versions.
///
/// # Errors
/// [`PermissionError::NotFound`], [`PermissionError::System`], [`PermissionError::Stale`] when it is not at version
/// `seen`, [`PermissionError::InUse`]; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    id: PermissionId,
    seen: impl Into<Expected> + Send,
    force: bool,
) -> Result<(), AppError> {
    let seen = seen.into();
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let found = tx.permission(place.environment, id).await?;
        let permission = found.ok_or(PermissionError::NotFound)?;
        let roles = tx.roles_bundling(place.environment, id).await?;
        let role_ids: Vec<RoleId> = roles.iter().map(|role| role.id).collect();
        delete(&permission, seen, role_ids.clone(), force)?;
        let roles: Vec<Role> = roles.into_iter().map(|role| role.next(now)).collect();
        tx.update_roles(&roles).await?;
        tx.delete_permissions(place.environment, &[id]).await?;
        let mut details = Details::default();
        for role in &roles {
            details.keys(Some((role.id, &role.name)), ListChange::Removed, [&permission.key]);
        }
        details.keys(None, ListChange::Removed, [&permission.key]);
        let entry = AuditEntry::within(place, "permission.delete", AuditCategory::Catalog)
            .on("permission", id, &permission.key)
            .grave(if roles.is_empty() {
                AuditSeverity::Info
            } else {
                AuditSeverity::Warning
            })
            .saying(vec![
                ("force", Detail::Flag(force)),
                ("role_ids", described::first(role_ids)),
                ("role_names", described::first(roles.iter().map(|role| &role.name))),
            ])
            .detailing(details);
        let changes = vec![Change::PermissionRemoved(id)];
        app.commit_within(tx, call, place, now, changes, entry, &()).await?;
        Ok(())
    })
    .await
}
