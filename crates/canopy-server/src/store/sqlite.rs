//! Opens a database file of SQLite.

use super::{OpenStore, StoreOpenError};
use crate::config::{Config, SigningKeyFile, Synchronous};
use crate::data_dir::{DataDirError, InstanceLock, prepare};
use async_trait::async_trait;
use canopy_domain::port::Store;
use canopy_storage_sqlite::{SqliteOptions, SqliteStore};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Opens a file that one process at a time serves.
#[derive(Debug)]
pub(super) struct SqliteOpener {
    path: PathBuf,
    data_dir: PathBuf,
    synchronous: Synchronous,
    /// True if the signing key is in the data directory, so that the directory must exist.
    has_own_key: bool,
    /// Locks out other processes once the store is open for serving.
    lock: OnceLock<InstanceLock>,
}

impl SqliteOpener {
    pub(super) fn new(path: PathBuf, config: &Config) -> Self {
        Self {
            path,
            data_dir: config.service.data_dir.clone(),
            synchronous: config.sqlite.synchronous,
            has_own_key: matches!(config.signing_key(), SigningKeyFile::Own(_)),
            lock: OnceLock::new(),
        }
    }

    fn open_file(&self, migrate: bool) -> Result<SqliteStore, StoreOpenError> {
        let options = SqliteOptions {
            synchronous: match self.synchronous {
                Synchronous::Full => canopy_storage_sqlite::Synchronous::Full,
                Synchronous::Normal => canopy_storage_sqlite::Synchronous::Normal,
            },
            migrate,
            ..SqliteOptions::default()
        };
        let failed = |source| StoreOpenError::Sqlite {
            path: self.path.clone(),
            source,
        };
        SqliteStore::open(&format!("sqlite://{}", self.path.display()), options).map_err(failed)
    }
}

#[async_trait]
impl OpenStore for SqliteOpener {
    fn is_shared(&self) -> bool {
        false
    }

    fn require_installation(&self) -> Result<(), StoreOpenError> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if self.has_own_key && !self.data_dir.is_dir() {
            return Err(StoreOpenError::NoDataDir(absolute(&self.data_dir)));
        }
        if self.path.is_file() {
            Ok(())
        } else {
            Err(StoreOpenError::Missing(absolute(&self.path)))
        }
    }

    async fn open(&self) -> Result<Box<dyn Store>, StoreOpenError> {
        prepare(&self.data_dir)?;
        let lock = InstanceLock::take(&self.path)?;
        create_private(&self.path)?;
        let store = self.open_file(true)?;
        self.lock.get_or_init(|| lock);
        Ok(Box::new(store))
    }

    async fn open_existing(&self) -> Result<Box<dyn Store>, StoreOpenError> {
        self.require_installation()?;
        Ok(Box::new(self.open_file(false)?))
    }

    async fn migrate(&self) -> Result<(), StoreOpenError> {
        self.open().await.map(drop)
    }
}

/// Creates an empty database that only its owner may read, unless it exists; SQLite gives the files beside it the same
/// mode. Keeps the mode of an existing one, which may be intended, and warns if other users may read it.
fn create_private(path: &Path) -> Result<(), DataDirError> {
    let failed = |source| DataDirError::Database {
        path: path.to_owned(),
        source,
    };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = path.metadata().map_err(failed)?.mode() & 0o777;
            if mode & 0o077 != 0 {
                tracing::warn!(database = %path.display(), mode = format_args!("{mode:04o}"), "database file is readable by other users");
            }
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}
