//! Switch an environment from flat to hierarchy.

use super::audit;
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::Detail;
use canopy_domain::port::{CommitRecord, EnvironmentChanges, WriteScope};
use canopy_domain::tenancy::change;
use canopy_domain::{AccessModel, Environment, EnvironmentPlace, HierarchyError, TenancyError, Tenant};

/// Sets the access model. Setting the one it has changes nothing.
///
/// # Errors
/// [`TenancyError::Stale`] where the call expects another version; [`HierarchyError::RevertNeeded`] on the way back to flat, which widens access and has a call of its own;
/// [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    model: AccessModel,
) -> Result<Environment, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let mut environment = tx.environment(place.environment).await?.ok_or_else(absent)?;
        change::check(Tenant::Environment, environment.version, call.expected)?;
        if environment.access_model == model {
            return Ok(environment);
        }
        if model == AccessModel::Flat {
            return Err(HierarchyError::RevertNeeded.into());
        }
        let (_, schema) = tx.hierarchy(place.environment).await?.ok_or_else(absent)?;
        environment.access_model = model;
        environment.version = environment.version.next();
        environment.updated_at = now;
        tx.update_environment(&environment, &schema).await?;
        let resource = (Tenant::Environment, environment.id.to_string(), &environment.name);
        let at = (place.account, Some(place.application), Some(place.environment));
        let metadata = vec![("access_model", Detail::text(model))];
        let audit = audit(
            app,
            call,
            now,
            "environment.change_access_model",
            resource,
            at,
            metadata,
        );
        let changes = vec![EnvironmentChanges {
            environment: environment.id,
            changes: [].into(),
        }];
        app.commit(
            tx,
            call,
            CommitRecord {
                at: now,
                changes,
                audit,
            },
            &(),
        )
        .await?;
        Ok(environment)
    })
    .await
}
