//! Add permissions to an environment in use, and to its roles, in one transaction.

use super::{custom_permissions, ids_by_key, permissions_put};
use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::{Change, RoleFact};
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::port::WriteScope;
use canopy_domain::role::listing::RoleQuery;
use canopy_domain::setup::resource_permissions::{ResourcePermissionsRequest, plan};
use canopy_domain::{EnvironmentPlace, PermissionId, Role, RoleId};
use std::collections::{BTreeSet, HashMap};

/// What an addition did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourcePermissionsCounts {
    /// How many permissions were made.
    pub permissions_created: usize,
    /// How many keys existed already or were repeated.
    pub skipped_permissions: usize,
    /// How many roles gained at least one key.
    pub roles_updated: usize,
}

/// Makes the permissions and binds them to the roles that should gain them. Nothing is taken away.
///
/// # Errors
/// [`ResourcePermissionsError`](canopy_domain::setup::resource_permissions::ResourcePermissionsError);
/// [`AppError::Catalog`]; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    request: &ResourcePermissionsRequest,
) -> Result<ResourcePermissionsCounts, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let catalog = tx.catalog(place.environment).await?;
        let plan = plan(request, &catalog)?;
        let before = catalog.size();
        let pairs = plan.gains.values().map(BTreeSet::len).sum();
        app.catalog_limits()
            .admit(before, before.plus(plan.permissions.len(), pairs))?;
        let counts = ResourcePermissionsCounts {
            permissions_created: plan.permissions.len(),
            skipped_permissions: plan.skipped_permissions,
            roles_updated: plan.gains.len(),
        };
        if counts.permissions_created + counts.roles_updated == 0 {
            return Ok(counts);
        }
        let permissions = custom_permissions(app, place.environment, &plan.permissions, now);
        let ids = ids_by_key(&catalog, &permissions);
        let gains: HashMap<RoleId, Vec<PermissionId>> = plan
            .gains
            .iter()
            .map(|(role, keys)| (*role, keys.iter().filter_map(|key| ids.get(key).copied()).collect()))
            .collect();
        let everything = RoleQuery {
            include_inactive: true,
            kind: None,
        };
        let roles: Vec<Role> = tx
            .roles(place.environment, &everything)
            .await?
            .into_iter()
            .map(|view| view.role)
            .filter(|role| gains.contains_key(&role.id))
            .map(|role| Role {
                version: role.version.next(),
                updated_at: now,
                ..role
            })
            .collect();
        let mut details = Details::default();
        details.keys(None, ListChange::Added, permissions.iter().map(|one| &one.key));
        for role in &roles {
            let gained = plan.gains.get(&role.id).into_iter().flatten();
            details.keys(Some((role.id, &role.name)), ListChange::Added, gained);
        }
        let mut changes: Vec<Change> = permissions_put(&permissions).collect();
        for role in &roles {
            let held = catalog
                .roles
                .get(&role.id)
                .map(|held| held.permissions.clone())
                .unwrap_or_default();
            let gained = gains.get(&role.id).cloned().unwrap_or_default();
            changes.push(Change::RolePut(RoleFact {
                id: role.id,
                name: role.name.clone(),
                is_active: role.is_active,
                permissions: held.into_iter().chain(gained).collect(),
            }));
        }
        let pairs: Vec<(RoleId, PermissionId)> = gains
            .iter()
            .flat_map(|(role, gained)| gained.iter().map(|permission| (*role, *permission)))
            .collect();
        tx.insert_permissions(&permissions).await?;
        tx.update_roles(&roles).await?;
        tx.bind_permissions(place.environment, &pairs).await?;
        let entry = AuditEntry::within(place, "setup.resource_permissions", AuditCategory::Setup)
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
