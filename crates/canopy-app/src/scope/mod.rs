//! From a path to the place it names, and the principals that may be there.

mod token;

pub(crate) use token::confirm_identity;
pub use token::{authenticate, authenticate_now};

use crate::api_key::authenticate::without_environment;
use crate::decisions::{Consistency, SILENCE};
use crate::directory::{Path, Remembered};
use crate::{App, AppError, Caller};
use canopy_domain::api_key::AreaScope;
use canopy_domain::port::{ReadTx, Share, TokenError};
use canopy_domain::{
    Account, AccountId, Application, ApplicationRef, EnvironmentId, EnvironmentRef, IdentityId, Slug, TenancyError,
    Tenant,
};
use std::time::Instant;

/// Lets operators alone pass.
///
/// # Errors
/// [`AppError::WrongPrincipal`] for everyone else.
pub const fn operator(caller: &Caller) -> Result<(), AppError> {
    match caller {
        Caller::Operator { .. } => Ok(()),
        Caller::Admin { .. } | Caller::Identity { .. } | Caller::ApiKey { .. } => Err(AppError::WrongPrincipal),
    }
}

/// Lets those principals pass that may use the portal surface at all. Checked before the path is looked at.
///
/// # Errors
/// [`AppError::WrongPrincipal`] for identities and keys.
pub const fn portal(caller: &Caller) -> Result<(), AppError> {
    match caller {
        Caller::Operator { .. } | Caller::Admin { .. } => Ok(()),
        Caller::Identity { .. } | Caller::ApiKey { .. } => Err(AppError::WrongPrincipal),
    }
}

/// The environment that a credential is bound to, for the calls of the public surface that manage it.
///
/// # Errors
/// [`AppError::WrongPrincipal`] for operators and identities; [`TokenError::NoEnvironment`] for an admin's token that names no
/// environment.
pub fn bound_environment(caller: &Caller) -> Result<EnvironmentRef, AppError> {
    match caller {
        Caller::Admin { environment, .. } => Ok((*environment).ok_or(TokenError::NoEnvironment)?),
        Caller::ApiKey { place, .. } => Ok(*place),
        Caller::Operator { .. } | Caller::Identity { .. } => Err(AppError::WrongPrincipal),
    }
}

/// The environment and the identity of a token of an end user, for the calls of the public surface that are about the
/// caller.
///
/// # Errors
/// [`AppError::WrongPrincipal`] for all but identities; [`TokenError::NoEnvironment`] for a token that names no environment.
pub fn myself(caller: &Caller) -> Result<(EnvironmentRef, IdentityId), AppError> {
    match caller {
        Caller::Identity { id, environment, .. } => Ok(((*environment).ok_or(TokenError::NoEnvironment)?, *id)),
        Caller::Operator { .. } | Caller::Admin { .. } | Caller::ApiKey { .. } => Err(AppError::WrongPrincipal),
    }
}

/// Lets a key pass whose scopes open the area. Everyone else needs no scope: a principal that may make the call at all may
/// make it whole.
///
/// # Errors
/// [`AppError::ScopeMissing`].
pub fn opened(caller: &Caller, area: AreaScope) -> Result<(), AppError> {
    match caller {
        Caller::ApiKey { access, .. } if !access.opens(area) => Err(AppError::ScopeMissing),
        Caller::Operator { .. } | Caller::Admin { .. } | Caller::Identity { .. } | Caller::ApiKey { .. } => Ok(()),
    }
}

/// Lets a key pass whose scopes allow checks of some permission.
///
/// # Errors
/// [`AppError::ScopeMissing`].
pub fn checks(caller: &Caller) -> Result<(), AppError> {
    match caller {
        Caller::ApiKey { access, .. } if !access.allows_some_check() => Err(AppError::ScopeMissing),
        Caller::Operator { .. } | Caller::Admin { .. } | Caller::Identity { .. } | Caller::ApiKey { .. } => Ok(()),
    }
}

/// Whether the caller may look into the account; otherwise it is not there.
const fn may_enter(caller: &Caller, account: AccountId) -> bool {
    match caller {
        Caller::Operator { .. } => true,
        Caller::Admin { account: own, .. } => own.as_uuid().as_u128() == account.as_uuid().as_u128(),
        Caller::Identity { .. } | Caller::ApiKey { .. } => false,
    }
}

/// The share that pays for looking up the names in a path, before it is known what they name.
fn own_share(caller: &Caller) -> Share {
    match caller {
        Caller::Operator { .. } => Share::Installation,
        Caller::Admin { account, .. } | Caller::Identity { account, .. } => (*account).into(),
        Caller::ApiKey { place, .. } => place.into(),
    }
}

const fn absent(tenant: Tenant) -> AppError {
    AppError::Tenancy(TenancyError::NotFound(tenant))
}

async fn find_account(tx: &mut dyn ReadTx, caller: &Caller, slug: &str) -> Result<Account, AppError> {
    let slug = Slug::parse(slug).map_err(|_| absent(Tenant::Account))?;
    let found = tx.account_by_slug(&slug).await?;
    found
        .filter(|account| may_enter(caller, account.id))
        .ok_or(absent(Tenant::Account))
}

async fn find_application(tx: &mut dyn ReadTx, account: AccountId, slug: &str) -> Result<Application, AppError> {
    let slug = Slug::parse(slug).map_err(|_| absent(Tenant::Application))?;
    tx.application_by_slug(account, &slug)
        .await?
        .ok_or(absent(Tenant::Application))
}

/// The account that a portal path names. An admin finds no account but its own.
///
/// # Errors
/// [`AppError::WrongPrincipal`], or not found.
pub async fn account(app: &App, caller: &Caller, slug: &str) -> Result<AccountId, AppError> {
    portal(caller)?;
    Ok(find_account(app.read(own_share(caller)).await?.as_mut(), caller, slug)
        .await?
        .id)
}

/// The application that a portal path names.
///
/// # Errors
/// [`AppError::WrongPrincipal`], or not found: the first of account and application that is not there.
pub async fn application(
    app: &App,
    caller: &Caller,
    account: &str,
    application: &str,
) -> Result<ApplicationRef, AppError> {
    portal(caller)?;
    let mut tx = app.read(own_share(caller)).await?;
    let account = find_account(tx.as_mut(), caller, account).await?.id;
    let application = find_application(tx.as_mut(), account, application).await?.id;
    Ok(ApplicationRef { account, application })
}

/// An environment that is asked about.
///
/// Where several processes share a store, a name in a path that was looked up before may have been given to another
/// environment since. It is not looked up again for each question: the fence of the question confirms it.
#[derive(Debug, Clone)]
pub struct AskedEnvironment {
    place: EnvironmentRef,
    named: Option<Named>,
}

/// How an environment was found, where that is to be confirmed.
#[derive(Debug, Clone)]
struct Named {
    path: Path,
    /// A moment at which the path did name it.
    since: Instant,
}

/// An environment that is certain, and whether a fence has been asked about it.
pub(crate) struct Certain {
    pub place: EnvironmentRef,
    pub is_fenced: bool,
}

impl From<EnvironmentRef> for AskedEnvironment {
    /// An environment that was found by its id.
    fn from(place: EnvironmentRef) -> Self {
        Self { place, named: None }
    }
}

impl AskedEnvironment {
    /// Where it lies, as far as is known without asking the store.
    pub(crate) const fn place(&self) -> &EnvironmentRef {
        &self.place
    }

    /// The environment, as far as is known without asking the store.
    pub const fn presumed(&self) -> EnvironmentId {
        self.place.environment
    }

    /// Whether there is nothing to confirm before a question of this kind.
    pub(crate) fn is_certain(&self, consistency: Consistency) -> bool {
        match (&self.named, consistency) {
            (None, _) => true,
            (Some(_), Consistency::Strong) => false,
            (Some(named), Consistency::Eventual) => named.since.elapsed() <= SILENCE,
        }
    }

    /// The environment that the names name as of a moment after this call.
    ///
    /// # Errors
    /// Not found, as [`environment`]; [`AppError::Store`].
    pub(crate) async fn confirm(&self, app: &App, caller: &Caller) -> Result<Certain, AppError> {
        let place = self.place;
        let Some(named) = &self.named else {
            return Ok(Certain {
                place,
                is_fenced: false,
            });
        };
        let (generation, since) = (app.directory().generation(), Instant::now());
        let slugs = named.path.slugs();
        match app.decisions().fence(place.environment).await {
            Ok(Some(head)) if (head.application_slug.as_str(), head.slug.as_str()) == (slugs.1, slugs.2) => {
                if named.since.elapsed() > SILENCE / 5 {
                    app.directory()
                        .remember_place(generation, slugs, Remembered { place, since });
                }
                Ok(Certain { place, is_fenced: true })
            }
            Ok(_) | Err(AppError::Tenancy(TenancyError::NotFound(_))) => Ok(Certain {
                place: look_up(app, caller, slugs).await?,
                is_fenced: false,
            }),
            Err(error) => Err(error),
        }
    }
}

/// The environment that a portal path names, for a question about it.
///
/// # Errors
/// As [`environment`].
pub async fn environment_to_ask(
    app: &App,
    caller: &Caller,
    slugs: (&str, &str, &str),
) -> Result<AskedEnvironment, AppError> {
    portal(caller)?;
    match environment_to_ask_now(app, caller, slugs) {
        Some(asked) => Ok(asked),
        // What the caller must not see is looked up like what is not there: how long it takes tells nothing.
        None => Ok(look_up(app, caller, slugs).await?.into()),
    }
}

/// As [`environment_to_ask`] without a look into the store; `None` where that takes one.
pub fn environment_to_ask_now(app: &App, caller: &Caller, slugs: (&str, &str, &str)) -> Option<AskedEnvironment> {
    portal(caller).ok()?;
    let (path, Remembered { place, since }) = app.directory().place(slugs)?;
    let named = app.is_shared().then_some(Named { path, since });
    may_enter(caller, place.account).then_some(AskedEnvironment { place, named })
}

/// Makes sure that the names in a path name an environment that the caller may see, if need be another than was found.
///
/// # Errors
/// As [`environment`].
pub async fn confirm(app: &App, caller: &Caller, asked: &AskedEnvironment) -> Result<(), AppError> {
    asked.confirm(app, caller).await.map(drop)
}

/// The environment that a portal path names.
///
/// # Errors
/// [`AppError::WrongPrincipal`], or not found: the first of account, application and environment that is not there.
pub async fn environment(app: &App, caller: &Caller, slugs: (&str, &str, &str)) -> Result<EnvironmentRef, AppError> {
    let asked = environment_to_ask(app, caller, slugs).await?;
    Ok(asked.confirm(app, caller).await?.place)
}

async fn look_up(app: &App, caller: &Caller, slugs: (&str, &str, &str)) -> Result<EnvironmentRef, AppError> {
    let (generation, since) = (app.directory().generation(), Instant::now());
    let mut tx = app.read(own_share(caller)).await?;
    let account = find_account(tx.as_mut(), caller, slugs.0).await?.id;
    let application = find_application(tx.as_mut(), account, slugs.1).await?.id;
    let slug = Slug::parse(slugs.2).map_err(|_| absent(Tenant::Environment))?;
    let found = tx
        .environment_by_slug(application, &slug)
        .await?
        .ok_or(absent(Tenant::Environment))?;
    let place = EnvironmentRef {
        account,
        application,
        environment: found.id,
    };
    app.directory()
        .remember_place(generation, slugs, Remembered { place, since });
    Ok(place)
}

/// Makes sure that the environment that a token names is still there, where another process may have deleted it.
///
/// # Errors
/// [`TokenError::UnknownEnvironment`] when it is not; [`AppError::Store`].
pub async fn confirm_bound(app: &App, caller: &Caller) -> Result<(), AppError> {
    match caller {
        Caller::Admin {
            environment: Some(place),
            ..
        }
        | Caller::Identity {
            environment: Some(place),
            ..
        } => {
            let fenced = app.decisions().fence(place.environment).await;
            fenced.map(drop).map_err(|error| without_environment(caller, error))
        }
        // Keys are confirmed by themselves.
        Caller::Operator { .. } | Caller::Admin { .. } | Caller::Identity { .. } | Caller::ApiKey { .. } => Ok(()),
    }
}
