//! Bootstraps the catalog and roles of a new environment in one transaction.

use super::{custom_permissions, ids_by_key};
use crate::audit::described::{self, ListChange};
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::changeset::{Bundle, ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::setup::bootstrap::{BootstrapRequest, plan};
use canopy_domain::{EnvironmentRef, Role, RoleId, RoleKind, Version};
use std::collections::BTreeSet;

/// The result of a bootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootstrapCounts {
    /// Number of created permissions.
    pub permissions_created: usize,
    /// Number of created roles.
    pub roles_created: usize,
    /// Number of keys that existed already or were repeated.
    pub skipped_permissions: usize,
    /// Number of roles with the name of a system role.
    pub skipped_roles: usize,
}

/// Creates permissions and roles, and binds them.
///
/// Fails with [`BootstrapError`](canopy_domain::setup::bootstrap::BootstrapError), [`AppError::Catalog`] or
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct BootstrapEnvironment {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The permissions and roles.
    pub request: BootstrapRequest,
}

#[async_trait]
impl Write for BootstrapEnvironment {
    type Outcome = BootstrapCounts;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<BootstrapCounts>, AppError> {
        let environment = self.environment.environment;
        let catalog = facts.catalog(environment).await?;
        let plan = plan(&self.request, &catalog)?;
        let before = catalog.size();
        let pairs = plan.roles.iter().map(|role| role.permission_keys.len()).sum();
        at.catalog_limits()
            .admit(before, before.plus(plan.permissions.len(), pairs))?;
        let counts = BootstrapCounts {
            permissions_created: plan.permissions.len(),
            roles_created: plan.roles.len(),
            skipped_permissions: plan.skipped_permissions,
            skipped_roles: plan.skipped_roles,
        };
        if counts.permissions_created + counts.roles_created == 0 {
            return Ok(Plan::unchanged(counts));
        }
        let permissions = custom_permissions(at, environment, &plan.permissions);
        let ids = ids_by_key(&catalog, &permissions);
        let mut roles = Vec::with_capacity(plan.roles.len());
        let mut bundles = Vec::with_capacity(plan.roles.len());
        let mut details = at.details();
        details.keys(None, ListChange::Added, permissions.iter().map(|one| &one.key));
        for planned in plan.roles {
            let id = RoleId::new(at.mint());
            details.keys(Some((id, &planned.name)), ListChange::Added, &planned.permission_keys);
            let keys = planned.permission_keys.iter().filter_map(|key| ids.get(key).copied());
            bundles.push(Bundle {
                environment,
                role: id,
                before: BTreeSet::new(),
                after: keys.collect(),
            });
            roles.push(Role {
                id,
                environment_id: environment,
                name: planned.name,
                description: planned.description,
                kind: RoleKind::Custom,
                is_active: true,
                version: Version::FIRST,
                created_at: at.now(),
                updated_at: at.now(),
            });
        }
        let entry = AuditEntry::within(&self.environment, "setup.bootstrap", AuditCategory::Setup)
            .resource("environment", environment, "")
            .detail(vec![
                ("permission_ids", described::first(permissions.iter().map(|one| one.id))),
                ("role_ids", described::first(roles.iter().map(|one| one.id))),
                ("permission_count", Detail::count(permissions.len())),
                ("role_count", Detail::count(roles.len())),
            ])
            .detailing(details);
        let changes = ChangeSet {
            permissions: Rows::added(permissions),
            roles: Rows::added(roles),
            bundles,
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, counts, entry))
    }
}
