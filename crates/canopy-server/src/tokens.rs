//! Signs and verifies access tokens with the keys of the configuration.

use crate::adapter::OsSecrets;
use crate::config::{Config, KeyMaterial, TokenConfig, TokenKeySource};
use crate::data_dir::{DataDirError, SigningKey, SigningKeyError, prepare};
use canopy_http::token::{JwtVerifier, KeyError, TokenParties, TokenSigner, VerificationKey};
use std::io;
use std::path::{Path, PathBuf};

/// Tokens cannot be signed or verified.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The installation's key cannot be used.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// A key file cannot be read.
    #[error("cannot read the token key file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key file holds something else.
    #[error("the token key file {} cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// A key cannot be used.
    #[error("a token key cannot be used: {0}")]
    Key(#[from] KeyError),
}

fn parties(config: &TokenConfig) -> TokenParties {
    TokenParties {
        issuer: config.issuer.as_str().to_owned(),
        audience: config.audience.as_str().to_owned(),
    }
}

/// The signer with the installation's own key, which is made where it is missing.
///
/// # Errors
/// [`TokensError`].
pub fn signer(config: &Config) -> Result<TokenSigner, TokensError> {
    prepare(&config.data_dir)?;
    let key = SigningKey::load(&config.tokens.signing_key, &OsSecrets)?;
    Ok(TokenSigner::from_pem(key.pem().as_bytes(), parties(&config.tokens))?)
}

/// The verifier with the installation's own key and all others of the configuration.
///
/// # Errors
/// [`TokensError`].
pub fn verifier(config: &TokenConfig, signer: &TokenSigner) -> Result<JwtVerifier, TokensError> {
    let mut keys = vec![signer.verification_key().clone()];
    for source in &config.keys {
        keys.extend(load(source)?);
    }
    Ok(JwtVerifier::new(parties(config), keys)?)
}

fn load(source: &TokenKeySource) -> Result<Vec<VerificationKey>, TokensError> {
    let keys = match &source.material {
        KeyMaterial::PemFile(path) => from_file(path, |text| Ok(vec![VerificationKey::from_public_pem(text)?]))?,
        KeyMaterial::JwksFile(path) => from_file(path, VerificationKey::from_jwks)?,
        KeyMaterial::SecretFile(path) => from_file(path, |text| {
            Ok(vec![VerificationKey::from_secret(text.trim_ascii_end())?])
        })?,
        KeyMaterial::Secret(secret) => vec![VerificationKey::from_secret(secret.expose().as_bytes())?],
    };
    let vouch = |key: VerificationKey| key.vouching_for(&source.principals);
    Ok(keys.into_iter().map(vouch).collect())
}

fn from_file(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<Vec<VerificationKey>, KeyError>,
) -> Result<Vec<VerificationKey>, TokensError> {
    let path = path.to_owned();
    match std::fs::read(&path) {
        Ok(text) => parse(&text).map_err(|source| TokensError::File { path, source }),
        Err(source) => Err(TokensError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, load as load_config};
    use canopy_domain::Timestamp;
    use canopy_domain::port::{PrincipalKind, TokenClaims, TokenVerifier as _};

    fn config(dir: &tempfile::TempDir) -> Config {
        let data_dir = dir.path().join("data").display().to_string();
        load_config(None, vec![(crate::config::Key::DataDir, "data-dir", data_dir)], vec![]).unwrap()
    }

    #[test]
    fn what_the_signer_signs_the_verifier_accepts() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir);
        let signer = signer(&config).unwrap();
        let verifier = verifier(&config.tokens, &signer).unwrap();
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let claims = TokenClaims {
            subject: "me".into(),
            principal: PrincipalKind::Operator,
            account: None,
            environment: None,
            expires_at: now.plus_seconds(60),
        };
        let token = signer.sign(&claims, now).unwrap();
        assert_eq!(verifier.verify(&token, now).unwrap(), claims);
    }

    #[test]
    fn key_sources_that_cannot_be_used_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let wrong = |material| {
            let principals = vec![PrincipalKind::Identity];
            load(&TokenKeySource { material, principals }).unwrap_err().to_string()
        };
        assert!(wrong(KeyMaterial::PemFile(path.clone())).starts_with("cannot read the token key file"));
        std::fs::write(&path, "nonsense\n").unwrap();
        for material in [
            KeyMaterial::PemFile(path.clone()),
            KeyMaterial::JwksFile(path.clone()),
            KeyMaterial::SecretFile(path.clone()),
        ] {
            let wrong = wrong(material);
            assert!(
                wrong.contains("/keys cannot be used: ") && !wrong.contains("nonsense"),
                "{wrong}"
            );
        }
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        let secret = Secret::new("0123456789abcdef0123456789abcdef".to_owned());
        for material in [KeyMaterial::SecretFile(path), KeyMaterial::Secret(secret)] {
            let principals = vec![PrincipalKind::Identity];
            assert_eq!(load(&TokenKeySource { material, principals }).unwrap().len(), 1);
        }
    }
}
