//! From an API key to a caller.
//!
//! A key is judged twice. When a request begins, a key that is known here to be invalid is refused, and the store is read
//! only for a key that is not known here to be valid. Before a request is answered, [`Sessions::confirm`] makes sure that
//! the key is valid as of a moment after the whole request was received, whichever process revoked it; questions do so
//! themselves, at the very revision at which they are judged. So no answer is given to a key whose revocation was answered
//! before, and a call costs one fence at most.

use super::Sessions;
use super::cache::Cache;
use super::key_lookup::KeyLookups;
use super::reader::Source;
use crate::decisions::Consistency;
use crate::{AppError, Caller};
use canopy_domain::api_key::{ApiKeyId, KeyAccess, KeyDigest, KeyText, KeyUse};
use canopy_domain::port::Share;
use canopy_domain::{EnvironmentRef, TenancyError, Timestamp};
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The largest number of keys that are cached.
const CAPACITY: usize = 10_000;

/// The instant of a key without an unflushed use.
const FLUSHED: i64 = i64::MIN;

/// Returns the part of a key's text that is stored.
pub(crate) fn digest(text: &KeyText) -> KeyDigest {
    KeyDigest(Sha256::digest(text.expose().as_bytes()).into())
}

/// A key that was presented here. Its environment never changes, so it is cached; whether it is valid is judged each time.
#[derive(Debug)]
struct KnownKey {
    place: EnvironmentRef,
    id: ApiKeyId,
    /// The newest use that is not flushed, in microseconds.
    used: AtomicI64,
}

impl KnownKey {
    /// Notes a use, in memory.
    fn note_use(&self, at: Timestamp) {
        self.used.fetch_max(at.as_micros(), Ordering::Relaxed);
    }

    fn take_use(&self) -> Option<KeyUse> {
        let micros = self.used.swap(FLUSHED, Ordering::Relaxed);
        Some(KeyUse {
            environment: self.place.environment,
            id: self.id,
            at: Timestamp::from_micros(micros).ok()?,
        })
    }
}

/// The keys that were presented here. Only keys that exist are cached, so invented ones take no memory.
#[derive(Debug)]
pub(super) struct Keys {
    known: Cache<KeyDigest, Arc<KnownKey>>,
    /// Uses of keys that were evicted. What exceeds the capacity is lost, as it would be with the process.
    evicted_uses: Mutex<Vec<KeyUse>>,
    lookups: KeyLookups,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            known: Cache::new(CAPACITY),
            evicted_uses: Mutex::default(),
            lookups: KeyLookups::default(),
        }
    }
}

impl Keys {
    fn insert(&self, digest: KeyDigest, (place, id): (EnvironmentRef, ApiKeyId)) -> Arc<KnownKey> {
        let known = KnownKey {
            place,
            id,
            used: AtomicI64::new(FLUSHED),
        };
        let inserted = self.known.get_or_insert(digest, Arc::new(known));
        if let Some(evicted) = inserted.evicted {
            let mut uses = self.evicted_uses.lock().unwrap_or_else(PoisonError::into_inner);
            if uses.len() < CAPACITY {
                uses.extend(evicted.take_use());
            }
        }
        inserted.value
    }

    /// Returns every use since the last call, the newest of each key.
    pub(super) fn take_uses(&self) -> Vec<KeyUse> {
        let mut uses = core::mem::take(&mut *self.evicted_uses.lock().unwrap_or_else(PoisonError::into_inner));
        uses.extend(self.known.filter_map(|key| key.take_use()));
        uses
    }
}

impl Sessions {
    /// Turns the text of a key into a caller.
    ///
    /// # Errors
    /// [`AppError::InvalidApiKey`] for a text that is no key, and for a key that is unknown, revoked or expired: all alike;
    /// [`AppError::Store`].
    pub(super) async fn key_caller(&self, text: &str, source: Source<'_>) -> Result<Caller, AppError> {
        let digest = digest(&KeyText::parse(text).ok_or(AppError::InvalidApiKey)?);
        let known = if let Some(known) = self.keys.known.get(&digest) {
            known
        } else {
            source.store()?;
            self.find_key(digest).await?
        };
        let (place, id) = (known.place, known.id);
        let now = self.now();
        let loaded = self
            .decisions
            .peek(place.environment, |state| state.keys.find(id, now).cloned());
        let (access, now) = if let Some(access) = loaded.flatten() {
            (access, now)
        } else {
            source.store()?;
            (self.key_access(&place, id).await?, self.now())
        };
        known.note_use(now);
        Ok(Caller::ApiKey { place, id, access })
    }

    /// Looks up a key, in one statement with all other keys that this process has not seen before.
    async fn find_key(&self, digest: KeyDigest) -> Result<Arc<KnownKey>, AppError> {
        let store = Arc::clone(&self.store);
        let ask = move |digests: Vec<KeyDigest>| async move {
            let mut tx = store.read_for(Share::Installation).await?;
            tx.api_key_places(&digests).await
        };
        let found = self.keys.lookups.find(digest, ask).await?;
        Ok(self.keys.insert(digest, found.ok_or(AppError::InvalidApiKey)?))
    }

    /// Returns the access of a key that is valid as of a moment after this call. Where the index of its environment is
    /// loaded, its key ring answers behind a fence; else the row is read, because an index is much to load for one key.
    ///
    /// # Errors
    /// [`AppError::InvalidApiKey`]; [`AppError::Store`].
    pub(super) async fn key_access(&self, place: &EnvironmentRef, id: ApiKeyId) -> Result<Arc<KeyAccess>, AppError> {
        let environment = place.environment;
        let found = if self.decisions.peek(environment, |_| ()).is_some() {
            let ask = self.decisions.ask(place, Consistency::Strong, |state| {
                state.keys.find(id, self.now()).cloned()
            });
            match ask.await {
                Err(AppError::Tenancy(TenancyError::NotFound(_))) => None,
                asked => asked?,
            }
        } else {
            let key = self
                .store
                .read_for(place.into())
                .await?
                .api_key(environment, id)
                .await?;
            key.filter(|key| key.is_active(self.now()))
                .map(|key| Arc::new(key.access))
        };
        found.ok_or(AppError::InvalidApiKey)
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, Keys};
    use canopy_domain::api_key::{ApiKeyId, KeyDigest};
    use canopy_domain::{AccountId, ApplicationId, EnvironmentId, EnvironmentRef, Timestamp};
    use uuid::Uuid;

    fn place() -> EnvironmentRef {
        EnvironmentRef {
            account: AccountId::new(Uuid::from_u128(1)),
            application: ApplicationId::new(Uuid::from_u128(2)),
            environment: EnvironmentId::new(Uuid::from_u128(3)),
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn id(number: usize) -> ApiKeyId {
        ApiKeyId::new(Uuid::from_u128(number as u128))
    }

    fn digest(number: usize) -> KeyDigest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        KeyDigest(digest)
    }

    #[test]
    fn the_newest_of_many_uses_is_flushed_once() {
        let keys = Keys::default();
        let known = keys.insert(digest(7), (place(), id(4)));
        assert!(keys.take_uses().is_empty(), "it was presented, not used");
        for millis in [5, 9, 7] {
            known.note_use(at(millis));
        }
        let uses = keys.take_uses();
        assert_eq!((uses.len(), uses[0].id, uses[0].at), (1, id(4), at(9)));
        assert!(keys.take_uses().is_empty());
        // A second insert leaves the uses of the first.
        known.note_use(at(10));
        keys.insert(digest(7), (place(), id(4)));
        assert_eq!(keys.take_uses().len(), 1);
    }

    #[test]
    fn the_cache_is_bounded_and_keys_in_use_stay() {
        let keys = Keys::default();
        let in_use = CAPACITY / 2;
        for number in 0..=CAPACITY * 3 {
            keys.insert(digest(number), (place(), id(number)));
            if let Some(known) = keys.known.get(&digest(in_use)) {
                known.note_use(at(7));
            }
        }
        assert_eq!(keys.known.filter_map(|_| Some(())).len(), CAPACITY);
        assert!(keys.known.get(&digest(in_use)).is_some());
        assert!(keys.known.get(&digest(0)).is_none());
        assert!(keys.known.get(&digest(CAPACITY * 3)).is_some());
    }

    #[test]
    fn the_use_of_an_evicted_key_is_flushed() {
        let keys = Keys::default();
        keys.insert(digest(0), (place(), id(0))).note_use(at(5));
        for number in 1..=CAPACITY {
            keys.insert(digest(number), (place(), id(1)));
        }
        assert!(keys.known.get(&digest(0)).is_none());
        let uses = keys.take_uses();
        assert_eq!((uses.len(), uses[0].id, uses[0].at), (1, id(0), at(5)));
        assert!(keys.take_uses().is_empty());
    }
}
