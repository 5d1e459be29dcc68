//! Tokens that were verified before, so that a signature is checked once and not with every call.

use super::claims::refused_from;
use canopy_domain::Timestamp;
use canopy_domain::port::{TokenClaims, TokenError};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// The largest number of tokens that are remembered.
const CAPACITY: usize = 10_000;

/// The SHA-256 digest of a token. The token itself is not kept.
pub(super) type Fingerprint = [u8; 32];

/// The fingerprint of a token.
pub(super) fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token.as_bytes()).into()
}

/// Verified tokens, until they expire.
#[derive(Debug, Default)]
pub(super) struct VerifiedTokens {
    claims: RwLock<HashMap<Fingerprint, TokenClaims>>,
}

impl VerifiedTokens {
    /// What a remembered token says; `None` for one that is not remembered.
    pub(super) fn get(&self, fingerprint: &Fingerprint, now: Timestamp) -> Option<Result<TokenClaims, TokenError>> {
        let claims = self.claims.read().unwrap_or_else(PoisonError::into_inner);
        let found = claims.get(fingerprint)?;
        Some(if refused_from(found.expires_at) <= now {
            Err(TokenError::Expired)
        } else {
            Ok(found.clone())
        })
    }

    /// Forgets all tokens.
    pub(super) fn forget(&self) {
        self.claims.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Remembers a token. When there is no room, those that have expired go first, then all.
    pub(super) fn remember(&self, fingerprint: Fingerprint, claims: &TokenClaims, now: Timestamp) {
        let mut known = self.claims.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.retain(|_, claims| refused_from(claims.expires_at) > now);
        }
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(fingerprint, claims.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canopy_domain::port::PrincipalKind;

    fn claims(expires_at: i64) -> TokenClaims {
        TokenClaims {
            subject: "ada".into(),
            principal: PrincipalKind::Operator,
            account: None,
            environment: None,
            expires_at: at(expires_at),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn a_token_is_remembered_until_it_expires() {
        let tokens = VerifiedTokens::default();
        let mark = fingerprint("token");
        assert_eq!(tokens.get(&mark, at(0)), None);
        tokens.remember(mark, &claims(100), at(0));
        assert_eq!(tokens.get(&mark, at(104)), Some(Ok(claims(100))));
        assert_eq!(tokens.get(&mark, at(105)), Some(Err(TokenError::Expired)));
        assert_eq!(tokens.get(&fingerprint("tokem"), at(0)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let tokens = VerifiedTokens::default();
        for number in 0..=CAPACITY * 2 {
            tokens.remember(fingerprint(&number.to_string()), &claims(100), at(0));
        }
        assert!(tokens.claims.read().unwrap().len() <= CAPACITY);
    }
}
