//! Randomness that nobody may guess.

/// Makes secrets.
pub trait Secrets: Send + Sync {
    /// Thirty-two bytes from the operating system's random source.
    fn bytes(&self) -> [u8; 32];
}
