//! One process for each database file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The right to serve a database file, held until it is dropped or the process ends, however it ends.
///
/// Decision indexes are kept in memory and moved forward by the process that writes. A second process on the same file
/// would answer from an index that knows nothing of the first one's writes.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

/// The lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another process is serving the database {}; one process at a time may", database.display())]
    Held {
        /// The database.
        database: PathBuf,
    },
    /// The lock file cannot be made or locked.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InstanceLock {
    /// Takes the lock of a database file, which need not exist yet.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it, [`LockError::Io`].
    pub fn take(database: &Path) -> Result<Self, LockError> {
        // Two names of one file must find one lock.
        let real = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let mut name = real.into_os_string();
        name.push(".lock");
        let path = PathBuf::from(name);
        let io = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held {
                database: database.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_by_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, alias) = (dir.path().join("c.db"), dir.path().join("alias.db"));
        std::fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &alias).unwrap();
        let held = InstanceLock::take(&path).unwrap();
        for name in [&path, &alias] {
            assert!(matches!(InstanceLock::take(name), Err(LockError::Held { .. })));
        }
        drop(held);
        InstanceLock::take(&alias).unwrap();
    }

    #[test]
    fn a_missing_folder_is_a_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        let wrong = InstanceLock::take(&dir.path().join("no/c.db")).unwrap_err().to_string();
        assert!(
            wrong.starts_with("cannot lock") && wrong.contains("no/c.db.lock"),
            "{wrong}"
        );
    }
}
