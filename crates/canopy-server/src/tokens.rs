//! Signs and verifies access tokens with the keys of the configuration.

use crate::adapter::{FetchError, OsSecrets};
use crate::config::{Config, KeyMaterial, SigningKeyFile, TokenConfig, TokenKeySource};
use crate::data_dir::{DataDirError, SigningKey, SigningKeyError, prepare};
use crate::key_sources::KeySources;
use crate::token_source::{FetchIntervals, FileError, FileKeys, ParseKeys, RemoteKeys};
use canopy_domain::port::Secrets as _;
use canopy_http::token::{JwtVerifier, KeyError, TokenParties, TokenSigner, TokenSource, VerificationKey};
use std::path::PathBuf;
use std::sync::Arc;

/// The reason for which tokens cannot be signed or verified.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The installation's key cannot be used.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// A key file cannot be read or used.
    #[error("the token key file {} cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: FileError,
    },
    /// The client for fetching keys cannot be created.
    #[error(transparent)]
    Client(#[from] FetchError),
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

/// Returns the signer with the installation's own key, which is created if missing.
///
/// # Errors
/// [`TokensError`].
pub fn signer(config: &Config) -> Result<TokenSigner, TokensError> {
    let file = config.signing_key();
    if let SigningKeyFile::Own(_) = file {
        prepare(&config.service.data_dir)?;
    }
    let key = SigningKey::load(&file, &OsSecrets)?;
    Ok(TokenSigner::from_pem(key.pem().as_bytes(), parties(&config.token))?)
}

/// Returns the verifier with the installation's own key and all other sources of the configuration.
///
/// # Errors
/// [`TokensError`].
pub fn key_sources(config: &TokenConfig, signer: &TokenSigner) -> Result<KeySources, TokensError> {
    let own = vec![signer.verification_key().clone()];
    let mut sources = KeySources::new(Arc::new(JwtVerifier::new(parties(config), own)?));
    for source in &config.keys {
        add(&mut sources, config, source)?;
    }
    Ok(sources)
}

fn add(sources: &mut KeySources, config: &TokenConfig, source: &TokenKeySource) -> Result<(), TokensError> {
    let verifier = Arc::clone(sources.verifier());
    let id = verifier.add_source(TokenSource {
        parties: TokenParties {
            issuer: source.issuer.as_ref().unwrap_or(&config.issuer).as_str().to_owned(),
            audience: source.audience.as_ref().unwrap_or(&config.audience).as_str().to_owned(),
        },
        mapping: source.mapping.clone(),
    });
    let principals = &source.principals;
    let (path, parse): (_, ParseKeys) = match &source.material {
        KeyMaterial::JwksUrl(url) => {
            let client = sources.client()?;
            sources.add_remote(RemoteKeys::new(
                (url.clone(), client, FetchIntervals::default(), chance()),
                (id, principals.clone(), verifier),
            ));
            return Ok(());
        }
        KeyMaterial::Secret(secret) => {
            let key = VerificationKey::from_secret(secret.expose().as_bytes())?;
            verifier.replace(id, vec![key.vouching_for(principals)]);
            return Ok(());
        }
        KeyMaterial::PemFile(path) => (path, |pem| Ok(vec![VerificationKey::from_public_pem(pem)?])),
        KeyMaterial::JwksFile(path) => (path, VerificationKey::from_jwks),
        KeyMaterial::SecretFile(path) => (path, |text| {
            Ok(vec![VerificationKey::from_secret(text.trim_ascii_end())?])
        }),
    };
    let file = FileKeys::open((path, parse), (id, principals, verifier));
    sources.add_file(file.map_err(|source| TokensError::File {
        path: path.clone(),
        source,
    })?);
    Ok(())
}

/// Returns a number that two instances are unlikely to share.
fn chance() -> u8 {
    let [chance, ..] = OsSecrets.bytes();
    chance
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::DocumentUrl;
    use crate::config::{Secret, load as load_config};
    use canopy_domain::Timestamp;
    use canopy_domain::port::{PrincipalKind, TokenClaims, TokenVerifier as _};
    use canopy_http::token::ClaimMapping;

    fn config(dir: &tempfile::TempDir) -> Config {
        let data_dir = dir.path().join("data").display().to_string();
        load_config(None, vec![], vec![("CANOPY_DATA_DIR".into(), data_dir.into())]).unwrap()
    }

    #[test]
    fn what_the_signer_signs_the_verifier_accepts() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir);
        let signer = signer(&config).unwrap();
        let verifier = key_sources(&config.token, &signer).unwrap();
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let claims = TokenClaims {
            subject: "me".into(),
            principal: PrincipalKind::Operator,
            account: None,
            environment: None,
            expires_at: now.plus_seconds(60),
        };
        let token = signer.sign(&claims, now).unwrap();
        assert_eq!(verifier.verify(&token, now).unwrap(), claims.into());
    }

    #[test]
    fn key_sources_that_cannot_be_used_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let config = config(&dir);
        let signer = signer(&config).unwrap();
        let open = |material| {
            let mut tokens = config.token.clone();
            tokens.keys = vec![TokenKeySource {
                material,
                principals: vec![PrincipalKind::Identity],
                issuer: None,
                audience: None,
                mapping: ClaimMapping::default(),
            }];
            key_sources(&tokens, &signer)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        let wrong = open(KeyMaterial::PemFile(path.clone())).unwrap_err();
        assert!(wrong.contains("/keys cannot be used: "), "{wrong}");
        std::fs::write(&path, "nonsense\n").unwrap();
        for material in [
            KeyMaterial::PemFile(path.clone()),
            KeyMaterial::JwksFile(path.clone()),
            KeyMaterial::SecretFile(path.clone()),
        ] {
            let wrong = open(material).unwrap_err();
            assert!(
                wrong.contains("/keys cannot be used: ") && !wrong.contains("nonsense"),
                "{wrong}"
            );
        }
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        let secret = Secret::new("0123456789abcdef0123456789abcdef".to_owned());
        for material in [KeyMaterial::SecretFile(path.clone()), KeyMaterial::Secret(secret)] {
            open(material).unwrap();
        }
        std::fs::write(&path, vec![b'x'; 1024 * 1024 + 1]).unwrap();
        let wrong = open(KeyMaterial::SecretFile(path)).unwrap_err();
        assert!(wrong.contains("more than 1048576 bytes"), "{wrong}");
        // An unreachable source does not prevent the start.
        open(KeyMaterial::JwksUrl(
            DocumentUrl::parse("http://127.0.0.1:9/jwks").unwrap(),
        ))
        .unwrap();
    }
}
