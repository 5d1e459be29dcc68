//! Create an environment.

use super::{NewTenant, audit, store_environment};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::{Change, SubjectFact};
use canopy_domain::audit::Detail;
use canopy_domain::port::{CommitRecord, WriteScope};
use canopy_domain::tenancy::ProvisionedEnvironment;
use canopy_domain::{ApplicationPlace, Environment, TenancyError, Tenant};

/// Creates an environment: flat, with one root, the system permissions and the system role. The members of the
/// application are members in it from the start.
///
/// # Errors
/// [`TenancyError::SlugTaken`]; [`AppError::Store`].
pub async fn run(app: &App, call: &Call, place: ApplicationPlace, new: &NewTenant) -> Result<Environment, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Application(place.application)).await?;
        let now = app.now();
        let account = tx
            .account(place.account)
            .await?
            .ok_or(TenancyError::NotFound(Tenant::Account))?;
        let siblings = tx.environments(place.application).await?;
        let slug = new.slug(Tenant::Environment, |slug| {
            siblings.iter().any(|sibling| sibling.slug == *slug)
        })?;
        let made = ProvisionedEnvironment::new(&account, place.application, new.name.clone(), slug, now, &mut || {
            app.mint()
        });
        let mut changes = store_environment(tx.as_mut(), &made, new.slug.is_some()).await?;
        let members = tx.members(place.application).await?;
        changes.changes.extend(
            members
                .into_iter()
                .map(|member: SubjectFact| Change::SubjectPut(member)),
        );
        let environment = made.environment;
        let metadata = vec![("slug", Detail::text(&environment.slug))];
        let resource = (Tenant::Environment, environment.id.to_string(), &environment.name);
        let at = (place.account, Some(place.application), Some(environment.id));
        let audit = audit(app, call, now, "environment.create", resource, at, metadata);
        app.commit(
            tx,
            call,
            CommitRecord {
                at: now,
                changes: vec![changes],
                audit,
            },
            &environment,
        )
        .await?;
        app.directory().clear();
        Ok(environment)
    })
    .await
}
