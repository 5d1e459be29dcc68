//! Commits of this process whose rows can be read already, while its decision indexes do not show them yet.

use canopy_domain::EnvironmentId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The environments that commits under way touch.
#[derive(Debug, Default)]
pub(super) struct Unpublished {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The number of commits under way. It is read before the map, so that checks take no lock while nobody writes.
    commits: AtomicUsize,
    environments: Mutex<HashMap<EnvironmentId, usize>>,
}

/// A commit that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct CommitUnderWay {
    shared: Arc<Shared>,
    touched: Vec<EnvironmentId>,
}

impl Shared {
    fn environments(&self) -> MutexGuard<'_, HashMap<EnvironmentId, usize>> {
        self.environments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unpublished {
    /// Returns whether a commit that touches the environment is under way.
    pub(super) fn has(&self, environment: EnvironmentId) -> bool {
        self.shared.commits.load(Ordering::Acquire) > 0 && self.shared.environments().contains_key(&environment)
    }

    /// Counts a commit from before its rows can be read.
    pub(super) fn begin(&self, touched: Vec<EnvironmentId>) -> CommitUnderWay {
        let mut environments = self.shared.environments();
        for environment in &touched {
            *environments.entry(*environment).or_default() += 1;
        }
        drop(environments);
        self.shared.commits.fetch_add(1, Ordering::AcqRel);
        CommitUnderWay {
            shared: Arc::clone(&self.shared),
            touched,
        }
    }
}

impl Drop for CommitUnderWay {
    fn drop(&mut self) {
        let mut environments = self.shared.environments();
        for environment in &self.touched {
            if let Some(commits) = environments.get_mut(environment) {
                *commits -= 1;
                if *commits == 0 {
                    environments.remove(environment);
                }
            }
        }
        drop(environments);
        self.shared.commits.fetch_sub(1, Ordering::AcqRel);
    }
}
