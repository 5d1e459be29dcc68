//! Accounts, applications and environments.

use crate::rule::{bug, ensure, unique};
use crate::state::{Contents, State};
use crate::unit::{Unit, Writing};
use async_trait::async_trait;
use canopy_domain::port::reader::TenancyReader;
use canopy_domain::port::writer::TenancyWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{
    Account, AccountId, Application, ApplicationId, Environment, EnvironmentId, EnvironmentRef, HierarchySchema, Slug,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The tree of tenants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tenancy {
    pub accounts: BTreeMap<AccountId, Account>,
    account_slugs: BTreeMap<Slug, AccountId>,
    pub applications: BTreeMap<ApplicationId, Application>,
    application_slugs: BTreeMap<(AccountId, Slug), ApplicationId>,
    pub environments: BTreeMap<EnvironmentId, (Environment, HierarchySchema)>,
    environment_slugs: BTreeMap<(ApplicationId, Slug), EnvironmentId>,
}

impl Tenancy {
    /// Returns the applications of an account, by slug.
    pub fn applications_of(&self, account: AccountId) -> impl Iterator<Item = &Application> {
        self.application_slugs
            .range((account, first_slug())..)
            .take_while(move |((owner, _), _)| *owner == account)
            .filter_map(|(_, id)| self.applications.get(id))
    }

    /// Returns the environments of an application, by slug.
    pub fn environments_of(&self, application: ApplicationId) -> impl Iterator<Item = &Environment> {
        self.environment_slugs
            .range((application, first_slug())..)
            .take_while(move |((owner, _), _)| *owner == application)
            .filter_map(|(_, id)| self.environments.get(id))
            .map(|(environment, _)| environment)
    }

    /// Returns the reference of an environment.
    pub fn place(&self, id: EnvironmentId) -> Option<EnvironmentRef> {
        let (environment, _) = self.environments.get(&id)?;
        let application = self.applications.get(&environment.application_id)?;
        Some(EnvironmentRef {
            account: application.account_id,
            application: application.id,
            environment: id,
        })
    }
}

/// Returns the slug that sorts before all others.
pub(crate) fn first_slug() -> Slug {
    // A slug is never empty and `-` cannot be its first character, so `0` is the smallest.
    Slug::parse("0").unwrap_or_else(|_| Slug::node())
}

#[async_trait]
impl<Kind: Send> TenancyReader for Unit<Kind> {
    async fn accounts(&mut self) -> Result<Vec<Account>, StoreError> {
        let tenancy = &self.state.tenancy;
        let by_slug = tenancy.account_slugs.values();
        Ok(by_slug.filter_map(|id| tenancy.accounts.get(id)).cloned().collect())
    }

    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, StoreError> {
        Ok(self.state.tenancy.accounts.get(&id).cloned())
    }

    async fn account_by_slug(&mut self, slug: &Slug) -> Result<Option<Account>, StoreError> {
        let tenancy = &self.state.tenancy;
        let id = tenancy.account_slugs.get(slug);
        Ok(id.and_then(|id| tenancy.accounts.get(id)).cloned())
    }

    async fn applications(&mut self, account: AccountId) -> Result<Vec<Application>, StoreError> {
        Ok(self.state.tenancy.applications_of(account).cloned().collect())
    }

    async fn application(&mut self, id: ApplicationId) -> Result<Option<Application>, StoreError> {
        Ok(self.state.tenancy.applications.get(&id).cloned())
    }

    async fn application_by_slug(
        &mut self,
        account: AccountId,
        slug: &Slug,
    ) -> Result<Option<Application>, StoreError> {
        let tenancy = &self.state.tenancy;
        let id = tenancy.application_slugs.get(&(account, slug.clone()));
        Ok(id.and_then(|id| tenancy.applications.get(id)).cloned())
    }

    async fn environments(&mut self, application: ApplicationId) -> Result<Vec<Environment>, StoreError> {
        Ok(self.state.tenancy.environments_of(application).cloned().collect())
    }

    async fn environment(&mut self, id: EnvironmentId) -> Result<Option<Environment>, StoreError> {
        Ok(environment(&self.state, id).cloned())
    }

    async fn environment_by_slug(
        &mut self,
        application: ApplicationId,
        slug: &Slug,
    ) -> Result<Option<Environment>, StoreError> {
        let id = self.state.tenancy.environment_slugs.get(&(application, slug.clone()));
        Ok(id.and_then(|id| environment(&self.state, *id)).cloned())
    }

    async fn environment_place(&mut self, id: EnvironmentId) -> Result<Option<EnvironmentRef>, StoreError> {
        Ok(self.state.tenancy.place(id))
    }
}

fn environment(state: &State, id: EnvironmentId) -> Option<&Environment> {
    state.tenancy.environments.get(&id).map(|(environment, _)| environment)
}

#[async_trait]
impl TenancyWriter for Unit<Writing> {
    async fn insert_account(&mut self, account: &Account) -> Result<(), StoreError> {
        let tenancy = &self.state.tenancy;
        unique(
            [&account.slug],
            |slug| tenancy.account_slugs.contains_key(*slug),
            Unique::AccountSlug,
        )?;
        unique([account.id], |id| tenancy.accounts.contains_key(id), Unique::Id)?;
        let tenancy = Arc::make_mut(&mut self.state.tenancy);
        tenancy.account_slugs.insert(account.slug.clone(), account.id);
        tenancy.accounts.insert(account.id, account.clone());
        Ok(())
    }

    async fn update_account(&mut self, account: &Account) -> Result<(), StoreError> {
        let tenancy = &self.state.tenancy;
        let old = tenancy.accounts.get(&account.id);
        let old_slug = old.ok_or_else(|| bug("the account is not there"))?.slug.clone();
        let other_has = |slug: &&Slug| {
            let holder = tenancy.account_slugs.get(*slug);
            holder.is_some_and(|id| *id != account.id)
        };
        unique([&account.slug], other_has, Unique::AccountSlug)?;
        let tenancy = Arc::make_mut(&mut self.state.tenancy);
        tenancy.account_slugs.remove(&old_slug);
        tenancy.account_slugs.insert(account.slug.clone(), account.id);
        tenancy.accounts.insert(account.id, account.clone());
        Ok(())
    }

    async fn insert_application(&mut self, application: &Application) -> Result<(), StoreError> {
        let tenancy = &self.state.tenancy;
        let slug = (application.account_id, application.slug.clone());
        unique(
            [&slug],
            |slug| tenancy.application_slugs.contains_key(*slug),
            Unique::ApplicationSlug,
        )?;
        unique([application.id], |id| tenancy.applications.contains_key(id), Unique::Id)?;
        check_application(tenancy, application)?;
        let tenancy = Arc::make_mut(&mut self.state.tenancy);
        tenancy.application_slugs.insert(slug, application.id);
        tenancy.applications.insert(application.id, application.clone());
        Ok(())
    }

    async fn update_application(&mut self, application: &Application) -> Result<(), StoreError> {
        let tenancy = &self.state.tenancy;
        let old = tenancy.applications.get(&application.id);
        let old = old.ok_or_else(|| bug("the application is not there"))?;
        ensure(
            old.account_id == application.account_id,
            "an application stays in its account",
        )?;
        let (old_slug, slug) = (
            (old.account_id, old.slug.clone()),
            (old.account_id, application.slug.clone()),
        );
        let other_has = |slug: &&(AccountId, Slug)| {
            tenancy
                .application_slugs
                .get(*slug)
                .is_some_and(|id| *id != application.id)
        };
        unique([&slug], other_has, Unique::ApplicationSlug)?;
        check_application(tenancy, application)?;
        let tenancy = Arc::make_mut(&mut self.state.tenancy);
        tenancy.application_slugs.remove(&old_slug);
        tenancy.application_slugs.insert(slug, application.id);
        tenancy.applications.insert(application.id, application.clone());
        Ok(())
    }

    async fn insert_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError> {
        let tenancy = &self.state.tenancy;
        let slug = (environment.application_id, environment.slug.clone());
        unique(
            [&slug],
            |slug| tenancy.environment_slugs.contains_key(*slug),
            Unique::EnvironmentSlug,
        )?;
        unique([environment.id], |id| tenancy.environments.contains_key(id), Unique::Id)?;
        ensure(
            tenancy.applications.contains_key(&environment.application_id),
            "the environment's application is not there",
        )?;
        let tenancy = Arc::make_mut(&mut self.state.tenancy);
        tenancy.environment_slugs.insert(slug, environment.id);
        tenancy
            .environments
            .insert(environment.id, (environment.clone(), schema.clone()));
        Arc::make_mut(&mut self.state.environments).insert(environment.id, Contents::default());
        Ok(())
    }

    async fn update_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError> {
        let tenancy = &self.state.tenancy;
        let old = tenancy.environments.get(&environment.id);
        let (old, _) = old.ok_or_else(|| bug("the environment is not there"))?;
        ensure(
            old.application_id == environment.application_id,
            "an environment stays in its application",
        )?;
        let old_slug = (old.application_id, old.slug.clone());
        let slug = (old.application_id, environment.slug.clone());
        let other_has = |slug: &&(ApplicationId, Slug)| {
            tenancy
                .environment_slugs
                .get(*slug)
                .is_some_and(|id| *id != environment.id)
        };
        unique([&slug], other_has, Unique::EnvironmentSlug)?;
        let tenancy = Arc::make_mut(&mut self.state.tenancy);
        tenancy.environment_slugs.remove(&old_slug);
        tenancy.environment_slugs.insert(slug, environment.id);
        tenancy
            .environments
            .insert(environment.id, (environment.clone(), schema.clone()));
        Ok(())
    }

    async fn delete_environments(&mut self, ids: &[EnvironmentId]) -> Result<(), StoreError> {
        let gone: BTreeSet<&EnvironmentId> = ids.iter().collect();
        let tenancy = Arc::make_mut(&mut self.state.tenancy);
        let mut defaults = tenancy
            .applications
            .values()
            .filter_map(|one| one.default_environment_id);
        ensure(
            !defaults.any(|id| gone.contains(&id)),
            "a deleted environment is the default one of its application",
        )?;
        for id in gone {
            if let Some((old, _)) = tenancy.environments.remove(id) {
                tenancy.environment_slugs.remove(&(old.application_id, old.slug));
                Arc::make_mut(&mut self.state.environments).remove(id);
            }
        }
        Ok(())
    }

    async fn delete_application(&mut self, id: ApplicationId) -> Result<(), StoreError> {
        let tenancy = Arc::make_mut(&mut self.state.tenancy);
        let is_empty = tenancy.environments_of(id).next().is_none();
        ensure(is_empty, "a deleted application has environments")?;
        if let Some(old) = tenancy.applications.remove(&id) {
            tenancy.application_slugs.remove(&(old.account_id, old.slug));
            Arc::make_mut(&mut self.state.directory).leave(id);
        }
        Ok(())
    }
}

fn check_application(tenancy: &Tenancy, application: &Application) -> Result<(), StoreError> {
    ensure(
        tenancy.accounts.contains_key(&application.account_id),
        "the application's account is not there",
    )?;
    let is_own = |id: EnvironmentId| {
        tenancy
            .environments
            .get(&id)
            .is_some_and(|(environment, _)| environment.application_id == application.id)
    };
    ensure(
        application.default_environment_id.is_none_or(is_own),
        "the default environment is not one of the application's",
    )
}
