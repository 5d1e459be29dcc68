//! The crypto provider of the process.

use super::key::KeyError;

/// Installs the crypto provider and tests it: a wrong build must fail here, not at the first token.
pub(super) fn prove_provider() -> Result<(), KeyError> {
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
    // An error means that it is already installed.
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
