//! Connections: how they are opened, lent to one unit of work each, and taken back clean.

use crate::error::{internal, translate, translate_connecting};
use crate::options::{PgOptions, Target, UrlError};
use crate::statement::Link;
use crate::tls;
use canopy_domain::port::StoreError;
use core::error::Error as _;
use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts,
};
use diesel::connection::InstrumentationEvent;
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long giving a connection back may take before it is closed instead.
const CLEANING_DEADLINE: Duration = Duration::from_secs(5);

/// How long it is waited for all that are given back at once.
const CLEANED_DEADLINE: Duration = Duration::from_millis(200);

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Opens connections to one database, all alike.
pub(crate) struct Opener {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    settings: String,
    watch: Arc<Watch>,
}

/// What tests want to know of the statements that were sent.
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

    fn see(&self, event: &InstrumentationEvent<'_>) {
        let InstrumentationEvent::StartQuery { query, .. } = event else {
            return;
        };
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(texts) = self.texts.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            texts.push(query.to_string());
        }
    }
}

impl core::fmt::Debug for Opener {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

impl Opener {
    pub(crate) fn new(options: &PgOptions, watch: Arc<Watch>) -> Result<Self, UrlError> {
        let target: Target = options.url.parse()?;
        let tls = tls::connector(&target)?;
        let mut config = target.config;
        let of_url = config.get_connect_timeout().copied();
        config
            .ssl_mode(target.mode.for_driver())
            .connect_timeout(of_url.map_or(options.connect_timeout, |of_url| of_url.min(options.connect_timeout)))
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(Duration::from_secs(15));
        if config.get_application_name().is_none() {
            config.application_name(&options.application_name);
        }
        // Diesel passes on the words of most errors and not their codes. So the words should be those of one language,
        // which not every user may choose. See [`translate`].
        let language = "DO $$ BEGIN PERFORM set_config('lc_messages', 'C', false); \
             EXCEPTION WHEN insufficient_privilege THEN NULL; END $$";
        // Statements with few values are planned once, and never to read a table from end to end: it may have been small
        // when they were. See [`Link::plan_for_values`] for the others.
        let settings = format!(
            "{language}; SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
             SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off",
            options.statement_timeout.as_millis(),
            options.lock_timeout.as_millis(),
            (options.statement_timeout + Duration::from_secs(30)).as_millis(),
        );
        Ok(Self {
            config,
            tls,
            settings,
            watch,
        })
    }

    /// A connection below diesel, which the caller must drive.
    pub(crate) async fn dial(&self) -> Result<(Client, Connection<Socket, TlsStream>), StoreError> {
        self.config.connect(self.tls.clone()).await.map_err(|error| {
            let cause = error.source().map(ToString::to_string);
            tracing::warn!(%error, cause, "PostgreSQL cannot be reached");
            if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) {
                StoreError::Busy(Box::new(error))
            } else {
                StoreError::Unavailable(Box::new(error))
            }
        })
    }

    /// A connection that is driven by the runtime on which this is called.
    pub(crate) async fn open(&self) -> Result<AsyncPgConnection, StoreError> {
        let (client, connection) = self.dial().await?;
        let opened = AsyncPgConnection::try_from_client_and_connection(client, connection).await;
        let mut opened = opened.map_err(translate_connecting)?;
        opened.batch_execute(&self.settings).await.map_err(translate)?;
        let watch = Arc::clone(&self.watch);
        opened.set_instrumentation(move |event: InstrumentationEvent<'_>| watch.see(&event));
        Ok(opened)
    }
}

/// Opens connections on the runtime of the store: whoever opens a connection drives it, and workers of a web server have
/// other things to do.
#[derive(Debug)]
pub(crate) struct Connections {
    opener: Arc<Opener>,
    runtime: Handle,
}

impl Manager for Connections {
    type Type = AsyncPgConnection;
    type Error = StoreError;

    async fn create(&self) -> Result<AsyncPgConnection, StoreError> {
        let opener = Arc::clone(&self.opener);
        let opening = self.runtime.spawn(async move { opener.open().await });
        opening
            .await
            .map_err(|error| StoreError::Unavailable(Box::new(error)))?
    }

    async fn recycle(&self, connection: &mut AsyncPgConnection, _: &Metrics) -> RecycleResult<StoreError> {
        if connection.is_broken() {
            return Err(RecycleError::message("the server has closed the connection"));
        }
        Ok(())
    }
}

/// The connections of a store.
pub(crate) struct Lender {
    pool: Pool<Connections>,
    runtime: Handle,
    lock_timeout: Duration,
    /// How many connections are being rolled back.
    cleaning: Arc<watch::Sender<usize>>,
}

impl core::fmt::Debug for Lender {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Lender").field(&self.pool.status()).finish()
    }
}

impl Lender {
    pub(crate) fn new(options: &PgOptions, opener: Arc<Opener>, runtime: Handle) -> Result<Self, StoreError> {
        let connections = Connections {
            opener,
            runtime: runtime.clone(),
        };
        let pool = Pool::builder(connections)
            .max_size(options.pool_size.max(1))
            .timeouts(Timeouts {
                wait: Some(options.wait_timeout),
                create: Some(options.connect_timeout),
                recycle: Some(options.connect_timeout),
            })
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Internal(Box::new(error)))?;
        Ok(Self {
            pool,
            runtime,
            lock_timeout: options.lock_timeout,
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
    pub(crate) async fn lend(&self) -> Result<Lease, StoreError> {
        let object = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy(Box::new(error)),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) | PoolError::Closed => {
                StoreError::Unavailable(Box::new(error))
            }
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => StoreError::Internal(Box::new(error)),
        })?;
        Ok(Lease {
            object: Some(object),
            planned: AtomicBool::new(false),
            runtime: self.runtime.clone(),
            lock_timeout: self.lock_timeout,
            cleaning: Arc::clone(&self.cleaning),
        })
    }

    /// Closes the connections that wait for the next unit of work: they may be as dead as the one that was just tried.
    pub(crate) fn discard_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

/// A connection on loan. Dropped, it is rolled back on the runtime of the store and only then lent again; where that
/// cannot be done it is closed, which ends its transaction too.
pub(crate) struct Lease {
    object: Option<Object<Connections>>,
    /// Whether statements of this transaction are planned for their values.
    planned: AtomicBool,
    runtime: Handle,
    lock_timeout: Duration,
    cleaning: Arc<watch::Sender<usize>>,
}

impl core::fmt::Debug for Lease {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

impl Lease {
    pub(crate) fn link(&self) -> Result<Link<'_>, StoreError> {
        let object = self.object.as_ref().ok_or_else(|| internal("the connection is gone"))?;
        Ok(Link::new(object, self.lock_timeout, &self.planned))
    }

    /// The way to the database for one statement outside a transaction, where nothing can be set for the time of one.
    pub(crate) fn link_for_one(&self) -> Result<Link<'_>, StoreError> {
        self.planned.store(true, Ordering::Relaxed);
        self.link()
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

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            let used = Used {
                object: Some(object),
                lock_timeout: self.lock_timeout,
            };
            let counted = Counted::new(&self.cleaning);
            self.runtime.spawn(async move {
                used.clean().await;
                drop(counted);
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
    lock_timeout: Duration,
}

impl Used {
    async fn clean(mut self) {
        let Some(object) = self.object.as_ref() else { return };
        let planned = AtomicBool::new(false);
        let rollback = Link::new(object, self.lock_timeout, &planned).command("ROLLBACK");
        if let Ok(Ok(())) = tokio::time::timeout(CLEANING_DEADLINE, rollback).await {
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
