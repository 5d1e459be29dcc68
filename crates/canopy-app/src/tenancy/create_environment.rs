//! Creates an environment.

use super::{NewTenant, audit_entry, lost_slug};
use crate::transfer::import::key_details;
use crate::transfer::{aside, bound, contents};
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::Detail;
use canopy_domain::changeset::AccessFacts;
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::provision::ProvisionedEnvironment;
use canopy_domain::tenancy::change;
use canopy_domain::transfer::Contents;
use canopy_domain::transfer::plan::plan;
use canopy_domain::{ApplicationRef, Environment, Slug, TenancyError, Tenant};

/// The environment to copy.
#[derive(Debug, Clone)]
pub struct CopyFrom {
    /// Its slug within the application.
    pub slug: Slug,
    /// Maximum size of its document in bytes.
    pub max_bytes: u64,
}

/// Creates an environment: flat, with one root, the system permissions and the system role; or with a copy of the
/// contents of another environment of the application. The members of the application are members in it from the start.
///
/// Fails with [`TenancyError::TooManyEnvironments`], [`TenancyError::SlugTaken`], with [`TenancyError::NotFound`] if
/// the environment to copy does not exist, with [`TenancyError::TooLarge`] if it is too large, or with
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct CreateEnvironment {
    /// The application.
    pub application: ApplicationRef,
    /// The environment.
    pub new: NewTenant,
    /// The environment to copy, if any.
    pub copy_from: Option<CopyFrom>,
}

#[async_trait]
impl Write for CreateEnvironment {
    type Outcome = Environment;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        // The copied environment must not change until all of it is read.
        if self.copy_from.is_some() {
            LockScope::WholeApplication(self.application)
        } else {
            LockScope::Application(self.application)
        }
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Environment>, AppError> {
        let Self {
            application: place,
            new,
            copy_from,
        } = self;
        let account = facts
            .account(place.account)
            .await?
            .ok_or(TenancyError::NotFound(Tenant::Account))?;
        let siblings = facts.environments(place.application).await?;
        change::admit_environment(siblings.len(), at.max_environments())?;
        let source = match copy_from {
            None => None,
            Some(CopyFrom { slug, max_bytes }) => {
                let found = siblings.iter().find(|sibling| sibling.slug == *slug);
                let found = found.ok_or(TenancyError::NotFound(Tenant::Environment))?;
                bound(facts, found.id, *max_bytes).await?;
                Some(contents(facts, found.id).await?)
            }
        };
        let slug = new.slug(Tenant::Environment, |slug| {
            siblings.iter().any(|sibling| sibling.slug == *slug)
        })?;
        let (now, mint) = (at.now(), at.ids());
        let mut made =
            ProvisionedEnvironment::new(&account, place.application, new.name.clone(), slug, now, &mut || mint());
        let copied_from = source.as_ref().map(|source| source.environment.id);
        let mut details = None;
        let changes = match source {
            None => made.change_set(),
            Some(source) => {
                let mut told = at.details();
                let (changes, told, like) = aside(move || {
                    let document = source.document();
                    let made = made.like(&document);
                    let fresh = Contents::from(&made);
                    let plan = plan(&document, &fresh, now, &mut || mint());
                    key_details(&plan, &fresh, &mut told);
                    let mut changes = made.change_set();
                    changes.extend(plan.change_set(&fresh, Vec::new()));
                    (changes, told, made)
                })
                .await?;
                made = like;
                details = Some(told);
                changes
            }
        };
        let environment = made.environment;
        let metadata = vec![
            ("slug", Detail::text(&environment.slug)),
            ("copied_from", Detail::optional(copied_from)),
        ];
        let resource = (Tenant::Environment, environment.id.to_string(), &environment.name);
        let tenancy = (place.account, Some(place.application), Some(environment.id));
        let mut entry = audit_entry("environment.create", resource, tenancy, metadata);
        if let Some(details) = details {
            entry = entry.detailing(details);
        }
        let known = AccessFacts {
            members: [(place.application, facts.members(place.application).await?)].into(),
            ..AccessFacts::default()
        };
        Ok(Plan::new(changes, environment, entry).with_facts(known))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        let is_given = self.new.slug.is_some();
        lost_slug(unique, Unique::EnvironmentSlug, Tenant::Environment, is_given)
    }
}
