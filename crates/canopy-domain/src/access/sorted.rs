//! Sorted lists.

use core::cmp::Ordering;
use core::ops::ControlFlow;

/// Visits the elements that two sorted lists have in common, each with its first index in `left`, until `see` breaks.
///
/// `left` may repeat an element, `right` may not. The cost is the number of distinct elements of the shorter list times
/// the logarithm of the gaps: runs of equal elements, and of elements missing in the other list, are skipped.
#[inline]
pub(super) fn each_common<T: Ord, B>(
    left: &[T],
    right: &[T],
    mut see: impl FnMut(&T, usize) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let (mut at, mut rest) = (0, right);
    while let (Some(one), Some((other, others))) = (left.get(at), rest.split_first()) {
        match one.cmp(other) {
            Ordering::Less => at += count_below(left.get(at..).unwrap_or_default(), other),
            Ordering::Greater => rest = rest.get(count_below(rest, one)..).unwrap_or_default(),
            Ordering::Equal => {
                see(one, at)?;
                rest = others;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Returns the number of elements at the start of a sorted list that are below a bound. The cost is the logarithm of
/// the result.
#[inline]
pub(super) fn count_below<T: Ord>(sorted: &[T], bound: &T) -> usize {
    let mut reach = 1;
    while sorted.get(reach - 1).is_some_and(|one| one < bound) {
        reach *= 2;
    }
    // All elements up to the last position found below the bound are below it too.
    let start = reach / 2;
    let tail = sorted.get(start..sorted.len().min(reach)).unwrap_or_default();
    start + tail.partition_point(|one| one < bound)
}

#[cfg(test)]
mod tests {
    use super::{count_below, each_common};
    use core::cell::Cell;
    use core::cmp::Ordering;
    use core::ops::ControlFlow;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn common_numbers_are_those_of_the_intersection(
            mut left in prop::collection::vec(0_u32..90, 0..120),
            right in prop::collection::btree_set(0_u32..90, 0..60),
        ) {
            left.sort_unstable();
            let right: Vec<u32> = right.into_iter().collect();
            let mut found = Vec::new();
            let ended = each_common::<_, ()>(&left, &right, |one, at| {
                assert_eq!(left.iter().position(|other| other == one), Some(at), "the place of the first");
                found.push(*one);
                ControlFlow::Continue(())
            });
            prop_assert!(ended.is_continue());
            let expected: BTreeSet<u32> = left.iter().copied().filter(|one| right.contains(one)).collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn numbers_below_are_counted(mut sorted in prop::collection::vec(0_u32..50, 0..80), bound in 0_u32..52) {
            sorted.sort_unstable();
            prop_assert_eq!(count_below(&sorted, &bound), sorted.partition_point(|one| *one < bound));
        }
    }

    #[test]
    fn a_break_ends_the_search() {
        let mut seen = Vec::new();
        let ended = each_common(&[1, 2, 3], &[2, 3], |one, _| {
            seen.push(*one);
            ControlFlow::Break(*one)
        });
        assert_eq!((ended, seen), (ControlFlow::Break(2), vec![2]));
    }

    thread_local! {
        static COMPARISONS: Cell<usize> = const { Cell::new(0) };
    }

    /// A number that counts its comparisons.
    #[derive(Debug, PartialEq, Eq)]
    struct Counted(u32);

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> Ordering {
            COMPARISONS.set(COMPARISONS.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    /// Returns the multiples of `step` from zero up.
    fn multiples(step: u32, below: u32) -> Vec<Counted> {
        (0..below).step_by(step as usize).map(Counted).collect()
    }

    #[test]
    fn the_shorter_list_decides_the_cost() {
        for (left, right) in [
            (multiples(6_000, 60_000), multiples(1, 60_000)),
            (multiples(1, 60_000), multiples(6_000, 60_000)),
            ((0..60_000).map(|_| Counted(7)).collect(), multiples(1, 60_000)),
        ] {
            COMPARISONS.set(0);
            let _ = each_common::<_, ()>(&left, &right, |_, _| ControlFlow::Continue(()));
            assert!(COMPARISONS.get() < 600, "{} comparisons", COMPARISONS.get());
        }
    }
}
