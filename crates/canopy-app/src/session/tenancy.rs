//! The account, application or environment that a call is about, and how it is resolved.

use super::place::AskedEnvironment;
use super::reader::Reader;
use super::right::{bound_environment, check_operator, end_user};
use super::{Basis, Sessions};
use crate::{AppError, Caller};
use canopy_domain::port::Share;
use canopy_domain::{AccountId, ApplicationRef, EnvironmentId, EnvironmentRef, IdentityId};
use core::future::Future;
use uuid::Uuid;

/// The level of a call in the tenancy tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The installation: operators alone.
    Installation,
    /// One account.
    Account,
    /// One application.
    Application,
    /// One environment.
    Environment,
}

/// The slugs of a path; those that its level does not have are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slugs<T> {
    /// The slug of the account.
    pub account: T,
    /// The slug of the application in the account.
    pub application: T,
    /// The slug of the environment in the application.
    pub environment: T,
}

impl<T> From<(T, T, T)> for Slugs<T> {
    fn from((account, application, environment): (T, T, T)) -> Self {
        Self {
            account,
            application,
            environment,
        }
    }
}

impl Slugs<&str> {
    /// The same slugs, owned.
    pub fn to_owned(self) -> Slugs<String> {
        Slugs {
            account: self.account.to_owned(),
            application: self.application.to_owned(),
            environment: self.environment.to_owned(),
        }
    }
}

impl Slugs<String> {
    /// The same slugs, borrowed.
    pub fn as_ref(&self) -> Slugs<&str> {
        Slugs {
            account: &self.account,
            application: &self.application,
            environment: &self.environment,
        }
    }
}

/// A tenancy that calls can be about.
pub trait Tenancy: Send + Sized + 'static {
    /// Stable id. Slugs can be reused; ids cannot.
    fn id(&self) -> Uuid;

    /// The tenant whose share of threads and memory its calls take.
    fn share(&self) -> Share;
}

macro_rules! tenancies {
    ($($type:ty = $id:expr, $share:expr;)+) => {
        $(impl Tenancy for $type {
            fn id(&self) -> Uuid {
                let id: fn(&Self) -> Uuid = $id;
                id(self)
            }

            fn share(&self) -> Share {
                let share: fn(&Self) -> Share = $share;
                share(self)
            }
        })+
    };
}

tenancies!(
    Installation = |_| Uuid::nil(), |_| Share::Installation;
    AccountId = |id| id.as_uuid(), |id| (*id).into();
    AccountReach = |reach| reach.bound_to.map_or(reach.account.as_uuid(), |id| id.as_uuid()), |reach| reach.account.into();
    ApplicationRef = |place| place.application.as_uuid(), |place| place.into();
    ApplicationReach = |reach| reach.bound_to.map_or(reach.place.application.as_uuid(), |id| id.as_uuid()), |reach| (&reach.place).into();
    EnvironmentRef = |place| place.environment.as_uuid(), |place| place.into();
    // Questions write nothing, so nothing tells their tenancies apart.
    AskedEnvironment = |_| Uuid::nil(), |asked| asked.place().into();
    EndUser = |user| user.place.environment.as_uuid(), |user| (&user.place).into();
);

/// The installation as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Installation;

/// An account as both surfaces see it.
#[derive(Debug, Clone, Copy)]
pub struct AccountReach {
    /// The account.
    pub account: AccountId,
    /// On the public surface, the environment that the credential is bound to: the call must reach no other.
    pub bound_to: Option<EnvironmentId>,
}

/// An application as both surfaces see it.
#[derive(Debug, Clone, Copy)]
pub struct ApplicationReach {
    /// The application.
    pub place: ApplicationRef,
    /// On the public surface, the environment that the credential is bound to: the call must reach no other.
    pub bound_to: Option<EnvironmentId>,
}

/// An end user, in the environment that its token names.
#[derive(Debug, Clone, Copy)]
pub struct EndUser {
    /// The environment.
    pub place: EnvironmentRef,
    /// The identity.
    pub identity: IdentityId,
}

/// Resolves the tenancy of one call.
pub struct Resolver<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) caller: &'a Caller,
    pub(super) slugs: Slugs<&'a str>,
    pub(super) reader: Reader<'a>,
}

impl core::fmt::Debug for Resolver<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Resolver")
            .field("slugs", &self.slugs)
            .finish_non_exhaustive()
    }
}

impl Resolver<'_> {
    async fn account(&mut self) -> Result<AccountId, AppError> {
        let slug = self.slugs.account;
        self.sessions.path_account(self.caller, slug, &mut self.reader).await
    }

    async fn application(&mut self) -> Result<ApplicationRef, AppError> {
        self.sessions
            .path_application(self.caller, self.slugs, &mut self.reader)
            .await
    }

    async fn asked_environment(&mut self) -> Result<AskedEnvironment, AppError> {
        self.sessions
            .path_environment(self.caller, self.slugs, &mut self.reader)
            .await
    }

    async fn environment(&mut self) -> Result<EnvironmentRef, AppError> {
        let asked = self.asked_environment().await?;
        if asked.must_be_confirmed() {
            self.reader.source().store()?;
        }
        Ok(self.sessions.confirm_path(self.caller, &asked).await?.place)
    }

    /// Makes sure that the environment that a token names still exists, where another process may have deleted it.
    async fn confirm_bound_environment(&mut self) -> Result<(), AppError> {
        if self.sessions.is_shared() {
            self.reader.source().store()?;
        }
        self.sessions.confirm(self.caller, Basis::BoundEnvironment).await
    }
}

/// A tenancy that calls of the portal surface name in their path.
pub trait FromPath: Tenancy {
    /// Its level.
    const LEVEL: Level;

    /// Resolves the path, if the caller may be there.
    ///
    /// # Errors
    /// [`AppError::WrongPrincipal`], or not found: the first of account, application and environment that does not exist.
    fn resolve(resolver: &mut Resolver<'_>) -> impl Future<Output = Result<Self, AppError>> + Send;

    /// Returns the environment that was resolved from the cache and is not confirmed: questions confirm it on their own.
    fn unconfirmed(&self) -> Option<&AskedEnvironment> {
        None
    }
}

/// A tenancy that the credential of a call names.
pub trait FromCredential: Tenancy {
    /// True for checks, which detect a deleted environment of a token themselves.
    const IS_ASKED: bool = false;

    /// Returns the tenancy that the credential names, if its kind of principal may make such calls.
    ///
    /// # Errors
    /// [`AppError::WrongPrincipal`]; [`TokenError::NoEnvironment`](canopy_domain::port::TokenError::NoEnvironment).
    fn of(caller: &Caller) -> Result<Self, AppError>;
}

/// The way in which a surface names the tenancy of a call.
pub trait Locate<T>: 'static {
    /// Resolves the tenancy, if the caller may be there.
    ///
    /// # Errors
    /// As [`FromPath::resolve`] and [`FromCredential::of`].
    fn resolve(resolver: &mut Resolver<'_>) -> impl Future<Output = Result<T, AppError>> + Send;

    /// Returns the environment that must be confirmed before a refusal.
    fn unconfirmed(tenancy: &T) -> Option<&AskedEnvironment>;
}

/// The portal surface: by the path.
#[derive(Debug, Clone, Copy)]
pub struct ByPath;

/// The other surfaces: by the credential.
#[derive(Debug, Clone, Copy)]
pub struct ByCredential;

impl<T: FromPath> Locate<T> for ByPath {
    async fn resolve(resolver: &mut Resolver<'_>) -> Result<T, AppError> {
        T::resolve(resolver).await
    }

    fn unconfirmed(tenancy: &T) -> Option<&AskedEnvironment> {
        tenancy.unconfirmed()
    }
}

impl<T: FromCredential> Locate<T> for ByCredential {
    async fn resolve(resolver: &mut Resolver<'_>) -> Result<T, AppError> {
        let tenancy = T::of(resolver.caller)?;
        if !T::IS_ASKED {
            resolver.confirm_bound_environment().await?;
        }
        Ok(tenancy)
    }

    fn unconfirmed(_: &T) -> Option<&AskedEnvironment> {
        None
    }
}

impl FromPath for Installation {
    const LEVEL: Level = Level::Installation;

    async fn resolve(resolver: &mut Resolver<'_>) -> Result<Self, AppError> {
        check_operator(resolver.caller)?;
        Ok(Self)
    }
}

impl FromPath for AccountId {
    const LEVEL: Level = Level::Account;

    async fn resolve(resolver: &mut Resolver<'_>) -> Result<Self, AppError> {
        resolver.account().await
    }
}

impl FromPath for AccountReach {
    const LEVEL: Level = Level::Account;

    async fn resolve(resolver: &mut Resolver<'_>) -> Result<Self, AppError> {
        let (account, bound_to) = (resolver.account().await?, None);
        Ok(Self { account, bound_to })
    }
}

impl FromCredential for AccountReach {
    fn of(caller: &Caller) -> Result<Self, AppError> {
        let place = bound_environment(caller)?;
        Ok(Self {
            account: place.account,
            bound_to: Some(place.environment),
        })
    }
}

impl FromPath for ApplicationRef {
    const LEVEL: Level = Level::Application;

    async fn resolve(resolver: &mut Resolver<'_>) -> Result<Self, AppError> {
        resolver.application().await
    }
}

impl FromPath for ApplicationReach {
    const LEVEL: Level = Level::Application;

    async fn resolve(resolver: &mut Resolver<'_>) -> Result<Self, AppError> {
        let (place, bound_to) = (resolver.application().await?, None);
        Ok(Self { place, bound_to })
    }
}

impl FromCredential for ApplicationReach {
    fn of(caller: &Caller) -> Result<Self, AppError> {
        let place = bound_environment(caller)?;
        Ok(Self {
            place: place.application_ref(),
            bound_to: Some(place.environment),
        })
    }
}

impl FromPath for EnvironmentRef {
    const LEVEL: Level = Level::Environment;

    async fn resolve(resolver: &mut Resolver<'_>) -> Result<Self, AppError> {
        resolver.environment().await
    }
}

impl FromCredential for EnvironmentRef {
    fn of(caller: &Caller) -> Result<Self, AppError> {
        bound_environment(caller)
    }
}

impl FromPath for AskedEnvironment {
    const LEVEL: Level = Level::Environment;

    async fn resolve(resolver: &mut Resolver<'_>) -> Result<Self, AppError> {
        resolver.asked_environment().await
    }

    fn unconfirmed(&self) -> Option<&AskedEnvironment> {
        Some(self)
    }
}

impl FromCredential for AskedEnvironment {
    const IS_ASKED: bool = true;

    fn of(caller: &Caller) -> Result<Self, AppError> {
        Ok(bound_environment(caller)?.into())
    }
}

impl FromCredential for EndUser {
    const IS_ASKED: bool = true;

    fn of(caller: &Caller) -> Result<Self, AppError> {
        let (place, identity) = end_user(caller)?;
        Ok(Self { place, identity })
    }
}
