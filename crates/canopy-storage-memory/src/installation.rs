//! State that the processes of an installation share; this store has one process.

use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::port::{Installation, SigningKey, StoreError};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys by `kid`, secrets by name.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    contents: Mutex<Contents>,
}

#[derive(Default)]
struct Contents {
    signing_keys: BTreeMap<String, SigningKey>,
    secrets: BTreeMap<String, [u8; 32]>,
}

/// Omits the secrets.
impl core::fmt::Debug for Contents {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Contents")
            .field("signing_keys", &self.signing_keys)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Installation for Shared {
    async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        let mut keys: Vec<SigningKey> = self.contents().signing_keys.values().cloned().collect();
        // By `kid` already, and the sort is stable.
        keys.sort_by_key(|key| key.created_at);
        Ok(keys)
    }

    async fn register_signing_key(&self, key: &SigningKey) -> Result<(), StoreError> {
        let mut contents = self.contents();
        let kept = contents
            .signing_keys
            .entry(key.kid.clone())
            .or_insert_with(|| key.clone());
        kept.created_at = kept.created_at.max(key.created_at);
        Ok(())
    }

    async fn delete_signing_keys(&self, since: Timestamp, keep: usize) -> Result<usize, StoreError> {
        let mut newest = self.signing_keys().await?;
        newest.retain(|key| key.created_at >= since);
        let surplus = newest.len().saturating_sub(keep);
        newest.drain(..surplus);
        let mut contents = self.contents();
        let before = contents.signing_keys.len();
        contents.signing_keys = newest.into_iter().map(|key| (key.kid.clone(), key)).collect();
        Ok(before - contents.signing_keys.len())
    }

    async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        Ok(*self.contents().secrets.entry(name.to_owned()).or_insert(fresh))
    }
}
