//! Create an application with its environments.

use super::{NewApplication, NewTenant, audit};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::Detail;
use canopy_domain::port::{CommitRecord, LockScope};
use canopy_domain::{AccountId, Application, TenancyError, Tenant};

/// Creates an application with the environments `development` and `production`, the default one.
///
/// # Errors
/// [`TenancyError::SlugTaken`]; [`AppError::Store`].
pub async fn run(app: &App, call: &Call, account: AccountId, new: &NewTenant) -> Result<Application, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, LockScope::Account(account)).await?;
        let now = app.now();
        let owner = tx
            .account(account)
            .await?
            .ok_or(TenancyError::NotFound(Tenant::Account))?;
        let siblings = tx.applications(account).await?;
        let slug = new.slug(Tenant::Application, |slug| {
            siblings.iter().any(|sibling| sibling.slug == *slug)
        })?;
        let made = NewApplication::new(app, &owner, new.name.clone(), slug, now)?;
        let changes = made.store(tx.as_mut(), new.slug.is_some()).await?;
        let application = made.application;
        let metadata = vec![("slug", Detail::text(&application.slug))];
        let resource = (Tenant::Application, application.id.to_string(), &application.name);
        let place = (account, Some(application.id), None);
        let audit = audit(app, call, now, "application.create", resource, place, metadata);
        app.commit(
            tx,
            call,
            CommitRecord {
                at: now,
                changes,
                audit,
            },
            &application,
        )
        .await?;
        app.directory().clear();
        Ok(application)
    })
    .await
}
