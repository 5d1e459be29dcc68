//! Access tokens (JWT): the keys that may sign them, verifying them, and signing with the installation's own key.

mod cache;
mod claims;
mod key;
mod mapping;
mod refusals;
mod signer;
mod verifier;

pub use key::{KeyError, VerificationKey};
pub use mapping::{AccountRule, ClaimMapping, ClaimPath, EnvironmentRule, PrincipalRule};
pub(crate) use refusals::RefusedCredentials;
pub use signer::TokenSigner;
pub use verifier::{JwtVerifier, SourceId, TokenSource};

/// The issuer and the audience of tokens; both must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenParties {
    /// `iss`.
    pub issuer: String,
    /// `aud`, or one of them.
    pub audience: String,
}

/// The largest difference between the clocks of issuers and this one, in seconds.
pub const LEEWAY_SECONDS: i64 = 5;

/// Puts the crypto provider in place and makes sure that it works: a wrong build must fail here, not at the first token.
fn prove_provider() -> Result<(), KeyError> {
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
    // An error means that it is in place already.
    crypto::aws_lc::DEFAULT_PROVIDER.install_default().ok();
    let (secret, message) = ([7; 32], b"probe");
    let signature = crypto::sign(message, &EncodingKey::from_secret(&secret), Algorithm::HS256)?;
    let verified = crypto::verify(
        &signature,
        message,
        &DecodingKey::from_secret(&secret),
        Algorithm::HS256,
    )?;
    if verified { Ok(()) } else { Err(KeyError::Provider) }
}
