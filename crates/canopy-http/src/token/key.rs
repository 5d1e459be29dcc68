//! Verification keys of tokens. Each is pinned to one algorithm and to the principals it may vouch for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use canopy_domain::port::PrincipalKind;
use jsonwebtoken::errors::Error as JwtError;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A key that verifies tokens.
#[derive(Clone)]
pub struct VerificationKey {
    pub(super) id: Option<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithm: Algorithm,
    pub(super) principals: Vec<PrincipalKind>,
    /// A digest of the key itself: two keys with equal digests, ids, algorithms and principals are one.
    digest: [u8; 32],
}

/// A JSON Web Key Set (RFC 7517). Each key is parsed on its own, so that one of an unknown kind does not spoil the
/// others.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl core::fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VerificationKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("principals", &self.principals)
            .finish_non_exhaustive()
    }
}

/// The reason for which keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a public key of a supported kind.
    #[error("not the PEM of an Ed25519, P-256 or RSA public key")]
    Pem,
    /// Not a JSON Web Key Set.
    #[error("not a JSON Web Key Set: {0}")]
    Jwks(#[source] serde_json::Error),
    /// A set with too many keys.
    #[error("the JSON Web Key Set has more than {} keys", VerificationKey::MAX_SET_KEYS)]
    TooManyKeys,
    /// A set without a usable key.
    #[error("the JSON Web Key Set has no Ed25519, P-256 or RSA signing key")]
    NoUsableKey,
    /// A shared secret that is too short.
    #[error("a shared secret must have at least {} bytes", VerificationKey::MIN_SECRET_BYTES)]
    ShortSecret,
    /// Not a private key for signing tokens.
    #[error("not the PKCS#8 PEM of an Ed25519 private key")]
    PrivateKey,
    /// The crypto library was not built as required.
    #[error("the crypto provider does not verify what it signed")]
    Provider,
    /// The crypto library returned an error.
    #[error(transparent)]
    Crypto(#[from] JwtError),
}

impl VerificationKey {
    /// Minimum size of a shared secret in bytes.
    pub const MIN_SECRET_BYTES: usize = 32;

    /// Maximum number of keys of a set.
    pub const MAX_SET_KEYS: usize = 100;

    /// Creates a key that was read from `material`. Keys vouch only for end users, unless the configuration [allows
    /// more](Self::vouching_for).
    pub(super) fn new(id: Option<String>, key: DecodingKey, algorithm: Algorithm, material: &[u8]) -> Self {
        Self {
            id,
            key,
            algorithm,
            principals: vec![PrincipalKind::Identity],
            digest: Sha256::digest(material).into(),
        }
    }

    /// Returns whether both are the same key, so that either verifies the tokens of the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.id == other.id
            && self.algorithm == other.algorithm
            && self.principals == other.principals
    }

    /// Reads a public key from PEM: Ed25519 (`EdDSA`), P-256 (`ES256`) or RSA (`RS256`).
    ///
    /// # Errors
    /// [`KeyError::Pem`] for anything else.
    pub fn from_public_pem(pem: &[u8]) -> Result<Self, KeyError> {
        /// An uncompressed point of P-256.
        const P256_POINT_BYTES: usize = 65;
        if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            return Ok(Self::new(None, key, Algorithm::EdDSA, pem));
        }
        if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            let is_p256 = key
                .try_get_as_bytes()
                .is_ok_and(|point| point.len() == P256_POINT_BYTES);
            return if is_p256 {
                Ok(Self::new(None, key, Algorithm::ES256, pem))
            } else {
                Err(KeyError::Pem)
            };
        }
        let key = DecodingKey::from_rsa_pem(pem).map_err(|_| KeyError::Pem)?;
        Ok(Self::new(None, key, Algorithm::RS256, pem))
    }

    /// Reads the signing keys of a JSON Web Key Set; ignores keys of other kinds.
    ///
    /// # Errors
    /// [`KeyError::Jwks`] for anything else, [`KeyError::TooManyKeys`] for more than [`Self::MAX_SET_KEYS`],
    /// [`KeyError::NoUsableKey`] if no key is usable.
    pub fn from_jwks(json: &[u8]) -> Result<Vec<Self>, KeyError> {
        let set: KeySet = serde_json::from_slice(json).map_err(KeyError::Jwks)?;
        if set.keys.len() > Self::MAX_SET_KEYS {
            return Err(KeyError::TooManyKeys);
        }
        let keys = set.keys.into_iter();
        let keys = keys.filter_map(|key| Self::from_jwk(&serde_json::from_value(key).ok()?));
        let keys: Vec<Self> = keys.collect();
        if keys.is_empty() {
            Err(KeyError::NoUsableKey)
        } else {
            Ok(keys)
        }
    }

    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
            _ => return None,
        };
        let declared = match jwk.common.key_algorithm {
            None => Some(algorithm),
            Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
            Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
            Some(KeyAlgorithm::EdDSA) => Some(Algorithm::EdDSA),
            Some(_) => None,
        };
        let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let operations = jwk.common.key_operations.as_deref();
        let verifies = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
        if declared != Some(algorithm) || !signs || !verifies {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let material = match &jwk.algorithm {
            AlgorithmParameters::RSA(key) => format!("{} {}", key.n, key.e),
            AlgorithmParameters::EllipticCurve(key) => format!("{} {}", key.x, key.y),
            AlgorithmParameters::OctetKeyPair(key) => key.x.clone(),
            _ => return None,
        };
        Some(Self::new(
            jwk.common.key_id.clone(),
            key,
            algorithm,
            material.as_bytes(),
        ))
    }

    /// Reads an Ed25519 public key of 32 bytes, with the `kid` of its tokens.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if the crypto library refuses them.
    pub fn from_ed25519(id: String, public: &[u8; 32]) -> Result<Self, KeyError> {
        let key = DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(public))?;
        Ok(Self::new(Some(id), key, Algorithm::EdDSA, public))
    }

    /// Creates a key from a secret shared with the issuer (`HS256`).
    ///
    /// # Errors
    /// [`KeyError::ShortSecret`] with fewer than [`Self::MIN_SECRET_BYTES`].
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < Self::MIN_SECRET_BYTES {
            return Err(KeyError::ShortSecret);
        }
        Ok(Self::new(
            None,
            DecodingKey::from_secret(secret),
            Algorithm::HS256,
            secret,
        ))
    }

    /// Returns the key, vouching for these principals.
    #[must_use]
    pub fn vouching_for(self, principals: &[PrincipalKind]) -> Self {
        Self {
            principals: principals.to_vec(),
            ..self
        }
    }

    /// Returns whether a token with this `kid`, or none, may be signed with the key.
    pub(super) fn may_be(&self, id: Option<&str>) -> bool {
        match (id, &self.id) {
            (Some(asked), Some(own)) => asked == own,
            _ => true,
        }
    }

    /// Returns whether the key has this id.
    pub(super) fn is_named(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }
}
