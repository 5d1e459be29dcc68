//! Create an environment.

use super::{NewTenant, audit, store_environment};
use crate::audit::described::Details;
use crate::transfer::import::key_details;
use crate::transfer::{apply, aside, bound, contents};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::{Change, SubjectFact};
use canopy_domain::audit::Detail;
use canopy_domain::port::{CommitRecord, EnvironmentChanges, WriteScope};
use canopy_domain::tenancy::{ProvisionedEnvironment, change};
use canopy_domain::transfer::Contents;
use canopy_domain::transfer::plan::plan;
use canopy_domain::{ApplicationPlace, Environment, Slug, TenancyError, Tenant};

/// The environment that another one is made like.
#[derive(Debug, Clone, Copy)]
pub struct CopyFrom<'a> {
    /// Its slug within the application.
    pub slug: &'a Slug,
    /// The largest size of its document in bytes.
    pub max_bytes: u64,
}

/// Creates an environment: flat, with one root, the system permissions and the system role; or made of what another
/// environment of the application is made of. The members of the application are members in it from the start.
///
/// # Errors
/// [`TenancyError::TooManyEnvironments`], [`TenancyError::SlugTaken`], [`TenancyError::NotFound`] when there is nothing to copy from, [`TenancyError::TooLarge`] when there is too
/// much; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: ApplicationPlace,
    new: &NewTenant,
    copy_from: Option<CopyFrom<'_>>,
) -> Result<Environment, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, scope(place, copy_from.is_some())).await?;
        let now = app.now();
        let account = tx
            .account(place.account)
            .await?
            .ok_or(TenancyError::NotFound(Tenant::Account))?;
        let siblings = tx.environments(place.application).await?;
        change::admit_environment(siblings.len(), app.max_environments())?;
        let source = match copy_from {
            None => None,
            Some(CopyFrom { slug, max_bytes }) => {
                let found = siblings.iter().find(|sibling| sibling.slug == *slug);
                let found = found.ok_or(TenancyError::NotFound(Tenant::Environment))?;
                bound(tx.as_mut(), found.id, max_bytes).await?;
                Some(contents(tx.as_mut(), found.id).await?)
            }
        };
        let slug = new.slug(Tenant::Environment, |slug| {
            siblings.iter().any(|sibling| sibling.slug == *slug)
        })?;
        let mut mint = || app.mint();
        let mut made = ProvisionedEnvironment::new(&account, place.application, new.name.clone(), slug, now, &mut mint);
        let copied_from = source.as_ref().map(|source| source.environment.id);
        let document = match source {
            None => None,
            Some(source) => Some(aside(move || source.document()).await?),
        };
        if let Some(document) = &document {
            made = made.like(document);
        }
        let mut changes = store_environment(tx.as_mut(), &made, new.slug.is_some()).await?;
        let mut details = None;
        if let Some(document) = document {
            let (fresh, minting) = (Contents::from(&made), app.clone());
            let (plan, told) = aside(move || {
                let plan = plan(&document, &fresh, now, &mut || minting.mint());
                let mut told = Details::default();
                key_details(&plan, &fresh, &mut told);
                (plan, told)
            })
            .await?;
            details = Some(told);
            apply(tx.as_mut(), made.environment.id, &plan, &[]).await?;
            changes.extend(plan.changes(&[]));
        }
        let members = tx.members(place.application).await?;
        changes.extend(
            members
                .into_iter()
                .map(|member: SubjectFact| Change::SubjectPut(member)),
        );
        let environment = made.environment;
        let metadata = vec![
            ("slug", Detail::text(&environment.slug)),
            ("copied_from", Detail::optional(copied_from)),
        ];
        let resource = (Tenant::Environment, environment.id.to_string(), &environment.name);
        let at = (place.account, Some(place.application), Some(environment.id));
        let mut audit = audit(app, call, now, "environment.create", resource, at, metadata);
        if let Some(details) = details {
            audit.details = details.split(&mut audit.metadata);
        }
        app.commit(
            tx,
            call,
            CommitRecord {
                at: now,
                changes: vec![EnvironmentChanges {
                    environment: environment.id,
                    changes: changes.into(),
                }],
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

/// What is copied must stay as it is until all of it is read.
const fn scope(place: ApplicationPlace, copies: bool) -> WriteScope {
    if copies {
        WriteScope::WholeApplication(place)
    } else {
        WriteScope::Application(place)
    }
}
