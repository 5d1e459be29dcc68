//! One process for each database file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The exclusive right to serve a database file, held until it is dropped or the process ends.
///
/// The writing process holds the decision indexes in memory and updates them. A second process on the same file would
/// answer from an index without the writes of the first one.
///
/// Two files are locked with `flock`: `NAME.lock` beside the database, and the database itself. The lock on the second
/// one works for every name of the file, and cannot be removed apart from it. SQLite locks with `fcntl`, which is
/// independent of `flock`; but closing any descriptor of a file releases all `fcntl` locks of the process on it. So the
/// database is opened here before SQLite opens it, and closed after SQLite has closed it.
#[derive(Debug)]
pub struct InstanceLock {
    _beside: File,
    _database: File,
}

/// The reason for which the lock is not available.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process is serving the database {}; only one process at a time may", database.display())]
    Held {
        /// The database.
        database: PathBuf,
    },
    /// A file cannot be created or locked.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl InstanceLock {
    /// Locks a database file, which is created empty, readable by its owner only, if it is missing.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process holds the lock, [`LockError::Io`].
    pub fn take(database: &Path) -> Result<Self, LockError> {
        // All names of one file must lead to one lock.
        let real = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let mut name = real.clone().into_os_string();
        name.push(".lock");
        // The file beside it comes first: if this process holds the lock, the database must not be opened and closed.
        let beside = lock(database, PathBuf::from(name))?;
        let locked = lock(database, real)?;
        Ok(Self {
            _beside: beside,
            _database: locked,
        })
    }
}

/// Opens or creates a file, and locks it.
fn lock(database: &Path, path: PathBuf) -> Result<File, LockError> {
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = match opened {
        Ok(file) => file,
        Err(source) => return Err(LockError::Io { path, source }),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let database = database.to_owned();
            return Err(LockError::Held { database });
        }
        Err(TryLockError::Error(source)) => return Err(LockError::Io { path, source }),
    }
    // Between opening and locking, another file may have replaced this one.
    match (file.metadata(), path.metadata()) {
        (Ok(locked), Ok(named)) if (locked.dev(), locked.ino()) == (named.dev(), named.ino()) => Ok(file),
        (Err(source), _) | (_, Err(source)) => Err(LockError::Io { path, source }),
        _ => Err(LockError::Held {
            database: database.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn one_holder_at_a_time_by_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let [path, alias, link] = ["c.db", "alias.db", "link.db"].map(|name| dir.path().join(name));
        fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &alias).unwrap();
        fs::hard_link(&path, &link).unwrap();
        let held = InstanceLock::take(&path).unwrap();
        let refused = |name: &Path| matches!(InstanceLock::take(name), Err(LockError::Held { .. }));
        assert!(refused(&path) && refused(&alias) && refused(&link));
        fs::remove_file(dir.path().join("c.db.lock")).unwrap();
        assert!(refused(&path) && refused(&alias) && refused(&link));
        drop(held);
        InstanceLock::take(&alias).unwrap();
    }

    #[test]
    fn a_database_is_made_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.db");
        let _held = InstanceLock::take(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
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
