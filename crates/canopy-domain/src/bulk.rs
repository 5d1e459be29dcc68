//! Bulk calls: from verdicts on single items to the outcome of the call.

/// The verdict on one item of a bulk call, before anything is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<T, E> {
    /// The item keeps every rule.
    Accepted(T),
    /// The item breaks a rule.
    Refused(E),
    /// The item keeps every rule but depends on a refused item of the call.
    NeedsRefused {
        /// The index of the refused item.
        index: usize,
    },
}

/// The outcome of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T, E> {
    /// It is (or, in a dry run, would be) stored.
    Done(T),
    /// It breaks a rule.
    Refused(E),
    /// The item is valid but was rolled back because of other items.
    RolledBack {
        /// The indexes of the refused items: the first [`MAX_CULPRITS`].
        caused_by: Vec<usize>,
    },
}

/// Maximum number of failed items that a rolled-back item names.
pub const MAX_CULPRITS: usize = 10;

/// Settles a bulk call. An atomic call with any refused item stores nothing: its accepted items are rolled back.
/// Otherwise the accepted items are stored.
pub fn settle<T, E>(verdicts: Vec<Verdict<T, E>>, atomic: bool) -> Vec<Outcome<T, E>> {
    let culprits: Vec<usize> = verdicts
        .iter()
        .enumerate()
        .filter(|(_, verdict)| matches!(verdict, Verdict::Refused(_)))
        .map(|(index, _)| index)
        .take(MAX_CULPRITS)
        .collect();
    let rolled_back = atomic && !culprits.is_empty();
    verdicts
        .into_iter()
        .map(|verdict| match verdict {
            Verdict::Refused(error) => Outcome::Refused(error),
            Verdict::Accepted(_) | Verdict::NeedsRefused { .. } if rolled_back => Outcome::RolledBack {
                caused_by: culprits.clone(),
            },
            Verdict::Accepted(item) => Outcome::Done(item),
            Verdict::NeedsRefused { index } => Outcome::RolledBack { caused_by: vec![index] },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{MAX_CULPRITS, Outcome, Verdict, settle};
    use proptest::prelude::*;

    #[test]
    fn one_refused_item_rolls_all_others_back_when_atomic() {
        let verdicts = vec![
            Verdict::Accepted('a'),
            Verdict::Refused("bad"),
            Verdict::NeedsRefused { index: 1 },
        ];
        let rolled = Outcome::RolledBack { caused_by: vec![1] };
        assert_eq!(
            settle(verdicts.clone(), true),
            [rolled.clone(), Outcome::Refused("bad"), rolled.clone()]
        );
        assert_eq!(
            settle(verdicts, false),
            [Outcome::Done('a'), Outcome::Refused("bad"), rolled]
        );
    }

    proptest! {
        #[test]
        fn atomic_means_all_or_nothing(bad in proptest::collection::vec(any::<bool>(), 0..40), atomic: bool) {
            let verdicts: Vec<Verdict<usize, ()>> = bad.iter().enumerate()
                .map(|(i, bad)| if *bad { Verdict::Refused(()) } else { Verdict::Accepted(i) }).collect();
            let outcomes = settle(verdicts, atomic);
            let done = outcomes.iter().filter(|o| matches!(o, Outcome::Done(_))).count();
            let good = bad.iter().filter(|bad| !**bad).count();
            let expected = if atomic && good < bad.len() { 0 } else { good };
            prop_assert_eq!(done, expected);
            for (index, outcome) in outcomes.iter().enumerate() {
                prop_assert_eq!(bad[index], matches!(outcome, Outcome::Refused(())));
                if let Outcome::RolledBack { caused_by } = outcome {
                    let first: Vec<usize> = (0..bad.len()).filter(|i| bad[*i]).take(MAX_CULPRITS).collect();
                    prop_assert_eq!(caused_by, &first);
                }
            }
        }
    }
}
