//! Creates an account with one application, `default`, and its environments.

use super::{NewApplication, NewTenant, audit_entry, lost_slug};
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::Detail;
use canopy_domain::changeset::{ChangeSet, LastingRows};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{Account, AccountId, DisplayName, JsonObject, Slug, Tenant, Version};

/// Creates an account. The caller must be an operator.
///
/// Fails with [`TenancyError::SlugTaken`](canopy_domain::TenancyError::SlugTaken) or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct CreateAccount {
    /// The account.
    pub new: NewTenant,
}

#[async_trait]
impl Write for CreateAccount {
    type Outcome = Account;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Installation
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Account>, AppError> {
        let new = &self.new;
        let accounts = facts.accounts().await?;
        let slug = new.slug(Tenant::Account, |slug| {
            accounts.iter().any(|account| account.slug == *slug)
        })?;
        let account = Account {
            id: AccountId::new(at.mint()),
            name: new.name.clone(),
            slug,
            settings: JsonObject::default(),
            version: Version::FIRST,
            created_at: at.now(),
            updated_at: at.now(),
        };
        let first = first_application(at, &account)?;
        let metadata = vec![
            ("slug", Detail::text(&account.slug)),
            ("application_id", Detail::text(first.application.id)),
        ];
        let resource = (Tenant::Account, account.id.to_string(), &account.name);
        let entry = audit_entry("account.create", resource, (account.id, None, None), metadata);
        let changes = ChangeSet {
            accounts: LastingRows::added(vec![account.clone()]),
            ..first.change_set()
        };
        Ok(Plan::new(changes, account, entry))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        lost_slug(unique, Unique::AccountSlug, Tenant::Account, self.new.slug.is_some())
    }
}

fn first_application(at: &Moment<'_>, account: &Account) -> Result<NewApplication, AppError> {
    let name = DisplayName::parse("Default").map_err(|_| AppError::Broken("the name of the first application"))?;
    let slug = Slug::parse("default").map_err(|_| AppError::Broken("the slug of the first application"))?;
    NewApplication::new(at, account, name, slug)
}
