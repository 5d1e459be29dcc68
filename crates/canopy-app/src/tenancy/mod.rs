//! Accounts, applications and environments.

pub mod change_access_model;
pub mod change_account;
pub mod change_application;
pub mod change_environment;
pub mod create_account;
pub mod create_application;
pub mod create_environment;
pub mod delete;
pub mod get;
pub mod list;

use crate::unit_of_work::SlugRace;
use crate::{App, AppError, Call};
use canopy_domain::access::Change;
use canopy_domain::audit::{AuditCategory, AuditEvent, AuditSeverity, Detail};
use canopy_domain::port::{EnvironmentChanges, StoreError, Unique, WriteTx};
use canopy_domain::tenancy::ProvisionedEnvironment;
use canopy_domain::{Account, Application, DisplayName, Slug, TenancyError, Tenant, Timestamp};

/// What is asked of a new account, application or environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// Its name.
    pub name: DisplayName,
    /// Its slug; made from the name where it is not given, with a number where that is taken.
    pub slug: Option<Slug>,
}

impl NewTenant {
    /// The slug it gets: the given one, which must be free, or a free one made from the name.
    fn slug(&self, tenant: Tenant, is_taken: impl Fn(&Slug) -> bool) -> Result<Slug, TenancyError> {
        match &self.slug {
            Some(slug) if is_taken(slug) => Err(TenancyError::SlugTaken(tenant)),
            Some(slug) => Ok(slug.clone()),
            None => {
                let base = Slug::from_name(self.name.as_str()).unwrap_or_else(|| Slug::of(tenant));
                let numbered = (2..).map(|number| base.numbered(number));
                let free = core::iter::once(base.clone())
                    .chain(numbered)
                    .find(|slug| !is_taken(slug));
                free.ok_or(TenancyError::SlugTaken(tenant))
            }
        }
    }
}

/// Turns a race for a slug into the rule it broke. One that was made from a name gives way: judged again, it gets a number.
fn slug_taken(tenant: Tenant, unique: Unique, is_given: bool) -> impl FnOnce(StoreError) -> AppError {
    move |error| match error {
        StoreError::Duplicate(taken) if taken == unique && is_given => TenancyError::SlugTaken(tenant).into(),
        StoreError::Duplicate(taken) if taken == unique => StoreError::Conflict(Box::new(SlugRace)).into(),
        other => other.into(),
    }
}

/// Stores a new environment with everything it starts with, which is the answer.
async fn store_environment(
    tx: &mut dyn WriteTx,
    made: &ProvisionedEnvironment,
    slug_is_given: bool,
) -> Result<Vec<Change>, AppError> {
    tx.insert_environment(&made.environment, &made.schema)
        .await
        .map_err(slug_taken(Tenant::Environment, Unique::EnvironmentSlug, slug_is_given))?;
    tx.insert_nodes(core::slice::from_ref(&made.root)).await?;
    tx.insert_permissions(&made.permissions).await?;
    tx.insert_roles(core::slice::from_ref(&made.admin_role)).await?;
    tx.bind_permissions(made.environment.id, &made.bindings()).await?;
    Ok(made.changes())
}

/// A new application with its two environments, `development` and `production`; the second is the default one.
struct NewApplication {
    application: Application,
    environments: [ProvisionedEnvironment; 2],
}

impl NewApplication {
    fn new(app: &App, account: &Account, name: DisplayName, slug: Slug, now: Timestamp) -> Result<Self, AppError> {
        let id = canopy_domain::ApplicationId::new(app.mint());
        let environment = |name: &str| -> Result<ProvisionedEnvironment, AppError> {
            let display = DisplayName::parse(name).map_err(|_| AppError::Broken("the name of a first environment"))?;
            let slug = Slug::from_name(name).ok_or(AppError::Broken("the slug of a first environment"))?;
            Ok(ProvisionedEnvironment::new(
                account,
                id,
                display,
                slug,
                now,
                &mut || app.mint(),
            ))
        };
        let environments = [environment("Development")?, environment("Production")?];
        let [_, production] = &environments;
        let application = Application {
            id,
            account_id: account.id,
            name,
            slug,
            settings: canopy_domain::JsonObject::default(),
            default_environment_id: Some(production.environment.id),
            version: canopy_domain::Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        Ok(Self {
            application,
            environments,
        })
    }

    async fn store(&self, tx: &mut dyn WriteTx, slug_is_given: bool) -> Result<Vec<EnvironmentChanges>, AppError> {
        let without_default = Application {
            default_environment_id: None,
            ..self.application.clone()
        };
        tx.insert_application(&without_default).await.map_err(slug_taken(
            Tenant::Application,
            Unique::ApplicationSlug,
            slug_is_given,
        ))?;
        let mut changes = Vec::new();
        for made in &self.environments {
            let environment = made.environment.id;
            let made = store_environment(tx, made, true).await?;
            changes.push(EnvironmentChanges {
                environment,
                changes: made.into(),
            });
        }
        tx.update_application(&self.application).await?;
        Ok(changes)
    }
}

/// The audit event of a change to an account, application or environment.
fn audit(
    app: &App,
    call: &Call,
    now: Timestamp,
    action: &'static str,
    resource: (Tenant, String, &DisplayName),
    place: (
        canopy_domain::AccountId,
        Option<canopy_domain::ApplicationId>,
        Option<canopy_domain::EnvironmentId>,
    ),
    metadata: Vec<(&'static str, Detail)>,
) -> AuditEvent {
    let (tenant, id, name) = resource;
    app.audit(
        call,
        now,
        crate::app::AuditEntry {
            account: place.0,
            application: place.1,
            environment: place.2,
            action,
            category: AuditCategory::Tenancy,
            severity: AuditSeverity::Info,
            resource_type: tenant.as_str(),
            resource_id: id,
            resource_label: name.to_string(),
            metadata: Detail::Map(metadata),
            details: Vec::new(),
        },
    )
}
