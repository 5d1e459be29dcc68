//! Remembered subjects: whom a name means in an account.

use canopy_domain::port::SubjectKind;
use canopy_domain::{AccountId, IdentityId, Resolution};
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
    accounts: HashMap<AccountId, HashMap<Box<str>, Resolution<IdentityId>>>,
    /// The subjects of tokens, by the attribute that they hold.
    tokens: HashMap<(AccountId, SubjectKind), HashMap<Box<str>, IdentityId>>,
}

impl State {
    /// Forgets everything where there is no room for one more.
    fn evict_if_full(&mut self) {
        if self.len >= CAPACITY {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.accounts.clear();
        self.tokens.clear();
        self.len = 0;
    }
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
    pub(super) fn meaning(&self, account: AccountId, name: &str) -> Option<Resolution<IdentityId>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.accounts.get(&account)?.get(name).copied()
    }

    /// What must be handed back with meanings that are to be remembered; taken before the store is asked.
    pub(crate) fn generation(&self) -> u64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Remembers what names mean, read after `generation` was taken.
    pub(super) fn remember<'n>(
        &self,
        generation: u64,
        account: AccountId,
        meanings: impl Iterator<Item = (&'n str, Resolution<IdentityId>)>,
    ) {
        if !self.remembers {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation != generation {
            return;
        }
        for (name, meaning) in meanings.filter(|(_, meaning)| *meaning != Resolution::NotFound) {
            state.evict_if_full();
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
            state.forget();
        }
    }

    /// The identity that the subject of a token names, if it is remembered.
    pub(crate) fn identity(&self, account: AccountId, kind: SubjectKind, subject: &str) -> Option<IdentityId> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.tokens.get(&(account, kind))?.get(subject).copied()
    }

    /// Remembers the identity that the subject of a token names, read after `generation` was taken.
    pub(crate) fn remember_identity(
        &self,
        generation: u64,
        (account, kind, subject): (AccountId, SubjectKind, &str),
        identity: IdentityId,
    ) {
        if !self.remembers {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation != generation {
            return;
        }
        state.evict_if_full();
        let subjects = state.tokens.entry((account, kind)).or_default();
        if subjects.insert(subject.into(), identity).is_none() {
            state.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, RememberedSubjects};
    use canopy_domain::port::SubjectKind;
    use canopy_domain::{AccountId, IdentityId, Resolution};
    use uuid::Uuid;

    const ADA: Resolution<IdentityId> = Resolution::Unique(IdentityId::new(Uuid::from_u128(7)));

    fn account(number: u128) -> AccountId {
        AccountId::new(Uuid::from_u128(number))
    }

    #[test]
    fn an_answer_read_before_a_change_is_not_remembered_after_it() {
        let subjects = RememberedSubjects::new(true);
        let before = subjects.generation();
        let answers = || {
            [
                ("ada", ADA),
                ("eve", Resolution::NotFound),
                ("two", Resolution::Ambiguous),
            ]
            .into_iter()
        };
        subjects.remember(before, account(1), answers());
        assert_eq!(subjects.meaning(account(1), "ada"), Some(ADA));
        assert_eq!(subjects.meaning(account(1), "two"), Some(Resolution::Ambiguous));
        assert_eq!(subjects.meaning(account(1), "eve"), None);
        assert_eq!(subjects.meaning(account(2), "ada"), None);
        subjects.clear();
        assert_eq!(subjects.meaning(account(1), "ada"), None);
        subjects.remember(before, account(1), answers());
        assert_eq!(subjects.meaning(account(1), "ada"), None);
    }

    #[test]
    fn subjects_of_tokens_are_remembered_by_account_and_attribute_until_a_change() {
        let subjects = RememberedSubjects::new(true);
        let ada = IdentityId::new(Uuid::from_u128(7));
        let before = subjects.generation();
        subjects.remember_identity(before, (account(1), SubjectKind::Email, "ada"), ada);
        assert_eq!(subjects.identity(account(1), SubjectKind::Email, "ada"), Some(ada));
        assert_eq!(subjects.identity(account(1), SubjectKind::ExternalId, "ada"), None);
        assert_eq!(subjects.identity(account(2), SubjectKind::Email, "ada"), None);
        assert_eq!(subjects.meaning(account(1), "ada"), None);
        subjects.clear();
        assert_eq!(subjects.identity(account(1), SubjectKind::Email, "ada"), None);
        subjects.remember_identity(before, (account(1), SubjectKind::Email, "ada"), ada);
        assert_eq!(subjects.identity(account(1), SubjectKind::Email, "ada"), None);
        let shared = RememberedSubjects::new(false);
        shared.remember_identity(0, (account(1), SubjectKind::Email, "ada"), ada);
        assert_eq!(shared.identity(account(1), SubjectKind::Email, "ada"), None);
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
