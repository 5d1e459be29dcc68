//! Deletes a role.

use crate::audit::described::{self, ListChange, Step};
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::role::change::delete;
use canopy_domain::{EnvironmentRef, Expected, RoleError, RoleId};

/// Deletes a custom role; with `force`, its assignments too.
///
/// Fails with [`RoleError::NotFound`], [`RoleError::System`], [`RoleError::Stale`], [`RoleError::InUse`] or
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct DeleteRole {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The role.
    pub id: RoleId,
    /// The expected version.
    pub seen: Expected,
    /// True to delete its assignments too.
    pub force: bool,
}

#[async_trait]
impl Write for DeleteRole {
    type Outcome = ();

    const REQUIRES: Option<AreaScope> = Some(AreaScope::RoleManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<()>, AppError> {
        let Self { environment, id, .. } = self;
        let within = environment.environment;
        let role = facts.role(within, *id).await?.ok_or(RoleError::NotFound)?;
        let assignments = facts.assignments_naming(within, &[*id], &[]).await?;
        delete(&role, self.seen, &assignments, self.force)?;
        let held = facts.assignments(within, &assignments).await?;
        let mut details = at.details();
        let steps: Vec<Step<'_>> = held.iter().map(Step::Revoked).collect();
        details.assignments(facts, environment, &steps).await?;
        let bundled = facts.role_permissions(within, *id).await?;
        details.keys(
            Some((*id, &role.name)),
            ListChange::Removed,
            bundled.iter().map(|(_, key)| key),
        );
        let entry = AuditEntry::within(environment, "role.delete", AuditCategory::Catalog)
            .resource("role", id, &role.name)
            .severity(if assignments.is_empty() {
                AuditSeverity::Info
            } else {
                AuditSeverity::Warning
            })
            .detail(vec![
                ("force", Detail::Flag(self.force)),
                ("assignment_ids", described::first(&assignments)),
                ("permission_keys", described::first(bundled.iter().map(|(_, key)| key))),
            ])
            .detailing(details);
        let changes = ChangeSet {
            roles: Rows::removed(vec![role]),
            assignments: Rows::removed(held),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, (), entry))
    }
}
