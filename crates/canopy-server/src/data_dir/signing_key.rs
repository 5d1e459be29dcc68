//! The installation's own Ed25519 key.

use crate::config::{Secret, SigningKeyFile};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use canopy_domain::port::Secrets;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The PKCS#8 PEM text of an Ed25519 key.
#[derive(Debug, Clone)]
pub struct SigningKey(Secret);

/// The reason for which the signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The configured file does not exist.
    #[error("the signing key file {} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or created.
    #[error("cannot {verb} the signing key file {}: {source}", path.display())]
    Io {
        /// The failed operation.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Another user owns it.
    #[error("the signing key {} belongs to another user, who could sign tokens with it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Users other than the owner may read or change the file.
    #[error(
        "other users may access the signing key file {} (mode {mode:04o}); run `chmod 600` on it",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file contains no key.
    #[error("the signing key file {} does not hold an Ed25519 private key in PKCS#8 PEM", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
}

/// The DER of a PKCS#8 Ed25519 key (RFC 8410) up to its 32 bytes of seed.
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

const LARGEST_FILE: u64 = 64 * 1024;

impl SigningKey {
    /// Loads the key. Creates a missing one in the data directory; if several processes do that at once, all get the
    /// same key.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn load(file: &SigningKeyFile, secrets: &dyn Secrets) -> Result<Self, SigningKeyError> {
        if let SigningKeyFile::Own(path) = file {
            remove_stale_drafts(folder_of(path));
        }
        match (file, read(file.path())) {
            (SigningKeyFile::Own(path), Err(SigningKeyError::Missing { .. })) => {
                make(path, secrets).map_err(|source| SigningKeyError::Io {
                    verb: "make",
                    path: path.clone(),
                    source,
                })?;
                read(path)
            }
            (_, read) => read,
        }
    }

    /// Returns the PEM text.
    pub fn pem(&self) -> &str {
        self.0.expose()
    }
}

fn read(path: &Path) -> Result<SigningKey, SigningKeyError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => SigningKeyError::Missing { path: path.to_owned() },
        _ => SigningKeyError::Io {
            verb: "read",
            path: path.to_owned(),
            source,
        },
    };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    // The owner of the file can sign tokens with the key.
    if let Some(own) = own_uid()
        && metadata.uid() != own
        && metadata.uid() != 0
    {
        return Err(SigningKeyError::Foreign { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(SigningKeyError::Exposed { path, mode });
    }
    let mut bytes = vec![];
    file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(io)?;
    String::from_utf8(bytes)
        .ok()
        .filter(|text| is_ed25519(text))
        .map(|text| SigningKey(Secret::new(text)))
        .ok_or_else(|| SigningKeyError::NotAKey { path: path.to_owned() })
}

/// Returns the user of this process, if the system knows it.
fn own_uid() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// Returns whether the text is a PKCS#8 PEM of an Ed25519 key, of version 1 or 2.
fn is_ed25519(pem: &str) -> bool {
    const ALGORITHM: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let base64: Option<String> = pem
        .trim()
        .strip_prefix("-----BEGIN PRIVATE KEY-----")
        .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"))
        .map(|body| body.split_ascii_whitespace().collect());
    let der = base64.and_then(|body| STANDARD.decode(body).ok()).unwrap_or_default();
    der.get(5..5 + ALGORITHM.len()) == Some(ALGORITHM) && der.len() >= PKCS8_HEAD.len() + 32
}

/// Creates a key under a temporary name and renames it, unless another process was faster.
fn make(path: &Path, secrets: &dyn Secrets) -> io::Result<()> {
    let der: Vec<u8> = PKCS8_HEAD.into_iter().chain(secrets.bytes()).collect();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der)
    );
    let folder = folder_of(path);
    let mut tries = 0;
    loop {
        let [a, b, c, d, ..] = secrets.bytes();
        let nonce = u32::from_be_bytes([a, b, c, d]);
        let draft = folder.join(format!(
            "{DRAFT_PREFIX}{}-{nonce:08x}{DRAFT_SUFFIX}",
            std::process::id()
        ));
        match publish(&draft, path, &pem) {
            // Another process removed the draft as a stale one, in the moment before it was locked.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < MAX_TRIES => tries += 1,
            published => {
                published?;
                return File::open(folder)?.sync_all();
            }
        }
    }
}

/// Maximum number of drafts lost to other processes.
const MAX_TRIES: u32 = 8;

const DRAFT_PREFIX: &str = ".signing-key-";
const DRAFT_SUFFIX: &str = ".tmp";

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().unwrap_or(Path::new("."));
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

/// Writes a draft and renames it. It is locked meanwhile, so that no process removes it as a stale one.
fn publish(draft: &Path, path: &Path, pem: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(draft)?;
    file.lock()?;
    let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = fs::remove_file(draft);
    linked.and(removed)
}

/// Removes drafts of processes that were killed while they created a key. A draft in use is locked. Errors are ignored.
fn remove_stale_drafts(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_draft = name
            .to_str()
            .is_some_and(|name| name.starts_with(DRAFT_PREFIX) && name.ends_with(DRAFT_SUFFIX));
        if is_draft
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            fs::remove_file(entry.path()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::OsSecrets;
    use std::os::unix::fs::PermissionsExt;

    fn own(dir: &tempfile::TempDir) -> SigningKeyFile {
        SigningKeyFile::Own(dir.path().join("signing-key.pem"))
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = own(&dir);
        let first = SigningKey::load(&file, &OsSecrets).unwrap();
        let again = SigningKey::load(&file, &OsSecrets).unwrap();
        assert_eq!(first.pem(), again.pem());
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
        assert!(!format!("{first:?}").contains("PRIVATE"));
    }

    #[test]
    fn drafts_of_killed_processes_are_removed_and_those_in_use_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let [stale, used, other] = [".signing-key-1-00000001.tmp", ".signing-key-2-00000002.tmp", "mine.tmp"]
            .map(|name| dir.path().join(name));
        for path in [&stale, &used, &other] {
            fs::write(path, "half a key").unwrap();
        }
        let held = File::open(&used).unwrap();
        held.lock().unwrap();
        SigningKey::load(&own(&dir), &OsSecrets).unwrap();
        assert_eq!([&stale, &used, &other].map(|path| path.exists()), [false, true, true]);
        drop(held);
        // Also if the key exists already.
        SigningKey::load(&own(&dir), &OsSecrets).unwrap();
        assert_eq!([&used, &other].map(|path| path.exists()), [false, true]);
    }

    #[test]
    fn all_who_start_at_once_end_with_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = own(&dir);
        let barrier = std::sync::Barrier::new(8);
        let load = || {
            barrier.wait();
            SigningKey::load(&file, &OsSecrets).unwrap().pem().to_owned()
        };
        let mut keys: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        keys.dedup();
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn a_given_file_must_exist_be_closed_and_hold_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("given.pem");
        let given = SigningKeyFile::Given(path.clone());
        let wrong = || SigningKey::load(&given, &OsSecrets).unwrap_err().to_string();
        assert!(wrong().ends_with("does not exist"), "{}", wrong());
        fs::write(&path, "hello").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(wrong().contains("(mode 0640); run `chmod 600`"), "{}", wrong());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(wrong().contains("does not hold an Ed25519 private key"), "{}", wrong());
        make(&dir.path().join("other.pem"), &OsSecrets).unwrap();
        fs::copy(dir.path().join("other.pem"), &path).unwrap();
        SigningKey::load(&given, &OsSecrets).unwrap();
    }
}
