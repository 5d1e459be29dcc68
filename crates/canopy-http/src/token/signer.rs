//! Signing tokens with the installation's own key.

use super::key::{KeyError, VerificationKey};
use super::parties::TokenParties;
use super::provider::prove_provider;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use canopy_domain::Timestamp;
use canopy_domain::port::{PrincipalKind, SigningKey, TokenClaims};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use uuid::Uuid;

/// The DER of a PKCS#8 Ed25519 key (RFC 8410, version 1) up to its 32 bytes of seed.
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The claims as a token contains them.
#[derive(Serialize)]
struct SignedClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    exp: i64,
    iat: i64,
    principal: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Uuid>,
}

/// Signs tokens with an Ed25519 key.
pub struct TokenSigner {
    parties: TokenParties,
    key: EncodingKey,
    public: VerificationKey,
    kid: String,
    public_bytes: [u8; 32],
}

impl core::fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TokenSigner")
            .field("parties", &self.parties)
            .field("key", &self.public)
            .finish_non_exhaustive()
    }
}

impl TokenSigner {
    /// Reads a signer from a PKCS#8 PEM key.
    ///
    /// # Errors
    /// [`KeyError::PrivateKey`] for anything else.
    pub fn from_pem(pem: &[u8], parties: TokenParties) -> Result<Self, KeyError> {
        let key = EncodingKey::from_ed_pem(pem).map_err(|_| KeyError::PrivateKey)?;
        let seed = key
            .as_bytes()
            .get(PKCS8_HEAD.len()..)
            .and_then(|rest| rest.first_chunk::<32>());
        Self::from_seed(*seed.ok_or(KeyError::PrivateKey)?, parties)
    }

    /// Derives a signer from a seed.
    ///
    /// # Errors
    /// [`KeyError`] if the crypto library does not work as built.
    pub fn from_seed(seed: [u8; 32], parties: TokenParties) -> Result<Self, KeyError> {
        prove_provider()?;
        let der: Vec<u8> = PKCS8_HEAD.into_iter().chain(seed).collect();
        let key = EncodingKey::from_ed_der(&der);
        let jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA)?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256)?;
        let everybody = PrincipalKind::ALL;
        let AlgorithmParameters::OctetKeyPair(point) = &jwk.algorithm else {
            return Err(KeyError::PrivateKey);
        };
        let public_bytes = URL_SAFE_NO_PAD.decode(&point.x).ok();
        let public_bytes: Option<[u8; 32]> = public_bytes.and_then(|bytes| bytes.try_into().ok());
        let public_bytes = public_bytes.ok_or(KeyError::PrivateKey)?;
        let public = VerificationKey::from_ed25519(id.clone(), &public_bytes)?;
        Ok(Self {
            parties,
            key,
            public: public.vouching_for(everybody),
            kid: id,
            public_bytes,
        })
    }

    /// Returns the key that verifies its tokens. It vouches for every principal.
    pub const fn verification_key(&self) -> &VerificationKey {
        &self.public
    }

    /// Returns its public key, for other processes of the installation.
    pub fn public_key(&self, now: Timestamp) -> SigningKey {
        SigningKey {
            kid: self.kid.clone(),
            public_key: self.public_bytes,
            created_at: now,
        }
    }

    /// Signs a token.
    ///
    /// # Errors
    /// [`KeyError::Crypto`].
    pub fn sign(&self, claims: &TokenClaims, issued_at: Timestamp) -> Result<String, KeyError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.clone());
        let seconds = |at: Timestamp| at.as_micros().div_euclid(1_000_000);
        let claims = SignedClaims {
            iss: &self.parties.issuer,
            aud: &self.parties.audience,
            sub: &claims.subject,
            exp: seconds(claims.expires_at),
            iat: seconds(issued_at),
            principal: claims.principal.as_str(),
            account: claims.account.map(|id| id.as_uuid()),
            environment: claims.environment.map(|id| id.as_uuid()),
        };
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}
