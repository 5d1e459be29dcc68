//! Access tokens.

use super::StoreError;
use crate::string_enum::string_enum;
use crate::{AccountId, EnvironmentId, Timestamp};
use async_trait::async_trait;
use std::sync::Arc;

string_enum!(
    /// The kind of principal of a token.
    PrincipalKind {
        /// A caller who runs the installation.
        Operator = "operator",
        /// A caller who administers one account.
        Admin = "admin",
        /// An end user.
        Identity = "identity",
    }
);

string_enum!(
    /// The attribute of an identity in the subject of its token.
    SubjectKind {
        /// The id.
        Id = "id",
        /// The id in the customer's directory.
        ExternalId = "external_id",
        /// The email address.
        Email = "email",
    }
);

/// The claims of tokens that the installation's own key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// Free text for operators and admins, the identity's id for identities.
    pub subject: Arc<str>,
    /// The kind of principal.
    pub principal: PrincipalKind,
    /// The account; every principal but an operator has one.
    pub account: Option<AccountId>,
    /// The environment that it is bound to; the public surface requires one.
    pub environment: Option<EnvironmentId>,
    /// The time of its expiry.
    pub expires_at: Timestamp,
}

/// The claims of a verified token. Their names are not resolved yet. A clone allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The kind of principal.
    pub principal: PrincipalKind,
    /// Free text for operators and admins; for identities the attribute that [`Self::subject_kind`] names.
    pub subject: Arc<str>,
    /// The attribute of the identity that the subject holds.
    pub subject_kind: SubjectKind,
    /// The account; every principal but an operator has one.
    pub account: Option<AccountName>,
    /// The environment that it is bound to; the public surface requires one.
    pub environment: Option<EnvironmentName>,
    /// The time of its expiry.
    pub expires_at: Timestamp,
}

/// An account as named in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountName {
    /// By its id.
    Id(AccountId),
    /// By its slug.
    Slug(Arc<str>),
}

/// An environment as named in a token, within the token's account.
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

/// The reason for which a token is refused. Callers learn only whether it has expired, so that the answers do not help
/// to forge one; the log names the variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// No token at all, or one that an operation cannot use.
    #[error("the access token is not valid")]
    Invalid,
    /// Not a signed token, too long, or with an unsupported header.
    #[error("the access token is not valid")]
    Malformed,
    /// No key source has this `iss`.
    #[error("the access token is not valid")]
    Issuer,
    /// No key source with its `iss` has its `aud`.
    #[error("the access token is not valid")]
    Audience,
    /// No key has its `kid`.
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
    /// The issuer does not confirm the email address.
    #[error("the access token is not valid")]
    UnverifiedEmail,
    /// Its `nbf` is in the future.
    #[error("the access token is not valid")]
    NotYetValid,
    /// The account does not exist.
    #[error("the access token is not valid")]
    UnknownAccount,
    /// The account has no such environment.
    #[error("the access token is not valid")]
    UnknownEnvironment,
    /// The account has no such identity.
    #[error("the access token is not valid")]
    UnknownIdentity,
    /// It names no environment, which the operation requires.
    #[error("the access token is not valid")]
    NoEnvironment,
    /// It has expired.
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

    /// Returns the name of the failed check, for the log.
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
    /// [`TokenError::Expired`] if only its expiry fails, otherwise the first failed check.
    fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken, TokenError>;

    /// Fetches the keys again if the token names an unknown one. Returns whether it is known now: then verify the token
    /// again.
    ///
    /// # Errors
    /// [`StoreError`] if the keys cannot be fetched.
    async fn look_for_key(&self, _token: &str) -> Result<bool, StoreError> {
        Ok(false)
    }
}
