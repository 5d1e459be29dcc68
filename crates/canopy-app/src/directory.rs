//! Remembered paths: which environment the slugs of a path name.

use canopy_domain::{AccountId, EnvironmentId, EnvironmentPlace};
use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

/// The largest number of paths that are remembered.
const CAPACITY: usize = 10_000;

/// Paths that were looked up before. Emptied whenever this process changes an account, application or environment.
#[derive(Debug)]
pub(crate) struct Directory {
    /// Whether paths are remembered: not where other processes may give their names to others. Where an environment lies
    /// never changes; that it is gone is found out by whoever asks for what it holds.
    remembers_paths: bool,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Raised by every [`Directory::clear`], so that an answer read before it is not remembered after it.
    generation: u64,
    places: HashMap<String, EnvironmentPlace>,
    accounts: HashSet<AccountId>,
    /// Where each environment lies.
    environments: HashMap<EnvironmentId, EnvironmentPlace>,
}

impl Directory {
    /// Nothing is remembered yet.
    pub(crate) fn new(remembers_paths: bool) -> Self {
        Self {
            remembers_paths,
            state: RwLock::default(),
        }
    }

    /// The place of the environment that these slugs name, if it is remembered.
    pub(crate) fn place(&self, account: &str, application: &str, environment: &str) -> Option<EnvironmentPlace> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.places.get(&path(account, application, environment)).copied()
    }

    /// Whether the account is remembered to exist.
    pub(crate) fn has_account(&self, account: AccountId) -> bool {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .accounts
            .contains(&account)
    }

    /// Where the environment lies, if it is remembered.
    pub(crate) fn environment(&self, id: EnvironmentId) -> Option<EnvironmentPlace> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.environments.get(&id).copied()
    }

    /// What must be handed back with an answer that is to be remembered; taken before the store is asked.
    pub(crate) fn generation(&self) -> u64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Remembers a place that was read after `generation` was taken.
    pub(crate) fn remember_place(&self, generation: u64, slugs: (&str, &str, &str), place: EnvironmentPlace) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if self.remembers_paths && state.generation == generation {
            if state.places.len() >= CAPACITY {
                state.places.clear();
            }
            state.places.insert(path(slugs.0, slugs.1, slugs.2), place);
        }
    }

    /// Remembers that an account exists, read after `generation` was taken.
    pub(crate) fn remember_account(&self, generation: u64, account: AccountId) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Accounts are never deleted, so this holds whoever writes.
        if state.generation == generation {
            if state.accounts.len() >= CAPACITY {
                state.accounts.clear();
            }
            state.accounts.insert(account);
        }
    }

    /// Remembers where an environment lies, read after `generation` was taken.
    pub(crate) fn remember_environment(&self, generation: u64, place: EnvironmentPlace) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation {
            if state.environments.len() >= CAPACITY {
                state.environments.clear();
            }
            state.environments.insert(place.environment, place);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.generation += 1;
        state.places.clear();
        state.accounts.clear();
        state.environments.clear();
    }
}

/// Slugs have no `/`, so the joined text is unambiguous.
fn path(account: &str, application: &str, environment: &str) -> String {
    [account, application, environment].join("/")
}

#[cfg(test)]
mod tests {
    use super::Directory;
    use canopy_domain::{AccountId, ApplicationId, EnvironmentId, EnvironmentPlace};
    use uuid::Uuid;

    #[test]
    fn an_answer_read_before_a_change_is_not_remembered_after_it() {
        let place = EnvironmentPlace {
            account: AccountId::new(Uuid::from_u128(1)),
            application: ApplicationId::new(Uuid::from_u128(2)),
            environment: EnvironmentId::new(Uuid::from_u128(3)),
        };
        let directory = Directory::new(true);
        let before = directory.generation();
        directory.remember_place(before, ("a", "b", "c"), place);
        assert_eq!(directory.place("a", "b", "c"), Some(place));
        directory.clear();
        assert_eq!(directory.place("a", "b", "c"), None);
        directory.remember_place(before, ("a", "b", "c"), place);
        directory.remember_account(before, place.account);
        directory.remember_environment(before, place);
        assert_eq!(directory.environment(place.environment), None);
        assert_eq!(directory.place("a", "b", "c"), None);
        assert!(!directory.has_account(place.account));
    }
}
