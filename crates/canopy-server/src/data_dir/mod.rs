//! Files: the data directory, the signing key, and the lock against a second process.

mod lock;
mod signing_key;

pub use lock::{InstanceLock, LockError};
pub use signing_key::{SigningKey, SigningKeyError};

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The reason for which the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be created.
    #[error("cannot create the data directory {}: {source}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The database cannot be created.
    #[error("cannot create the database {}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The path is not a directory.
    #[error("the data directory {} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
}

/// Creates a directory with its parents, accessible to its owner only, unless it exists.
///
/// # Errors
/// [`DataDirError`].
pub fn prepare(path: &Path) -> Result<(), DataDirError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    match made {
        Ok(()) => Ok(()),
        Err(_) if path.exists() && !path.is_dir() => Err(DataDirError::NotADirectory { path: path.to_owned() }),
        Err(source) => Err(DataDirError::Create {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_directory_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        prepare(&path).unwrap();
        prepare(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(dir.path().join("file"), "").unwrap();
        let wrong = prepare(&dir.path().join("file")).unwrap_err().to_string();
        assert!(wrong.ends_with("is not a directory"), "{wrong}");
    }
}
