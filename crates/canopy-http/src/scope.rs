//! The place that a call is about: found from the slugs of its path, on the portal surface.

use canopy_app::{App, AppError, Caller, scope};
use canopy_domain::{AccountId, ApplicationPlace, EnvironmentPlace};
use core::future::Future;

/// How deep in the tenancy tree a call lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The installation: operators alone.
    Installation,
    /// One account.
    Account,
    /// One application.
    Application,
    /// One environment.
    Environment,
}

impl Level {
    /// The beginning of the paths of the portal surface.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Installation => "/portal/v1",
            Self::Account => "/portal/v1/accounts/{accountSlug}",
            Self::Application => "/portal/v1/accounts/{accountSlug}/applications/{appSlug}",
            Self::Environment => "/portal/v1/accounts/{accountSlug}/applications/{appSlug}/environments/{envSlug}",
        }
    }

    /// The path parameters of the prefix, with what they name.
    pub(crate) fn slugs(self) -> &'static [(&'static str, &'static str)] {
        const ALL: &[(&str, &str)] = &[
            ("accountSlug", "The account."),
            ("appSlug", "The application of the account."),
            ("envSlug", "The environment of the application."),
        ];
        let count = match self {
            Self::Installation => 0,
            Self::Account => 1,
            Self::Application => 2,
            Self::Environment => 3,
        };
        ALL.get(..count).unwrap_or_default()
    }
}

/// The slugs of a path; those that its level does not have are empty.
#[derive(Debug, Default)]
pub(crate) struct Slugs {
    pub(crate) account: String,
    pub(crate) application: String,
    pub(crate) environment: String,
}

/// A place that calls can be about.
pub(crate) trait Scope: Sized + Send + 'static {
    /// Where such places lie.
    const LEVEL: Level;

    /// Finds the place, if the caller may be there.
    fn find(
        app: App,
        caller: Caller,
        slugs: Slugs,
    ) -> impl Future<Output = Result<(Self, Caller), AppError>> + Send + 'static;
}

/// The installation as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Installation;

impl Scope for Installation {
    const LEVEL: Level = Level::Installation;

    async fn find(_: App, caller: Caller, _: Slugs) -> Result<(Self, Caller), AppError> {
        scope::operator(&caller)?;
        Ok((Self, caller))
    }
}

impl Scope for AccountId {
    const LEVEL: Level = Level::Account;

    async fn find(app: App, caller: Caller, slugs: Slugs) -> Result<(Self, Caller), AppError> {
        Ok((scope::account(&app, &caller, &slugs.account).await?, caller))
    }
}

impl Scope for ApplicationPlace {
    const LEVEL: Level = Level::Application;

    async fn find(app: App, caller: Caller, slugs: Slugs) -> Result<(Self, Caller), AppError> {
        Ok((
            scope::application(&app, &caller, &slugs.account, &slugs.application).await?,
            caller,
        ))
    }
}

impl Scope for EnvironmentPlace {
    const LEVEL: Level = Level::Environment;

    async fn find(app: App, caller: Caller, slugs: Slugs) -> Result<(Self, Caller), AppError> {
        let names = (
            slugs.account.as_str(),
            slugs.application.as_str(),
            slugs.environment.as_str(),
        );
        Ok((scope::environment(&app, &caller, names).await?, caller))
    }
}
