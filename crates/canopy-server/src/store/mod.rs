//! Opens the configured store.

mod postgres;
mod served;
mod sqlite;

pub use served::{Closed, ServedStore};

use crate::backoff::Backoff;
use crate::config::{Config, DatabaseUrl};
use crate::data_dir::{DataDirError, LockError};
use async_trait::async_trait;
use canopy_domain::port::{Store, StoreError};
use postgres::PostgresOpener;
use sqlite::SqliteOpener;
use std::error::Error as _;
use std::fmt::Debug;
use std::path::PathBuf;

/// The reason for which the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Another process serves the database.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database does not exist yet.
    #[error(
        "there is no database {} yet; start the server or run `canopy migrate` first, or name the installation's folder \
         with --data-dir or CANOPY_DATA_DIR",
        .0.display()
    )]
    Missing(PathBuf),
    /// The data directory does not exist yet.
    #[error(
        "there is no data directory {}; start the server there first, or name the installation's folder with --data-dir \
         or CANOPY_DATA_DIR",
        .0.display()
    )]
    NoDataDir(PathBuf),
    /// SQLite cannot open it.
    #[error("cannot open the database {}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: canopy_storage_sqlite::OpenError,
    },
    /// PostgreSQL cannot open it.
    #[error("cannot open the database on PostgreSQL")]
    Postgres(#[from] canopy_storage_postgres::OpenError),
}

impl StoreOpenError {
    /// Returns the reason, if a retry may help.
    fn temporary(&self) -> Option<&StoreError> {
        match self {
            Self::Postgres(canopy_storage_postgres::OpenError::Store(
                error @ (StoreError::Unavailable(_) | StoreError::Busy(_)),
            )) => Some(error),
            Self::Postgres(_)
            | Self::DataDir(_)
            | Self::Lock(_)
            | Self::Missing(_)
            | Self::NoDataDir(_)
            | Self::Sqlite { .. } => None,
        }
    }
}

/// Opens one kind of store. These methods are the only difference between stores for the rest of the server.
#[async_trait]
pub trait OpenStore: Debug + Send + Sync {
    /// Returns true if other instances may serve the same data.
    fn is_shared(&self) -> bool;

    /// Checks that an installation exists, so that a command in the wrong directory creates nothing. Does not connect to a
    /// database server, which reports a missing database itself.
    ///
    /// # Errors
    /// [`StoreOpenError::NoDataDir`], [`StoreOpenError::Missing`], with the absolute path.
    fn require_installation(&self) -> Result<(), StoreOpenError>;

    /// Opens the store for serving and migrates its schema. A store that is not shared stays locked against other processes
    /// until the opener is dropped. Call on the runtime that drives the connections.
    ///
    /// # Errors
    /// [`StoreOpenError`].
    async fn open(&self) -> Result<Box<dyn Store>, StoreOpenError>;

    /// Opens an existing store, even while other processes serve it. Does not change its schema.
    ///
    /// # Errors
    /// [`StoreOpenError`].
    async fn open_existing(&self) -> Result<Box<dyn Store>, StoreOpenError>;

    /// Migrates the schema.
    ///
    /// # Errors
    /// [`StoreOpenError`], also if the database cannot be reached.
    async fn migrate(&self) -> Result<(), StoreOpenError>;
}

/// Returns the opener of the configured store.
pub fn opener(config: &Config) -> Box<dyn OpenStore> {
    match config.database_url() {
        DatabaseUrl::Sqlite(path) => Box::new(SqliteOpener::new(path, config)),
        DatabaseUrl::Postgres(url) => Box::new(PostgresOpener::new(&url, &config.postgres)),
    }
}

/// Opens a store for serving. Retries while it cannot be reached; calls `waiting` after the first failure.
///
/// # Errors
/// [`StoreOpenError`] for failures that a retry cannot resolve.
pub async fn open_once_reached(
    opener: &dyn OpenStore,
    waiting: impl FnOnce(),
) -> Result<Box<dyn Store>, StoreOpenError> {
    let mut waiting = Some(waiting);
    let mut backoff = Backoff::new();
    loop {
        let failed = match opener.open().await {
            Ok(store) => return Ok(store),
            Err(failed) => failed,
        };
        let Some(error) = failed.temporary() else {
            return Err(failed);
        };
        if let Some(waiting) = waiting.take() {
            let cause = error.source().map(ToString::to_string);
            tracing::warn!(%error, cause, "database cannot be opened; retrying");
            waiting();
        }
        backoff.wait().await;
    }
}
