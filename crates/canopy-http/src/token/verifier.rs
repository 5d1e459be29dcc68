//! Verifying tokens.

use super::cache::{VerifiedTokens, fingerprint};
use super::claims::Claims;
use super::{KeyError, TokenParties, VerificationKey, prove_provider};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use canopy_domain::Timestamp;
use canopy_domain::port::{TokenClaims, TokenError, TokenVerifier};
use jsonwebtoken::Algorithm;
use std::sync::{PoisonError, RwLock};

/// The largest token that is looked at.
const MAX_BYTES: usize = 8 * 1024;

/// Verifies JWT access tokens with a set of keys, some of which may come and go.
#[derive(Debug)]
pub struct JwtVerifier {
    parties: TokenParties,
    keys: Vec<VerificationKey>,
    shared: RwLock<Vec<VerificationKey>>,
    verified: VerifiedTokens,
}

impl JwtVerifier {
    /// A verifier with these keys.
    ///
    /// # Errors
    /// [`KeyError`] when the crypto library does not work as built.
    pub fn new(parties: TokenParties, keys: Vec<VerificationKey>) -> Result<Self, KeyError> {
        prove_provider()?;
        Ok(Self {
            parties,
            keys,
            shared: RwLock::default(),
            verified: VerifiedTokens::default(),
        })
    }

    fn verify_afresh(
        &self,
        shared: &[VerificationKey],
        token: &str,
        now: Timestamp,
    ) -> Result<TokenClaims, TokenError> {
        let invalid = || TokenError::Invalid;
        let (message, signature) = token.rsplit_once('.').ok_or_else(invalid)?;
        let (_, payload) = message.split_once('.').ok_or_else(invalid)?;
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        if header.crit.is_some() {
            return Err(invalid());
        }
        let signed = |key: &&VerificationKey| {
            key.fits(header.alg, header.kid.as_deref())
                && jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, key.algorithm)
                    .is_ok_and(|good| good)
        };
        // Shared keys may be many, and each has a name: only the one that is named is tried.
        let shared = shared.iter().filter(|_| header.kid.is_some());
        let key = self.keys.iter().chain(shared).find(signed).ok_or_else(invalid)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| invalid())?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| invalid())?;
        claims.check(&self.parties, &key.principals, now)
    }

    /// From now on verifies with these keys too, in place of those that were shared before. A token that was verified
    /// with one that is gone is refused.
    pub fn share(&self, keys: Vec<VerificationKey>) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let stays = |old: &VerificationKey| keys.iter().any(|new| new.id == old.id);
        let all_stay = shared.iter().all(stays);
        *shared = keys;
        if !all_stay {
            self.verified.forget();
        }
    }

    /// Whether a token names a key that is not known here, but may be in another process of the installation.
    pub fn names_unknown_key(&self, token: &str) -> bool {
        if token.len() > MAX_BYTES {
            return false;
        }
        let Ok(header) = jsonwebtoken::decode_header(token) else {
            return false;
        };
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        let is_known = self.keys.iter().chain(shared.iter()).any(|key| key.id == header.kid);
        header.alg == Algorithm::EdDSA && header.kid.is_some() && !is_known
    }
}

impl TokenVerifier for JwtVerifier {
    fn verify(&self, token: &str, now: Timestamp) -> Result<TokenClaims, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::Invalid);
        }
        let fingerprint = fingerprint(token);
        if let Some(remembered) = self.verified.get(&fingerprint, now) {
            return remembered;
        }
        // Held until it is remembered, so that no key goes in between.
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        let claims = self.verify_afresh(&shared, token, now)?;
        self.verified.remember(fingerprint, &claims, now);
        Ok(claims)
    }
}
