//! Change a permission.

use crate::app::AuditEntry;
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::permission::change::{PermissionPatch, patch};
use canopy_domain::port::WriteScope;
use canopy_domain::{EnvironmentPlace, Expected, Permission, PermissionError, PermissionId};

/// Changes the description or category of a custom permission, and raises its version. Nothing asked anew changes nothing.
///
/// # Errors
/// [`PermissionError::NotFound`], [`PermissionError::System`], [`PermissionError::Stale`] when it is not at version
/// `seen`; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    id: PermissionId,
    seen: impl Into<Expected> + Send,
    asked: &PermissionPatch,
) -> Result<Permission, AppError> {
    let seen = seen.into();
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let found = tx.permission(place.environment, id).await?;
        let before = found.ok_or(PermissionError::NotFound)?;
        let Some(permission) = patch(&before, asked, seen)? else {
            return Ok(before);
        };
        tx.update_permissions(core::slice::from_ref(&permission)).await?;
        let entry = AuditEntry::within(place, "permission.change", AuditCategory::Catalog)
            .on("permission", id, &permission.key)
            .saying(vec![("before", summary(&before)), ("after", summary(&permission))]);
        // What changed is nothing to decisions.
        app.commit_within(tx, call, place, now, Vec::new(), entry, &permission)
            .await?;
        Ok(permission)
    })
    .await
}

fn summary(permission: &Permission) -> Detail {
    Detail::Map(vec![
        ("description", Detail::optional(permission.description.as_ref())),
        ("category", Detail::optional(permission.category.as_ref())),
    ])
}
