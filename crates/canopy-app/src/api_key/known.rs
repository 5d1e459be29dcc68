//! Whose key each digest is, and when it was last seen: what a process remembers of keys.

use canopy_domain::api_key::{ApiKeyId, KeyDigest, KeyUse};
use canopy_domain::{EnvironmentRef, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The largest number of keys that are remembered.
const CAPACITY: usize = 10_000;

/// Never seen, or noted already.
const NOTED: i64 = i64::MIN;

/// A key that was presented here. Whose it is never changes, so it may be remembered; whether it is good is asked anew each
/// time.
#[derive(Debug)]
pub(crate) struct KnownKey {
    pub(crate) place: EnvironmentRef,
    pub(crate) id: ApiKeyId,
    /// When it was last at work, in microseconds, as long as that has not been noted.
    seen: AtomicI64,
    /// Whether it was presented since its place was last asked for.
    is_wanted: AtomicBool,
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
    keys: RwLock<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    by_digest: HashMap<KeyDigest, Arc<KnownKey>>,
    /// Whose place is asked for next, from the front.
    queue: VecDeque<KeyDigest>,
    /// What was seen of those that had to go.
    parting: Vec<KeyUse>,
}

impl Remembered {
    /// Makes room for one, by forgetting the first in the queue that was not presented since it came to its end.
    fn evict(&mut self) {
        while self.by_digest.len() >= CAPACITY {
            let Some(digest) = self.queue.pop_front() else { return };
            let Some(known) = self.by_digest.get(&digest) else {
                continue;
            };
            if known.is_wanted.swap(false, Ordering::Relaxed) {
                self.queue.push_back(digest);
                continue;
            }
            // What does not fit here is lost, as it would be with the process.
            if self.parting.len() < CAPACITY {
                self.parting.extend(known.take_use());
            }
            self.by_digest.remove(&digest);
        }
    }
}

impl KnownKeys {
    pub(crate) fn get(&self, digest: &KeyDigest) -> Option<Arc<KnownKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let known = keys.by_digest.get(digest)?;
        known.is_wanted.store(true, Ordering::Relaxed);
        Some(Arc::clone(known))
    }

    /// Remembers a key. Where there is no room, one is forgotten that was not presented lately.
    pub(crate) fn remember(&self, digest: KeyDigest, (place, id): (EnvironmentRef, ApiKeyId)) -> Arc<KnownKey> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = keys.by_digest.get(&digest) {
            return Arc::clone(known);
        }
        keys.evict();
        let known = Arc::new(KnownKey {
            place,
            id,
            seen: AtomicI64::new(NOTED),
            is_wanted: AtomicBool::new(false),
        });
        keys.by_digest.insert(digest, Arc::clone(&known));
        keys.queue.push_back(digest);
        known
    }

    /// Every key that was at work since this was last called, with the newest instant.
    pub(crate) fn take_uses(&self) -> Vec<KeyUse> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut uses = core::mem::take(&mut keys.parting);
        uses.extend(keys.by_digest.values().filter_map(|key| key.take_use()));
        uses
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, KnownKeys};
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

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_millis(micros).unwrap()
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

    fn digest(number: usize) -> KeyDigest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        KeyDigest(digest)
    }

    #[test]
    fn memory_is_bounded_and_keys_at_work_stay() {
        let keys = KnownKeys::default();
        let id = |number: usize| ApiKeyId::new(Uuid::from_u128(number as u128));
        let at_work = CAPACITY / 2;
        for number in 0..=CAPACITY * 3 {
            keys.remember(digest(number), (place(), id(number)));
            if let Some(known) = keys.get(&digest(at_work)) {
                known.see(at(7));
            }
        }
        assert_eq!(keys.keys.read().unwrap().by_digest.len(), CAPACITY);
        assert_eq!(keys.keys.read().unwrap().queue.len(), CAPACITY);
        assert!(keys.get(&digest(at_work)).is_some());
        assert!(keys.get(&digest(0)).is_none());
        assert!(keys.get(&digest(CAPACITY * 3)).is_some());
    }

    #[test]
    fn what_was_seen_of_a_key_that_had_to_go_is_told() {
        let keys = KnownKeys::default();
        keys.remember(digest(0), (place(), ApiKeyId::new(Uuid::nil())))
            .see(at(5));
        for number in 1..=CAPACITY {
            keys.remember(digest(number), (place(), ApiKeyId::new(Uuid::from_u128(1))));
        }
        assert!(keys.get(&digest(0)).is_none());
        let uses = keys.take_uses();
        assert_eq!(
            (uses.len(), uses[0].id, uses[0].at),
            (1, ApiKeyId::new(Uuid::nil()), at(5))
        );
        assert!(keys.take_uses().is_empty());
    }
}
