//! Randomness of the operating system.

use canopy_domain::port::Secrets;

/// Randomness of the operating system.
///
/// Where the system has none to give, the process ends: whatever was made without it could be guessed. Every start
/// draws some before it serves anybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsSecrets;

impl OsSecrets {
    /// A random number.
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
