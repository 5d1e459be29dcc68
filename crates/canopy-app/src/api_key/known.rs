//! Whose key each digest is, and when it was last seen: what a process remembers of keys.

use canopy_domain::api_key::{ApiKeyId, KeyDigest, KeyUse};
use canopy_domain::{EnvironmentPlace, Timestamp};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The largest number of keys that are remembered.
const CAPACITY: usize = 10_000;

/// Never seen, or noted already.
const NOTED: i64 = i64::MIN;

/// A key that was presented here. Whose it is never changes, so it may be remembered; whether it is good is asked anew each
/// time.
#[derive(Debug)]
pub(crate) struct KnownKey {
    pub(crate) place: EnvironmentPlace,
    pub(crate) id: ApiKeyId,
    /// When it was last at work, in microseconds, as long as that has not been noted.
    seen: AtomicI64,
}

impl KnownKey {
    /// Notes, in memory, that it was at work.
    pub(crate) fn see(&self, at: Timestamp) {
        self.seen.fetch_max(at.as_micros(), Ordering::Relaxed);
    }

    fn take_use(&self) -> Option<KeyUse> {
        let micros = self.seen.swap(NOTED, Ordering::Relaxed);
        Some(KeyUse {
            environment: self.place.environment,
            id: self.id,
            at: Timestamp::from_micros(micros).ok()?,
        })
    }
}

/// The keys that were presented here. Only those that exist are remembered, so a stranger's guesses take no room.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys {
    keys: RwLock<HashMap<KeyDigest, Arc<KnownKey>>>,
}

impl KnownKeys {
    pub(crate) fn get(&self, digest: &KeyDigest) -> Option<Arc<KnownKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(digest).cloned()
    }

    /// Remembers a key. When there is no room, all others are forgotten first, with what was seen of them since it was last
    /// noted.
    pub(crate) fn remember(&self, digest: KeyDigest, (place, id): (EnvironmentPlace, ApiKeyId)) -> Arc<KnownKey> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= CAPACITY {
            keys.clear();
        }
        let known = keys.entry(digest).or_insert_with(|| {
            Arc::new(KnownKey {
                place,
                id,
                seen: AtomicI64::new(NOTED),
            })
        });
        Arc::clone(known)
    }

    /// Every key that was at work since this was last called, with the newest instant.
    pub(crate) fn take_uses(&self) -> Vec<KeyUse> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().filter_map(|key| key.take_use()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, KnownKeys};
    use canopy_domain::api_key::{ApiKeyId, KeyDigest};
    use canopy_domain::{AccountId, ApplicationId, EnvironmentId, EnvironmentPlace, Timestamp};
    use uuid::Uuid;

    fn place() -> EnvironmentPlace {
        EnvironmentPlace {
            account: AccountId::new(Uuid::from_u128(1)),
            application: ApplicationId::new(Uuid::from_u128(2)),
            environment: EnvironmentId::new(Uuid::from_u128(3)),
        }
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    #[test]
    fn of_many_uses_the_newest_is_told_once() {
        let keys = KnownKeys::default();
        let digest = KeyDigest([7; 32]);
        let id = ApiKeyId::new(Uuid::from_u128(4));
        keys.remember(digest, (place(), id));
        assert!(keys.take_uses().is_empty(), "it was presented, not at work");
        for micros in [5, 9, 7] {
            keys.get(&digest).unwrap().see(at(micros));
        }
        let uses = keys.take_uses();
        assert_eq!((uses.len(), uses[0].id, uses[0].at), (1, id, at(9)));
        assert!(keys.take_uses().is_empty());
        // What is known already keeps what was seen of it.
        keys.get(&digest).unwrap().see(at(10));
        keys.remember(digest, (place(), id));
        assert_eq!(keys.take_uses().len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let keys = KnownKeys::default();
        for number in 0..=CAPACITY * 2 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_le_bytes());
            keys.remember(KeyDigest(digest), (place(), ApiKeyId::new(Uuid::nil())));
        }
        assert!(keys.keys.read().unwrap().len() <= CAPACITY);
    }
}
