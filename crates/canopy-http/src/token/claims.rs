//! What stands in a token, before it is believed.

use super::{LEEWAY_SECONDS, TokenParties};
use canopy_domain::port::{PrincipalKind, TokenClaims, TokenError};
use canopy_domain::{AccountId, EnvironmentId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The claims of a token.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: Audience,
    pub(super) sub: String,
    pub(super) exp: NumericDate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<NumericDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<NumericDate>,
    pub(super) principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<Uuid>,
}

/// One audience or several.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn includes(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
        }
    }
}

/// Seconds since the epoch, perhaps with a fraction, which is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Number", into = "i64")]
pub(super) struct NumericDate(i64);

impl TryFrom<serde_json::Number> for NumericDate {
    type Error = &'static str;

    fn try_from(number: serde_json::Number) -> Result<Self, Self::Error> {
        if let Some(seconds) = number.as_i64() {
            return Ok(Self(seconds));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float beyond i64 saturates, and instants are clamped anyway"
        )]
        let seconds = number.as_f64().map(|seconds| seconds.floor() as i64);
        seconds.map(Self).ok_or("not a number of seconds")
    }
}

impl From<NumericDate> for i64 {
    fn from(date: NumericDate) -> Self {
        date.0
    }
}

impl From<Timestamp> for NumericDate {
    fn from(at: Timestamp) -> Self {
        Self(at.as_micros().div_euclid(1_000_000))
    }
}

impl NumericDate {
    /// The instant, held within the supported years.
    fn instant(self) -> Timestamp {
        Timestamp::from_micros(0).map_or(Timestamp::MAX, |epoch| epoch.plus_seconds(self.0))
    }
}

/// The first instant at which a token that ends at `end` is refused.
pub(super) fn refused_from(end: Timestamp) -> Timestamp {
    end.plus_seconds(LEEWAY_SECONDS)
}

impl Claims {
    /// Believes the claims of a token whose signature is good, as far as the key vouches for them. That it has expired is
    /// said only when nothing else is wrong.
    pub(super) fn check(
        self,
        parties: &TokenParties,
        vouched: &[PrincipalKind],
        now: Timestamp,
    ) -> Result<TokenClaims, TokenError> {
        let principal = PrincipalKind::parse(&self.principal).ok_or(TokenError::Invalid)?;
        let account = match principal {
            PrincipalKind::Operator => None,
            PrincipalKind::Admin | PrincipalKind::Identity => Some(self.account.ok_or(TokenError::Invalid)?),
        };
        let begun = self
            .nbf
            .is_none_or(|nbf| nbf.instant() <= now.plus_seconds(LEEWAY_SECONDS));
        let for_us = self.iss == parties.issuer && self.aud.includes(&parties.audience);
        if !for_us || !begun || self.sub.is_empty() || !vouched.contains(&principal) {
            return Err(TokenError::Invalid);
        }
        let expires_at = self.exp.instant();
        if refused_from(expires_at) <= now {
            return Err(TokenError::Expired);
        }
        Ok(TokenClaims {
            subject: self.sub.into(),
            principal,
            account: account.map(AccountId::new),
            environment: self.environment.map(EnvironmentId::new),
            expires_at,
        })
    }
}
