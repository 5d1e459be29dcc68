//! Randomness of the operating system.

use canopy_domain::port::Secrets;

/// Randomness of the operating system.
///
/// If the system has no randomness, the process ends: secrets created without it could be guessed. Every start reads
/// some before it serves requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsSecrets;

impl OsSecrets {
    /// Returns a random number.
    #[expect(clippy::disallowed_methods, reason = "this is the adapter of the Secrets port")]
    pub(crate) fn number() -> u64 {
        getrandom::u64().unwrap_or_else(|error| no_randomness(error))
    }
}

impl Secrets for OsSecrets {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter of the Secrets port")]
    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        match getrandom::fill(&mut bytes) {
            Ok(()) => bytes,
            Err(error) => no_randomness(error),
        }
    }
}

fn no_randomness(error: getrandom::Error) -> ! {
    tracing::error!(%error, "operating system returned no randomness");
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_equal() {
        assert_ne!(OsSecrets.bytes(), OsSecrets.bytes());
        assert_ne!(OsSecrets::number(), OsSecrets::number());
    }
}
