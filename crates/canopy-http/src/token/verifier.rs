//! Verification of tokens.

use super::cache::{KeyNumber, VerifiedTokens, fingerprint};
use super::claims::Claims;
use super::key::{KeyError, VerificationKey};
use super::mapping::ClaimMapping;
use super::parties::TokenParties;
use super::provider::prove_provider;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use canopy_domain::Timestamp;
use canopy_domain::port::{TokenError, TokenVerifier, VerifiedToken};
use jsonwebtoken::Header;
use std::sync::{PoisonError, RwLock};

/// Maximum size of a token in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// Maximum number of signature checks for one token.
const MAX_TRIES: usize = 16;

/// A source of keys: the issuer and audience of its tokens, and the mapping of their claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSource {
    /// The `iss` and `aud` of its tokens.
    pub parties: TokenParties,
    /// The mapping of claims.
    pub mapping: ClaimMapping,
}

/// The id of a source within its verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceId(usize);

impl SourceId {
    /// The keys of the configuration.
    const GIVEN: Self = Self(0);

    /// The keys that the processes of the installation share.
    pub const SHARED: Self = Self(1);
}

/// Verifies JWT access tokens with the keys of several sources, which may change at any time.
#[derive(Debug)]
pub struct JwtVerifier {
    sources: RwLock<Sources>,
    verified: VerifiedTokens,
}

#[derive(Debug, Default)]
struct Sources {
    all: Vec<SourceKeys>,
    last_number: KeyNumber,
}

#[derive(Debug)]
struct SourceKeys {
    source: TokenSource,
    /// True if a token must name its key: there may be many shared keys.
    must_be_named: bool,
    keys: Vec<(KeyNumber, VerificationKey)>,
}

/// The parts of a token before verification.
struct Parts<'t> {
    message: &'t str,
    signature: &'t str,
    header: Header,
    claims: Claims,
}

impl<'t> Parts<'t> {
    fn parse(token: &'t str) -> Option<Self> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (_, payload) = message.split_once('.')?;
        let header = jsonwebtoken::decode_header(token).ok()?;
        let claims = Claims::parse(&URL_SAFE_NO_PAD.decode(payload).ok()?)?;
        header.crit.is_none().then_some(Self {
            message,
            signature,
            header,
            claims,
        })
    }

    fn is_signed_with(&self, key: &VerificationKey) -> bool {
        jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), &key.key, key.algorithm)
            .is_ok_and(|is_good| is_good)
    }
}

impl SourceKeys {
    fn is_meant_by(&self, claims: &Claims) -> bool {
        claims.text("iss") == Some(&self.source.parties.issuer) && claims.is_for(&self.source.parties.audience)
    }

    fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|(_, key)| key.is_named(id))
    }

    /// Returns the keys that a token with this header may be signed with, by their ids.
    fn named<'k>(&'k self, header: &'k Header) -> impl Iterator<Item = (&'k Self, KeyNumber, &'k VerificationKey)> {
        let id = header.kid.as_deref();
        let keys = self.keys.iter().filter(move |(_, key)| key.may_be(id));
        let keys = keys.filter(move |_| id.is_some() || !self.must_be_named);
        keys.map(move |(number, key)| (self, *number, key))
    }
}

impl Sources {
    /// Verifies a token. Sources are selected by the token's unverified claims, so that a token that no source can have
    /// signed costs no signature check.
    fn verify(&self, token: &str, now: Timestamp) -> Result<(VerifiedToken, KeyNumber), TokenError> {
        let parts = Parts::parse(token).ok_or(TokenError::Malformed)?;
        let (header, claims) = (&parts.header, &parts.claims);
        let issuer = claims.text("iss").ok_or(TokenError::Claim)?;
        if !self.all.iter().any(|keys| keys.source.parties.issuer == issuer) {
            return Err(TokenError::Issuer);
        }
        let meant = || self.all.iter().filter(|keys| keys.is_meant_by(claims));
        if meant().next().is_none() {
            return Err(TokenError::Audience);
        }
        let named = || meant().flat_map(|keys| keys.named(header));
        let usable = named().filter(|(_, _, key)| key.algorithm == header.alg);
        let signed = usable.take(MAX_TRIES).find(|(_, _, key)| parts.is_signed_with(key));
        let Some((keys, number, key)) = signed else {
            return Err(self.unsigned(&parts, named().map(|(_, _, key)| key)));
        };
        let token = claims.check(&keys.source.mapping, &key.principals, now)?;
        Ok((token, number))
    }

    /// Returns the reason for which none of the keys that a token may name has signed it.
    fn unsigned<'k>(&self, parts: &Parts<'_>, mut named: impl Iterator<Item = &'k VerificationKey>) -> TokenError {
        let header = &parts.header;
        match &header.kid {
            Some(id)
                if !self
                    .all
                    .iter()
                    .any(|keys| keys.is_meant_by(&parts.claims) && keys.has(id)) =>
            {
                TokenError::UnknownKey
            }
            _ if named.any(|key| key.algorithm == header.alg) => TokenError::Signature,
            Some(_) => TokenError::Algorithm,
            None => TokenError::UnknownKey,
        }
    }
}

impl JwtVerifier {
    /// Creates a verifier with these keys, for tokens with the claims of the installation's own.
    ///
    /// # Errors
    /// [`KeyError`] if the crypto library does not work as built.
    pub fn new(parties: TokenParties, keys: Vec<VerificationKey>) -> Result<Self, KeyError> {
        prove_provider()?;
        let source = TokenSource {
            parties,
            mapping: ClaimMapping::default(),
        };
        let verifier = Self {
            sources: RwLock::default(),
            verified: VerifiedTokens::default(),
        };
        verifier.add(source.clone(), false);
        verifier.add(source, true);
        verifier.replace(SourceId::GIVEN, keys);
        Ok(verifier)
    }

    /// Adds a source without keys.
    pub fn add_source(&self, source: TokenSource) -> SourceId {
        self.add(source, false)
    }

    fn add(&self, source: TokenSource, must_be_named: bool) -> SourceId {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        sources.all.push(SourceKeys {
            source,
            must_be_named,
            keys: vec![],
        });
        SourceId(sources.all.len() - 1)
    }

    /// Replaces the keys of a source. Tokens that were verified with a removed key are refused. Returns the number of
    /// added and of removed keys.
    pub fn replace(&self, source: SourceId, keys: Vec<VerificationKey>) -> (usize, usize) {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        let sources = &mut *sources;
        let Some(held) = sources.all.get_mut(source.0) else {
            return (0, 0);
        };
        let mut before = core::mem::take(&mut held.keys);
        let mut added = 0;
        for key in keys {
            if let Some(at) = before.iter().position(|(_, old)| old.is_same(&key)) {
                held.keys.push(before.swap_remove(at));
            } else {
                sources.last_number += 1;
                added += 1;
                held.keys.push((sources.last_number, key));
            }
        }
        if !before.is_empty() {
            self.verified
                .forget(|number| before.iter().any(|(gone, _)| *gone == number));
        }
        (added, before.len())
    }

    /// [Replaces](Self::replace) the keys that the processes of the installation share.
    pub fn share(&self, keys: Vec<VerificationKey>) {
        self.replace(SourceId::SHARED, keys);
    }

    /// Returns the sources that have the issuer and audience of the token, but no key with its `kid`.
    pub fn sources_without_key(&self, token: &str) -> Vec<SourceId> {
        let Some(parts) = Parts::parse(token) else {
            return vec![];
        };
        let Some(id) = &parts.header.kid else { return vec![] };
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        let meant = || {
            (0..)
                .zip(&sources.all)
                .filter(|(_, keys)| keys.is_meant_by(&parts.claims))
        };
        if meant().any(|(_, keys)| keys.has(id)) {
            return vec![];
        }
        meant().map(|(at, _)| SourceId(at)).collect()
    }
}

impl TokenVerifier for JwtVerifier {
    fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedToken, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::Malformed);
        }
        let fingerprint = fingerprint(token);
        if let Some(remembered) = self.verified.get(&fingerprint, now) {
            return remembered;
        }
        // Locked until the token is cached, so that its key is not removed in between.
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        let (verified, key) = sources.verify(token, now)?;
        self.verified.remember(fingerprint, &verified, key);
        Ok(verified)
    }
}
