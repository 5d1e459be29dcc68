//! Fences: one query to a shared store for the heads of environments, shared by all waiting checks.

use super::batch_policy::BatchPolicy;
use canopy_domain::EnvironmentId;
use canopy_domain::port::{Head, StoreError};
use core::future::Future;
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, SetOnce};
use tokio::time::timeout;

/// Queries the store for the newest revisions of environments, in batches: at most one query runs at a time.
///
/// A check joins the open batch; the first one spawns the task that runs the query. When the previous query has ended,
/// the batch closes and queries all of its environments. Every check therefore joined before its query began, so the
/// result is at least as new as the check. No check waits for more than two queries, and a cancelled caller cancels
/// nothing for others.
///
/// At high rates a batch first waits for further checks, as [`BatchPolicy`] decides.
#[derive(Debug, Default)]
pub(super) struct Fence {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    gathering: Mutex<Arc<Batch>>,
    turn: tokio::sync::Mutex<BatchPolicy>,
}

#[derive(Debug, Default)]
struct Batch {
    environments: Mutex<HashSet<EnvironmentId>>,
    questions: AtomicUsize,
    /// The number of checks it waits for; 0 until its turn.
    wanted: AtomicUsize,
    is_full: Notify,
    outcome: SetOnce<Outcome>,
}

#[derive(Debug)]
enum Outcome {
    Heads(HashMap<EnvironmentId, Arc<Head>>),
    /// The query failed; every waiter gets this error.
    Failed(StoreError),
}

impl Fence {
    /// Returns the head of an environment, as of some moment after this call; `None` for an unknown environment. `ask`
    /// queries the store for heads.
    pub(super) async fn head<F>(
        &self,
        environment: EnvironmentId,
        ask: impl FnOnce(Vec<EnvironmentId>) -> F + Send + 'static,
    ) -> Result<Option<Arc<Head>>, StoreError>
    where
        F: Future<Output = Result<Vec<Head>, StoreError>> + Send + 'static,
    {
        let (batch, is_first) = self.join(environment);
        if is_first {
            let asking = Asking {
                shared: Arc::clone(&self.shared),
                batch: Arc::clone(&batch),
            };
            tokio::spawn(asking.ask(ask));
        }
        match batch.outcome.wait().await {
            Outcome::Heads(heads) => Ok(heads.get(&environment).cloned()),
            Outcome::Failed(error) => Err(copy_error(error)),
        }
    }

    /// Joins the open batch. Returns it, and whether this is its first check.
    fn join(&self, environment: EnvironmentId) -> (Arc<Batch>, bool) {
        let batch = self.shared.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        let mut environments = batch.environments.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = environments.is_empty();
        environments.insert(environment);
        drop(environments);
        let questions = batch.questions.fetch_add(1, Ordering::SeqCst) + 1;
        if questions == batch.wanted.load(Ordering::SeqCst) {
            batch.is_full.notify_one();
        }
        (Arc::clone(&batch), is_first)
    }
}

/// Copies an error so that every waiter receives one.
pub(crate) fn copy_error(error: &StoreError) -> StoreError {
    match error {
        StoreError::Busy(cause) => StoreError::Busy(cause.to_string().into()),
        StoreError::Unavailable(cause) => StoreError::Unavailable(cause.to_string().into()),
        StoreError::Duplicate(_) | StoreError::Conflict(_) | StoreError::Corrupt(_) | StoreError::Internal(_) => {
            StoreError::Internal(error.to_string().into())
        }
    }
}

/// A batch whose query runs. Every check in it gets an outcome, even if this is dropped early.
struct Asking {
    shared: Arc<Shared>,
    batch: Arc<Batch>,
}

impl Asking {
    async fn ask<F>(self, ask: impl FnOnce(Vec<EnvironmentId>) -> F + Send + 'static)
    where
        F: Future<Output = Result<Vec<Head>, StoreError>> + Send + 'static,
    {
        let mut policy = self.shared.turn.lock().await;
        let is_full = self.gather(policy.wanted()).await;
        self.close();
        policy.note(self.batch.questions.load(Ordering::SeqCst), is_full, Instant::now());
        let asked: Vec<EnvironmentId> = {
            let gathered = self.batch.environments.lock().unwrap_or_else(PoisonError::into_inner);
            gathered.iter().copied().collect()
        };
        let heads = ask(asked).await;
        drop(policy);
        let outcome = match heads {
            Ok(heads) => Outcome::Heads(
                heads
                    .into_iter()
                    .map(|head| (head.environment, Arc::new(head)))
                    .collect(),
            ),
            Err(error) => Outcome::Failed(error),
        };
        // An error means that the outcome is set already.
        self.batch.outcome.set(outcome).ok();
    }

    /// Waits for `wanted` checks, for a limited time. Returns whether they have arrived.
    async fn gather(&self, wanted: usize) -> bool {
        self.batch.wanted.store(wanted, Ordering::SeqCst);
        self.batch.questions.load(Ordering::SeqCst) >= wanted
            || timeout(PATIENCE, self.batch.is_full.notified()).await.is_ok()
    }

    /// Opens the next batch.
    fn close(&self) {
        let mut gathering = self.shared.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&gathering, &self.batch) {
            *gathering = Arc::default();
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // If the batch has no outcome yet, the runtime is shutting down.
        self.close();
        let ended = Outcome::Failed(StoreError::Unavailable("the fence was not asked".into()));
        self.batch.outcome.set(ended).ok();
    }
}

/// Maximum wait of a batch for more checks.
const PATIENCE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::Fence;
    use canopy_domain::port::{Head, StoreError};
    use canopy_domain::{EnvironmentId, Revision, Slug};
    use core::time::Duration;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    use std::time::Instant;
    use tokio::sync::Semaphore;
    use uuid::Uuid;

    /// Answers a query when a permit is given; every environment is at revision 7.
    struct Gated {
        gate: Semaphore,
        queries: AtomicUsize,
        broken: AtomicBool,
    }

    impl Gated {
        async fn heads(&self, environments: Vec<EnvironmentId>) -> Result<Vec<Head>, StoreError> {
            self.queries.fetch_add(1, SeqCst);
            self.gate.acquire().await.unwrap().forget();
            if self.broken.load(SeqCst) {
                return Err(StoreError::Unavailable("cut".into()));
            }
            let head = |environment| Head {
                environment,
                revision: Revision::new(7),
                tag: None,
                application_slug: Slug::node(),
                slug: Slug::node(),
            };
            Ok(environments.into_iter().map(head).collect())
        }
    }

    fn environment(number: u128) -> EnvironmentId {
        EnvironmentId::new(Uuid::from_u128(number))
    }

    async fn revision(asked: tokio::task::JoinHandle<Result<Option<Arc<Head>>, StoreError>>) -> Revision {
        asked.await.unwrap().unwrap().unwrap().revision
    }

    struct Scene {
        fence: Arc<Fence>,
        store: Arc<Gated>,
    }

    impl Scene {
        fn new() -> Self {
            let store = Gated {
                gate: Semaphore::new(0),
                queries: 0.into(),
                broken: false.into(),
            };
            Self {
                fence: Arc::default(),
                store: Arc::new(store),
            }
        }

        /// Runs a query in its own task, and returns when it waits.
        async fn ask(&self, number: u128) -> tokio::task::JoinHandle<Result<Option<Arc<Head>>, StoreError>> {
            let (fence, store) = (Arc::clone(&self.fence), Arc::clone(&self.store));
            let heads = move |asked| async move { store.heads(asked).await };
            let task = tokio::spawn(async move { fence.head(environment(number), heads).await });
            // The task of the caller, and the task that runs the query.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            task
        }

        fn queries(&self) -> usize {
            self.store.queries.load(SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_gathers_what_it_waits_for_and_gives_up_soon() {
        let scene = Scene::new();
        let mut now = Instant::now();
        let mut policy = scene.fence.shared.turn.lock().await;
        for _ in 0..1_000 {
            now += Duration::from_micros(125);
            policy.note(2, true, now);
        }
        assert_eq!(policy.wanted(), 4);
        drop(policy);
        let mut asked = Vec::new();
        for number in 0..3 {
            asked.push(scene.ask(number).await);
        }
        assert_eq!(scene.queries(), 0);
        asked.push(scene.ask(3).await);
        tokio::task::yield_now().await;
        assert_eq!(scene.queries(), 1);
        // The next batch has a single check.
        let last = scene.ask(4).await;
        scene.store.gate.add_permits(2);
        for one in asked {
            assert_eq!(revision(one).await, Revision::new(7));
        }
        assert_eq!(revision(last).await, Revision::new(7));
        assert_eq!(scene.queries(), 2);
    }

    #[tokio::test]
    async fn who_comes_while_a_query_is_under_way_shares_the_next_one() {
        let scene = Scene::new();
        let first = scene.ask(1).await;
        let mut others = Vec::new();
        for number in 0..100 {
            others.push(scene.ask(number % 3).await);
        }
        assert_eq!(scene.queries(), 1);
        scene.store.gate.add_permits(2);
        assert_eq!(revision(first).await, Revision::new(7));
        for other in others {
            assert_eq!(revision(other).await, Revision::new(7));
        }
        assert_eq!(scene.queries(), 2, "a hundred questions, one query");
    }

    #[tokio::test]
    async fn a_failed_query_fails_everyone_who_waited_for_it_and_nobody_else() {
        let scene = Scene::new();
        let first = scene.ask(1).await;
        let (second, third) = (scene.ask(1).await, scene.ask(2).await);
        scene.store.broken.store(true, SeqCst);
        scene.store.gate.add_permits(2);
        assert!(first.await.unwrap().is_err());
        assert!(second.await.unwrap().is_err() && third.await.unwrap().is_err());
        assert_eq!(scene.queries(), 2);
        scene.store.broken.store(false, SeqCst);
        scene.store.gate.add_permits(1);
        assert!(scene.ask(1).await.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn whoever_goes_away_cuts_nothing_off() {
        let scene = Scene::new();
        let first = scene.ask(1).await;
        let second = scene.ask(2).await;
        let third = scene.ask(2).await;
        for gone in [first, second] {
            gone.abort();
            assert!(gone.await.unwrap_err().is_cancelled());
        }
        scene.store.gate.add_permits(2);
        assert_eq!(revision(third).await, Revision::new(7));
        assert_eq!(scene.queries(), 2);
    }
}
