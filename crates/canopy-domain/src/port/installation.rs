//! State that the processes of one installation share besides its data.

use super::StoreError;
use crate::Timestamp;
use async_trait::async_trait;

/// A key of the installation: tokens signed with it are verified with this public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in tokens (`kid`).
    pub kid: String,
    /// The 32 bytes of an Ed25519 public key.
    pub public_key: [u8; 32],
    /// When it was registered last: a process that signs with it registers it again from time to time.
    pub created_at: Timestamp,
}

impl SigningKey {
    /// Days after which a key ends that no process has registered again.
    pub const DAYS_UNUSED: i64 = 30;

    /// The largest number of registered keys: beyond it those end that were registered longest ago.
    pub const MAX_REGISTERED: usize = 1_000;

    /// The instant since which a key must have been registered to be good at `now`.
    pub fn registered_since(now: Timestamp) -> Timestamp {
        now.plus_seconds(-Self::DAYS_UNUSED * 24 * 60 * 60)
    }
}

/// State that the processes of one installation share. Each call commits on its own, outside any unit of work.
#[async_trait]
pub trait Installation: Send + Sync {
    /// All keys that processes have registered, by `created_at`, then `kid`.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] when they cannot be had.
    async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError>;

    /// Registers a key. One with its `kid` that is there keeps its bytes, and the later of both instants.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] when it cannot be done.
    async fn register_signing_key(&self, key: &SigningKey) -> Result<(), StoreError>;

    /// Deletes the keys that were last registered before `since`, and of the rest all but the `keep` that were registered
    /// last. Returns the number of deleted keys.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] when it cannot be done.
    async fn delete_signing_keys(&self, since: Timestamp, keep: usize) -> Result<usize, StoreError>;

    /// The secret of this name, which is `fresh` where there was none yet. All who ask, also at once, are given the same.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`] when it cannot be had.
    async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError>;
}
