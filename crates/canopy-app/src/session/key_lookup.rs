//! Batched look-ups of API keys that this process has not seen before.
//!
//! Most such keys under load are invented. All that wait are looked up in one statement, and statements start at least
//! [`INTERVAL`] apart. So a flood of invented keys costs a bounded number of statements a second, and a valid key waits for
//! the statement under way and its own, however many others wait.

use crate::decisions::copy_error;
use canopy_domain::EnvironmentRef;
use canopy_domain::api_key::{ApiKeyId, KeyDigest};
use canopy_domain::port::StoreError;
use core::future::Future;
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::SetOnce;
use tokio::time::{Instant, sleep_until, timeout};

/// The shortest time between the starts of two statements.
const INTERVAL: Duration = Duration::from_millis(5);

/// The longest time that a key waits for its look-up.
const DEADLINE: Duration = Duration::from_secs(2);

type Places = HashMap<KeyDigest, (EnvironmentRef, ApiKeyId)>;

/// The look-ups of a process.
#[derive(Debug, Default)]
pub(crate) struct KeyLookups {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    gathering: Mutex<Arc<Batch>>,
    /// Held while a statement runs; holds when the last one started.
    turn: tokio::sync::Mutex<Option<Instant>>,
}

/// The keys of one statement.
#[derive(Debug, Default)]
struct Batch {
    digests: Mutex<HashSet<KeyDigest>>,
    outcome: SetOnce<Result<Places, StoreError>>,
}

impl KeyLookups {
    /// Looks up a key; `ask` sends the statement for all that wait.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after the deadline; the error of the statement.
    pub(crate) async fn find<F>(
        &self,
        digest: KeyDigest,
        ask: impl FnOnce(Vec<KeyDigest>) -> F + Send + 'static,
    ) -> Result<Option<(EnvironmentRef, ApiKeyId)>, StoreError>
    where
        F: Future<Output = Result<Places, StoreError>> + Send + 'static,
    {
        let (batch, is_first) = self.join(digest);
        if is_first {
            let running = Running {
                shared: Arc::clone(&self.shared),
                batch: Arc::clone(&batch),
            };
            // A task of its own, so that a caller that goes away cuts nobody else off.
            tokio::spawn(running.look_up(ask));
        }
        match timeout(DEADLINE, batch.outcome.wait()).await {
            Ok(Ok(places)) => Ok(places.get(&digest).copied()),
            Ok(Err(error)) => Err(copy_error(error)),
            Err(_) => Err(StoreError::Busy("unknown API keys are not looked up in time".into())),
        }
    }

    /// Joins the open batch. Returns it, and whether this is its first key.
    fn join(&self, digest: KeyDigest) -> (Arc<Batch>, bool) {
        let batch = self.shared.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        let mut digests = batch.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = digests.is_empty();
        digests.insert(digest);
        drop(digests);
        (Arc::clone(&batch), is_first)
    }
}

/// A batch that waits for its turn or is being looked up. It has an outcome when this is dropped.
struct Running {
    shared: Arc<Shared>,
    batch: Arc<Batch>,
}

impl Running {
    async fn look_up<F>(self, ask: impl FnOnce(Vec<KeyDigest>) -> F + Send + 'static)
    where
        F: Future<Output = Result<Places, StoreError>> + Send + 'static,
    {
        let mut last = self.shared.turn.lock().await;
        if let Some(last) = *last {
            sleep_until(last + INTERVAL).await;
        }
        *last = Some(Instant::now());
        self.close();
        let digests: Vec<KeyDigest> = {
            let mut gathered = self.batch.digests.lock().unwrap_or_else(PoisonError::into_inner);
            gathered.drain().collect()
        };
        // An outcome that is late for all of its waiters must not hold up the keys behind them.
        let asked = timeout(DEADLINE, ask(digests)).await;
        drop(last);
        let outcome = asked.unwrap_or_else(|elapsed| Err(StoreError::Busy(elapsed.into())));
        // An error means that it has one.
        self.batch.outcome.set(outcome).ok();
    }

    /// Opens the next batch.
    fn close(&self) {
        let mut gathering = self.shared.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&gathering, &self.batch) {
            *gathering = Arc::default();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without an outcome the runtime is shutting down, or the statement panicked.
        self.close();
        let ended = Err(StoreError::Unavailable("the look-up of API keys has ended".into()));
        self.batch.outcome.set(ended).ok();
    }
}
