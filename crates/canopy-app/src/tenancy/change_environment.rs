//! Change an environment.

use super::{audit, slug_taken};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::Detail;
use canopy_domain::port::{CommitRecord, EnvironmentChanges, Unique, WriteScope};
use canopy_domain::tenancy::change::{self, TenantPatch};
use canopy_domain::{Environment, EnvironmentPlace, TenancyError, Tenant};

/// Changes the name or slug of an environment, and raises its version. Nothing asked anew changes nothing.
///
/// # Errors
/// [`TenancyError::Stale`] where the call expects another version, [`TenancyError::SlugTaken`]; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    asked: &TenantPatch,
) -> Result<Environment, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let before = tx.environment(place.environment).await?.ok_or_else(absent)?;
        change::check(Tenant::Environment, before.version, call.expected)?;
        let Some(environment) = change::environment(&before, asked, now) else {
            return Ok(before);
        };
        let (_, schema) = tx.hierarchy(place.environment).await?.ok_or_else(absent)?;
        let stored = tx.update_environment(&environment, &schema).await;
        stored.map_err(slug_taken(Tenant::Environment, Unique::EnvironmentSlug, true))?;
        let resource = (Tenant::Environment, environment.id.to_string(), &environment.name);
        let at = (place.account, Some(place.application), Some(place.environment));
        let metadata = vec![
            ("name_before", Detail::text(&before.name)),
            ("slug_before", Detail::text(&before.slug)),
            ("slug", Detail::text(&environment.slug)),
        ];
        let record = CommitRecord {
            at: now,
            changes: vec![EnvironmentChanges {
                environment: place.environment,
                changes: [].into(),
            }],
            audit: audit(app, call, now, "environment.change", resource, at, metadata),
        };
        app.commit(tx, call, record, &environment).await?;
        app.directory().clear();
        Ok(environment)
    })
    .await
}
