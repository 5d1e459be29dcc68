//! TLS to the server, with the modes of libpq.

use crate::options::{Target, UrlError};
use crate::ssl_mode::{SslMode, SslRoots};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Whether the roots and the name are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checks {
    Nothing,
    Chain,
    ChainAndName,
}

/// Makes what speaks TLS with the server of a URL.
pub(crate) fn connector(target: &Target) -> Result<MakeRustlsConnect, UrlError> {
    let checks = match (target.mode, &target.roots) {
        (SslMode::VerifyFull, _) => Checks::ChainAndName,
        (SslMode::VerifyCa, _) | (SslMode::Require, Some(_)) => Checks::Chain,
        _ => Checks::Nothing,
    };
    let unreadable = |error: Error| UrlError::Roots(Box::new(error));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let inner = match checks {
        Checks::Nothing => None,
        Checks::Chain | Checks::ChainAndName => {
            let roots = Arc::new(roots(target.roots.as_ref())?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(verifier.map_err(|error| UrlError::Roots(Box::new(error)))?)
        }
    };
    let verifier = Arc::new(Verifier {
        checks,
        inner,
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unreadable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn roots(source: Option<&SslRoots>) -> Result<RootCertStore, UrlError> {
    let mut store = RootCertStore::empty();
    match source {
        Some(SslRoots::File(path)) => {
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| UrlError::Roots(Box::new(error)))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| UrlError::Roots(Box::new(error)))?;
                store
                    .add(certificate)
                    .map_err(|error| UrlError::Roots(Box::new(error)))?;
            }
        }
        Some(SslRoots::System) | None => {
            // Single certificates of the system that are broken are passed over, as browsers do.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(UrlError::Roots("there is no certificate".into()));
    }
    Ok(store)
}

/// Checks as much as the mode asks for. Signatures of the handshake are always checked.
#[derive(Debug)]
struct Verifier {
    checks: Checks,
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        // The chain is checked before the name, so what fails for its name alone has passed everything else.
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.checks == Checks::Chain => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
