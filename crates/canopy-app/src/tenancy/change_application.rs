//! Changes an application or its default environment.

use super::{audit_entry, lost_slug};
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::Detail;
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::tenancy::change::{self, TenantPatch};
use canopy_domain::{Application, ApplicationRef, Expected, Slug, TenancyError, Tenant};

/// Changes the name or slug of an application, and raises its version. A change without effect writes nothing.
///
/// Fails with [`TenancyError::Stale`], [`TenancyError::SlugTaken`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeApplication {
    /// The application.
    pub application: ApplicationRef,
    /// The expected version.
    pub seen: Expected,
    /// The change.
    pub patch: TenantPatch,
}

/// Makes the environment with this slug the default one of its application.
///
/// Fails with [`TenancyError::Stale`] if the call expects another version, with [`TenancyError::NotFound`] if the
/// application has no such environment, or with [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeDefaultEnvironment {
    /// The application.
    pub application: ApplicationRef,
    /// The slug of the environment.
    pub slug: Slug,
}

#[async_trait]
impl Write for ChangeApplication {
    type Outcome = Application;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Application(self.application)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Application>, AppError> {
        let before = find(facts, self.application).await?;
        let Some(after) = change::application(&before, &self.patch, self.seen, at.now())? else {
            return Ok(Plan::unchanged(before));
        };
        let metadata = vec![
            ("name_before", Detail::text(&before.name)),
            ("slug_before", Detail::text(&before.slug)),
            ("slug", Detail::text(&after.slug)),
        ];
        Ok(planned(before, after, "application.change", metadata))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        lost_slug(unique, Unique::ApplicationSlug, Tenant::Application, true)
    }
}

#[async_trait]
impl Write for ChangeDefaultEnvironment {
    type Outcome = Application;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Application(self.application)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Application>, AppError> {
        let before = find(facts, self.application).await?;
        change::check(Tenant::Application, before.version, at.expected())?;
        let found = facts
            .environment_by_slug(self.application.application, &self.slug)
            .await?;
        let environment = found.ok_or(TenancyError::NotFound(Tenant::Environment))?;
        let Some(after) = change::default_environment(&before, environment.id, at.now()) else {
            return Ok(Plan::unchanged(before));
        };
        let metadata = vec![
            ("environment_id_before", Detail::optional(before.default_environment_id)),
            ("environment_id", Detail::text(environment.id)),
        ];
        Ok(planned(
            before,
            after,
            "application.change_default_environment",
            metadata,
        ))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        lost_slug(unique, Unique::ApplicationSlug, Tenant::Application, true)
    }
}

async fn find(facts: &mut dyn ReadTx, place: ApplicationRef) -> Result<Application, AppError> {
    let found = facts.application(place.application).await?;
    Ok(found.ok_or(TenancyError::NotFound(Tenant::Application))?)
}

/// Returns the plan of a changed application, with the action and metadata of its audit event.
fn planned(
    before: Application,
    after: Application,
    action: &'static str,
    metadata: Vec<(&'static str, Detail)>,
) -> Plan<Application> {
    let resource = (Tenant::Application, after.id.to_string(), &after.name);
    let entry = audit_entry(action, resource, (after.account_id, Some(after.id), None), metadata);
    let changes = ChangeSet {
        applications: Rows::update(before, after.clone()),
        ..ChangeSet::default()
    };
    Plan::new(changes, after, entry)
}
