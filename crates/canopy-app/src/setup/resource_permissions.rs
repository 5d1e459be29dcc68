//! Adds permissions to an environment that is set up, and to its roles, in one transaction.

use super::{custom_permissions, ids_by_key};
use crate::audit::described::{self, ListChange};
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::changeset::{Bundle, ChangeSet, Rows, Updated};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::role::listing::RoleQuery;
use canopy_domain::setup::resource_permissions::{ResourcePermissionsRequest, plan};
use canopy_domain::{EnvironmentRef, PermissionId, Role};
use std::collections::BTreeSet;

/// The result of an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourcePermissionsCounts {
    /// Number of created permissions.
    pub permissions_created: usize,
    /// Number of keys that existed already or were repeated.
    pub skipped_permissions: usize,
    /// Number of roles that gained at least one key.
    pub roles_updated: usize,
}

/// Creates permissions and binds them to roles. Removes nothing.
///
/// Fails with [`ResourcePermissionsError`](canopy_domain::setup::resource_permissions::ResourcePermissionsError),
/// [`AppError::Catalog`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct AddResourcePermissions {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The permissions, and the roles that gain them.
    pub request: ResourcePermissionsRequest,
}

#[async_trait]
impl Write for AddResourcePermissions {
    type Outcome = ResourcePermissionsCounts;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Self::Outcome>, AppError> {
        let environment = self.environment.environment;
        let catalog = facts.catalog(environment).await?;
        let plan = plan(&self.request, &catalog)?;
        let before = catalog.size();
        let pairs = plan.gains.values().map(BTreeSet::len).sum();
        at.catalog_limits()
            .admit(before, before.plus(plan.permissions.len(), pairs))?;
        let counts = ResourcePermissionsCounts {
            permissions_created: plan.permissions.len(),
            skipped_permissions: plan.skipped_permissions,
            roles_updated: plan.gains.len(),
        };
        if counts.permissions_created + counts.roles_updated == 0 {
            return Ok(Plan::unchanged(counts));
        }
        let permissions = custom_permissions(at, environment, &plan.permissions);
        let ids = ids_by_key(&catalog, &permissions);
        let everything = RoleQuery {
            include_inactive: true,
            kind: None,
        };
        let roles = facts.roles(environment, &everything).await?.into_iter();
        let gaining: Vec<Role> = roles
            .map(|view| view.role)
            .filter(|role| plan.gains.contains_key(&role.id))
            .collect();
        let mut details = at.details();
        details.keys(None, ListChange::Added, permissions.iter().map(|one| &one.key));
        let mut bundles = Vec::with_capacity(gaining.len());
        for role in &gaining {
            let gained = plan.gains.get(&role.id).into_iter().flatten();
            details.keys(Some((role.id, &role.name)), ListChange::Added, gained.clone());
            let held = catalog.roles.get(&role.id).map(|held| held.permissions.clone());
            let before: BTreeSet<PermissionId> = held.unwrap_or_default();
            let mut after = before.clone();
            after.extend(gained.filter_map(|key| ids.get(key).copied()));
            bundles.push(Bundle {
                environment,
                role: role.id,
                before,
                after,
            });
        }
        let entry = AuditEntry::within(&self.environment, "setup.resource_permissions", AuditCategory::Setup)
            .resource("environment", environment, "")
            .detail(vec![
                ("permission_ids", described::first(permissions.iter().map(|one| one.id))),
                ("role_ids", described::first(gaining.iter().map(|one| one.id))),
                ("permission_count", Detail::count(permissions.len())),
                ("role_count", Detail::count(gaining.len())),
            ])
            .detailing(details);
        let raised = gaining.into_iter().map(|before| Updated {
            after: before.clone().next(at.now()),
            before,
        });
        let changes = ChangeSet {
            permissions: Rows::added(permissions),
            roles: Rows::updated(raised.collect()),
            bundles,
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, counts, entry))
    }
}
