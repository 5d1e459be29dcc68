//! Access tokens.

use super::StoreError;
use crate::words::words;
use crate::{AccountId, EnvironmentId, Timestamp};
use async_trait::async_trait;
use std::sync::Arc;

words!(
    /// What kind of principal a token speaks for.
    PrincipalKind {
        /// Runs the installation.
        Operator = "operator",
        /// Administers one account.
        Admin = "admin",
        /// An end user.
        Identity = "identity",
    }
);

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// Who: free text for operators and admins, the identity's id for identities.
    pub subject: Arc<str>,
    /// What kind of principal.
    pub principal: PrincipalKind,
    /// The account it speaks in; every principal but an operator has one.
    pub account: Option<AccountId>,
    /// The environment it is bound to, which the public surface needs.
    pub environment: Option<EnvironmentId>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Why a token is refused. No more than this is told to callers, lest it help to forge one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Malformed, wrongly signed, of the wrong issuer or audience, not valid yet, or without a claim it needs.
    #[error("the access token is not valid")]
    Invalid,
    /// It was valid once.
    #[error("the access token has expired")]
    Expired,
}

/// Verifies access tokens.
#[async_trait]
pub trait TokenVerifier: Send + Sync {
    /// Checks the signature and every claim of a token as of `now`.
    ///
    /// # Errors
    /// [`TokenError::Expired`] when the end has passed and nothing else is wrong, otherwise [`TokenError::Invalid`].
    fn verify(&self, token: &str, now: Timestamp) -> Result<TokenClaims, TokenError>;

    /// Looks whether the key of a refused token has become known elsewhere. `true`: it has, verify again.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be found out.
    async fn look_for_key(&self, _token: &str) -> Result<bool, StoreError> {
        Ok(false)
    }
}
