//! Changes a permission.

use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::permission::change::{PermissionPatch, patch};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{EnvironmentRef, Expected, Permission, PermissionError, PermissionId};

/// Changes the description or category of a custom permission, and raises its version. A change without effect writes
/// nothing.
///
/// Fails with [`PermissionError::NotFound`], [`PermissionError::System`], [`PermissionError::Stale`] or
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangePermission {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The permission.
    pub id: PermissionId,
    /// The expected version.
    pub seen: Expected,
    /// The change.
    pub patch: PermissionPatch,
}

#[async_trait]
impl Write for ChangePermission {
    type Outcome = Permission;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::PermissionManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, _: &Moment<'_>) -> Result<Plan<Permission>, AppError> {
        let environment = &self.environment;
        let found = facts.permission(environment.environment, self.id).await?;
        let before = found.ok_or(PermissionError::NotFound)?;
        let Some(permission) = patch(&before, &self.patch, self.seen)? else {
            return Ok(Plan::unchanged(before));
        };
        let entry = AuditEntry::within(environment, "permission.change", AuditCategory::Catalog)
            .resource("permission", self.id, &permission.key)
            .detail(vec![("before", summary(&before)), ("after", summary(&permission))]);
        let changes = ChangeSet {
            permissions: Rows::update(before, permission.clone()),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, permission, entry))
    }
}

fn summary(permission: &Permission) -> Detail {
    Detail::Map(vec![
        ("description", Detail::optional(permission.description.as_ref())),
        ("category", Detail::optional(permission.category.as_ref())),
    ])
}
