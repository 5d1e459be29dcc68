//! Deletes a permission.

use crate::audit::described::{self, ListChange};
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::changeset::{ChangeSet, Rows, Updated};
use canopy_domain::permission::change::delete;
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{EnvironmentRef, Expected, PermissionError, PermissionId, RoleId};

/// Deletes a custom permission; with `force`, removes it from its roles too, which raises their versions.
///
/// Fails with [`PermissionError::NotFound`], [`PermissionError::System`], [`PermissionError::Stale`],
/// [`PermissionError::InUse`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct DeletePermission {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The permission.
    pub id: PermissionId,
    /// The expected version.
    pub seen: Expected,
    /// True to remove it from its roles too.
    pub force: bool,
}

#[async_trait]
impl Write for DeletePermission {
    type Outcome = ();

    const REQUIRES: Option<AreaScope> = Some(AreaScope::PermissionManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<()>, AppError> {
        let Self { environment, id, .. } = self;
        let found = facts.permission(environment.environment, *id).await?;
        let permission = found.ok_or(PermissionError::NotFound)?;
        let roles = facts.roles_bundling(environment.environment, *id).await?;
        let role_ids: Vec<RoleId> = roles.iter().map(|role| role.id).collect();
        delete(&permission, self.seen, role_ids.clone(), self.force)?;
        let mut details = at.details();
        for role in &roles {
            details.keys(Some((role.id, &role.name)), ListChange::Removed, [&permission.key]);
        }
        details.keys(None, ListChange::Removed, [&permission.key]);
        let entry = AuditEntry::within(environment, "permission.delete", AuditCategory::Catalog)
            .resource("permission", id, &permission.key)
            .severity(if roles.is_empty() {
                AuditSeverity::Info
            } else {
                AuditSeverity::Warning
            })
            .detail(vec![
                ("force", Detail::Flag(self.force)),
                ("role_ids", described::first(role_ids)),
                ("role_names", described::first(roles.iter().map(|role| &role.name))),
            ])
            .detailing(details);
        let raised = roles.into_iter().map(|before| Updated {
            after: before.clone().next(at.now()),
            before,
        });
        let changes = ChangeSet {
            permissions: Rows::removed(vec![permission]),
            roles: Rows::updated(raised.collect()),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, (), entry))
    }
}
