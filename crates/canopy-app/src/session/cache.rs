//! A bounded cache of facts that were read from the store.

use core::borrow::Borrow;
use core::hash::Hash;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// The generation of a cache: a number that rises with every [`Cache::clear`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Generation(u64);

/// Facts by key. When the cache is full, an insert evicts an entry that was not used since its last turn.
///
/// Whoever reads a fact from the store takes the [generation](Cache::generation) first. An insert with a former generation
/// has no effect, so a fact that was read before a change is not cached after it.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    capacity: usize,
    state: RwLock<State<K, V>>,
}

#[derive(Debug)]
struct State<K, V> {
    generation: Generation,
    entries: HashMap<K, Entry<V>>,
    /// Every key once, in the order in which entries are looked at for eviction.
    queue: VecDeque<K>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    /// True if it was used since it was looked at for eviction.
    is_used: AtomicBool,
}

impl<V> Entry<V> {
    fn new(value: V) -> Self {
        Self {
            value,
            is_used: AtomicBool::new(false),
        }
    }
}

/// The entry of a key, and the value that made room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inserted<V> {
    /// The value that is cached now.
    pub(super) value: V,
    pub(super) evicted: Option<V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// An empty cache that holds at most so many entries.
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            generation: Generation::default(),
            entries: HashMap::new(),
            queue: VecDeque::new(),
        };
        Self {
            capacity,
            state: RwLock::new(state),
        }
    }

    /// Returns the value of a key.
    pub(super) fn get<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key, |_, value| value.clone())
    }

    /// Returns a part of the entry of a key.
    pub(super) fn get_key_value<Q: ?Sized + Eq + Hash, R>(&self, key: &Q, part: impl FnOnce(&K, &V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
    {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let (key, entry) = state.entries.get_key_value(key)?;
        // Other threads read the entry too: a write would take its cache line from them.
        if !entry.is_used.load(Ordering::Relaxed) {
            entry.is_used.store(true, Ordering::Relaxed);
        }
        Some(part(key, &entry.value))
    }

    /// Returns the generation to pass to [`insert`](Self::insert). Take it before the store is read.
    pub(super) fn generation(&self) -> Generation {
        self.state.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Caches a value that was read in this generation, in place of a former one.
    pub(super) fn insert(&self, generation: Generation, key: K, value: V) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation != generation {
            return;
        }
        match state.entries.get_mut(&key) {
            Some(entry) => entry.value = value,
            None => drop(state.add(self.capacity, key, value)),
        }
    }

    /// Caches a value that never changes, unless its key has one.
    pub(super) fn get_or_insert(&self, key: K, value: V) -> Inserted<V> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = state.entries.get(&key) {
            return Inserted {
                value: entry.value.clone(),
                evicted: None,
            };
        }
        let evicted = state.add(self.capacity, key, value.clone());
        Inserted { value, evicted }
    }

    /// Evicts everything, and refuses what was read before.
    pub(super) fn clear(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.generation.0 += 1;
        state.entries.clear();
        state.queue.clear();
    }

    /// Returns a part of every value that has one.
    pub(super) fn filter_map<T>(&self, part: impl FnMut(&V) -> Option<T>) -> Vec<T> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state
            .entries
            .values()
            .map(|entry| &entry.value)
            .filter_map(part)
            .collect()
    }
}

impl<K: Eq + Hash + Clone, V> State<K, V> {
    /// Adds an entry. Returns the value that was evicted for it.
    fn add(&mut self, capacity: usize, key: K, value: V) -> Option<V> {
        let evicted = if self.entries.len() < capacity {
            None
        } else {
            self.evict()
        };
        self.queue.push_back(key.clone());
        self.entries.insert(key, Entry::new(value));
        evicted
    }

    /// Evicts the first entry in the queue that was not used since its last turn.
    fn evict(&mut self) -> Option<V> {
        loop {
            let key = self.queue.pop_front()?;
            let is_used = self
                .entries
                .get(&key)
                .is_some_and(|entry| entry.is_used.swap(false, Ordering::Relaxed));
            if !is_used {
                return self.entries.remove(&key).map(|entry| entry.value);
            }
            self.queue.push_back(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, Inserted};

    #[test]
    fn a_fact_read_before_a_change_is_not_cached_after_it() {
        let cache = Cache::new(10);
        let before = cache.generation();
        cache.insert(before, "a", 1);
        assert_eq!(cache.get("a"), Some(1));
        cache.insert(before, "a", 2);
        assert_eq!(cache.get("a"), Some(2));
        cache.clear();
        assert_eq!(cache.get("a"), None);
        cache.insert(before, "a", 1);
        assert_eq!(cache.get("a"), None);
        cache.insert(cache.generation(), "a", 3);
        assert_eq!(cache.get("a"), Some(3));
    }

    #[test]
    fn a_full_cache_evicts_what_was_not_used() {
        let cache = Cache::new(4);
        for key in 0..4 {
            cache.insert(cache.generation(), key, key);
        }
        assert_eq!(cache.get(&0), Some(0));
        assert_eq!(
            cache.get_or_insert(4, 4),
            Inserted {
                value: 4,
                evicted: Some(1)
            }
        );
        assert_eq!(
            cache.get_or_insert(4, 7),
            Inserted {
                value: 4,
                evicted: None
            }
        );
        for key in 5..100 {
            cache.insert(cache.generation(), key, key);
            assert_eq!(cache.get(&4), Some(4), "{key}");
        }
        let state = cache.state.read().unwrap();
        assert_eq!((state.entries.len(), state.queue.len()), (4, 4));
    }

    #[test]
    fn every_value_used_is_no_reason_to_grow() {
        let cache = Cache::new(3);
        for key in 0..100 {
            cache.insert(cache.generation(), key, key);
            for known in 0..=key {
                cache.get(&known);
            }
        }
        assert_eq!(cache.filter_map(|value| Some(*value)).len(), 3);
        assert_eq!(cache.get(&99), Some(99));
    }
}
