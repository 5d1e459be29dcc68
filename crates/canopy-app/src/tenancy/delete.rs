//! Deletes an application or environment with its contents.

use super::audit_entry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditSeverity, Detail};
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::tenancy::change;
use canopy_domain::{ApplicationRef, EnvironmentId, EnvironmentRef, TenancyError, Tenant};

/// Deletes an application with its environments and memberships. Its identities stay in the account.
///
/// Fails with [`TenancyError::Stale`] if the call expects another version, with [`TenancyError::LastApplication`] or
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct DeleteApplication {
    /// The application.
    pub application: ApplicationRef,
}

/// Deletes an environment.
///
/// Fails with [`TenancyError::Stale`] if the call expects another version, with [`TenancyError::LastEnvironment`],
/// [`TenancyError::DefaultEnvironment`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct DeleteEnvironment {
    /// The environment.
    pub environment: EnvironmentRef,
}

#[async_trait]
impl Write for DeleteApplication {
    type Outcome = ();

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::WholeApplication(self.application)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<()>, AppError> {
        let place = self.application;
        let siblings = facts.applications(place.account).await?;
        let found = siblings.iter().find(|one| one.id == place.application);
        let gone = found.ok_or(TenancyError::NotFound(Tenant::Application))?;
        change::check(Tenant::Application, gone.version, at.expected())?;
        change::delete_application(&siblings)?;
        let environments = facts.environments(place.application).await?;
        let ids: Vec<EnvironmentId> = environments.iter().map(|one| one.id).collect();
        let resource = (Tenant::Application, gone.id.to_string(), &gone.name);
        let metadata = vec![
            ("slug", Detail::text(&gone.slug)),
            ("environment_ids", Detail::texts(&ids)),
        ];
        let tenancy = (place.account, Some(place.application), None);
        let entry = audit_entry("application.delete", resource, tenancy, metadata).severity(AuditSeverity::Critical);
        let changes = ChangeSet {
            applications: Rows::removed(vec![gone.clone()]),
            environments: Rows::removed(environments),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, (), entry))
    }
}

#[async_trait]
impl Write for DeleteEnvironment {
    type Outcome = ();

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::WholeApplication(self.environment.application_ref())
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<()>, AppError> {
        let place = &self.environment;
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let application = facts.application(place.application).await?.ok_or_else(absent)?;
        let siblings = facts.environments(place.application).await?;
        let found = siblings.iter().find(|one| one.id == place.environment);
        let gone = found.ok_or_else(absent)?;
        change::check(Tenant::Environment, gone.version, at.expected())?;
        change::delete_environment(&application, &siblings, place.environment)?;
        let resource = (Tenant::Environment, gone.id.to_string(), &gone.name);
        let metadata = vec![("slug", Detail::text(&gone.slug))];
        let tenancy = (place.account, Some(place.application), Some(place.environment));
        let entry = audit_entry("environment.delete", resource, tenancy, metadata).severity(AuditSeverity::Critical);
        let changes = ChangeSet {
            environments: Rows::removed(vec![gone.clone()]),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, (), entry))
    }
}
