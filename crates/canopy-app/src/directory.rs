//! Remembered paths: which environment the slugs of a path name.

use canopy_domain::{AccountId, EnvironmentId, EnvironmentRef};
use core::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

/// The largest number of paths that are remembered.
const CAPACITY: usize = 10_000;

/// Paths that were looked up before. Emptied whenever this process changes an account, application or environment. Other
/// processes may give names to others meanwhile: where the store is shared, a remembered path says where to look first.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    state: RwLock<State>,
}

/// The slugs of a path, joined by `/`, which none of them has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Path(Arc<str>);

impl Path {
    /// The slugs of account, application and environment.
    pub(crate) fn slugs(&self) -> (&str, &str, &str) {
        let (account, rest) = self.0.split_once('/').unwrap_or_default();
        let (application, environment) = rest.split_once('/').unwrap_or_default();
        (account, application, environment)
    }
}

impl Borrow<str> for Path {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What a path was found to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub place: EnvironmentRef,
    /// A moment at which it did name that in the store.
    pub since: Instant,
}

#[derive(Debug, Default)]
struct State {
    /// Raised by every [`Directory::clear`], so that an answer read before it is not remembered after it.
    generation: u64,
    places: HashMap<Path, Remembered>,
    accounts: HashSet<AccountId>,
    /// Where each environment lies.
    environments: HashMap<EnvironmentId, EnvironmentRef>,
    /// The accounts that tokens name by their slug.
    account_slugs: HashMap<Box<str>, AccountId>,
    /// The environments that tokens name by the slugs of application and environment, for each account.
    paths: HashMap<AccountId, HashMap<Box<str>, EnvironmentRef>>,
    path_count: usize,
}

impl Directory {
    /// The environment that these slugs named when they were last looked up or confirmed, if it is remembered.
    pub(crate) fn place(&self, slugs: (&str, &str, &str)) -> Option<(Path, Remembered)> {
        let joined = join(slugs);
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let (path, found) = state.places.get_key_value(joined.as_str())?;
        Some((path.clone(), *found))
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
    pub(crate) fn environment(&self, id: EnvironmentId) -> Option<EnvironmentRef> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.environments.get(&id).copied()
    }

    /// What must be handed back with an answer that is to be remembered; taken before the store is asked.
    pub(crate) fn generation(&self) -> u64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Remembers a place that was read, or confirmed, after `generation` and `since` were taken.
    pub(crate) fn remember_place(&self, generation: u64, slugs: (&str, &str, &str), found: Remembered) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation {
            if state.places.len() >= CAPACITY {
                state.places.clear();
            }
            state.places.insert(Path(join(slugs).into()), found);
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
    pub(crate) fn remember_environment(&self, generation: u64, place: EnvironmentRef) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation {
            if state.environments.len() >= CAPACITY {
                state.environments.clear();
            }
            state.environments.insert(place.environment, place);
        }
    }

    /// The account with this slug, if it is remembered. The slug of an account never changes, so this holds whoever writes.
    pub(crate) fn account_named(&self, slug: &str) -> Option<AccountId> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.account_slugs.get(slug).copied()
    }

    /// Remembers the slug of an account, read after `generation` was taken.
    pub(crate) fn remember_account_slug(&self, generation: u64, slug: &str, account: AccountId) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation {
            if state.account_slugs.len() >= CAPACITY {
                state.account_slugs.clear();
            }
            state.account_slugs.insert(slug.into(), account);
        }
    }

    /// The environment at this path in the account, if it is remembered.
    pub(crate) fn environment_at(&self, account: AccountId, path: &str) -> Option<EnvironmentRef> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.paths.get(&account)?.get(path).copied()
    }

    /// Remembers the environment at a path in its account, read after `generation` was taken. Only for stores that no
    /// other process writes to: another process may give the slugs to another environment.
    pub(crate) fn remember_path(&self, generation: u64, path: &str, place: EnvironmentRef) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation {
            if state.path_count >= CAPACITY {
                state.paths.clear();
                state.path_count = 0;
            }
            let paths = state.paths.entry(place.account).or_default();
            if paths.insert(path.into(), place).is_none() {
                state.path_count += 1;
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.generation += 1;
        state.places.clear();
        state.accounts.clear();
        state.environments.clear();
        state.account_slugs.clear();
        state.paths.clear();
        state.path_count = 0;
    }
}

fn join((account, application, environment): (&str, &str, &str)) -> String {
    [account, application, environment].join("/")
}

#[cfg(test)]
mod tests {
    use super::{Directory, Remembered};
    use canopy_domain::{AccountId, ApplicationId, EnvironmentId, EnvironmentRef};
    use std::time::Instant;
    use uuid::Uuid;

    #[test]
    fn an_answer_read_before_a_change_is_not_remembered_after_it() {
        let place = EnvironmentRef {
            account: AccountId::new(Uuid::from_u128(1)),
            application: ApplicationId::new(Uuid::from_u128(2)),
            environment: EnvironmentId::new(Uuid::from_u128(3)),
        };
        let slugs = ("a", "b", "c");
        let found = Remembered {
            place,
            since: Instant::now(),
        };
        let directory = Directory::default();
        let before = directory.generation();
        directory.remember_place(before, slugs, found);
        assert_eq!(directory.place(slugs).map(|(_, found)| found), Some(found));
        directory.clear();
        assert_eq!(directory.place(slugs).map(|(_, found)| found), None);
        directory.remember_place(before, slugs, found);
        directory.remember_account(before, place.account);
        directory.remember_environment(before, place);
        assert_eq!(directory.environment(place.environment), None);
        assert_eq!(directory.place(slugs).map(|(_, found)| found), None);
        assert!(!directory.has_account(place.account));
    }
}
