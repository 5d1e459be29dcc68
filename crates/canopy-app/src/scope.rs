//! From a credential to a caller, and from a path to the place it names.

use crate::{App, AppError, Caller};
use canopy_domain::api_key::AreaScope;
use canopy_domain::port::{PrincipalKind, ReadTx, TokenClaims, TokenError};
use canopy_domain::{
    Account, AccountId, Application, ApplicationPlace, EnvironmentId, EnvironmentPlace, IdentityId, Slug, TenancyError,
    Tenant,
};
use uuid::Uuid;

/// Turns the claims of a verified token into a caller: the account, environment and identity it names must exist and
/// belong together.
///
/// # Errors
/// [`TokenError::Invalid`] where they do not.
pub async fn authenticate(app: &App, claims: &TokenClaims) -> Result<Caller, AppError> {
    let invalid = || AppError::Token(TokenError::Invalid);
    match claims.principal {
        PrincipalKind::Operator => Ok(Caller::Operator {
            subject: claims.subject.clone(),
        }),
        PrincipalKind::Admin => {
            let account = claims.account.ok_or_else(invalid)?;
            if !app.directory().has_account(account) {
                let generation = app.directory().generation();
                app.read().await?.account(account).await?.ok_or_else(invalid)?;
                app.directory().remember_account(generation, account);
            }
            Ok(Caller::Admin {
                account,
                subject: claims.subject.clone(),
                environment: named_environment(app, account, claims).await?,
            })
        }
        PrincipalKind::Identity => {
            let account = claims.account.ok_or_else(invalid)?;
            let id = Uuid::try_parse(&claims.subject)
                .map(IdentityId::new)
                .map_err(|_| invalid())?;
            app.read().await?.identity(account, id).await?.ok_or_else(invalid)?;
            Ok(Caller::Identity {
                account,
                id,
                environment: named_environment(app, account, claims).await?,
            })
        }
    }
}

/// The environment that a token names, which must lie in its account.
async fn named_environment(
    app: &App,
    account: AccountId,
    claims: &TokenClaims,
) -> Result<Option<EnvironmentPlace>, AppError> {
    let Some(id) = claims.environment else {
        return Ok(None);
    };
    let place = place_of(app, id).await?.filter(|place| place.account == account);
    Ok(Some(place.ok_or(TokenError::Invalid)?))
}

/// Where an environment lies, if it exists.
async fn place_of(app: &App, environment: EnvironmentId) -> Result<Option<EnvironmentPlace>, AppError> {
    if let Some(place) = app.directory().environment(environment) {
        return Ok(Some(place));
    }
    let generation = app.directory().generation();
    let found = app.read().await?.environment_place(environment).await?;
    if let Some(place) = found {
        app.directory().remember_environment(generation, place);
    }
    Ok(found)
}

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
/// [`AppError::WrongPrincipal`] for operators and identities; [`TokenError::Invalid`] for an admin's token that names no
/// environment.
pub fn bound_environment(caller: &Caller) -> Result<EnvironmentPlace, AppError> {
    match caller {
        Caller::Admin { environment, .. } => Ok((*environment).ok_or(TokenError::Invalid)?),
        Caller::ApiKey { place, .. } => Ok(*place),
        Caller::Operator { .. } | Caller::Identity { .. } => Err(AppError::WrongPrincipal),
    }
}

/// The environment and the identity of a token of an end user, for the calls of the public surface that are about the
/// caller.
///
/// # Errors
/// [`AppError::WrongPrincipal`] for all but identities; [`TokenError::Invalid`] for a token that names no environment.
pub fn myself(caller: &Caller) -> Result<(EnvironmentPlace, IdentityId), AppError> {
    match caller {
        Caller::Identity { id, environment, .. } => Ok(((*environment).ok_or(TokenError::Invalid)?, *id)),
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
    Ok(find_account(app.read().await?.as_mut(), caller, slug).await?.id)
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
) -> Result<ApplicationPlace, AppError> {
    portal(caller)?;
    let mut tx = app.read().await?;
    let account = find_account(tx.as_mut(), caller, account).await?.id;
    let application = find_application(tx.as_mut(), account, application).await?.id;
    Ok(ApplicationPlace { account, application })
}

/// The environment that a portal path names, if it is known without asking the store.
///
/// # Errors
/// [`AppError::WrongPrincipal`], or not found for an admin of another account.
pub fn remembered_environment(
    app: &App,
    caller: &Caller,
    slugs: (&str, &str, &str),
) -> Result<Option<EnvironmentPlace>, AppError> {
    portal(caller)?;
    match app.directory().place(slugs.0, slugs.1, slugs.2) {
        Some(place) if !may_enter(caller, place.account) => Err(absent(Tenant::Account)),
        found => Ok(found),
    }
}

/// The environment that a portal path names.
///
/// # Errors
/// [`AppError::WrongPrincipal`], or not found: the first of account, application and environment that is not there.
pub async fn environment(app: &App, caller: &Caller, slugs: (&str, &str, &str)) -> Result<EnvironmentPlace, AppError> {
    if let Some(place) = remembered_environment(app, caller, slugs)? {
        return Ok(place);
    }
    let generation = app.directory().generation();
    let mut tx = app.read().await?;
    let account = find_account(tx.as_mut(), caller, slugs.0).await?.id;
    let application = find_application(tx.as_mut(), account, slugs.1).await?.id;
    let slug = Slug::parse(slugs.2).map_err(|_| absent(Tenant::Environment))?;
    let found = tx
        .environment_by_slug(application, &slug)
        .await?
        .ok_or(absent(Tenant::Environment))?;
    let place = EnvironmentPlace {
        account,
        application,
        environment: found.id,
    };
    app.directory().remember_place(generation, slugs, place);
    Ok(place)
}
