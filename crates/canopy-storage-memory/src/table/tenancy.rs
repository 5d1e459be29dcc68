//! Accounts, applications and environments.

use super::first_slug;
use canopy_domain::{
    Account, AccountId, Application, ApplicationId, Environment, EnvironmentId, EnvironmentRef, HierarchySchema, Slug,
};
use std::collections::BTreeMap;

/// The tree of tenants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tenancy {
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) account_slugs: BTreeMap<Slug, AccountId>,
    pub(crate) applications: BTreeMap<ApplicationId, Application>,
    pub(crate) application_slugs: BTreeMap<(AccountId, Slug), ApplicationId>,
    pub(crate) environments: BTreeMap<EnvironmentId, (Environment, HierarchySchema)>,
    pub(crate) environment_slugs: BTreeMap<(ApplicationId, Slug), EnvironmentId>,
}

impl Tenancy {
    /// The applications of an account, by slug.
    pub(crate) fn applications_of(&self, account: AccountId) -> impl Iterator<Item = &Application> {
        self.application_slugs
            .range((account, first_slug())..)
            .take_while(move |((owner, _), _)| *owner == account)
            .filter_map(|(_, id)| self.applications.get(id))
    }

    /// The environments of an application, by slug.
    pub(crate) fn environments_of(&self, application: ApplicationId) -> impl Iterator<Item = &Environment> {
        self.environment_slugs
            .range((application, first_slug())..)
            .take_while(move |((owner, _), _)| *owner == application)
            .filter_map(|(_, id)| self.environments.get(id))
            .map(|(environment, _)| environment)
    }

    /// Returns the path of an environment by ids.
    pub(crate) fn place(&self, id: EnvironmentId) -> Option<EnvironmentRef> {
        let (environment, _) = self.environments.get(&id)?;
        let application = self.applications.get(&environment.application_id)?;
        Some(EnvironmentRef {
            account: application.account_id,
            application: application.id,
            environment: id,
        })
    }
}
