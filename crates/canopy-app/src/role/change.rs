//! Changes a role.

use super::name_taken;
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::changeset::{AccessFacts, ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::role::change::{RolePatch, patch};
use canopy_domain::{EnvironmentRef, Expected, Role, RoleError, RoleId};

/// Changes the name, description or state of a custom role, and raises its version. A change without effect writes
/// nothing.
///
/// Fails with [`RoleError::NotFound`], [`RoleError::System`], [`RoleError::Stale`], [`RoleError::NameTaken`] or
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeRole {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The role.
    pub id: RoleId,
    /// The expected version.
    pub seen: Expected,
    /// The change.
    pub patch: RolePatch,
}

#[async_trait]
impl Write for ChangeRole {
    type Outcome = Role;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::RoleManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Role>, AppError> {
        let environment = &self.environment;
        let id = environment.environment;
        let before = facts.role(id, self.id).await?.ok_or(RoleError::NotFound)?;
        let Some(role) = patch(&before, &self.patch, self.seen, at.now())? else {
            return Ok(Plan::unchanged(before));
        };
        // Decisions do not depend on descriptions.
        let mut known = AccessFacts::default();
        if role.name != before.name || role.is_active != before.is_active {
            let bundled = facts.role_permissions(id, role.id).await?;
            let bundled = bundled.into_iter().map(|(permission, _)| permission);
            known.bundles.insert(role.id, bundled.collect());
        }
        let entry = AuditEntry::within(environment, "role.change", AuditCategory::Catalog)
            .resource("role", role.id, &role.name)
            .detail(vec![("before", summary(&before)), ("after", summary(&role))]);
        let changes = ChangeSet {
            roles: Rows::update(before, role.clone()),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, role, entry).with_facts(known))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        name_taken(unique)
    }
}

fn summary(role: &Role) -> Detail {
    Detail::Map(vec![
        ("name", Detail::text(&role.name)),
        ("description", Detail::optional(role.description.as_ref())),
        ("is_active", Detail::Flag(role.is_active)),
    ])
}
