//! The smallest items of an unordered stream.

/// Collects the smallest `limit` items, in little more memory than they need.
pub(super) struct Smallest<T> {
    /// Only items after this one are wanted.
    after: Option<T>,
    wanted: usize,
    found: Vec<T>,
    /// The largest wanted item, once there are enough.
    bound: Option<T>,
}

impl<T: Copy + Ord> Smallest<T> {
    /// Collects the `limit` smallest items after `after`.
    pub(super) const fn new(after: Option<T>, limit: usize) -> Self {
        Self {
            after,
            // One more shows whether there are more.
            wanted: limit.saturating_add(1),
            found: Vec::new(),
            bound: None,
        }
    }

    /// Returns whether an item is worth adding.
    #[inline]
    pub(super) fn wants(&self, one: T) -> bool {
        self.after.is_none_or(|after| one > after) && self.bound.is_none_or(|bound| one < bound)
    }

    /// Adds an item; the same one never twice.
    pub(super) fn take(&mut self, one: T) {
        if self.wants(one) {
            self.found.push(one);
            // Cut at twice the size, so that the cost per item is constant.
            if self.found.len() >= self.wanted.saturating_mul(2) {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.found.len() > self.wanted {
            let (_, last, _) = self.found.select_nth_unstable(self.wanted - 1);
            self.bound = Some(*last);
            self.found.truncate(self.wanted);
        }
    }

    /// Returns the smallest items in order, and whether there are more.
    pub(super) fn finish(mut self) -> (Vec<T>, bool) {
        self.cut();
        self.found.sort_unstable();
        let has_more = self.found.len() == self.wanted;
        if has_more {
            self.found.pop();
        }
        (self.found, has_more)
    }
}

#[cfg(test)]
mod tests {
    use super::Smallest;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_the_start_of_the_sorted_rest(
            given in prop::collection::btree_set(0_u8..60, 0..60).prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle(),
            after in prop::option::of(0_u8..60),
            limit in 0_usize..9,
        ) {
            let sorted: BTreeSet<u8> = given.iter().copied().collect();
            let rest: Vec<u8> = sorted.into_iter().filter(|one| after.is_none_or(|after| *one > after)).collect();
            let mut smallest = Smallest::new(after, limit);
            for one in given {
                smallest.take(one);
                prop_assert!(smallest.found.len() < 2 * (limit + 1));
            }
            let start = rest.get(..limit.min(rest.len())).unwrap().to_vec();
            prop_assert_eq!(smallest.finish(), (start, rest.len() > limit));
        }
    }

    #[test]
    fn without_a_limit_it_is_everything() {
        let mut smallest = Smallest::new(None, usize::MAX);
        for one in [3, 1, 2] {
            smallest.take(one);
        }
        assert_eq!(smallest.finish(), (vec![1, 2, 3], false));
    }
}
