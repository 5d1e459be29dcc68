//! Delete an application or environment, with everything in it.

use super::audit;
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::{AuditSeverity, Detail};
use canopy_domain::port::{CommitRecord, WriteScope};
use canopy_domain::tenancy::change;
use canopy_domain::{Application, ApplicationPlace, EnvironmentId, EnvironmentPlace, TenancyError, Tenant};

/// Deletes an application with its environments and memberships. Its identities stay in the account.
///
/// # Errors
/// [`TenancyError::Stale`] where the call expects another version, [`TenancyError::LastApplication`]; [`AppError::Store`].
pub async fn application(app: &App, call: &Call, place: ApplicationPlace) -> Result<(), AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::WholeApplication(place)).await?;
        let now = app.now();
        let siblings = tx.applications(place.account).await?;
        let found = siblings.iter().find(|one| one.id == place.application);
        let gone = found.ok_or(TenancyError::NotFound(Tenant::Application))?;
        change::check(Tenant::Application, gone.version, call.expected)?;
        change::delete_application(&siblings)?;
        let environments = tx.environments(place.application).await?;
        let ids: Vec<EnvironmentId> = environments.iter().map(|one| one.id).collect();
        // A default environment cannot be deleted.
        let without_default = Application {
            default_environment_id: None,
            ..gone.clone()
        };
        tx.update_application(&without_default).await?;
        tx.delete_environments(&ids).await?;
        tx.delete_application(place.application).await?;
        let resource = (Tenant::Application, gone.id.to_string(), &gone.name);
        let metadata = vec![
            ("slug", Detail::text(&gone.slug)),
            ("environment_ids", Detail::texts(&ids)),
        ];
        let at = (place.account, Some(place.application), None);
        let mut audit = audit(app, call, now, "application.delete", resource, at, metadata);
        audit.severity = AuditSeverity::Critical;
        let record = CommitRecord {
            at: now,
            changes: Vec::new(),
            audit,
        };
        app.commit_deletion(tx, call, record, &ids).await
    })
    .await
}

/// Deletes an environment.
///
/// # Errors
/// [`TenancyError::Stale`] where the call expects another version, [`TenancyError::LastEnvironment`], [`TenancyError::DefaultEnvironment`]; [`AppError::Store`].
pub async fn environment(app: &App, call: &Call, place: &EnvironmentPlace) -> Result<(), AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app
            .begin(call, WriteScope::WholeApplication(place.application_place()))
            .await?;
        let now = app.now();
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let application = tx.application(place.application).await?.ok_or_else(absent)?;
        let siblings = tx.environments(place.application).await?;
        let found = siblings.iter().find(|one| one.id == place.environment);
        let gone = found.ok_or_else(absent)?;
        change::check(Tenant::Environment, gone.version, call.expected)?;
        change::delete_environment(&application, &siblings, place.environment)?;
        tx.delete_environments(&[place.environment]).await?;
        let resource = (Tenant::Environment, gone.id.to_string(), &gone.name);
        let metadata = vec![("slug", Detail::text(&gone.slug))];
        let at = (place.account, Some(place.application), Some(place.environment));
        let mut audit = audit(app, call, now, "environment.delete", resource, at, metadata);
        audit.severity = AuditSeverity::Critical;
        let record = CommitRecord {
            at: now,
            changes: Vec::new(),
            audit,
        };
        app.commit_deletion(tx, call, record, &[place.environment]).await
    })
    .await
}
