//! Fences: asking a shared store for the heads of environments, once for all questions that wait.

use canopy_domain::EnvironmentId;
use canopy_domain::port::{Head, SharedStore, StoreError};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::SetOnce;

/// Lets questions that arrive while a query is under way share the next one.
///
/// A question joins the round that is gathering; the first to join leads it. When the query before has ended, the leader
/// closes its round and asks for all environments that gathered. So whoever joined did so before the query was sent, and
/// nobody waits for more than two queries, however many ask.
#[derive(Debug, Default)]
pub(super) struct Fence {
    gathering: Mutex<Arc<Round>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Round {
    environments: Mutex<HashSet<EnvironmentId>>,
    outcome: SetOnce<Outcome>,
}

#[derive(Debug)]
enum Outcome {
    Heads(HashMap<EnvironmentId, Arc<Head>>),
    /// The query failed, for everyone who waited for it.
    Failed(String),
    /// The leader went away before it asked; its followers ask again.
    Abandoned,
}

/// Abandons a round when it is dropped, unless the round has its outcome.
struct Leading {
    round: Arc<Round>,
}

impl Drop for Leading {
    fn drop(&mut self) {
        // An error means that it has.
        self.round.outcome.set(Outcome::Abandoned).ok();
    }
}

impl Fence {
    /// The head of an environment, as of some moment after this call; `None` if there is no such environment.
    pub(super) async fn head(
        &self,
        store: &dyn SharedStore,
        environment: EnvironmentId,
    ) -> Result<Option<Arc<Head>>, StoreError> {
        loop {
            let (round, leads) = self.join(environment);
            if leads {
                return self.lead(store, round, environment).await;
            }
            match round.outcome.wait().await {
                Outcome::Heads(heads) => return Ok(heads.get(&environment).cloned()),
                Outcome::Failed(message) => return Err(StoreError::Unavailable(message.clone().into())),
                Outcome::Abandoned => {}
            }
        }
    }

    /// Joins the gathering round; the first one in leads it.
    fn join(&self, environment: EnvironmentId) -> (Arc<Round>, bool) {
        let round = self.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        let mut environments = round.environments.lock().unwrap_or_else(PoisonError::into_inner);
        let leads = environments.is_empty();
        environments.insert(environment);
        drop(environments);
        (Arc::clone(&round), leads)
    }

    async fn lead(
        &self,
        store: &dyn SharedStore,
        round: Arc<Round>,
        environment: EnvironmentId,
    ) -> Result<Option<Arc<Head>>, StoreError> {
        let leading = Leading { round };
        // Dropped while it waits here, it must not leave a round gathering that nobody leads.
        let closing = Closing {
            fence: self,
            round: Arc::clone(&leading.round),
        };
        let turn = self.turn.lock().await;
        drop(closing);
        let asked: Vec<EnvironmentId> = {
            let gathered = leading
                .round
                .environments
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            gathered.iter().copied().collect()
        };
        let heads = store.heads(&asked).await;
        drop(turn);
        match heads {
            Ok(heads) => {
                let heads: HashMap<_, _> = heads
                    .into_iter()
                    .map(|head| (head.environment, Arc::new(head)))
                    .collect();
                let head = heads.get(&environment).cloned();
                leading.round.outcome.set(Outcome::Heads(heads)).ok();
                Ok(head)
            }
            Err(error) => {
                leading.round.outcome.set(Outcome::Failed(error.to_string())).ok();
                Err(error)
            }
        }
    }
}

/// Opens the next round when it is dropped.
struct Closing<'a> {
    fence: &'a Fence,
    round: Arc<Round>,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut gathering = self.fence.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&gathering, &self.round) {
            *gathering = Arc::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fence;
    use async_trait::async_trait;
    use canopy_domain::port::{Head, News, SharedStore, StoreError};
    use canopy_domain::{EnvironmentId, Revision, Slug};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    use tokio::sync::Semaphore;
    use uuid::Uuid;

    /// Answers a query when a permit is given; every environment is at revision 7.
    struct Gated {
        gate: Semaphore,
        queries: AtomicUsize,
        broken: AtomicBool,
    }

    #[async_trait]
    impl SharedStore for Gated {
        async fn heads(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError> {
            self.queries.fetch_add(1, SeqCst);
            self.gate.acquire().await.unwrap().forget();
            if self.broken.load(SeqCst) {
                return Err(StoreError::Unavailable("cut".into()));
            }
            let head = |environment: &EnvironmentId| Head {
                environment: *environment,
                revision: Revision::new(7),
                application_slug: Slug::node(),
                slug: Slug::node(),
            };
            Ok(environments.iter().map(head).collect())
        }

        fn announce(&self, _: &[(EnvironmentId, Revision)]) {}

        async fn listen(&self, _: &(dyn Fn(News) + Send + Sync)) -> Result<core::convert::Infallible, StoreError> {
            core::future::pending().await
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

        /// Asks on a task of its own, and comes back when it waits.
        async fn ask(&self, number: u128) -> tokio::task::JoinHandle<Result<Option<Arc<Head>>, StoreError>> {
            let (fence, store) = (Arc::clone(&self.fence), Arc::clone(&self.store));
            let task = tokio::spawn(async move { fence.head(store.as_ref(), environment(number)).await });
            tokio::task::yield_now().await;
            task
        }

        fn queries(&self) -> usize {
            self.store.queries.load(SeqCst)
        }
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
    async fn when_a_leader_goes_away_its_followers_ask_themselves() {
        let scene = Scene::new();
        let first = scene.ask(1).await;
        let leader = scene.ask(2).await;
        let follower = scene.ask(2).await;
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        scene.store.gate.add_permits(2);
        assert!(first.await.unwrap().is_ok());
        assert_eq!(revision(follower).await, Revision::new(7));
    }
}
