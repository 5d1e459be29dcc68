//! Remembered subjects: whom a name means in an account.

use canopy_domain::{AccountId, IdentityId, Meaning};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// The largest number of names that are remembered.
const CAPACITY: usize = 100_000;

/// Names that were looked up before and that somebody has. Emptied whenever this process may have changed what an identity is
/// called.
#[derive(Debug)]
pub(crate) struct RememberedSubjects {
    /// Whether anything is: not where other processes may call somebody else so.
    remembers: bool,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Raised by every [`RememberedSubjects::clear`], so that an answer read before it is not remembered after it.
    generation: u64,
    len: usize,
    accounts: HashMap<AccountId, HashMap<Box<str>, Meaning<IdentityId>>>,
}

impl RememberedSubjects {
    /// Nothing is remembered yet.
    pub(crate) fn new(remembers: bool) -> Self {
        Self {
            remembers,
            state: RwLock::default(),
        }
    }

    /// Whom a name means, if it is remembered.
    pub(super) fn meaning(&self, account: AccountId, name: &str) -> Option<Meaning<IdentityId>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.accounts.get(&account)?.get(name).copied()
    }

    /// What must be handed back with meanings that are to be remembered; taken before the store is asked.
    pub(super) fn generation(&self) -> u64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Remembers what names mean, read after `generation` was taken.
    pub(super) fn remember<'n>(
        &self,
        generation: u64,
        account: AccountId,
        meanings: impl Iterator<Item = (&'n str, Meaning<IdentityId>)>,
    ) {
        if !self.remembers {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation != generation {
            return;
        }
        for (name, meaning) in meanings.filter(|(_, meaning)| *meaning != Meaning::Nothing) {
            if state.len >= CAPACITY {
                state.accounts.clear();
                state.len = 0;
            }
            let names = state.accounts.entry(account).or_default();
            if names.insert(name.into(), meaning).is_none() {
                state.len += 1;
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        if self.remembers {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.generation += 1;
            state.len = 0;
            state.accounts.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, RememberedSubjects};
    use canopy_domain::{AccountId, IdentityId, Meaning};
    use uuid::Uuid;

    const ADA: Meaning<IdentityId> = Meaning::One(IdentityId::new(Uuid::from_u128(7)));

    fn account(number: u128) -> AccountId {
        AccountId::new(Uuid::from_u128(number))
    }

    #[test]
    fn an_answer_read_before_a_change_is_not_remembered_after_it() {
        let subjects = RememberedSubjects::new(true);
        let before = subjects.generation();
        let answers = || [("ada", ADA), ("eve", Meaning::Nothing), ("two", Meaning::Several)].into_iter();
        subjects.remember(before, account(1), answers());
        assert_eq!(subjects.meaning(account(1), "ada"), Some(ADA));
        assert_eq!(subjects.meaning(account(1), "two"), Some(Meaning::Several));
        assert_eq!(subjects.meaning(account(1), "eve"), None);
        assert_eq!(subjects.meaning(account(2), "ada"), None);
        subjects.clear();
        assert_eq!(subjects.meaning(account(1), "ada"), None);
        subjects.remember(before, account(1), answers());
        assert_eq!(subjects.meaning(account(1), "ada"), None);
    }

    #[test]
    fn nothing_is_remembered_where_others_write() {
        let subjects = RememberedSubjects::new(false);
        subjects.remember(subjects.generation(), account(1), [("ada", ADA)].into_iter());
        assert_eq!(subjects.meaning(account(1), "ada"), None);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let subjects = RememberedSubjects::new(true);
        let names: Vec<String> = (0..=CAPACITY).map(|number| number.to_string()).collect();
        let answers = names.iter().map(|name| (name.as_str(), ADA));
        subjects.remember(subjects.generation(), account(1), answers);
        assert_eq!(subjects.meaning(account(1), "0"), None);
        assert_eq!(subjects.meaning(account(1), &CAPACITY.to_string()), Some(ADA));
    }
}
