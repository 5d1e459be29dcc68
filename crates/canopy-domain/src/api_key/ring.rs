//! The keys of one environment as they stand at one revision.

use super::{ApiKeyId, KeyAccess, is_open};
use crate::Timestamp;
use crate::access::{Change, KeyFact};
use std::collections::HashMap;
use std::sync::Arc;

/// Which keys open an environment, and how far. Kept beside its decision index and moved forward by the same changes, so
/// that a question asked with a key is judged at the very revision at which the key is found good.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: HashMap<ApiKeyId, Held>,
}

#[derive(Debug, Clone)]
struct Held {
    access: Arc<KeyAccess>,
    expires_at: Option<Timestamp>,
}

impl KeyRing {
    /// The ring of a snapshot.
    pub fn build(keys: &[KeyFact]) -> Self {
        let mut ring = Self::default();
        for key in keys {
            ring.put(key);
        }
        ring
    }

    /// Moves the ring forward; changes that are not about keys pass it by.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::KeyPut(key) => self.put(key),
                Change::KeyRemoved(id) => {
                    self.keys.remove(id);
                }
                _ => {}
            }
        }
    }

    fn put(&mut self, key: &KeyFact) {
        let held = Held {
            access: Arc::new(key.access.clone()),
            expires_at: key.expires_at,
        };
        self.keys.insert(key.id, held);
    }

    /// What a key may do, if it is accepted at this instant.
    pub fn find(&self, id: ApiKeyId, now: Timestamp) -> Option<&Arc<KeyAccess>> {
        let held = self.keys.get(&id)?;
        is_open(held.expires_at, now).then_some(&held.access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    fn key(number: u128, end: Option<i64>) -> KeyFact {
        KeyFact {
            id: ApiKeyId::new(Uuid::from_u128(number)),
            access: KeyAccess::Full,
            expires_at: end.map(at),
        }
    }

    #[test]
    fn keys_come_end_and_go_with_the_changes() {
        let (one, two) = (key(1, None), key(2, Some(9)));
        let mut ring = KeyRing::build(core::slice::from_ref(&one));
        let open = |ring: &KeyRing, key: &KeyFact, now| ring.find(key.id, at(now)).is_some();
        assert!(open(&ring, &one, 5) && !open(&ring, &two, 5));
        ring.apply(&[Change::KeyPut(two.clone()), Change::KeyPut(key(1, Some(7)))]);
        assert!(open(&ring, &one, 6) && !open(&ring, &one, 7));
        assert!(open(&ring, &two, 8) && !open(&ring, &two, 9));
        ring.apply(&[Change::KeyRemoved(one.id), Change::KeyRemoved(one.id)]);
        assert!(!open(&ring, &one, 0) && open(&ring, &two, 0));
    }
}
