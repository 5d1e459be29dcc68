//! Keys that tokens may be signed with. Each is pinned to one algorithm and to the principals it may vouch for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use canopy_domain::port::PrincipalKind;
use jsonwebtoken::errors::Error as JwtError;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// A key that verifies tokens.
#[derive(Clone)]
pub struct VerificationKey {
    pub(super) id: Option<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithm: Algorithm,
    pub(super) principals: Vec<PrincipalKind>,
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

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a public key of a kind that is accepted.
    #[error("not the PEM of an Ed25519, P-256 or RSA public key")]
    Pem,
    /// Not a JSON Web Key Set.
    #[error("not a JSON Web Key Set: {0}")]
    Jwks(#[source] serde_json::Error),
    /// A set without a key that can be used.
    #[error("the JSON Web Key Set has no Ed25519, P-256 or RSA signing key")]
    NoUsableKey,
    /// A shared secret that is too short.
    #[error("a shared secret must have at least {} bytes", VerificationKey::MIN_SECRET_BYTES)]
    ShortSecret,
    /// Not a private key that tokens can be signed with.
    #[error("not the PKCS#8 PEM of an Ed25519 private key")]
    PrivateKey,
    /// The crypto library is not built as it must be.
    #[error("the crypto provider does not verify what it signed")]
    Provider,
    /// The crypto library refused.
    #[error(transparent)]
    Crypto(#[from] JwtError),
}

impl VerificationKey {
    /// The fewest bytes of a shared secret.
    pub const MIN_SECRET_BYTES: usize = 32;

    /// Keys vouch for end users alone, unless the configuration [says more](Self::vouching_for).
    pub(super) fn new(id: Option<String>, key: DecodingKey, algorithm: Algorithm) -> Self {
        Self {
            id,
            key,
            algorithm,
            principals: vec![PrincipalKind::Identity],
        }
    }

    /// A public key as PEM: Ed25519 (`EdDSA`), P-256 (`ES256`) or RSA (`RS256`).
    ///
    /// # Errors
    /// [`KeyError::Pem`] for anything else.
    pub fn from_public_pem(pem: &[u8]) -> Result<Self, KeyError> {
        /// An uncompressed point of P-256.
        const P256_POINT_BYTES: usize = 65;
        if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            return Ok(Self::new(None, key, Algorithm::EdDSA));
        }
        if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            let is_p256 = key
                .try_get_as_bytes()
                .is_ok_and(|point| point.len() == P256_POINT_BYTES);
            return if is_p256 {
                Ok(Self::new(None, key, Algorithm::ES256))
            } else {
                Err(KeyError::Pem)
            };
        }
        let key = DecodingKey::from_rsa_pem(pem).map_err(|_| KeyError::Pem)?;
        Ok(Self::new(None, key, Algorithm::RS256))
    }

    /// The signing keys of a JSON Web Key Set; keys of other kinds are passed over.
    ///
    /// # Errors
    /// [`KeyError::Jwks`] for anything else, [`KeyError::NoUsableKey`] when nothing is left.
    pub fn from_jwks(json: &[u8]) -> Result<Vec<Self>, KeyError> {
        let set: JwkSet = serde_json::from_slice(json).map_err(KeyError::Jwks)?;
        let keys: Vec<Self> = set.keys.iter().filter_map(Self::from_jwk).collect();
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
        if declared != Some(algorithm) || !signs {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self::new(jwk.common.key_id.clone(), key, algorithm))
    }

    /// The 32 bytes of an Ed25519 public key, which tokens call `id`.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] when the crypto library refuses them.
    pub fn from_ed25519(id: String, public: &[u8; 32]) -> Result<Self, KeyError> {
        let key = DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(public))?;
        Ok(Self::new(Some(id), key, Algorithm::EdDSA))
    }

    /// A secret shared with the issuer (`HS256`).
    ///
    /// # Errors
    /// [`KeyError::ShortSecret`] with fewer than [`Self::MIN_SECRET_BYTES`].
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < Self::MIN_SECRET_BYTES {
            return Err(KeyError::ShortSecret);
        }
        Ok(Self::new(None, DecodingKey::from_secret(secret), Algorithm::HS256))
    }

    /// The same key, vouching for these principals.
    #[must_use]
    pub fn vouching_for(self, principals: &[PrincipalKind]) -> Self {
        Self {
            principals: principals.to_vec(),
            ..self
        }
    }

    /// Whether a token with this header may be signed with it.
    pub(super) fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let same_id = match (id, &self.id) {
            (Some(asked), Some(own)) => asked == own,
            _ => true,
        };
        self.algorithm == algorithm && same_id
    }
}
