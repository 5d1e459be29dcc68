//! Connections: how they are opened, and the shelves on which they wait for the next unit of work.

use crate::error::{Fault, internal, translate};
use crate::options::SqliteOptions;
use crate::temporary::TemporaryFolder;
use canopy_domain::port::{Share, StoreError, Turn, TurnBounds, Turns};
use canopy_storage_sql::listing::Effort;
use canopy_store_kit::running_requests::RunningClaim;
use diesel::connection::{AnsiTransactionManager, InstrumentationEvent, SimpleConnection, TransactionManager};
use diesel::{Connection, SqliteConnection};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Reading,
    Writing,
}

/// Opens connections to one file, all alike.
#[derive(Debug)]
pub(crate) struct Connector {
    /// The file, as SQLite is told of it.
    pub(crate) path: PathBuf,
    pub(crate) options: SqliteOptions,
    /// The folder that goes when the last connection has gone.
    pub(crate) _folder: Option<TemporaryFolder>,
    /// When the rows of a list are few.
    pub(crate) effort: Effort,
    /// Number of statements that its connections have begun.
    pub(crate) statements: Arc<AtomicU64>,
}

impl Connector {
    /// Opens a connection. The file is made where it is missing.
    pub(crate) fn open(&self, purpose: Purpose) -> Result<SqliteConnection, StoreError> {
        let unavailable = |error| StoreError::Unavailable(Box::new(error));
        canopy_sqlite_deadline::install().map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        let mut connection = SqliteConnection::establish(name_for_sqlite(&self.path)?).map_err(|error| {
            let what = if matches!(error, diesel::ConnectionError::BadConnection(_)) {
                "the database file cannot be opened"
            } else {
                "the name of the database file cannot be given to SQLite"
            };
            tracing::warn!(%error, what);
            unavailable(Fault(what))
        })?;
        let SqliteOptions {
            synchronous,
            deadline,
            wal_autocheckpoint,
            ..
        } = self.options;
        let (cache_kib, query_only) = match purpose {
            Purpose::Reading => (self.options.reader_cache_kib, "ON"),
            Purpose::Writing => (self.options.writer_cache_kib, "OFF"),
        };
        // Each by itself: SQLite asks for it, and the first decides how long the others wait for a lock.
        for pragma in [
            format!("busy_timeout = {}", deadline.as_millis()),
            "journal_mode = WAL".to_owned(),
            format!("synchronous = {}", synchronous.word()),
            "foreign_keys = ON".to_owned(),
            "trusted_schema = OFF".to_owned(),
            "temp_store = MEMORY".to_owned(),
            format!("cache_size = -{cache_kib}"),
            format!("wal_autocheckpoint = {wal_autocheckpoint}"),
            format!("journal_size_limit = {}", 64 * 1024 * 1024),
            format!("query_only = {query_only}"),
        ] {
            connection
                .batch_execute(&format!("PRAGMA {pragma}"))
                .map_err(|error| translate(error, None))?;
        }
        let statements = Arc::clone(&self.statements);
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if matches!(event, InstrumentationEvent::StartQuery { .. }) {
                statements.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(connection)
    }
}

/// The text by which SQLite finds the file. A relative path that looks like one of SQLite's special names is made plain.
fn name_for_sqlite(path: &Path) -> Result<&str, StoreError> {
    path.to_str()
        .ok_or_else(|| StoreError::Unavailable(Box::new(Fault("the path of the database file is not UTF-8"))))
}

/// Connections of one purpose, lent to one unit of work each. Turns go round the tenants that wait.
#[derive(Debug)]
pub(crate) struct Pool {
    // Declared first: connections are closed before the connector lets go of the folder they may be in.
    idle: Mutex<Idle>,
    purpose: Purpose,
    connector: Arc<Connector>,
    turns: Turns,
}

#[derive(Default)]
struct Idle(Vec<SqliteConnection>);

impl core::fmt::Debug for Idle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Idle").field(&self.0.len()).finish()
    }
}

impl Pool {
    pub(crate) fn new(connector: Arc<Connector>, purpose: Purpose, size: u32) -> Arc<Self> {
        let size = usize::try_from(size.max(1)).unwrap_or(1);
        Arc::new(Self {
            purpose,
            connector,
            idle: Mutex::default(),
            // Long reads of one tenant leave the other half to the others.
            turns: Turns::new(TurnBounds::new(size, size.div_ceil(2))),
        })
    }

    /// Waits for a tenant's turn, no longer than the deadline.
    pub(crate) async fn ticket(&self, share: Share) -> Result<Turn, StoreError> {
        match tokio::time::timeout(self.deadline(), self.turns.take(share)).await {
            Ok(Ok(ticket)) => Ok(ticket),
            Ok(Err(closed)) => Err(StoreError::Unavailable(Box::new(closed))),
            Err(elapsed) => Err(StoreError::Busy(Box::new(elapsed))),
        }
    }

    /// Lends a connection against a ticket. Opens one where none is idle, so this may wait for the disk.
    pub(crate) fn lend(
        self: &Arc<Self>,
        ticket: Turn,
        claim: Option<RunningClaim>,
    ) -> Result<PooledConnection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).0.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connector.open(self.purpose)?,
        };
        Ok(PooledConnection {
            connection: Some(connection),
            pool: Arc::clone(self),
            _claim: claim,
            _ticket: ticket,
        })
    }

    fn deadline(&self) -> Duration {
        self.connector.options.deadline
    }

    pub(crate) fn put_back(&self, connection: SqliteConnection) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .push(connection);
    }
}

/// A connection on loan. Dropped, it rolls back whatever is open, puts the connection back on its pool and then gives
/// the ticket to whoever waits; a connection that cannot be rolled back is closed, which ends its transaction too.
pub(crate) struct PooledConnection {
    connection: Option<SqliteConnection>,
    pool: Arc<Pool>,
    /// The request that may be repeated, where the unit of work is for one. It stays claimed as long as the transaction is
    /// open, also where the caller gave up in the middle of a call.
    _claim: Option<RunningClaim>,
    // Declared last, so that it is given back last.
    _ticket: Turn,
}

impl core::fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PooledConnection")
            .field("purpose", &self.pool.purpose)
            .finish_non_exhaustive()
    }
}

impl PooledConnection {
    pub(crate) fn effort(&self) -> Effort {
        self.pool.connector.effort
    }

    /// The time that one statement has.
    pub(crate) fn statement_timeout(&self) -> Duration {
        self.pool.connector.options.statement_timeout
    }

    /// The time that a statement has which reads an environment into memory.
    pub(crate) fn load_timeout(&self) -> Duration {
        self.pool.connector.options.load_timeout
    }

    /// Does some work on the connection, each of whose statements ends within `limit`. Where one was interrupted, SQLite has
    /// rolled back what the transaction wrote.
    pub(crate) fn within<T>(
        &mut self,
        limit: Duration,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.connection()?;
        match canopy_sqlite_deadline::limited(limit, || work(connection)) {
            (_, true) => Err(StoreError::Busy(Box::new(Fault("a statement ran past its deadline")))),
            (done, false) => done,
        }
    }

    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.connection
            .as_mut()
            .ok_or_else(|| internal("the connection is gone"))
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match AnsiTransactionManager::rollback_transaction(&mut connection) {
            Ok(()) | Err(diesel::result::Error::NotInTransaction) => self.pool.put_back(connection),
            Err(error) => tracing::warn!(%error, "connection not rolled back; closing it"),
        }
    }
}
