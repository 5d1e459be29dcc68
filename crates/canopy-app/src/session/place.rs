//! From a path to the account, application or environment that it names.

use super::Sessions;
use super::cache::{Cache, Generation};
use super::name::{AsName, Name, NameOf};
use super::reader::{Reader, Source};
use super::right::{check_portal, may_see, own_share};
use super::tenancy::Slugs;
use crate::decisions::{Consistency, SILENCE};
use crate::{AppError, Caller};
use canopy_domain::port::Share;
use canopy_domain::{AccountId, ApplicationRef, EnvironmentId, EnvironmentRef, Slug, TenancyError, Tenant};
use std::sync::Arc;
use std::time::Instant;

/// The largest number of places of each kind that are cached.
const CAPACITY: usize = 10_000;

/// Places that were looked up before, cleared whenever this process changes an account, application or environment.
///
/// Where other processes write to the store, a slug may name another environment by now: a cached path is confirmed by a
/// fence before it is relied on. Accounts are never deleted, their slugs never change, and environments never move.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) accounts: Cache<AccountId, ()>,
    pub(super) account_slugs: Cache<Arc<str>, AccountId>,
    pub(super) environments: Cache<EnvironmentId, EnvironmentRef>,
    paths: Cache<Name, PathTarget>,
}

/// The environment that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PathTarget {
    pub(super) place: EnvironmentRef,
    /// A moment at which the path named it in the store.
    since: Instant,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            accounts: Cache::new(CAPACITY),
            account_slugs: Cache::new(CAPACITY),
            environments: Cache::new(CAPACITY),
            paths: Cache::new(CAPACITY),
        }
    }
}

impl Places {
    /// Returns the environment that these slugs named when they were last read or confirmed, if it is cached.
    pub(super) fn path(&self, account: AccountId, application: &str, environment: &str) -> Option<(Name, PathTarget)> {
        let name: &dyn AsName = &NameOf::Environment {
            account,
            application,
            environment,
        };
        self.paths.get_key_value(name, |name, found| (name.clone(), *found))
    }

    pub(super) fn clear(&self) {
        self.accounts.clear();
        self.account_slugs.clear();
        self.environments.clear();
        self.paths.clear();
    }
}

/// An environment that a question is about.
///
/// Where several processes share a store, a slug of a path that was looked up before may name another environment by now. It
/// is not looked up again for each question: the fence of the question confirms it.
#[derive(Debug, Clone)]
pub struct AskedEnvironment {
    place: EnvironmentRef,
    /// The path by which it was found, where that must be confirmed.
    path: Option<CachedPath>,
}

/// A path that was resolved from the cache.
#[derive(Debug, Clone)]
struct CachedPath {
    name: Name,
    /// A moment at which it named the environment in the store.
    since: Instant,
}

impl From<EnvironmentRef> for AskedEnvironment {
    /// An environment that was found by its id, or just now.
    fn from(place: EnvironmentRef) -> Self {
        Self { place, path: None }
    }
}

impl AskedEnvironment {
    /// Returns the environment, as far as it is known without a read from the store.
    pub const fn place(&self) -> &EnvironmentRef {
        &self.place
    }

    /// Returns whether the path may name another environment by now.
    pub(super) const fn must_be_confirmed(&self) -> bool {
        self.path.is_some()
    }

    /// Returns whether a question of this kind may rely on it without a confirmation.
    pub(super) fn is_confirmed(&self, consistency: Consistency) -> bool {
        match (&self.path, consistency) {
            (None, _) => true,
            (Some(_), Consistency::Strong) => false,
            (Some(path), Consistency::Eventual) => path.since.elapsed() <= SILENCE,
        }
    }
}

/// An environment as of a moment after the call, and whether a fence was asked about it.
pub(super) struct Confirmed {
    pub(super) place: EnvironmentRef,
    pub(super) is_fenced: bool,
}

const fn absent(tenant: Tenant) -> AppError {
    AppError::Tenancy(TenancyError::NotFound(tenant))
}

impl Sessions {
    /// Returns the account that a portal path names. An admin finds no account but its own.
    ///
    /// # Errors
    /// [`AppError::WrongPrincipal`], or not found.
    pub(super) async fn path_account(
        &self,
        caller: &Caller,
        slug: &str,
        reader: &mut Reader<'_>,
    ) -> Result<AccountId, AppError> {
        check_portal(caller)?;
        // An account that the caller must not see is read like one that does not exist: the time tells nothing.
        let cached = self.places.account_slugs.get(slug);
        if let Some(account) = cached.filter(|account| may_see(caller, *account)) {
            return Ok(account);
        }
        let found = self.read_account(slug, own_share(caller), reader).await?;
        found
            .filter(|account| may_see(caller, *account))
            .ok_or(absent(Tenant::Account))
    }

    /// Returns the application that a portal path names.
    ///
    /// # Errors
    /// [`AppError::WrongPrincipal`], or not found: the first of account and application that does not exist.
    pub(super) async fn path_application(
        &self,
        caller: &Caller,
        slugs: Slugs<&str>,
        reader: &mut Reader<'_>,
    ) -> Result<ApplicationRef, AppError> {
        let account = self.path_account(caller, slugs.account, reader).await?;
        let slug = Slug::parse(slugs.application).map_err(|_| absent(Tenant::Application))?;
        let tx = reader.tx(own_share(caller)).await?;
        let found = tx.application_by_slug(account, &slug).await?;
        let application = found.ok_or(absent(Tenant::Application))?.id;
        Ok(ApplicationRef { account, application })
    }

    /// Returns the environment that a portal path names, for a question about it.
    ///
    /// # Errors
    /// [`AppError::WrongPrincipal`], or not found: the first of account, application and environment that does not exist.
    pub(super) async fn path_environment(
        &self,
        caller: &Caller,
        slugs: Slugs<&str>,
        reader: &mut Reader<'_>,
    ) -> Result<AskedEnvironment, AppError> {
        let account = self.path_account(caller, slugs.account, reader).await?;
        if let Some((name, PathTarget { place, since })) =
            self.places.path(account, slugs.application, slugs.environment)
        {
            let path = self.is_shared().then_some(CachedPath { name, since });
            return Ok(AskedEnvironment { place, path });
        }
        let share = own_share(caller);
        let found = self
            .read_environment(account, slugs.application, slugs.environment, share, reader)
            .await?;
        Ok(found.map_err(absent)?.into())
    }

    /// Reads the account with this slug.
    pub(super) async fn read_account(
        &self,
        text: &str,
        share: Share,
        reader: &mut Reader<'_>,
    ) -> Result<Option<AccountId>, AppError> {
        let Ok(slug) = Slug::parse(text) else { return Ok(None) };
        let slugs = &self.places.account_slugs;
        let generation = slugs.generation();
        let found = reader.tx(share).await?.account_by_slug(&slug).await?;
        let found = found.map(|account| account.id);
        if let Some(account) = found {
            slugs.insert(generation, text.into(), account);
        }
        Ok(found)
    }

    /// Reads the environment at a path in its account; the error is the first of application and environment that does not
    /// exist.
    pub(super) async fn read_environment(
        &self,
        account: AccountId,
        application: &str,
        environment: &str,
        share: impl Into<Share>,
        reader: &mut Reader<'_>,
    ) -> Result<Result<EnvironmentRef, Tenant>, AppError> {
        let name = NameOf::Environment {
            account,
            application,
            environment,
        };
        let (Ok(application), environment) = (Slug::parse(application), Slug::parse(environment)) else {
            return Ok(Err(Tenant::Application));
        };
        let (generation, since) = (self.places.paths.generation(), Instant::now());
        let tx = reader.tx(share).await?;
        let Some(application) = tx.application_by_slug(account, &application).await? else {
            return Ok(Err(Tenant::Application));
        };
        let Ok(environment) = environment else {
            return Ok(Err(Tenant::Environment));
        };
        let Some(environment) = tx.environment_by_slug(application.id, &environment).await? else {
            return Ok(Err(Tenant::Environment));
        };
        let place = EnvironmentRef {
            account,
            application: application.id,
            environment: environment.id,
        };
        self.remember_path(generation, name.to_name(), PathTarget { place, since });
        Ok(Ok(place))
    }

    fn remember_path(&self, generation: Generation, name: Name, target: PathTarget) {
        self.places.paths.insert(generation, name, target);
    }

    /// Returns the environment that the path names as of a moment after this call: one fence, and a read from the store
    /// only if the path names another one by now.
    ///
    /// # Errors
    /// Not found; [`AppError::Store`].
    pub(super) async fn confirm_path(&self, caller: &Caller, asked: &AskedEnvironment) -> Result<Confirmed, AppError> {
        let place = asked.place;
        let Some(CachedPath { name, since: read }) = &asked.path else {
            let is_fenced = false;
            return Ok(Confirmed { place, is_fenced });
        };
        let NameOf::Environment {
            account,
            application,
            environment,
        } = name.parts()
        else {
            return Err(AppError::Broken("a path is named like an identity"));
        };
        let (generation, since) = (self.places.paths.generation(), Instant::now());
        match self.decisions.fence(&place).await {
            Ok(Some(head)) if (head.application_slug.as_str(), head.slug.as_str()) == (application, environment) => {
                if read.elapsed() > SILENCE / 5 {
                    self.remember_path(generation, name.clone(), PathTarget { place, since });
                }
                let is_fenced = true;
                Ok(Confirmed { place, is_fenced })
            }
            Ok(_) | Err(AppError::Tenancy(TenancyError::NotFound(_))) => {
                let mut reader = Reader::new(Source::Store(self.store.as_ref()));
                let found = self
                    .read_environment(account, application, environment, own_share(caller), &mut reader)
                    .await?;
                let (place, is_fenced) = (found.map_err(absent)?, false);
                Ok(Confirmed { place, is_fenced })
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AccountId, AsName, EnvironmentRef, NameOf, PathTarget, Places};
    use canopy_domain::{ApplicationId, EnvironmentId};
    use std::time::Instant;
    use uuid::Uuid;

    #[test]
    fn a_place_read_before_a_change_is_not_cached_after_it() {
        let place = EnvironmentRef {
            account: AccountId::new(Uuid::from_u128(1)),
            application: ApplicationId::new(Uuid::from_u128(2)),
            environment: EnvironmentId::new(Uuid::from_u128(3)),
        };
        let found = PathTarget {
            place,
            since: Instant::now(),
        };
        let places = Places::default();
        let target = |account| places.path(account, "b", "c").map(|(_, found)| found);
        let name = NameOf::Environment {
            account: place.account,
            application: "b",
            environment: "c",
        };
        let generations = (places.paths.generation(), places.environments.generation());
        places.paths.insert(generations.0, name.to_name(), found);
        places.environments.insert(generations.1, place.environment, place);
        assert_eq!(target(place.account), Some(found));
        assert_eq!(target(AccountId::new(Uuid::from_u128(9))), None);
        assert_eq!(places.environments.get(&place.environment), Some(place));
        places.clear();
        places.paths.insert(generations.0, name.to_name(), found);
        places.environments.insert(generations.1, place.environment, place);
        assert_eq!(target(place.account), None);
        assert_eq!(places.environments.get(&place.environment), None);
        // "b/c" is not "b" and "c".
        let joined: &dyn AsName = &NameOf::Environment {
            account: place.account,
            application: "b/c",
            environment: "",
        };
        places.paths.insert(places.paths.generation(), name.to_name(), found);
        assert_eq!(places.paths.get(joined), None);
    }
}
