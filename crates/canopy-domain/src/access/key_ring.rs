//! The API keys of one environment at one revision.

use crate::Timestamp;
use crate::access::{Change, KeyFact};
use crate::api_key::{ApiKeyId, KeyAccess, is_open};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The valid keys of an environment and their access. It is updated with the decision index by the same changes, so a
/// check and the key that requests it are judged at the same revision.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: HashMap<ApiKeyId, RingEntry>,
    /// The distinct accesses of the keys: rotated keys, and those of similar backends, have the same scopes.
    accesses: HashSet<Arc<KeyAccess>>,
}

#[derive(Debug, Clone)]
struct RingEntry {
    access: Arc<KeyAccess>,
    expires_at: Option<Timestamp>,
}

impl KeyRing {
    /// Returns the ring of a snapshot.
    pub fn build(keys: &[KeyFact]) -> Self {
        let mut ring = Self::default();
        for key in keys {
            ring.put(key);
        }
        ring
    }

    /// Applies changes; ignores those of other entities.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::KeyPut(key) => self.put(key),
                Change::KeyRemoved(id) => {
                    if let Some(held) = self.keys.remove(id) {
                        self.drop_unused(&held.access);
                    }
                }
                _ => {}
            }
        }
    }

    fn put(&mut self, key: &KeyFact) {
        let access = self.accesses.get(&key.access).map(Arc::clone);
        let access = access.unwrap_or_else(|| {
            let access = Arc::new(key.access.clone());
            self.accesses.insert(Arc::clone(&access));
            access
        });
        let held = RingEntry {
            access,
            expires_at: key.expires_at,
        };
        if let Some(before) = self.keys.insert(key.id, held) {
            self.drop_unused(&before.access);
        }
    }

    /// Drops an access that no key uses any more.
    fn drop_unused(&mut self, access: &Arc<KeyAccess>) {
        if !self.keys.values().any(|held| Arc::ptr_eq(&held.access, access)) {
            self.accesses.remove(access);
        }
    }

    /// Returns the bytes of memory that it uses. Copies of a ring share most of them.
    pub fn memory_bytes(&self) -> usize {
        let accesses: usize = self.accesses.iter().map(|access| access.memory_bytes() + 96).sum();
        self.keys.capacity() * (size_of::<(ApiKeyId, RingEntry)>() + 1) + accesses
    }

    /// Returns the access of a key, if it is accepted at this instant.
    pub fn find(&self, id: ApiKeyId, now: Timestamp) -> Option<&Arc<KeyAccess>> {
        let held = self.keys.get(&id)?;
        is_open(held.expires_at, now).then_some(&held.access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn key(number: u128, end: Option<i64>) -> KeyFact {
        KeyFact {
            id: ApiKeyId::new(Uuid::from_u128(number)),
            access: KeyAccess::Full,
            expires_at: end.map(at),
        }
    }

    #[test]
    fn keys_with_the_same_scopes_share_them() {
        use crate::PermissionKey;
        use crate::api_key::KeyScopes;
        let scoped = |number: u128, scopes: usize| KeyFact {
            access: KeyAccess::Scoped(KeyScopes::new(
                (0..scopes).map(|one| PermissionKey::parse(&format!("app.permission{one}")).unwrap()),
            )),
            ..key(number, None)
        };
        let keys: Vec<KeyFact> = (0..200).map(|number| scoped(number, 1_000)).collect();
        let mut ring = KeyRing::build(&keys);
        let alone = KeyRing::build(&keys[..1]).memory_bytes();
        assert!(alone > 1_000 * 50, "{alone}");
        assert!(ring.memory_bytes() < 2 * alone, "{} and {alone}", ring.memory_bytes());
        let found = |ring: &KeyRing, number| Arc::clone(ring.find(key(number, None).id, at(0)).unwrap());
        assert!(Arc::ptr_eq(&found(&ring, 0), &found(&ring, 199)));
        // A key with other scopes has its own access, which is dropped with it.
        ring.apply(&[Change::KeyPut(scoped(500, 1_001))]);
        assert!(ring.memory_bytes() > 2 * alone);
        ring.apply(&[Change::KeyPut(KeyFact {
            access: KeyAccess::Full,
            ..key(500, None)
        })]);
        assert!(ring.memory_bytes() < 2 * alone);
        let gone: Vec<Change> = (0..200)
            .map(|number| Change::KeyRemoved(key(number, None).id))
            .collect();
        ring.apply(&gone);
        assert!(ring.memory_bytes() < alone);
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
