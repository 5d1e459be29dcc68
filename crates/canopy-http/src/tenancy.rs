//! The place that a call is about: found from the slugs of its path on the portal surface, from its credential on the
//! public one and on that of the standard.

use crate::incoming::Incoming;
use canopy_app::scope::AskedEnvironment;
use canopy_app::{App, AppError, Caller, scope};
use canopy_domain::port::Share;
use canopy_domain::{AccountId, ApplicationRef, EnvironmentId, EnvironmentRef, IdentityId};
use core::future::Future;
use uuid::Uuid;

/// The level of a call in the tenancy tree.
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

/// Where a call is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Surface {
    /// For operators and admins; the path names the place.
    Portal(Level),
    /// For backends, and for end users about themselves; the credential names one environment.
    Public,
    /// For programs that speak OpenID AuthZEN; the credential names one environment.
    AuthZen,
}

impl Surface {
    /// The beginning of its paths.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Portal(Level::Installation) => "/portal/v1",
            Self::Portal(Level::Account) => "/portal/v1/accounts/{accountSlug}",
            Self::Portal(Level::Application) => "/portal/v1/accounts/{accountSlug}/applications/{appSlug}",
            Self::Portal(Level::Environment) => {
                "/portal/v1/accounts/{accountSlug}/applications/{appSlug}/environments/{envSlug}"
            }
            Self::Public => "/api/v1",
            Self::AuthZen => "/access/v1",
        }
    }

    /// Whether it takes API keys.
    pub(crate) const fn takes_keys(self) -> bool {
        match self {
            Self::Portal(_) => false,
            Self::Public | Self::AuthZen => true,
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
            Self::Portal(Level::Installation) | Self::Public | Self::AuthZen => 0,
            Self::Portal(Level::Account) => 1,
            Self::Portal(Level::Application) => 2,
            Self::Portal(Level::Environment) => 3,
        };
        ALL.get(..count).unwrap_or_default()
    }
}

/// The slugs of a path; those that its level does not have are empty.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slugs<T> {
    account: T,
    application: T,
    environment: T,
}

/// A place that calls can be about.
pub(crate) trait Tenancy: Send + 'static {
    /// Stable id. Slugs can be reused; ids cannot.
    fn id(&self) -> Uuid;

    /// The tenant whose share of threads and memory its calls take.
    fn share(&self) -> Share;
}

macro_rules! scopes {
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

scopes!(
    Installation = |_| Uuid::nil(), |_| Share::Installation;
    AccountId = |id| id.as_uuid(), |id| (*id).into();
    AccountReach = |reach| reach.bound_to.map_or(reach.account.as_uuid(), |id| id.as_uuid()), |reach| reach.account.into();
    ApplicationRef = |place| place.application.as_uuid(), |place| place.into();
    ApplicationReach = |reach| reach.bound_to.map_or(reach.place.application.as_uuid(), |id| id.as_uuid()), |reach| (&reach.place).into();
    EnvironmentRef = |place| place.environment.as_uuid(), |place| place.into();
    Myself = |myself| myself.place.environment.as_uuid(), |myself| (&myself.place).into();
);

impl Tenancy for AskedEnvironment {
    /// Questions write nothing, and so are not told from each other.
    fn id(&self) -> Uuid {
        Uuid::nil()
    }

    fn share(&self) -> Share {
        self.place().into()
    }
}

impl Slugs<&str> {
    /// The same, kept.
    pub(crate) fn to_owned(self) -> Slugs<String> {
        Slugs {
            account: self.account.to_owned(),
            application: self.application.to_owned(),
            environment: self.environment.to_owned(),
        }
    }
}

impl<T: AsRef<str>> Slugs<T> {
    fn all(&self) -> (&str, &str, &str) {
        (
            self.account.as_ref(),
            self.application.as_ref(),
            self.environment.as_ref(),
        )
    }
}

/// A place that calls of the portal surface can be about.
pub(crate) trait PortalTenancy: Tenancy + Sized {
    /// Where such places lie.
    const LEVEL: Level;

    /// Finds the place, if the caller may be there.
    fn find(
        app: App,
        caller: Caller,
        slugs: Slugs<String>,
    ) -> impl Future<Output = Result<(Self, Caller), AppError>> + Send;

    /// The place, if it can be told without a look into the store that the caller may be there.
    fn find_now(_: &App, _: &Caller, _: Slugs<&str>) -> Option<Self> {
        None
    }

    /// Returns the part that must be confirmed before a refusal: questions confirm it on their own.
    fn unconfirmed(&self) -> Option<AskedEnvironment> {
        None
    }
}

/// A place that calls can be about whose credential names it.
pub(crate) trait PublicTenancy: Tenancy + Sized {
    /// Whether calls about it are questions, which find out by themselves that the environment of a token is gone.
    const IS_ASKED: bool = false;

    /// The place that the credential names, if its kind of principal may make such calls.
    fn of(caller: &Caller) -> Result<Self, AppError>;
}

/// The way in which a surface resolves the tenancy of a call.
pub(crate) trait Way<S>: 'static {
    /// Reads what the path says of it.
    fn slugs(incoming: &Incoming) -> Slugs<&str>;

    /// The place, if it can be told without a look into the store that the caller may be there.
    fn find_now(app: &App, caller: &Caller, slugs: Slugs<&str>) -> Option<S>;

    /// Finds the place, if the caller may be there.
    fn find(
        app: App,
        caller: Caller,
        slugs: Slugs<String>,
    ) -> impl Future<Output = Result<(S, Caller), AppError>> + Send + 'static;

    /// Returns the part of the tenancy that must be confirmed before a refusal.
    fn unconfirmed(scope: &S) -> Option<AskedEnvironment>;
}

/// The portal surface: by the path.
pub(crate) struct ByPath;

/// The other surfaces: by the credential.
pub(crate) struct ByCredential;

impl<S: PortalTenancy> Way<S> for ByPath {
    fn slugs(incoming: &Incoming) -> Slugs<&str> {
        let named = Surface::Portal(S::LEVEL).slugs();
        let slug = |at: usize| {
            let name = named.get(at).map(|(name, _)| *name);
            name.map(|name| incoming.named(name)).unwrap_or_default()
        };
        Slugs {
            account: slug(0),
            application: slug(1),
            environment: slug(2),
        }
    }

    fn find_now(app: &App, caller: &Caller, slugs: Slugs<&str>) -> Option<S> {
        S::find_now(app, caller, slugs)
    }

    async fn find(app: App, caller: Caller, slugs: Slugs<String>) -> Result<(S, Caller), AppError> {
        S::find(app, caller, slugs).await
    }

    fn unconfirmed(scope: &S) -> Option<AskedEnvironment> {
        scope.unconfirmed()
    }
}

impl<S: PublicTenancy> Way<S> for ByCredential {
    fn slugs(_: &Incoming) -> Slugs<&str> {
        Slugs::default()
    }

    fn find_now(_: &App, caller: &Caller, _: Slugs<&str>) -> Option<S> {
        if S::IS_ASKED { S::of(caller).ok() } else { None }
    }

    async fn find(app: App, caller: Caller, _: Slugs<String>) -> Result<(S, Caller), AppError> {
        let place = S::of(&caller)?;
        if !S::IS_ASKED {
            scope::confirm_bound(&app, &caller).await?;
        }
        Ok((place, caller))
    }

    fn unconfirmed(_: &S) -> Option<AskedEnvironment> {
        None
    }
}

/// The installation as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Installation;

/// An account as both surfaces see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountReach {
    pub(crate) account: AccountId,
    /// On the public surface, the environment that the credential is bound to: the call must reach no other.
    pub(crate) bound_to: Option<EnvironmentId>,
}

/// An application as both surfaces see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApplicationReach {
    pub(crate) place: ApplicationRef,
    /// On the public surface, the environment that the credential is bound to: the call must reach no other.
    pub(crate) bound_to: Option<EnvironmentId>,
}

/// An end user, in the environment that its token names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Myself {
    pub(crate) place: EnvironmentRef,
    pub(crate) identity: IdentityId,
}

impl PortalTenancy for Installation {
    const LEVEL: Level = Level::Installation;

    async fn find(_: App, caller: Caller, _: Slugs<String>) -> Result<(Self, Caller), AppError> {
        scope::operator(&caller)?;
        Ok((Self, caller))
    }
}

impl PortalTenancy for AccountId {
    const LEVEL: Level = Level::Account;

    async fn find(app: App, caller: Caller, slugs: Slugs<String>) -> Result<(Self, Caller), AppError> {
        Ok((scope::account(&app, &caller, &slugs.account).await?, caller))
    }
}

impl PortalTenancy for AccountReach {
    const LEVEL: Level = Level::Account;

    async fn find(app: App, caller: Caller, slugs: Slugs<String>) -> Result<(Self, Caller), AppError> {
        let account = scope::account(&app, &caller, &slugs.account).await?;
        let bound_to = None;
        Ok((Self { account, bound_to }, caller))
    }
}

impl PublicTenancy for AccountReach {
    fn of(caller: &Caller) -> Result<Self, AppError> {
        let place = scope::bound_environment(caller)?;
        Ok(Self {
            account: place.account,
            bound_to: Some(place.environment),
        })
    }
}

impl PortalTenancy for ApplicationRef {
    const LEVEL: Level = Level::Application;

    async fn find(app: App, caller: Caller, slugs: Slugs<String>) -> Result<(Self, Caller), AppError> {
        Ok((
            scope::application(&app, &caller, &slugs.account, &slugs.application).await?,
            caller,
        ))
    }
}

impl PortalTenancy for ApplicationReach {
    const LEVEL: Level = Level::Application;

    async fn find(app: App, caller: Caller, slugs: Slugs<String>) -> Result<(Self, Caller), AppError> {
        let place = scope::application(&app, &caller, &slugs.account, &slugs.application).await?;
        let bound_to = None;
        Ok((Self { place, bound_to }, caller))
    }
}

impl PublicTenancy for ApplicationReach {
    fn of(caller: &Caller) -> Result<Self, AppError> {
        let place = scope::bound_environment(caller)?;
        Ok(Self {
            place: place.application_ref(),
            bound_to: Some(place.environment),
        })
    }
}

impl PortalTenancy for EnvironmentRef {
    const LEVEL: Level = Level::Environment;

    async fn find(app: App, caller: Caller, slugs: Slugs<String>) -> Result<(Self, Caller), AppError> {
        Ok((scope::environment(&app, &caller, slugs.all()).await?, caller))
    }
}

impl PublicTenancy for EnvironmentRef {
    fn of(caller: &Caller) -> Result<Self, AppError> {
        scope::bound_environment(caller)
    }
}

impl PortalTenancy for AskedEnvironment {
    const LEVEL: Level = Level::Environment;

    async fn find(app: App, caller: Caller, slugs: Slugs<String>) -> Result<(Self, Caller), AppError> {
        Ok((scope::environment_to_ask(&app, &caller, slugs.all()).await?, caller))
    }

    fn find_now(app: &App, caller: &Caller, slugs: Slugs<&str>) -> Option<Self> {
        scope::environment_to_ask_now(app, caller, slugs.all())
    }

    fn unconfirmed(&self) -> Option<AskedEnvironment> {
        Some(self.clone())
    }
}

impl PublicTenancy for AskedEnvironment {
    const IS_ASKED: bool = true;

    fn of(caller: &Caller) -> Result<Self, AppError> {
        Ok(scope::bound_environment(caller)?.into())
    }
}

impl PublicTenancy for Myself {
    const IS_ASKED: bool = true;

    fn of(caller: &Caller) -> Result<Self, AppError> {
        let (place, identity) = scope::myself(caller)?;
        Ok(Self { place, identity })
    }
}
