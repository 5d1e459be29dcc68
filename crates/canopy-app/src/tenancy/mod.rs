//! Accounts, applications and environments.

mod change_access_model;
mod change_account;
mod change_application;
mod change_environment;
mod create_account;
mod create_application;
mod create_environment;
mod delete;
mod get;
mod list;

pub use change_access_model::ChangeAccessModel;
pub use change_account::ChangeAccount;
pub use change_application::{ChangeApplication, ChangeDefaultEnvironment};
pub use change_environment::ChangeEnvironment;
pub use create_account::CreateAccount;
pub use create_application::CreateApplication;
pub use create_environment::{CopyFrom, CreateEnvironment};
pub use delete::{DeleteApplication, DeleteEnvironment};
pub use get::{find_application, get_account, get_application, get_environment};
pub use list::{list_accounts, list_applications, list_environments};

use crate::audit_entry::AuditEntry;
use crate::unit_of_work::SlugRace;
use crate::{AppError, Moment};
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::port::{ReadTx, StoreError, Unique};
use canopy_domain::provision::ProvisionedEnvironment;
use canopy_domain::{
    Account, AccountId, Application, ApplicationId, DisplayName, EnvironmentId, HierarchySchema, Slug, TenancyError,
    Tenant,
};

/// The name and slug of a requested account, application or environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// Its name.
    pub name: DisplayName,
    /// Its slug. Default: derived from the name, with a number if that is taken.
    pub slug: Option<Slug>,
}

impl NewTenant {
    /// Returns its slug: the given one, which must be free, or a free one derived from the name.
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

/// Turns a race for a slug into the broken rule. A derived slug is retried: the retry adds a number.
fn lost_slug(taken: Unique, own: Unique, tenant: Tenant, is_given: bool) -> Option<AppError> {
    if taken != own {
        return None;
    }
    Some(if is_given {
        TenancyError::SlugTaken(tenant).into()
    } else {
        StoreError::Conflict(Box::new(SlugRace)).into()
    })
}

/// Returns the schema of an environment's tree.
async fn schema_of(facts: &mut dyn ReadTx, environment: EnvironmentId) -> Result<HierarchySchema, AppError> {
    let found = facts.hierarchy(environment).await?;
    let (_, schema) = found.ok_or(TenancyError::NotFound(Tenant::Environment))?;
    Ok(schema)
}

/// A new application with its environments `development` and `production`, the default one.
struct NewApplication {
    application: Application,
    environments: [ProvisionedEnvironment; 2],
}

impl NewApplication {
    fn new(at: &Moment<'_>, account: &Account, name: DisplayName, slug: Slug) -> Result<Self, AppError> {
        let now = at.now();
        let id = ApplicationId::new(at.mint());
        let environment = |name: &str| -> Result<ProvisionedEnvironment, AppError> {
            let display = DisplayName::parse(name).map_err(|_| AppError::Broken("the name of a first environment"))?;
            let slug = Slug::from_name(name).ok_or(AppError::Broken("the slug of a first environment"))?;
            Ok(ProvisionedEnvironment::new(
                account,
                id,
                display,
                slug,
                now,
                &mut || at.mint(),
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

    /// Returns its rows, all new.
    fn change_set(&self) -> ChangeSet {
        let mut changes = ChangeSet {
            applications: Rows::added(vec![self.application.clone()]),
            ..ChangeSet::default()
        };
        for made in &self.environments {
            changes.extend(made.change_set());
        }
        changes
    }
}

/// Returns the audit entry of a change to an account, application or environment.
fn audit_entry(
    action: &'static str,
    (tenant, id, name): (Tenant, String, &DisplayName),
    (account, application, environment): (AccountId, Option<ApplicationId>, Option<EnvironmentId>),
    metadata: Vec<(&'static str, Detail)>,
) -> AuditEntry {
    AuditEntry {
        account,
        application,
        environment,
        action,
        category: AuditCategory::Tenancy,
        severity: AuditSeverity::Info,
        resource_type: tenant.as_str(),
        resource_id: id,
        resource_label: name.to_string(),
        metadata: Detail::Map(metadata),
        details: Vec::new(),
    }
}
