//! Creates an application with its environments.

use super::{NewApplication, NewTenant, audit_entry, lost_slug};
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::Detail;
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{AccountId, Application, TenancyError, Tenant};

/// Creates an application with the environments `development` and `production`, the default one.
///
/// Fails with [`TenancyError::SlugTaken`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct CreateApplication {
    /// The account.
    pub account: AccountId,
    /// The application.
    pub new: NewTenant,
}

#[async_trait]
impl Write for CreateApplication {
    type Outcome = Application;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Account(self.account)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Application>, AppError> {
        let Self { account, new } = self;
        let owner = facts
            .account(*account)
            .await?
            .ok_or(TenancyError::NotFound(Tenant::Account))?;
        let siblings = facts.applications(*account).await?;
        let slug = new.slug(Tenant::Application, |slug| {
            siblings.iter().any(|sibling| sibling.slug == *slug)
        })?;
        let made = NewApplication::new(at, &owner, new.name.clone(), slug)?;
        let changes = made.change_set();
        let application = made.application;
        let metadata = vec![("slug", Detail::text(&application.slug))];
        let resource = (Tenant::Application, application.id.to_string(), &application.name);
        let entry = audit_entry(
            "application.create",
            resource,
            (*account, Some(application.id), None),
            metadata,
        );
        Ok(Plan::new(changes, application, entry))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        let is_given = self.new.slug.is_some();
        lost_slug(unique, Unique::ApplicationSlug, Tenant::Application, is_given)
    }
}
