//! The store: one file, one writer, several readers.

use crate::api_key;
use crate::assignment::EFFORT;
use crate::audit;
use crate::connection::{Connector, Pool, Purpose};
use crate::error::translate;
use crate::kept_answer;
use crate::migration::{OpenError, prepare};
use crate::options::{SqliteOptions, Synchronous};
use crate::statement::Statement;
use crate::temporary::TemporaryFolder;
use crate::unit_of_work::{UnitOfWork, blocking};
use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::api_key::KeyUse;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::{
    Begun, Installation, LockScope, ReadTx, RequestIdentity, RowStore, RowTx, Share, Store, StoreError, WriteTx,
};
use canopy_storage_sql::listing::Effort;
use canopy_storage_sql::{SqlText, sql};
use canopy_store_kit::running_requests::{RunningClaim, RunningRequests};
use diesel::SqliteConnection;
use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store of everything in one SQLite file.
///
/// There is one writer at a time, whatever it writes: every [`LockScope`] locks the whole store. Turns go round the tenants
/// that wait, and nobody waits beyond the deadline. No tenant holds more than half of the readers. Readers never wait for
/// the writer, nor the writer for readers.
/// Its methods need a tokio runtime with time; opening and closing do not.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pub(crate) writer: Arc<Pool>,
    pub(crate) readers: Arc<Pool>,
    pub(crate) connector: Arc<Connector>,
    running: RunningRequests,
}

impl SqliteStore {
    /// Opens the database in a file, given as a path or as `sqlite://` and a path; both are made where they are missing.
    /// Waits for the disk: call it at start, not where others wait.
    ///
    /// # Errors
    /// [`OpenError`], among others when a newer release has changed the schema.
    pub fn open(location: &str, options: SqliteOptions) -> Result<Self, OpenError> {
        Self::open_file(path_of(location)?, options, None)
    }

    /// Brings the schema in a file up to date, and does no more.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn migrate(location: &str) -> Result<(), OpenError> {
        let options = SqliteOptions {
            migrate: true,
            ..SqliteOptions::default()
        };
        Self::open(location, options).map(|_| ())
    }

    /// Opens a new database in a folder of its own, which goes when the store and its units of work have gone. For
    /// tests: it does not wait for the disk.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn temporary() -> Result<Self, OpenError> {
        Self::temporary_with(SqliteOptions {
            synchronous: Synchronous::Off,
            ..SqliteOptions::default()
        })
    }

    /// [`SqliteStore::temporary`] with other options.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn temporary_with(options: SqliteOptions) -> Result<Self, OpenError> {
        let folder = TemporaryFolder::new()?;
        Self::open_file(folder.path().join("canopy.sqlite"), options, Some(folder))
    }

    fn open_file(path: PathBuf, options: SqliteOptions, folder: Option<TemporaryFolder>) -> Result<Self, OpenError> {
        Self::open_with(path, options, folder, EFFORT)
    }

    /// [`SqliteStore::temporary`] that takes the rows of every list for many, to test the way they are read then.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    #[doc(hidden)]
    pub fn temporary_with_long_lists() -> Result<Self, OpenError> {
        let folder = TemporaryFolder::new()?;
        let options = SqliteOptions {
            synchronous: Synchronous::Off,
            ..SqliteOptions::default()
        };
        let effort = Effort { few: 0, part: u64::MAX };
        Self::open_with(folder.path().join("canopy.sqlite"), options, Some(folder), effort)
    }

    fn open_with(
        path: PathBuf,
        options: SqliteOptions,
        folder: Option<TemporaryFolder>,
        effort: Effort,
    ) -> Result<Self, OpenError> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let connector = Arc::new(Connector {
            path,
            options,
            _folder: folder,
            effort,
            statements: Arc::new(AtomicU64::new(0)),
        });
        let mut connection = connector.open(Purpose::Writing)?;
        prepare(&mut connection, options.migrate)?;
        let writer = Pool::new(Arc::clone(&connector), Purpose::Writing, 1);
        writer.put_back(connection);
        Ok(Self {
            writer,
            readers: Pool::new(Arc::clone(&connector), Purpose::Reading, options.readers),
            connector,
            running: RunningRequests::default(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.connector.path
    }

    /// Number of statements that the store has begun. Tests use it to show that the number does not depend on the size
    /// of a call.
    #[doc(hidden)]
    pub fn statement_count(&self) -> u64 {
        self.connector.statements.load(Ordering::Relaxed)
    }

    pub(crate) async fn begin(
        &self,
        from: &Arc<Pool>,
        share: Share,
        begin: fn(&mut SqliteConnection) -> Result<(), StoreError>,
    ) -> Result<UnitOfWork, StoreError> {
        self.begin_claimed(from, share, begin, None).await
    }

    async fn begin_claimed(
        &self,
        from: &Arc<Pool>,
        share: Share,
        begin: fn(&mut SqliteConnection) -> Result<(), StoreError>,
        claim: Option<RunningClaim>,
    ) -> Result<UnitOfWork, StoreError> {
        let ticket = from.ticket(share).await?;
        let from = Arc::clone(from);
        let pooled = blocking(move || {
            let mut pooled = from.lend(ticket, claim)?;
            begin(pooled.connection()?)?;
            Ok::<_, StoreError>(pooled)
        })
        .await??;
        Ok(UnitOfWork::new(pooled))
    }
}

/// Begins a transaction that sees one state: SQLite chooses it at the first read.
pub(crate) fn begin_reading(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN").map_err(|error| translate(error, None))?;
    answer(connection)
}

/// Begins a transaction that holds the lock on the file from the start.
pub(crate) fn begin_writing(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE").map_err(|error| translate(error, None))
}

/// Reads something small.
fn answer(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    static SELECT: SqlText = sql!("SELECT 1 FROM accounts LIMIT 1");
    Statement::new(&SELECT).for_each(connection, "accounts", |_| Ok(()))
}

#[async_trait]
impl RowStore for SqliteStore {
    async fn write_rows(&self, scope: LockScope) -> Result<Box<dyn RowTx>, StoreError> {
        let unit = self.begin(&self.writer, scope.share(), begin_writing).await?;
        Ok(Box::new(unit.within(&scope)))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError> {
        Ok(Box::new(self.begin(&self.readers, share, begin_reading).await?))
    }

    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError> {
        let unit = self.begin(&self.writer, scope.share(), begin_writing).await?;
        Ok(Box::new(unit.within(&scope)))
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        let uses = api_key::pack_uses(uses);
        let mut pooled = self
            .begin(&self.writer, Share::Installation, begin_writing)
            .await?
            .take()?;
        blocking(move || {
            pooled.within(pooled.statement_timeout(), |c| {
                api_key::note_uses(c, &uses)?;
                AnsiTransactionManager::commit_transaction(c).map_err(|error| translate(error, None))
            })
        })
        .await?
    }

    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        let mut pooled = self
            .begin(&self.writer, Share::Installation, begin_writing)
            .await?
            .take()?;
        blocking(move || {
            pooled.within(pooled.statement_timeout(), |c| {
                let is_more_left = kept_answer::forget(c, outdated)?;
                AnsiTransactionManager::commit_transaction(c).map_err(|error| translate(error, None))?;
                Ok(is_more_left)
            })
        })
        .await?
    }

    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        let mut pooled = self
            .begin(&self.writer, Share::Installation, begin_writing)
            .await?
            .take()?;
        blocking(move || {
            pooled.within(pooled.statement_timeout(), |c| {
                let is_more_left = crate::access::prune(c, outdated)?;
                AnsiTransactionManager::commit_transaction(c).map_err(|error| translate(error, None))?;
                Ok(is_more_left)
            })
        })
        .await?
    }

    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        let events = events.to_vec();
        let mut pooled = self
            .begin(&self.writer, Share::Installation, begin_writing)
            .await?
            .take()?;
        blocking(move || {
            pooled.within(pooled.statement_timeout(), |c| {
                audit::insert(c, &events, None)?;
                AnsiTransactionManager::commit_transaction(c).map_err(|error| translate(error, None))
            })
        })
        .await?
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
        let Some(claim) = self.running.claim(request) else {
            return Ok(Begun::Running);
        };
        // Whoever had the claim before has committed, so a reader sees its answer; it need not wait for the writer.
        let mut reading = self.begin(&self.readers, scope.share(), begin_reading).await?;
        let kept = reading.kept_answer(request, since).await?;
        drop(reading);
        if let Some(kept) = kept {
            return Ok(Begun::Answered(kept));
        }
        let unit = self.begin_claimed(&self.writer, scope.share(), begin_writing, Some(claim));
        Ok(Begun::Fresh(Box::new(unit.await?.within(&scope))))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.begin(&self.readers, Share::Installation, answer).await.map(|_| ())
    }
}

/// The path that a location names.
fn path_of(location: &str) -> Result<PathBuf, OpenError> {
    let path = location
        .strip_prefix("sqlite://")
        .or_else(|| location.strip_prefix("sqlite:"));
    let path = path.unwrap_or(location);
    // SQLite would take these for something other than a file; `?` begins options that are not supported.
    let special = path.is_empty() || path.starts_with(':') || path.starts_with("file:") || path.contains("://");
    if special || path.contains('?') || path.contains('\0') {
        return Err(OpenError::Location(location.to_owned()));
    }
    Ok(PathBuf::from(path))
}
