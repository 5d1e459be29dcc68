//! The claims of a token before validation.

use super::mapping::{AccountRule, ClaimMapping, ClaimPath, EnvironmentRule, PrincipalRule};
use super::parties::LEEWAY_SECONDS;
use canopy_domain::port::{AccountName, EnvironmentName, PrincipalKind, SubjectKind, TokenError, VerifiedToken};
use canopy_domain::{AccountId, EnvironmentId, Timestamp};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Maximum size of a subject in bytes: the audit log contains it.
const MAX_SUBJECT_BYTES: usize = 255;

/// The claims of a token.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Parses the payload of a token.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok().map(Self)
    }

    /// Returns a claim that is text, such as the issuer.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Returns whether the token is for this audience, alone or among others.
    pub(super) fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(many)) => {
                many.iter().all(Value::is_string) && many.iter().any(|one| one.as_str() == Some(audience))
            }
            _ => false,
        }
    }

    /// Validates the claims of a token with a valid signature and matching issuer and audience, as far as the key may
    /// vouch for them. Expiry is checked last.
    pub(super) fn check(
        &self,
        mapping: &ClaimMapping,
        vouched: &[PrincipalKind],
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        let claim = TokenError::Claim;
        let expires_at = self.instant("exp")?.ok_or(claim)?;
        let begins_at = self.instant("nbf")?;
        self.instant("iat")?;
        let principal = match &mapping.principal {
            PrincipalRule::Fixed(principal) => *principal,
            PrincipalRule::Claim(path) => {
                let word = self.word(path)?.ok_or(claim)?;
                PrincipalKind::parse(word).ok_or(claim)?
            }
        };
        let account = self.account(&mapping.account)?;
        let environment = self.environment(&mapping.environment)?;
        let account = match principal {
            PrincipalKind::Operator => None,
            PrincipalKind::Admin | PrincipalKind::Identity => Some(account.ok_or(claim)?),
        };
        let subject = self.word(&mapping.subject_claim)?.ok_or(claim)?;
        if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES {
            return Err(claim);
        }
        let subject_kind = match principal {
            PrincipalKind::Identity => mapping.subject,
            PrincipalKind::Operator | PrincipalKind::Admin => SubjectKind::Id,
        };
        if !vouched.contains(&principal) {
            return Err(TokenError::Principal);
        }
        if subject_kind == SubjectKind::Email && mapping.requires_verified_email && !self.has_verified_email() {
            return Err(TokenError::UnverifiedEmail);
        }
        if begins_at.is_some_and(|begin| begin > now.plus_seconds(LEEWAY_SECONDS)) {
            return Err(TokenError::NotYetValid);
        }
        if refused_from(expires_at) <= now {
            return Err(TokenError::Expired);
        }
        Ok(VerifiedToken {
            principal,
            subject: subject.into(),
            subject_kind,
            account,
            environment,
            expires_at,
        })
    }

    /// Returns a claim that is one text, or a list with one text, as some issuers write attributes.
    fn word(&self, path: &ClaimPath) -> Result<Option<&str>, TokenError> {
        match path.find(&self.0) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Array(list)) => match list.as_slice() {
                [Value::String(text)] => Ok(Some(text)),
                _ => Err(TokenError::Claim),
            },
            Some(_) => Err(TokenError::Claim),
        }
    }

    fn id(&self, path: &ClaimPath) -> Result<Option<Uuid>, TokenError> {
        let id = |text| Uuid::try_parse(text).map_err(|_| TokenError::Claim);
        self.word(path)?.map(id).transpose()
    }

    fn account(&self, rule: &AccountRule) -> Result<Option<AccountName>, TokenError> {
        Ok(match rule {
            AccountRule::Fixed(account) => Some(account.clone()),
            AccountRule::Id(path) => self.id(path)?.map(|id| AccountName::Id(AccountId::new(id))),
            AccountRule::Slug(path) => self.word(path)?.map(|slug| AccountName::Slug(slug.into())),
        })
    }

    fn environment(&self, rule: &EnvironmentRule) -> Result<Option<EnvironmentName>, TokenError> {
        Ok(match rule {
            EnvironmentRule::Fixed(environment) => Some(environment.clone()),
            EnvironmentRule::Id(path) => self.id(path)?.map(|id| EnvironmentName::Id(EnvironmentId::new(id))),
            EnvironmentRule::Path(path) => self.word(path)?.map(|path| EnvironmentName::Path(path.into())),
        })
    }

    fn has_verified_email(&self) -> bool {
        match self.0.get("email_verified") {
            Some(Value::Bool(is_verified)) => *is_verified,
            // Some issuers write it as text.
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// Returns a claim that counts seconds since the epoch, clamped to the supported years; a fraction is truncated.
    fn instant(&self, name: &str) -> Result<Option<Timestamp>, TokenError> {
        let number = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number,
            Some(_) => return Err(TokenError::Claim),
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float beyond i64 saturates, and instants are clamped anyway"
        )]
        let truncated = || number.as_f64().map(|seconds| seconds.floor() as i64);
        let seconds = number.as_i64().or_else(truncated).ok_or(TokenError::Claim)?;
        let epoch = Timestamp::from_micros(0).map_err(|_| TokenError::Claim)?;
        Ok(Some(epoch.plus_seconds(seconds)))
    }
}

/// Returns the first instant at which a token that ends at `end` is refused.
pub(super) fn refused_from(end: Timestamp) -> Timestamp {
    end.plus_seconds(LEEWAY_SECONDS)
}
