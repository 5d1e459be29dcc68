//! A set of roles in sixteen bytes: exact up to 128 roles, a filter beyond.

/// A bit set: role `r` has bit `r % 128`. In an environment with more than 128 roles, two may share a bit. Then a set
/// may seem to contain a role that it does not contain, never the reverse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RoleSet([u64; 2]);

/// The number of bits.
pub(super) const BITS: u32 = 128;

impl RoleSet {
    pub(super) const EMPTY: Self = Self([0; 2]);

    /// Returns the bit of a role.
    pub(super) const fn bit(role: u32) -> u32 {
        role & (BITS - 1)
    }

    pub(super) fn insert(&mut self, role: u32) {
        if let Some(word) = self.0.get_mut((role >> 6 & 1) as usize) {
            *word |= 1 << (role & 63);
        }
    }

    /// Clears the bit of a role. The caller ensures that no other role of the set shares it.
    pub(super) fn remove(&mut self, role: u32) {
        if let Some(word) = self.0.get_mut((role >> 6 & 1) as usize) {
            *word &= !(1 << (role & 63));
        }
    }

    #[inline]
    pub(super) const fn intersection(self, other: Self) -> Self {
        let ([low, high], [other_low, other_high]) = (self.0, other.0);
        Self([low & other_low, high & other_high])
    }

    #[inline]
    pub(super) const fn is_empty(self) -> bool {
        self.0[0] | self.0[1] == 0
    }

    /// Returns the two words, each with the number of its lowest bit.
    #[inline]
    pub(super) const fn words(self) -> [(u32, u64); 2] {
        [(0, self.0[0]), (64, self.0[1])]
    }

    /// Returns the numbers of the bits that are set.
    pub(super) fn bits(self) -> impl Iterator<Item = u32> {
        self.words().into_iter().flat_map(|(first, word)| {
            let mut left = word;
            core::iter::from_fn(move || {
                let bit = (left != 0).then(|| first + left.trailing_zeros());
                left &= left.wrapping_sub(1);
                bit
            })
        })
    }
}
