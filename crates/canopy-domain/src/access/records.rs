//! Records at the position of their id's hash: one memory access finds and reads them.

use super::IndexError;
use super::hash::Seed;
use uuid::Uuid;

/// An entity with an id, stored by value in [`Records`]. The default value is vacant.
pub(super) trait Record: Default {
    fn id(&self) -> Id;

    /// Returns whether the record is vacant.
    fn is_vacant(&self) -> bool;
}

/// The bytes of an id, in the order of this machine.
pub(super) type Id = u128;

#[inline]
pub(super) const fn id_of(uuid: Uuid) -> Id {
    u128::from_ne_bytes(*uuid.as_bytes())
}

#[inline]
pub(super) const fn uuid_of(id: Id) -> Uuid {
    Uuid::from_bytes(id.to_ne_bytes())
}

/// Open addressing with linear probing, at most three quarters full. Removal moves later records back, so that there
/// are no tombstones.
#[derive(Debug, Clone)]
pub(super) struct Records<R> {
    seed: Seed,
    entries: Vec<R>,
    len: usize,
}

impl<R: Record> Records<R> {
    pub(super) fn with_capacity(seed: Seed, len: usize) -> Self {
        let mut records = Self {
            seed,
            entries: Vec::new(),
            len: 0,
        };
        records.reserve(len);
        records
    }

    fn reserve(&mut self, len: usize) {
        // Half full, so that nearly all are found at the first or second position.
        self.entries = Vec::new();
        self.entries
            .resize_with(if len == 0 { 0 } else { len * 2 + 4 }, R::default);
    }

    /// Returns the first position for a hash: as far into the records as the hash is into all numbers.
    #[inline]
    const fn home(&self, id: Id) -> usize {
        (((self.seed.of_id(id) >> 32) * self.entries.len() as u64) >> 32) as usize
    }

    /// Returns the record of an id if it is at the first or second position, as nearly all are. Selects one of the two
    /// without a branch, so there is no misprediction, and both are read at once.
    #[inline]
    fn near_home(&self, id: Id) -> Option<&R> {
        let home = self.home(id);
        let pair = self.entries.get(home..)?.first_chunk::<2>()?;
        let [first, second] = pair;
        let (first_is, second_is) = (first.id() == id, second.id() == id);
        pair.get(usize::from(!first_is))
            .filter(|record| (first_is | second_is) & !record.is_vacant())
    }

    #[inline]
    fn place(&self, id: Id) -> Option<usize> {
        let mut at = self.home(id);
        loop {
            let record = self.entries.get(at)?;
            if record.is_vacant() {
                return None;
            }
            if record.id() == id {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    #[inline]
    const fn after(&self, at: usize) -> usize {
        let next = at.wrapping_add(1);
        if next == self.entries.len() { 0 } else { next }
    }

    #[inline]
    pub(super) fn find(&self, id: Id) -> Option<&R> {
        self.entries.get(self.place(id)?)
    }

    /// Finds two records. Both are fetched before either is examined, so that the memory accesses overlap.
    #[inline]
    pub(super) fn find_both<'a, S: Record>(
        &'a self,
        id: Id,
        other: &'a Records<S>,
        other_id: Id,
    ) -> (Option<&'a R>, Option<&'a S>) {
        let (one, two) = (self.near_home(id), other.near_home(other_id));
        if one.is_some() & two.is_some() {
            (one, two)
        } else {
            (self.find(id), other.find(other_id))
        }
    }

    #[inline]
    pub(super) fn find_mut(&mut self, id: Id) -> Option<&mut R> {
        let place = self.place(id)?;
        self.entries.get_mut(place)
    }

    /// Inserts a record with a new id.
    pub(super) fn insert(&mut self, record: R) -> Result<(), IndexError> {
        if self.len >= self.entries.len() / 4 * 3 {
            if self.entries.len() > u32::MAX as usize / 2 {
                return Err(IndexError::TooLarge);
            }
            let old = core::mem::take(&mut self.entries);
            self.reserve(self.len + 4);
            for record in old.into_iter().filter(|record| !record.is_vacant()) {
                self.put(record);
            }
        }
        self.put(record);
        self.len += 1;
        Ok(())
    }

    fn put(&mut self, record: R) {
        let mut at = self.home(record.id());
        while self.entries.get(at).is_some_and(|other| !other.is_vacant()) {
            at = self.after(at);
        }
        if let Some(entry) = self.entries.get_mut(at) {
            *entry = record;
        }
    }

    /// Removes a record.
    pub(super) fn remove(&mut self, id: Id) -> Option<R> {
        let mut gap = self.place(id)?;
        let removed = core::mem::take(self.entries.get_mut(gap)?);
        self.len -= 1;
        // Close the gap: a record further on may move back to it unless its own home lies behind the gap.
        let mut next = self.after(gap);
        while let Some(record) = self.entries.get(next).filter(|record| !record.is_vacant()) {
            let home = self.home(record.id());
            if self.distance(home, next) >= self.distance(gap, next) {
                self.entries.swap(gap, next);
                gap = next;
            }
            next = self.after(next);
        }
        Some(removed)
    }

    /// Number of probe steps from one position to another.
    const fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.entries.len() - from
        }
    }

    /// Returns all records, unordered.
    pub(super) fn iter(&self) -> impl Iterator<Item = &R> {
        self.entries.iter().filter(|record| !record.is_vacant())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut R> {
        self.entries.iter_mut().filter(|record| !record.is_vacant())
    }

    pub(super) const fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<R>()
    }
}

#[cfg(test)]
mod tests {
    use super::{Id, Record, Records};
    use crate::access::hash::Seed;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Default, Clone, PartialEq)]
    struct Thing {
        id: Id,
        value: Option<u32>,
    }

    impl Record for Thing {
        fn id(&self) -> Id {
            self.id
        }

        fn is_vacant(&self) -> bool {
            self.value.is_none()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn records_are_a_map(seed in any::<u64>(), room in 0_usize..9, steps in prop::collection::vec((0_u8..3, 0_u128..48), 0..200)) {
            let mut records = Records::<Thing>::with_capacity(Seed::new(seed), room);
            let mut expected: BTreeMap<Id, u32> = BTreeMap::new();
            for (number, (kind, id)) in (0..).zip(steps) {
                if kind == 0 {
                    let removed = records.remove(id).and_then(|thing| thing.value);
                    prop_assert_eq!(removed, expected.remove(&id));
                } else {
                    match records.find_mut(id) {
                        Some(thing) => thing.value = Some(number),
                        None => records.insert(Thing { id, value: Some(number) }).unwrap(),
                    }
                    expected.insert(id, number);
                }
                for id in 0..48 {
                    let value = expected.get(&id).copied();
                    prop_assert_eq!(records.find(id).and_then(|thing| thing.value), value);
                    let (one, other) = records.find_both(id, &records, 47 - id);
                    prop_assert_eq!(one.and_then(|thing| thing.value), value);
                    prop_assert_eq!(other.and_then(|thing| thing.value), expected.get(&(47 - id)).copied());
                }
                let mut all: Vec<_> = records.iter().filter_map(|thing| Some((thing.id, thing.value?))).collect();
                all.sort_unstable();
                prop_assert_eq!(all, expected.clone().into_iter().collect::<Vec<_>>());
            }
        }
    }
}
