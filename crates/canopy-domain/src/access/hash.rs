//! A seeded hash for ids and keys, and an open-addressing table of slots.
//!
//! The core allows no hasher crate, and the hasher of the standard library is slower than random ids require. The table
//! here holds only `u32`s: the low bits are a slot, the bits above are a part of its hash, which avoids nearly all
//! failed comparisons.

/// The seed of hashes. A caller that lets untrusted users choose stored ids must pass a secret seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed {
    low: u64,
    high: u64,
}

/// The digits of pi after the point: constants chosen without intent.
const PI: [u64; 4] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
];

/// Multiplies to twice the width and folds the halves, so that each bit of the result depends on all bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves of the product are what is wanted"
)]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Seed {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            low: fold(seed ^ PI[0], PI[1]) | 1,
            high: fold(seed ^ PI[2], PI[3]) | 1,
        }
    }

    /// Returns the hash of an id. A version 7 id has a slow clock in its first half and random bits in its second. The
    /// product mixes both into the high bits, which select the position in the table.
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the id are what is wanted")]
    pub(super) const fn of_id(self, id: u128) -> u64 {
        fold((id as u64) ^ self.low, ((id >> 64) as u64) ^ self.high)
    }

    /// Returns the hash of a text.
    pub(super) fn of_text(self, text: &str) -> u64 {
        let bytes = text.as_bytes();
        // The length is spread over all bits, so that it cannot cancel a difference of characters.
        let mut state = self.low ^ (bytes.len() as u64).wrapping_mul(PI[0] | 1);
        let mut rest = bytes;
        while let Some((chunk, after)) = rest.split_first_chunk::<16>() {
            if after.is_empty() {
                break;
            }
            let (a, b) = halves(*chunk);
            state = fold(a ^ state, b ^ self.high);
            rest = after;
        }
        // The last 16 bytes, which overlap the earlier ones in a longer text; the whole of a shorter text.
        let (a, b) = match (
            bytes.last_chunk::<16>(),
            rest.first_chunk::<8>(),
            rest.last_chunk::<8>(),
        ) {
            (Some(last), _, _) => halves(*last),
            (None, Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
                (Some(first), Some(last)) => (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()),
                _ => (rest.iter().fold(0, |all, byte| (all << 8) | u64::from(*byte)), 0),
            },
        };
        fold(a ^ state, b ^ self.high)
    }
}

fn halves(bytes: [u8; 16]) -> (u64, u64) {
    let whole = u128::from_le_bytes(bytes);
    #[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
    let halves = (whole as u64, (whole >> 64) as u64);
    halves
}

const EMPTY: u32 = u32::MAX;

#[inline]
fn usize_of(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// A set of slots, found by hash. Open addressing with linear probing, at most three quarters full. Removal moves later
/// entries back, so that the table has no tombstones.
#[derive(Debug, Clone)]
pub(super) struct SlotTable {
    /// A power of two in number, or none.
    entries: Vec<u32>,
    /// The number of bits of an entry that are its slot; the others are a part of the hash.
    slot_bits: u32,
    /// The right shift that turns a hash into its first probe position.
    shift: u32,
    len: usize,
}

impl SlotTable {
    /// The largest slot that a table can hold.
    pub(super) const MAX_SLOT: u32 = (1 << 31) - 2;

    pub(super) fn with_capacity(len: usize) -> Self {
        let room = if len == 0 { 0 } else { Self::room_for(len) };
        Self {
            entries: vec![EMPTY; room],
            slot_bits: u32::try_from(room).unwrap_or(u32::MAX).wrapping_sub(1),
            shift: if room == 0 {
                63
            } else {
                u64::BITS - room.trailing_zeros()
            },
            len: 0,
        }
    }

    fn room_for(len: usize) -> usize {
        (len + len / 3 + 2).next_power_of_two().max(8)
    }

    /// Returns the first position for a hash: the start of a group of four, within one cache line.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        usize_of(hash >> (self.shift & 63)) & !3
    }

    #[inline]
    const fn entry(&self, hash: u64, slot: u32) -> u32 {
        ((hash & 0xffff_ffff) as u32 & !self.slot_bits) | slot
    }

    /// Returns the most likely slot of a hash, without a branch: the one with its part of the hash in its first group.
    /// Otherwise returns the slot of another entry, or a value beyond all slots.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> u32 {
        let wanted = self.entry(hash, 0);
        let mut guess = EMPTY;
        let group = self
            .entries
            .get(self.home(hash)..)
            .and_then(|rest| rest.first_chunk::<4>());
        for entry in group.unwrap_or(&[EMPTY; 4]) {
            if entry & !self.slot_bits == wanted {
                guess = entry & self.slot_bits;
            }
        }
        guess
    }

    /// Returns the slot with this hash for which `is_it` holds.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let slot_bits = self.slot_bits;
        let wanted = self.entry(hash, 0);
        let mut at = self.home(hash);
        loop {
            let entry = *self.entries.get(at)?;
            if entry == EMPTY {
                return None;
            }
            if entry & !slot_bits == wanted && is_it(entry & slot_bits) {
                return Some(entry & slot_bits);
            }
            at = at.wrapping_add(1) & (slot_bits as usize);
        }
    }

    /// Inserts a slot that is not in the set. `hash_of` returns the hash of any slot in it.
    pub(super) fn insert(&mut self, hash: u64, slot: u32, hash_of: impl Fn(u32) -> u64) {
        let needed = Self::room_for((self.len + 1).max(slot as usize + 1));
        if needed > self.entries.len() {
            let old = core::mem::replace(self, Self::with_capacity(needed / 2));
            let slot_bits = old.slot_bits;
            for entry in old.entries.iter().filter(|entry| **entry != EMPTY) {
                let kept = entry & slot_bits;
                self.place(hash_of(kept), kept);
            }
        }
        self.place(hash, slot);
    }

    fn place(&mut self, hash: u64, slot: u32) {
        let (mut at, mask) = (self.home(hash), self.slot_bits as usize);
        let entry = self.entry(hash, slot);
        while let Some(place) = self.entries.get_mut(at) {
            if *place == EMPTY {
                *place = entry;
                self.len += 1;
                return;
            }
            at = at.wrapping_add(1) & mask;
        }
    }

    /// Removes a slot, if it is in the set.
    pub(super) fn remove(&mut self, hash: u64, slot: u32, hash_of: impl Fn(u32) -> u64) {
        let (mut at, mask) = (self.home(hash), self.slot_bits as usize);
        if slot >= self.slot_bits {
            // A slot larger than any in this table. Its upper bits would be read as a part of the hash.
            return;
        }
        let wanted = self.entry(hash, slot);
        loop {
            match self.entries.get(at) {
                Some(entry) if *entry == wanted => break,
                Some(entry) if *entry != EMPTY => at = at.wrapping_add(1) & mask,
                _ => return,
            }
        }
        self.len -= 1;
        // Close the gap: an entry further on may move back to it unless its own home lies behind the gap.
        let (mut gap, mut next) = (at, at);
        loop {
            next = next.wrapping_add(1) & mask;
            let moving = match self.entries.get(next) {
                Some(entry) if *entry != EMPTY => *entry,
                _ => break,
            };
            let home = self.home(hash_of(moving & self.slot_bits));
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(gap) & mask) {
                if let Some(place) = self.entries.get_mut(gap) {
                    *place = moving;
                }
                gap = next;
            }
        }
        if let Some(place) = self.entries.get_mut(gap) {
            *place = EMPTY;
        }
    }

    pub(super) const fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::{Seed, SlotTable};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Returns similar hashes: crowded positions, and positions at the end that run over to the start.
    fn crowded(slot: u32) -> u64 {
        let (place, piece) = (u64::from(slot % 3), u64::from(slot % 2));
        match place {
            0 => piece,
            1 => u64::MAX - piece,
            _ => (1 << 62) + (piece << 8),
        }
    }

    fn check(table: &SlotTable, expected: &BTreeSet<u32>, hash_of: impl Fn(u32) -> u64) {
        for slot in 0..64 {
            let found = table.find(hash_of(slot), |other| other == slot);
            assert_eq!(found, expected.contains(&slot).then_some(slot));
            let guess = table.guess(hash_of(slot));
            let nowhere = guess == u32::MAX || guess as usize + 1 == table.entries.len();
            assert!(
                nowhere || expected.contains(&guess),
                "a guess is in the table or nowhere"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_table_is_a_set(steps in prop::collection::vec((any::<bool>(), 0_u32..64), 0..200), is_crowded in any::<bool>()) {
            let hash_of = |slot: u32| if is_crowded { crowded(slot) } else { Seed::new(1).of_id(slot.into()) };
            let (mut table, mut expected) = (SlotTable::with_capacity(0), BTreeSet::new());
            for (insert, slot) in steps {
                if !insert {
                    table.remove(hash_of(slot), slot, hash_of);
                    expected.remove(&slot);
                } else if expected.insert(slot) {
                    table.insert(hash_of(slot), slot, hash_of);
                }
                check(&table, &expected, hash_of);
            }
        }

        #[test]
        fn equal_texts_have_equal_hashes_wherever_they_lie(text in "[a-c.]{0,80}", offset in 0_usize..9) {
            let padded = format!("{}{text}", " ".repeat(offset));
            prop_assert_eq!(Seed::new(3).of_text(&text), Seed::new(3).of_text(padded.get(offset..).unwrap()));
        }
    }

    #[test]
    fn neighbouring_texts_and_ids_have_different_hashes() {
        let mut seen = BTreeMap::new();
        for length in 0..70 {
            for place in 0..length {
                for letter in ['a', 'b', 'c'] {
                    let text: String = (0..length).map(|at| if at == place { letter } else { 'x' }).collect();
                    if let Some(other) = seen.insert(Seed::new(0).of_text(&text), text.clone()) {
                        assert_eq!(other, text);
                    }
                }
            }
        }
        let ids = (0..1_000_u128)
            .chain((0..1_000).map(|high| high << 64))
            .chain((0..1_000).map(|high| high << 112));
        let ids: BTreeSet<u128> = ids.collect();
        // The bits that select the position in a table of a million.
        let hashes: BTreeSet<u64> = ids.iter().map(|id| Seed::new(0).of_id(*id)).collect();
        assert_eq!(hashes.len(), ids.len());
        let places: BTreeSet<u64> = hashes.iter().map(|hash| hash >> 44).collect();
        assert!(places.len() > ids.len() - 40, "{} of {}", places.len(), ids.len());
    }

    #[test]
    fn another_seed_is_another_order() {
        let order = |seed: u64| {
            let mut ids: Vec<u128> = (0..50).collect();
            ids.sort_by_key(|id| Seed::new(seed).of_id(*id));
            ids
        };
        assert_ne!(order(1), order(2));
    }
}
