//! Opens the store that the configuration names.

use crate::backoff::Backoff;
use crate::config::{Config, DatabaseUrl, PostgresConfig, PostgresUrl, SigningKeyFile, Synchronous};
use crate::data_dir::{DataDirError, InstanceLock, LockError, prepare};
use canopy_domain::port::{Store, StoreError};
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_storage_sqlite::{SqliteOptions, SqliteStore};
use std::error::Error as _;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Another process serves the database.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is no database yet.
    #[error(
        "there is no database {} yet; start the server or run `canopy migrate` first, or name the installation's folder \
         with --data-dir or CANOPY_DATA_DIR",
        .0.display()
    )]
    Missing(PathBuf),
    /// There is no data directory yet.
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
        /// Why.
        #[source]
        source: canopy_storage_sqlite::OpenError,
    },
    /// PostgreSQL cannot open it.
    #[error("cannot open the database on PostgreSQL")]
    Postgres(#[from] canopy_storage_postgres::OpenError),
}

/// A store to be served.
#[derive(Debug)]
pub enum Source {
    /// The file that this process alone serves, open, and what keeps other processes away.
    Sqlite(SqliteStore, InstanceLock),
    /// A database that others may serve as well, and that may not be there yet.
    Postgres(PgOptions),
}

fn open_sqlite(path: &Path, synchronous: Synchronous, migrate: bool) -> Result<SqliteStore, StoreOpenError> {
    let options = SqliteOptions {
        synchronous: match synchronous {
            Synchronous::Full => canopy_storage_sqlite::Synchronous::Full,
            Synchronous::Normal => canopy_storage_sqlite::Synchronous::Normal,
        },
        migrate,
        ..SqliteOptions::default()
    };
    let failed = |source| StoreOpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    SqliteStore::open(&format!("sqlite://{}", path.display()), options).map_err(failed)
}

fn postgres_options(url: &PostgresUrl, config: &PostgresConfig) -> PgOptions {
    PgOptions {
        pool_size: config.pool_size.get().into(),
        wait_timeout: config.wait_timeout,
        connect_timeout: config.connect_timeout,
        lock_timeout: config.lock_timeout,
        statement_timeout: config.statement_timeout,
        answer_timeout: config.answer_timeout,
        commit_timeout: config.commit_timeout,
        load_timeout: config.load_timeout,
        ..PgOptions::new(url.expose())
    }
}

/// Takes the store of this configuration for serving. A file is locked, opened and brought up to date; that of a database
/// server is left to [`open_once_reached`].
///
/// # Errors
/// [`StoreOpenError`].
pub fn take(config: &Config) -> Result<Source, StoreOpenError> {
    let path = match config.database_url() {
        DatabaseUrl::Postgres(url) => return Ok(Source::Postgres(postgres_options(&url, &config.postgres))),
        DatabaseUrl::Sqlite(path) => path,
    };
    prepare(&config.service.data_dir)?;
    let lock = InstanceLock::take(&path)?;
    for_owner_alone(&path)?;
    let store = open_sqlite(&path, config.sqlite.synchronous, true)?;
    Ok(Source::Sqlite(store, lock))
}

/// Opens a database on the runtime that is to drive its connections, and brings its schema up to date. As long as it
/// cannot be reached, it is tried again; `waiting` is called when the first try has failed.
///
/// # Errors
/// [`StoreOpenError::Postgres`] for what waiting does not mend.
pub async fn open_once_reached(options: &PgOptions, waiting: impl FnOnce()) -> Result<PgStore, StoreOpenError> {
    let mut waiting = Some(waiting);
    let mut backoff = Backoff::new();
    loop {
        match PgStore::open(options).await {
            Err(canopy_storage_postgres::OpenError::Store(
                error @ (StoreError::Unavailable(_) | StoreError::Busy(_)),
            )) => {
                if let Some(tell) = waiting.take() {
                    let cause = error.source().map(ToString::to_string);
                    tracing::warn!(%error, cause, "the database cannot be opened yet; trying until it can");
                    tell();
                }
                backoff.wait().await;
            }
            opened => return Ok(opened?),
        }
    }
}

/// Brings the schema up to date, and does no more.
///
/// # Errors
/// [`StoreOpenError`], also when the database cannot be reached.
pub async fn migrate(config: &Config) -> Result<(), StoreOpenError> {
    match take(config)? {
        Source::Sqlite(..) => Ok(()),
        Source::Postgres(options) => Ok(PgStore::migrate(&options).await?),
    }
}

/// Makes an empty database that its owner alone may read, unless there is one; SQLite gives the files beside it the same
/// mode. One that is open to others is left so, for somebody may want that, but not in silence.
fn for_owner_alone(path: &Path) -> Result<(), DataDirError> {
    let failed = |source| DataDirError::Database {
        path: path.to_owned(),
        source,
    };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = path.metadata().map_err(failed)?.mode() & 0o777;
            if mode & 0o077 != 0 {
                tracing::warn!(database = %path.display(), mode = format_args!("{mode:04o}"), "others may read the database");
            }
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

/// Checks that an installation is there, so that a command from the wrong folder makes nothing. A database server says
/// that itself.
///
/// # Errors
/// [`StoreOpenError::NoDataDir`], [`StoreOpenError::Missing`], with the whole path that was looked at.
pub fn require_installation(config: &Config) -> Result<(), StoreOpenError> {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let DatabaseUrl::Sqlite(path) = config.database_url() else {
        return Ok(());
    };
    let has_own_key = matches!(config.signing_key(), SigningKeyFile::Own(_));
    if has_own_key && !config.service.data_dir.is_dir() {
        return Err(StoreOpenError::NoDataDir(whole(&config.service.data_dir)));
    }
    if path.is_file() {
        Ok(())
    } else {
        Err(StoreOpenError::Missing(whole(&path)))
    }
}

/// Opens a store that exists, also while other processes serve it: to look things up.
///
/// # Errors
/// [`StoreOpenError`].
pub async fn open_beside(config: &Config) -> Result<Box<dyn Store>, StoreOpenError> {
    require_installation(config)?;
    match config.database_url() {
        DatabaseUrl::Sqlite(path) => Ok(Box::new(open_sqlite(&path, config.sqlite.synchronous, false)?)),
        DatabaseUrl::Postgres(url) => {
            let options = PgOptions {
                migrate: false,
                ..postgres_options(&url, &config.postgres)
            };
            Ok(Box::new(PgStore::open(&options).await?))
        }
    }
}
