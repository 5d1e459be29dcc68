//! Connections: how they are opened, lent to one unit of work each, and taken back clean.

use crate::connect::{Connector, Opened};
use crate::error::internal;
use crate::health::Health;
use crate::options::PgOptions;
use crate::statement::{Connection, Guard};
use crate::turns::HeldTurn;
use canopy_domain::port::StoreError;
use deadpool::managed::{
    Manager, Metrics, Object, Pool as ObjectPool, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts,
};
use diesel::connection::InstrumentationEvent;
use diesel_async::pooled_connection::PoolableConnection;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Maximum time for returning a connection to the pool before it is closed instead.
const CLEANING_DEADLINE: Duration = Duration::from_secs(5);

/// Maximum wait for all connections that are returned at once.
const CLEANED_DEADLINE: Duration = Duration::from_millis(200);

/// Counters of the statements that were sent, for tests.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    count: AtomicU64,
    texts: Mutex<Option<Vec<String>>>,
}

impl Watch {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Begins to keep the texts of statements, and gives those kept so far.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.replace(Vec::new()).unwrap_or_default()
    }

    pub(crate) fn see(&self, event: &InstrumentationEvent<'_>) {
        let InstrumentationEvent::StartQuery { query, .. } = event else {
            return;
        };
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(texts) = self.texts.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            texts.push(query.to_string());
        }
    }
}

/// Opens connections on the runtime of the store: whoever opens a connection drives it, and workers of a web server have
/// other things to do.
#[derive(Debug)]
pub(crate) struct Connections {
    connector: Arc<Connector>,
    health: Arc<Health>,
    runtime: Handle,
}

impl Manager for Connections {
    type Type = Opened;
    type Error = StoreError;

    async fn create(&self) -> Result<Opened, StoreError> {
        self.health.must_answer()?;
        let connector = Arc::clone(&self.connector);
        let opening = self.runtime.spawn(async move { connector.open().await });
        opening
            .await
            .map_err(|error| StoreError::Unavailable(Box::new(error)))?
    }

    async fn recycle(&self, opened: &mut Opened, _: &Metrics) -> RecycleResult<StoreError> {
        if opened.connection.is_broken() {
            return Err(RecycleError::message("the server has closed the connection"));
        }
        if opened.generation != self.health.state().generation {
            return Err(RecycleError::message("the connection leads to a server of before"));
        }
        Ok(())
    }
}

/// The connections of a store.
pub(crate) struct Pool {
    objects: ObjectPool<Connections>,
    health: Arc<Health>,
    runtime: Handle,
    lock_timeout: Duration,
    /// The time that a statement may go unanswered.
    deadline: Duration,
    /// Number of connections that are being rolled back.
    cleaning: Arc<watch::Sender<usize>>,
}

impl core::fmt::Debug for Pool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Pool").field(&self.objects.status()).finish()
    }
}

impl Pool {
    /// A pool of this many connections.
    pub(crate) fn new(
        options: &PgOptions,
        size: usize,
        connector: Arc<Connector>,
        health: Arc<Health>,
        runtime: Handle,
    ) -> Result<Self, StoreError> {
        let patience = connector.patience();
        let connections = Connections {
            connector,
            health: Arc::clone(&health),
            runtime: runtime.clone(),
        };
        let objects = ObjectPool::builder(connections)
            .max_size(size.max(1))
            .timeouts(Timeouts {
                wait: Some(options.wait_timeout),
                create: Some(patience),
                recycle: Some(options.connect_timeout),
            })
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Internal(Box::new(error)))?;
        Ok(Self {
            objects,
            health,
            runtime,
            lock_timeout: options.lock_timeout,
            deadline: options.statement_timeout.saturating_add(options.answer_timeout),
            cleaning: Arc::new(watch::Sender::new(0)),
        })
    }

    /// Waits until the transactions are rolled back that this process has dropped: until then they hold their locks.
    pub(crate) async fn cleaned(&self) {
        let mut cleaning = self.cleaning.subscribe();
        let none = cleaning.wait_for(|running| *running == 0);
        // Others may drop theirs all the while.
        tokio::time::timeout(CLEANED_DEADLINE, none).await.ok();
    }

    /// Lends a connection.
    pub(crate) async fn lend(&self) -> Result<PooledConnection, StoreError> {
        let object = self.objects.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy(Box::new(error)),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) | PoolError::Closed => {
                StoreError::Unavailable(Box::new(error))
            }
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => StoreError::Internal(Box::new(error)),
        })?;
        let generation = object.generation;
        Ok(PooledConnection {
            object: Some(object),
            guard: Guard::new(Arc::clone(&self.health), generation, self.deadline),
            planned: AtomicBool::new(false),
            turn: None,
            runtime: self.runtime.clone(),
            lock_timeout: self.lock_timeout,
            cleaning: Arc::clone(&self.cleaning),
        })
    }

    /// Closes the connections that wait for the next unit of work: they may be as dead as the one that was just tried.
    pub(crate) fn discard_idle(&self) {
        self.objects.retain(|_, _| false);
    }

    pub(crate) fn close(&self) {
        self.objects.close();
    }
}

/// A connection on loan. Dropped, it is rolled back on the runtime of the store and only then lent again; where that
/// cannot be done it is closed, which ends its transaction too.
pub(crate) struct PooledConnection {
    object: Option<Object<Connections>>,
    guard: Guard,
    /// The turn that was taken for it, where there was one to take.
    turn: Option<HeldTurn>,
    /// Whether statements of this transaction are planned for their values.
    planned: AtomicBool,
    runtime: Handle,
    lock_timeout: Duration,
    cleaning: Arc<watch::Sender<usize>>,
}

impl core::fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PooledConnection").finish_non_exhaustive()
    }
}

impl PooledConnection {
    pub(crate) fn connection(&self) -> Result<Connection<'_>, StoreError> {
        let object = self.object.as_ref().ok_or_else(|| internal("the connection is gone"))?;
        Ok(Connection::new(
            &object.connection,
            self.lock_timeout,
            &self.planned,
            &self.guard,
        ))
    }

    /// Keeps the turn for as long as the connection is not clean.
    pub(crate) fn keep(&mut self, turn: HeldTurn) {
        self.turn = Some(turn);
    }

    /// Gives the connection back as it is: its transaction has ended.
    pub(crate) fn give_back(mut self) {
        drop(self.object.take());
    }

    /// Closes the connection.
    pub(crate) fn discard(mut self) {
        drop(self.object.take().map(Object::take));
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            if self.guard.is_broken() {
                // The server did not answer the last statement, and would not answer this one.
                drop(Object::take(object));
                return;
            }
            let used = Used {
                generation: object.generation,
                object: Some(object),
                health: Arc::clone(self.guard.health()),
                lock_timeout: self.lock_timeout,
            };
            let (counted, turn) = (Counted::new(&self.cleaning), self.turn.take());
            self.runtime.spawn(async move {
                used.clean().await;
                drop((counted, turn));
            });
        }
    }
}

/// One of the connections that are being rolled back.
struct Counted(Arc<watch::Sender<usize>>);

impl Counted {
    fn new(cleaning: &Arc<watch::Sender<usize>>) -> Self {
        cleaning.send_modify(|running| *running += 1);
        Self(Arc::clone(cleaning))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

/// A connection that may have an open transaction. It goes back to the pool clean or not at all, also when the runtime
/// ends in the middle of it.
struct Used {
    object: Option<Object<Connections>>,
    generation: u64,
    health: Arc<Health>,
    lock_timeout: Duration,
}

impl Used {
    async fn clean(mut self) {
        let Some(object) = self.object.as_ref() else { return };
        let planned = AtomicBool::new(false);
        let guard = Guard::new(Arc::clone(&self.health), self.generation, CLEANING_DEADLINE);
        let connection = Connection::new(&object.connection, self.lock_timeout, &planned, &guard);
        if let Ok(()) = connection.command("ROLLBACK").await {
            drop(self.object.take());
        }
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}
