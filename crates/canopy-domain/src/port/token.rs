//! Access tokens.

use super::StoreError;
use crate::string_enum::string_enum;
use crate::{AccountId, EnvironmentId, Timestamp};
use async_trait::async_trait;
use std::sync::Arc;

string_enum!(
    /// The kind of principal that a token speaks for.
    PrincipalKind {
        /// Runs the installation.
        Operator = "operator",
        /// Administers one account.
        Admin = "admin",
        /// An end user.
        Identity = "identity",
    }
);

string_enum!(
    /// The attribute of an identity that the subject of its token holds.
    SubjectKind {
        /// Its id.
        Id = "id",
        /// Its id in the customer's directory.
        ExternalId = "external_id",
        /// Its mail address.
        Email = "email",
    }
);

/// The claims that the installation's own key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// Free text for operators and admins, the identity's id for identities.
    pub subject: Arc<str>,
    /// The kind of principal.
    pub principal: PrincipalKind,
    /// The account it speaks in; every principal but an operator has one.
    pub account: Option<AccountId>,
    /// The environment it is bound to, which the public surface needs.
    pub environment: Option<EnvironmentId>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The claims of a verified token. The names in it are not looked up yet. A clone allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The kind of principal.
    pub principal: PrincipalKind,
    /// Free text for operators and admins; for identities the attribute that [`Self::subject_kind`] names.
    pub subject: Arc<str>,
    /// The attribute of the identity that the subject holds.
    pub subject_kind: SubjectKind,
    /// The account it speaks in; every principal but an operator has one.
    pub account: Option<AccountName>,
    /// The environment it is bound to, which the public surface needs.
    pub environment: Option<EnvironmentName>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An account as a token names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountName {
    /// By its id.
    Id(AccountId),
    /// By its slug.
    Slug(Arc<str>),
}

/// An environment as a token names it, within the token's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentName {
    /// By its id.
    Id(EnvironmentId),
    /// By the slugs of application and environment, joined by `/`.
    Path(Arc<str>),
}

impl From<TokenClaims> for VerifiedToken {
    fn from(claims: TokenClaims) -> Self {
        Self {
            principal: claims.principal,
            subject: claims.subject,
            subject_kind: SubjectKind::Id,
            account: claims.account.map(AccountName::Id),
            environment: claims.environment.map(EnvironmentName::Id),
            expires_at: claims.expires_at,
        }
    }
}

/// Why a token is refused. Callers learn only whether it has expired, lest they learn to forge one; the log names the
/// variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// No token at all, or one that an operation cannot use.
    #[error("the access token is not valid")]
    Invalid,
    /// Not a signed token, too long, or with a header that is not understood.
    #[error("the access token is not valid")]
    Malformed,
    /// No key source has this `iss`.
    #[error("the access token is not valid")]
    Issuer,
    /// No key source with its `iss` has its `aud`.
    #[error("the access token is not valid")]
    Audience,
    /// No key with its `kid` is known.
    #[error("the access token is not valid")]
    UnknownKey,
    /// The key with its `kid` is for another algorithm.
    #[error("the access token is not valid")]
    Algorithm,
    /// The signature does not verify.
    #[error("the access token is not valid")]
    Signature,
    /// A claim is missing or cannot be read.
    #[error("the access token is not valid")]
    Claim,
    /// The key source may not vouch for this kind of principal.
    #[error("the access token is not valid")]
    Principal,
    /// The issuer does not confirm the mail address.
    #[error("the access token is not valid")]
    UnverifiedEmail,
    /// Its `nbf` has not come yet.
    #[error("the access token is not valid")]
    NotYetValid,
    /// There is no such account.
    #[error("the access token is not valid")]
    UnknownAccount,
    /// The account has no such environment.
    #[error("the access token is not valid")]
    UnknownEnvironment,
    /// The account has no such identity.
    #[error("the access token is not valid")]
    UnknownIdentity,
    /// It names no environment, which the operation needs.
    #[error("the access token is not valid")]
    NoEnvironment,
    /// It was valid once.
    #[error("the access token has expired")]
    Expired,
}

impl TokenError {
    /// Every variant, in the order of declaration.
    pub const ALL: &'static [Self] = &[
        Self::Invalid,
        Self::Malformed,
        Self::Issuer,
        Self::Audience,
        Self::UnknownKey,
        Self::Algorithm,
        Self::Signature,
        Self::Claim,
        Self::Principal,
        Self::UnverifiedEmail,
        Self::NotYetValid,
        Self::UnknownAccount,
        Self::UnknownEnvironment,
        Self::UnknownIdentity,
        Self::NoEnvironment,
        Self::Expired,
    ];

    /// The name of the failed check, for the log.
    pub const fn check(self) -> &'static str {
        match self {
            Self::Invalid => "credential",
            Self::Malformed => "format",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::UnknownKey => "key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Claim => "claim",
            Self::Principal => "principal",
            Self::UnverifiedEmail => "email_verified",
            Self::NotYetValid => "not_before",
            Self::UnknownAccount => "account",
            Self::UnknownEnvironment => "environment",
            Self::UnknownIdentity => "identity",
            Self::NoEnvironment => "no_environment",
            Self::Expired => "expiry",
        }
    }
}

/// Verifies access tokens.
#[async_trait]
pub trait TokenVerifier: Send + Sync {
    /// Checks the signature and every claim of a token as of `now`.
    ///
    /// # Errors
    /// [`TokenError::Expired`] when the end has passed and nothing else is wrong, otherwise the first failed check.
    fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken, TokenError>;

    /// Fetches the keys again where the token names one that is not known here. Returns whether it is known now: verify
    /// the token again.
    ///
    /// # Errors
    /// [`StoreError`] when the keys cannot be had.
    async fn look_for_key(&self, _token: &str) -> Result<bool, StoreError> {
        Ok(false)
    }
}
