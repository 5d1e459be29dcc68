//! Access tokens (JWT): verification keys, verification, and signing with the installation's own key.

mod cache;
mod claims;
mod key;
mod mapping;
mod parties;
mod provider;
mod refusals;
mod signer;
mod verifier;

pub use key::{KeyError, VerificationKey};
pub use mapping::{AccountRule, ClaimMapping, ClaimPath, EnvironmentRule, PrincipalRule};
pub use parties::{LEEWAY_SECONDS, TokenParties};
pub(crate) use refusals::RefusedCredentials;
pub use signer::TokenSigner;
pub use verifier::{JwtVerifier, SourceId, TokenSource};
