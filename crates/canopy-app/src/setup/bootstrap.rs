//! Bootstrap the catalog and roles of a fresh environment in one transaction.

use super::{custom_permissions, ids_by_key, permissions_put};
use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::{Change, RoleFact};
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::port::WriteScope;
use canopy_domain::setup::bootstrap::{BootstrapRequest, plan};
use canopy_domain::{EnvironmentPlace, PermissionId, Role, RoleId, RoleKind, Version};

/// What a bootstrap did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootstrapCounts {
    /// How many permissions were made.
    pub permissions_created: usize,
    /// How many roles were made.
    pub roles_created: usize,
    /// How many keys existed already or were repeated.
    pub skipped_permissions: usize,
    /// How many roles had a system role's name.
    pub skipped_roles: usize,
}

/// Makes the permissions and roles, and binds them.
///
/// # Errors
/// [`BootstrapError`](canopy_domain::setup::bootstrap::BootstrapError); [`AppError::Catalog`];
/// [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    request: &BootstrapRequest,
) -> Result<BootstrapCounts, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let catalog = tx.catalog(place.environment).await?;
        let plan = plan(request, &catalog)?;
        let before = catalog.size();
        let pairs = plan.roles.iter().map(|role| role.permission_keys.len()).sum();
        app.catalog_limits()
            .admit(before, before.plus(plan.permissions.len(), pairs))?;
        let counts = BootstrapCounts {
            permissions_created: plan.permissions.len(),
            roles_created: plan.roles.len(),
            skipped_permissions: plan.skipped_permissions,
            skipped_roles: plan.skipped_roles,
        };
        if counts.permissions_created + counts.roles_created == 0 {
            return Ok(counts);
        }
        let permissions = custom_permissions(app, place.environment, &plan.permissions, now);
        let ids = ids_by_key(&catalog, &permissions);
        let mut roles = Vec::with_capacity(plan.roles.len());
        let mut pairs: Vec<(RoleId, PermissionId)> = Vec::new();
        let mut changes: Vec<Change> = permissions_put(&permissions).collect();
        let mut details = Details::default();
        details.keys(None, ListChange::Added, permissions.iter().map(|one| &one.key));
        for planned in plan.roles {
            let id = RoleId::new(app.mint());
            let bundled: Vec<PermissionId> = planned
                .permission_keys
                .iter()
                .filter_map(|key| ids.get(key).copied())
                .collect();
            pairs.extend(bundled.iter().map(|permission| (id, *permission)));
            let name = planned.name.clone();
            details.keys(Some((id, &name)), ListChange::Added, &planned.permission_keys);
            changes.push(Change::RolePut(RoleFact {
                id,
                name,
                is_active: true,
                permissions: bundled,
            }));
            roles.push(Role {
                id,
                environment_id: place.environment,
                name: planned.name,
                description: planned.description,
                kind: RoleKind::Custom,
                is_active: true,
                version: Version::FIRST,
                created_at: now,
                updated_at: now,
            });
        }
        tx.insert_permissions(&permissions).await?;
        tx.insert_roles(&roles).await?;
        tx.bind_permissions(place.environment, &pairs).await?;
        let entry = AuditEntry::within(place, "setup.bootstrap", AuditCategory::Setup)
            .on("environment", place.environment, "")
            .saying(vec![
                ("permission_ids", described::first(permissions.iter().map(|one| one.id))),
                ("role_ids", described::first(roles.iter().map(|one| one.id))),
                ("permission_count", Detail::count(permissions.len())),
                ("role_count", Detail::count(roles.len())),
            ])
            .detailing(details);
        app.commit_within(tx, call, place, now, changes, entry, &counts).await?;
        Ok(counts)
    })
    .await
}
