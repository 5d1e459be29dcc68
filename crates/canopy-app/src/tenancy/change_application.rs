//! Change an application, or which of its environments is the default one.

use super::{audit, slug_taken};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::Detail;
use canopy_domain::port::{CommitRecord, Unique, WriteScope, WriteTx};
use canopy_domain::tenancy::change::{self, TenantPatch};
use canopy_domain::{Application, ApplicationPlace, Expected, Slug, TenancyError, Tenant, Timestamp};

/// Changes the name or slug of an application, and raises its version. Nothing asked anew changes nothing.
///
/// # Errors
/// [`TenancyError::Stale`] when it is not at version `seen`, [`TenancyError::SlugTaken`]; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: ApplicationPlace,
    seen: impl Into<Expected> + Send,
    asked: &TenantPatch,
) -> Result<Application, AppError> {
    let seen = seen.into();
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Application(place)).await?;
        let now = app.now();
        let before = find(tx.as_mut(), place).await?;
        let Some(application) = change::application(&before, asked, seen, now)? else {
            return Ok(before);
        };
        let metadata = vec![
            ("name_before", Detail::text(&before.name)),
            ("slug_before", Detail::text(&before.slug)),
            ("slug", Detail::text(&application.slug)),
        ];
        store(app, call, tx, &application, now, ("application.change", metadata)).await?;
        app.directory().clear();
        Ok(application)
    })
    .await
}

/// Makes the environment with this slug the default one of its application.
///
/// # Errors
/// [`TenancyError::Stale`] where the call expects another version; [`TenancyError::NotFound`] when the application has no such environment; [`AppError::Store`].
pub async fn default_environment(
    app: &App,
    call: &Call,
    place: ApplicationPlace,
    slug: &Slug,
) -> Result<Application, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Application(place)).await?;
        let now = app.now();
        let before = find(tx.as_mut(), place).await?;
        change::check(Tenant::Application, before.version, call.expected)?;
        let found = tx.environment_by_slug(place.application, slug).await?;
        let environment = found.ok_or(TenancyError::NotFound(Tenant::Environment))?;
        let Some(application) = change::default_environment(&before, environment.id, now) else {
            return Ok(before);
        };
        let metadata = vec![
            ("environment_id_before", Detail::optional(before.default_environment_id)),
            ("environment_id", Detail::text(environment.id)),
        ];
        let what = ("application.change_default_environment", metadata);
        store(app, call, tx, &application, now, what).await?;
        Ok(application)
    })
    .await
}

async fn find(tx: &mut dyn WriteTx, place: ApplicationPlace) -> Result<Application, AppError> {
    let found = tx.application(place.application).await?;
    Ok(found.ok_or(TenancyError::NotFound(Tenant::Application))?)
}

/// Stores a changed application, with the action and metadata of its audit event.
async fn store(
    app: &App,
    call: &Call,
    mut tx: Box<dyn WriteTx>,
    application: &Application,
    now: Timestamp,
    (action, metadata): (&'static str, Vec<(&'static str, Detail)>),
) -> Result<(), AppError> {
    let stored = tx.update_application(application).await;
    stored.map_err(slug_taken(Tenant::Application, Unique::ApplicationSlug, true))?;
    let resource = (Tenant::Application, application.id.to_string(), &application.name);
    let at = (application.account_id, Some(application.id), None);
    let record = CommitRecord {
        at: now,
        changes: Vec::new(),
        audit: audit(app, call, now, action, resource, at, metadata),
    };
    app.commit(tx, call, record, application).await?;
    Ok(())
}
