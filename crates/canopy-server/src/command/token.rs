//! `canopy token`: an access token on standard output.

use crate::cli::TokenArgs;
use crate::exports::TokenPaths;
use canopy_domain::port::{PrincipalKind, ReadTx, Store, StoreError, TokenClaims};
use canopy_domain::{AccountId, EnvironmentId, Slug, Timestamp};

/// The reason for which a token cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum TokenRequestError {
    /// The slug is unknown.
    #[error("the {what} `{slug}` does not exist")]
    Unknown {
        /// Account, application or environment.
        what: &'static str,
        /// The slug.
        slug: Slug,
    },
    /// The account has no such identity.
    #[error("the account has no identity {0}")]
    UnknownIdentity(canopy_domain::IdentityId),
    /// The store cannot be read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
}

/// The subject of tokens from the command line, as in audit events.
const SUBJECT: &str = "canopy-token";

/// Returns the claims of a token for an operator.
pub fn without_account(args: &TokenArgs, now: Timestamp) -> TokenClaims {
    let seconds = i64::try_from(args.ttl.as_secs()).unwrap_or(i64::MAX);
    TokenClaims {
        subject: SUBJECT.into(),
        principal: PrincipalKind::Operator,
        account: None,
        environment: None,
        expires_at: now.plus_seconds(seconds),
    }
}

/// Returns the slugs of the account, application and environment of a token.
pub fn paths(args: &TokenArgs) -> TokenPaths<'_> {
    let slugs = args.application.as_ref().zip(args.environment.as_ref());
    TokenPaths {
        account: args.account.as_ref().map(Slug::as_str),
        environment: slugs.map(|(application, environment)| (application.as_str(), environment.as_str())),
    }
}

/// Returns the claims of a token, with the slugs resolved in the store.
///
/// # Errors
/// [`TokenRequestError`].
pub async fn claims(args: &TokenArgs, store: &dyn Store, now: Timestamp) -> Result<TokenClaims, TokenRequestError> {
    let mut claims = without_account(args, now);
    let Some(slug) = &args.account else {
        return Ok(claims);
    };
    let mut tx = store.read().await?;
    let found = tx.account_by_slug(slug).await?;
    let account = found.ok_or_else(|| unknown("account", slug))?.id;
    claims.account = Some(account);
    claims.principal = PrincipalKind::Admin;
    if let (Some(application), Some(environment)) = (&args.application, &args.environment) {
        claims.environment = Some(find_environment(tx.as_mut(), account, application, environment).await?);
    }
    if let Some(id) = args.identity {
        let found = tx.identity(account, id).await?;
        found.ok_or(TokenRequestError::UnknownIdentity(id))?;
        claims.principal = PrincipalKind::Identity;
        claims.subject = id.to_string().into();
    }
    Ok(claims)
}

fn unknown(what: &'static str, slug: &Slug) -> TokenRequestError {
    let slug = slug.clone();
    TokenRequestError::Unknown { what, slug }
}

async fn find_environment(
    tx: &mut dyn ReadTx,
    account: AccountId,
    application: &Slug,
    environment: &Slug,
) -> Result<EnvironmentId, TokenRequestError> {
    let found = tx.application_by_slug(account, application).await?;
    let id = found.ok_or_else(|| unknown("application", application))?.id;
    let found = tx.environment_by_slug(id, environment).await?;
    Ok(found.ok_or_else(|| unknown("environment", environment))?.id)
}
