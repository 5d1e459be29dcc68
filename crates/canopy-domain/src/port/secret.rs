//! Cryptographic randomness.

/// Generates secrets.
pub trait Secrets: Send + Sync {
    /// Returns thirty-two bytes from the operating system's random source.
    fn bytes(&self) -> [u8; 32];
}
