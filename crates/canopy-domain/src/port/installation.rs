//! What the processes of one installation share besides its data.

use super::StoreError;
use crate::Timestamp;
use async_trait::async_trait;

/// A key of the installation: tokens signed with it are verified with this public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// What tokens call it (`kid`).
    pub kid: String,
    /// The 32 bytes of an Ed25519 public key.
    pub public_key: [u8; 32],
    /// When it was registered.
    pub created_at: Timestamp,
}

/// What the processes of one installation share. Each call stands by itself, outside any unit of work.
#[async_trait]
pub trait Installation: Send + Sync {
    /// All keys that processes have registered, the oldest first (by `created_at`, then `kid`).
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] when they cannot be had.
    async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError>;

    /// Registers a key, unless one with its `kid` is there: that one stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] when it cannot be done.
    async fn register_signing_key(&self, key: &SigningKey) -> Result<(), StoreError>;

    /// The secret of this name, which is `fresh` where there was none yet. All who ask, also at once, are given the same.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] when it cannot be had.
    async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError>;
}
