//! Change a role.

use super::fact;
use crate::app::AuditEntry;
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::Change;
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::port::{StoreError, Unique, WriteScope};
use canopy_domain::role::change::{RolePatch, patch};
use canopy_domain::{EnvironmentPlace, Expected, Role, RoleError, RoleId};

/// Changes the name, description or switch of a custom role, and raises its version. Nothing asked anew changes nothing.
///
/// # Errors
/// [`RoleError::NotFound`], [`RoleError::System`], [`RoleError::Stale`] when it is not at version `seen`,
/// [`RoleError::NameTaken`]; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    id: RoleId,
    seen: impl Into<Expected> + Send,
    asked: &RolePatch,
) -> Result<Role, AppError> {
    let seen = seen.into();
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let before = tx.role(place.environment, id).await?.ok_or(RoleError::NotFound)?;
        let Some(role) = patch(&before, asked, seen, now)? else {
            return Ok(before);
        };
        tx.update_roles(core::slice::from_ref(&role))
            .await
            .map_err(|error| match error {
                StoreError::Duplicate(Unique::RoleName) => RoleError::NameTaken.into(),
                other => AppError::from(other),
            })?;
        // Descriptions are nothing to decisions.
        let mut changes = Vec::new();
        if role.name != before.name || role.is_active != before.is_active {
            let bundled = tx.role_permissions(place.environment, id).await?;
            let bundled = bundled.into_iter().map(|(permission, _)| permission);
            changes.push(Change::RolePut(fact(&role, bundled.collect())));
        }
        let entry = AuditEntry::within(place, "role.change", AuditCategory::Catalog)
            .on("role", role.id, &role.name)
            .saying(vec![("before", summary(&before)), ("after", summary(&role))]);
        app.commit_within(tx, call, place, now, changes, entry, &role).await?;
        Ok(role)
    })
    .await
}

fn summary(role: &Role) -> Detail {
    Detail::Map(vec![
        ("name", Detail::text(&role.name)),
        ("description", Detail::optional(role.description.as_ref())),
        ("is_active", Detail::Flag(role.is_active)),
    ])
}
