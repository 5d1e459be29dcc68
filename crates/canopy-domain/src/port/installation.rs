//! State that the processes of one installation share in addition to its data.

use super::StoreError;
use crate::Timestamp;
use async_trait::async_trait;

/// The public half of a signing key of the installation, which verifies its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id in tokens (`kid`).
    pub kid: String,
    /// The 32 bytes of an Ed25519 public key.
    pub public_key: [u8; 32],
    /// The time of its last registration: a process that signs with it registers it again periodically.
    pub created_at: Timestamp,
}

impl SigningKey {
    /// Days after which a key expires that no process has registered again.
    pub const DAYS_UNUSED: i64 = 30;

    /// Maximum number of registered keys: beyond it, those with the oldest registration expire.
    pub const MAX_REGISTERED: usize = 1_000;

    /// Returns the instant since which a key must have been registered to be valid at `now`.
    pub fn registered_since(now: Timestamp) -> Timestamp {
        now.plus_seconds(-Self::DAYS_UNUSED * 24 * 60 * 60)
    }
}

/// State that the processes of one installation share. Each call commits on its own, outside any unit of work.
#[async_trait]
pub trait Installation: Send + Sync {
    /// Returns all registered keys, by `created_at`, then `kid`.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] if the store does not answer.
    async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError>;

    /// Registers a key. An existing key with its `kid` keeps its bytes, and the later of both instants.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] if the store does not answer.
    async fn register_signing_key(&self, key: &SigningKey) -> Result<(), StoreError>;

    /// Deletes the keys that were last registered before `since`, and of the rest all but the `keep` that were registered
    /// last. Returns the number of deleted keys.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] if the store does not answer.
    async fn delete_signing_keys(&self, since: Timestamp, keep: usize) -> Result<usize, StoreError>;

    /// Returns the secret of this name; stores `fresh` if there is none. All callers, concurrent ones too, get the
    /// same.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] if the store does not answer.
    async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError>;
}
