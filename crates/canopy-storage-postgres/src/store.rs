//! The store: a pool of connections to one database, and the feed of what changes in it.

use crate::api_key;
use crate::assignment::EFFORT;
use crate::audit;
use crate::connect::Connector;
use crate::error::Fault;
use crate::feed::{self, Notifier};
use crate::health::Health;
use crate::kept_answer::{self, Known};
use crate::lock;
use crate::migration::{self, OpenError};
use crate::options::PgOptions;
use crate::pool::{Pool, PooledConnection, Watch};
use crate::pulse::Pulse;
use crate::statement::Statement;
use crate::turns::{HeldTurn, Turns};
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::api_key::KeyUse;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::{
    Begun, CommitTag, FeedEvent, Head, Installation, LockScope, ReadTx, RequestIdentity, RowStore, RowTx, Share,
    SharedStore, Store, StoreError, WriteTx,
};
use canopy_domain::{EnvironmentId, Revision, Slug, Timestamp};
use canopy_storage_sql::listing::Effort;
use canopy_storage_sql::{Row as _, SqlText, sql};
use core::convert::Infallible;
use futures_util::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use uuid::Uuid;

/// A store of everything in one PostgreSQL database, which several instances may use at once. Clones are the same store.
///
/// Its connections are opened and driven by the tokio runtime on which [`PgStore::open`] was called, whoever uses them:
/// it must be a runtime with threads of its own that lives as long as the store. Units of work may run anywhere.
#[derive(Debug, Clone)]
pub struct PgStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connector: Arc<Connector>,
    runtime: Handle,
    /// True if the rows of every list are taken for many.
    has_long_lists: AtomicBool,
    health: Arc<Health>,
    /// Connections for transactions.
    pool: Arc<Pool>,
    /// Connections for fences and announcements, which no transaction can take.
    fences: Arc<Pool>,
    turns: Turns,
    deadlines: Deadlines,
    notifier: Notifier,
    watch: Arc<Watch>,
    _pulse: Pulse,
}

/// Deadlines of the server, beside the one of every statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// For what it answers at once when it is well.
    pub(crate) answer: Duration,
    pub(crate) lock: Duration,
    pub(crate) commit: Duration,
    pub(crate) load: Duration,
}

/// The number of connections for fences and announcements.
const FENCES: usize = 3;

impl PgStore {
    /// Opens a database. Where `options.migrate` says so, brings its schema up to date first; several instances may do
    /// this at once.
    ///
    /// # Errors
    /// [`OpenError`], among others when a newer release has changed the schema.
    pub async fn open(options: &PgOptions) -> Result<Self, OpenError> {
        let runtime = Handle::try_current().map_err(|error| OpenError::Runtime(Box::new(error)))?;
        let watch = Arc::new(Watch::default());
        let health = Arc::new(Health::new());
        let connector = Arc::new(Connector::new(options, Arc::clone(&health), Arc::clone(&watch))?);
        migration::prepare(&connector, options, options.migrate).await?;
        let pool = |size| {
            let (connector, health) = (Arc::clone(&connector), Arc::clone(&health));
            Pool::new(options, size, connector, health, runtime.clone()).map(Arc::new)
        };
        let (pool, fences) = (pool(options.pool_size)?, pool(FENCES)?);
        let pulse = Pulse::start(
            Arc::clone(&connector),
            Arc::clone(&health),
            options.answer_timeout,
            &runtime,
        );
        let inner = Inner {
            notifier: Notifier::start(Arc::clone(&fences), &runtime),
            turns: Turns::new(options.pool_size, options.lock_timeout, options.wait_timeout),
            deadlines: Deadlines {
                answer: options.answer_timeout,
                lock: options.lock_timeout.saturating_add(options.answer_timeout),
                commit: options.commit_timeout,
                load: options.load_timeout,
            },
            connector,
            runtime,
            has_long_lists: AtomicBool::new(false),
            health,
            pool,
            fences,
            watch,
            _pulse: pulse,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Brings the schema of a database up to date, and does no more.
    ///
    /// # Errors
    /// As [`PgStore::open`].
    pub async fn migrate(options: &PgOptions) -> Result<(), OpenError> {
        let connector = Connector::new(options, Arc::new(Health::new()), Arc::default())?;
        migration::prepare(&connector, options, true).await
    }

    /// Takes back every migration, and with them everything that is stored.
    ///
    /// # Errors
    /// As [`PgStore::open`].
    #[doc(hidden)]
    pub async fn revert(options: &PgOptions) -> Result<(), OpenError> {
        let connector = Connector::new(options, Arc::new(Health::new()), Arc::default())?;
        migration::revert(&connector, options).await
    }

    /// Closes the pool: whoever asks for a unit of work from now on finds the store unavailable.
    pub fn close(&self) {
        self.inner.turns.close();
        self.inner.pool.close();
        self.inner.fences.close();
    }

    /// From now on, takes the rows of every list for many, to test the way they are read then.
    #[doc(hidden)]
    pub fn have_long_lists(&self) {
        self.inner.has_long_lists.store(true, Ordering::Relaxed);
    }

    fn effort(&self) -> Effort {
        if self.inner.has_long_lists.load(Ordering::Relaxed) {
            Effort { few: 0, part: u64::MAX }
        } else {
            EFFORT
        }
    }

    /// Number of statements that the store has begun. Tests use it to show that the number does not depend on the size
    /// of a call.
    #[doc(hidden)]
    pub fn statement_count(&self) -> u64 {
        self.inner.watch.count()
    }

    /// The texts of the statements begun since the last time this was called; the first time, none.
    #[doc(hidden)]
    pub fn statement_texts(&self) -> Vec<String> {
        self.inner.watch.texts()
    }

    /// Opens a transaction once it is its turn. A connection that turns out to be dead is replaced once: nothing has been
    /// done on it yet, and after a restart of the server all that wait are dead.
    async fn begin(&self, how: Begin<'_>) -> Result<(UnitOfWork, Known), StoreError> {
        self.inner.health.must_answer()?;
        let (turn, tenant) = match how {
            Begin::Reading(share) => (self.inner.turns.read(share).await?, Uuid::nil()),
            Begin::Unlocked(scope) | Begin::Claiming(scope, ..) | Begin::Writing(scope) => {
                (self.inner.turns.write(scope).await?, scope.id())
            }
        };
        let began = match self.try_begin(how).await {
            Err(StoreError::Unavailable(cause)) => {
                tracing::debug!(%cause, "a connection was lost; trying a new one");
                self.inner.pool.discard_idle();
                self.try_begin(how).await
            }
            began => began,
        };
        let (lease, known) = began?;
        Ok((self.unit(lease, turn, tenant), known))
    }

    fn unit(&self, mut lease: PooledConnection, turn: HeldTurn, tenant: Uuid) -> UnitOfWork {
        lease.keep(turn);
        UnitOfWork::new(lease, self.inner.deadlines, self.effort(), tenant)
    }

    pub(crate) async fn begin_reading(&self) -> Result<UnitOfWork, StoreError> {
        let (unit, _) = self.begin(Begin::Reading(Share::Installation)).await?;
        Ok(unit)
    }

    /// Opens a transaction that writes what no scope covers.
    pub(crate) async fn begin_unlocked(&self) -> Result<UnitOfWork, StoreError> {
        let (unit, _) = self.begin(Begin::Unlocked(&LockScope::Installation)).await?;
        Ok(unit)
    }

    async fn try_begin(&self, how: Begin<'_>) -> Result<(PooledConnection, Known), StoreError> {
        let lease = self.inner.pool.lend().await?;
        let deadlines = self.inner.deadlines;
        let connection = lease.connection()?;
        let at_once = connection.with_deadline(deadlines.answer);
        let began = match how {
            Begin::Reading(_) => {
                let begun = at_once.command("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
                begun.map(|()| Known::Nothing)
            }
            Begin::Unlocked(_) => at_once.command(BEGIN_WRITING).await.map(|()| Known::Nothing),
            Begin::Claiming(_, request, since) => {
                let begin = at_once.command(BEGIN_WRITING);
                let claim = kept_answer::claim(at_once, request, since);
                future::try_join(begin, claim).await.map(|((), known)| known)
            }
            Begin::Writing(scope) => {
                let begin = at_once.command(BEGIN_WRITING);
                let locks = lock::take(connection.with_deadline(deadlines.lock), scope);
                future::try_join(begin, locks).await.map(|_| Known::Nothing)
            }
        };
        match began {
            Ok(known) => Ok((lease, known)),
            Err(error @ StoreError::Unavailable(_)) => {
                lease.discard();
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for heads outside a transaction, and once more on a new connection where the first turns out to be dead.
    async fn ask(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError> {
        self.inner.health.must_answer()?;
        match self.try_ask(environments).await {
            Err(StoreError::Unavailable(_)) => {
                self.inner.health.must_answer()?;
                self.inner.fences.discard_idle();
                self.try_ask(environments).await
            }
            answer => answer,
        }
    }

    async fn try_ask(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError> {
        // The first column is there whatever is asked about: a server in recovery may lack what was committed.
        static SELECT: SqlText = sql!(
            "SELECT pg_is_in_recovery(), e.id, e.revision, e.tag, e.application_slug, e.slug \
             FROM (SELECT) AS always LEFT JOIN (SELECT environments.id, environments.revision, environments.tag, \
                 applications.slug AS application_slug, environments.slug \
                 FROM unnest($1) AS asked (id) CROSS JOIN LATERAL (SELECT * FROM environments AS o \
                     WHERE o.id = asked.id OFFSET 0) AS environments \
                 CROSS JOIN LATERAL (SELECT o.slug FROM applications AS o \
                     WHERE o.id = environments.application_id OFFSET 0) AS applications) AS e ON true"
        );
        let lease = self.inner.fences.lend().await?;
        let ids: Vec<Uuid> = environments.iter().map(EnvironmentId::as_uuid).collect();
        let connection = lease.connection()?.with_deadline(self.inner.deadlines.answer);
        let mut is_standby = true;
        let mut heads = Vec::with_capacity(ids.len());
        let asked = Statement::new(&SELECT)
            .bind(ids)
            .for_each(connection, "environments", |row| {
                is_standby = row.flag(0)?;
                if let Some(environment) = row.optional_id(1)? {
                    heads.push(Head {
                        environment,
                        revision: Revision::new(row.count(2)?),
                        tag: Some(CommitTag::from_stored(row.number(3)?)),
                        application_slug: row.text(4, Slug::parse)?,
                        slug: row.text(5, Slug::parse)?,
                    });
                }
                Ok(())
            });
        match asked.await {
            Ok(()) if is_standby => {
                lease.discard();
                Err(StoreError::Unavailable(Box::new(Fault("the server is a standby"))))
            }
            Err(error @ StoreError::Unavailable(_)) => {
                lease.discard();
                Err(error)
            }
            Err(error) => Err(error),
            Ok(()) => {
                lease.give_back();
                Ok(heads)
            }
        }
    }
}

const BEGIN_WRITING: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

#[derive(Clone, Copy)]
enum Begin<'a> {
    Reading(Share),
    /// The locks of this scope are taken later.
    Unlocked(&'a LockScope),
    /// The same, for a request that may be repeated.
    Claiming(&'a LockScope, RequestIdentity, Timestamp),
    Writing(&'a LockScope),
}

#[async_trait]
impl RowStore for PgStore {
    async fn write_rows(&self, scope: LockScope) -> Result<Box<dyn RowTx>, StoreError> {
        let (unit, _) = self.begin(Begin::Writing(&scope)).await?;
        Ok(Box::new(unit))
    }
}

#[async_trait]
impl Store for PgStore {
    async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError> {
        let (unit, _) = self.begin(Begin::Reading(share)).await?;
        Ok(Box::new(unit))
    }

    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError> {
        let (unit, _) = self.begin(Begin::Writing(&scope)).await?;
        Ok(Box::new(unit))
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        let lease = self.inner.pool.lend().await?;
        if let Err(error) = api_key::note_uses(uses).execute(lease.connection()?).await {
            lease.discard();
            Err(error)
        } else {
            lease.give_back();
            Ok(())
        }
    }

    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        let lease = self.inner.pool.lend().await?;
        match kept_answer::forget(outdated).execute(lease.connection()?).await {
            Err(error) => {
                lease.discard();
                Err(error)
            }
            Ok(forgotten) => {
                lease.give_back();
                Ok(forgotten >= kept_answer::BATCH)
            }
        }
    }

    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        let lease = self.inner.pool.lend().await?;
        match crate::access::prune(outdated).execute(lease.connection()?).await {
            Err(error) => {
                lease.discard();
                Err(error)
            }
            Ok(pruned) => {
                lease.give_back();
                Ok(pruned > 0)
            }
        }
    }

    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        // One statement is a transaction of its own.
        let lease = self.inner.pool.lend().await?;
        match audit::append(events).execute(lease.connection()?).await {
            Err(error @ StoreError::Unavailable(_)) => {
                lease.discard();
                Err(error)
            }
            Err(error) => Err(error),
            Ok(_) => {
                lease.give_back();
                Ok(())
            }
        }
    }

    fn installation(&self) -> &dyn Installation {
        self
    }

    async fn write_once(
        &self,
        scope: LockScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError> {
        // A transaction that was dropped a moment ago holds its claim until it is rolled back: then it is asked once more.
        for is_last in [false, true] {
            let (mut unit, known) = self.begin(Begin::Claiming(&scope, request, since)).await?;
            match known {
                Known::Nothing => {
                    // Sent together; the sum is that under the locks.
                    let connection = unit.connection()?;
                    let locks = lock::take(connection.with_deadline(self.inner.deadlines.lock), &scope);
                    let bytes = kept_answer::sum(connection, scope.id(), since);
                    let ((), bytes) = future::try_join(locks, bytes).await?;
                    unit.know_kept_bytes(since, bytes);
                    return Ok(Begun::Fresh(Box::new(unit)));
                }
                Known::Answer(answer) => {
                    drop(unit);
                    self.inner.pool.cleaned().await;
                    return Ok(Begun::Answered(answer));
                }
                Known::Running if is_last => break,
                Known::Running => {
                    drop(unit);
                    self.inner.pool.cleaned().await;
                }
            }
        }
        Ok(Begun::Running)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.ask(&[]).await.map(|_| ())
    }

    fn shared(&self) -> Option<&dyn SharedStore> {
        Some(self)
    }
}

#[async_trait]
impl SharedStore for PgStore {
    async fn heads(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError> {
        self.ask(environments).await
    }

    fn epoch(&self) -> u64 {
        self.inner.health.epoch()
    }

    fn publish(&self, revisions: &[(EnvironmentId, Revision)]) {
        self.inner.notifier.tell(revisions);
    }

    async fn listen(&self, receive: &(dyn Fn(FeedEvent) + Send + Sync)) -> Result<Infallible, StoreError> {
        let inner = &self.inner;
        feed::listen(Arc::clone(&inner.connector), &inner.health, &inner.runtime, receive).await
    }
}
