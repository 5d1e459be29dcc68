//! Opens the store that the configuration names.

use crate::config::{Config, DatabaseUrl, Synchronous};
use crate::data_dir::{DataDirError, InstanceLock, LockError, prepare};
use canopy_storage_sqlite::{OpenError, SqliteOptions, SqliteStore};
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
    #[error("there is no database {} yet; start the server or run `canopy migrate` first", .0.display())]
    Missing(PathBuf),
    /// SQLite cannot open it.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: OpenError,
    },
}

/// A store that this process alone serves.
#[derive(Debug)]
pub struct OwnedStore {
    /// The store.
    pub store: SqliteStore,
    /// Keeps other processes away.
    pub lock: InstanceLock,
}

fn path_of(config: &Config) -> &Path {
    let DatabaseUrl::Sqlite(path) = &config.database.url;
    path
}

fn open(config: &Config, migrate: bool) -> Result<SqliteStore, StoreOpenError> {
    let path = path_of(config);
    let options = SqliteOptions {
        synchronous: match config.database.synchronous {
            Synchronous::Full => canopy_storage_sqlite::Synchronous::Full,
            Synchronous::Normal => canopy_storage_sqlite::Synchronous::Normal,
        },
        migrate,
        ..SqliteOptions::default()
    };
    let failed = |source| StoreOpenError::Open {
        path: path.to_owned(),
        source,
    };
    SqliteStore::open(&config.database.url.to_string(), options).map_err(failed)
}

/// Opens the store for this process alone, and brings its schema up to date.
///
/// # Errors
/// [`StoreOpenError`].
pub fn open_owned(config: &Config) -> Result<OwnedStore, StoreOpenError> {
    prepare(&config.data_dir)?;
    let lock = InstanceLock::take(path_of(config))?;
    for_owner_alone(path_of(config))?;
    let store = open(config, true)?;
    Ok(OwnedStore { store, lock })
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

/// Opens a store that exists, also while another process serves it: to look things up, not to write.
///
/// # Errors
/// [`StoreOpenError`].
pub fn open_beside(config: &Config) -> Result<SqliteStore, StoreOpenError> {
    let path = path_of(config);
    if !path.exists() {
        return Err(StoreOpenError::Missing(path.to_owned()));
    }
    open(config, false)
}
