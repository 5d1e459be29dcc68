//! The TLS modes of libpq, and the certificate authorities to trust.

use std::path::PathBuf;

/// The checks of the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server has it, unchecked.
    Prefer,
    /// TLS, unchecked; with root certificates as [`SslMode::VerifyCa`].
    Require,
    /// TLS with a certificate that the roots vouch for, whatever name is in it.
    VerifyCa,
    /// TLS with a certificate for the host's name.
    VerifyFull,
}

impl SslMode {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            // `allow` would try without TLS first; with TLS first is no worse.
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// The driver's word for it: whether TLS is spoken. What is checked is the verifier's business.
    pub(crate) const fn for_driver(self) -> tokio_postgres::config::SslMode {
        match self {
            Self::Disable => tokio_postgres::config::SslMode::Disable,
            Self::Prefer => tokio_postgres::config::SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => tokio_postgres::config::SslMode::Require,
        }
    }
}

/// The certificate authorities that are trusted for servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SslRoots {
    /// Those whom the operating system trusts.
    System,
    /// Those whose certificates are in a PEM file.
    File(PathBuf),
}
