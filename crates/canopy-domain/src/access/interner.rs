//! Dense numbers for ids: slots. An index refers to every entity by its slot.

use super::IndexError;
use super::hash::{Seed, SlotTable};
use super::records::{Id, id_of, uuid_of};
use uuid::Uuid;

/// Assigns a slot to each id, and reuses the slots of released ids.
#[derive(Debug, Clone)]
pub(super) struct Interner {
    seed: Seed,
    /// The id in each slot, in the byte order of this machine. Undefined in a free slot.
    ids: Vec<Id>,
    table: SlotTable,
    free: Vec<u32>,
}

impl Interner {
    pub(super) fn with_capacity(seed: Seed, len: usize) -> Self {
        Self {
            seed,
            ids: Vec::with_capacity(len),
            table: SlotTable::with_capacity(len),
            free: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn find(&self, id: Uuid) -> Option<u32> {
        let id = id_of(id);
        let hash = self.seed.of_id(id);
        let guess = self.table.guess(hash);
        if self.is_at(guess, id) {
            Some(guess)
        } else {
            self.search(hash, id)
        }
    }

    #[inline]
    fn is_at(&self, slot: u32, id: Id) -> bool {
        self.ids.get(slot as usize) == Some(&id)
    }

    #[inline(never)]
    fn search(&self, hash: u64, id: Id) -> Option<u32> {
        self.table.find(hash, |slot| self.is_at(slot, id))
    }

    /// Returns the slot of an id, and whether it is new.
    pub(super) fn intern(&mut self, id: Uuid) -> Result<(u32, bool), IndexError> {
        if let Some(slot) = self.find(id) {
            return Ok((slot, false));
        }
        let id = id_of(id);
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(place) = self.ids.get_mut(slot as usize) {
                *place = id;
            }
            slot
        } else {
            let slot = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
            if slot > SlotTable::MAX_SLOT {
                return Err(IndexError::TooLarge);
            }
            self.ids.push(id);
            slot
        };
        let (ids, seed) = (&self.ids, self.seed);
        self.table.insert(seed.of_id(id), slot, |slot| hash_of(ids, seed, slot));
        Ok((slot, true))
    }

    /// Releases the slot of an id.
    pub(super) fn release(&mut self, slot: u32) {
        let (ids, seed) = (&self.ids, self.seed);
        self.table
            .remove(hash_of(ids, seed, slot), slot, |slot| hash_of(ids, seed, slot));
        self.free.push(slot);
    }

    /// Returns the id in a slot that is in use.
    pub(super) fn id(&self, slot: u32) -> Option<Uuid> {
        self.ids.get(slot as usize).copied().map(uuid_of)
    }

    /// Number of slots, free ones included: every slot number is below it.
    pub(super) const fn slots(&self) -> usize {
        self.ids.len()
    }

    /// Returns the number of ids that have a slot.
    pub(super) const fn len(&self) -> usize {
        self.ids.len() - self.free.len()
    }

    pub(super) const fn memory_bytes(&self) -> usize {
        self.ids.capacity() * size_of::<Id>() + self.free.capacity() * size_of::<u32>() + self.table.memory_bytes()
    }
}

fn hash_of(ids: &[Id], seed: Seed, slot: u32) -> u64 {
    seed.of_id(ids.get(slot as usize).copied().unwrap_or_default())
}
