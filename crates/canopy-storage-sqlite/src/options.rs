//! Options for opening a store.

use std::time::Duration;

/// When SQLite waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// At every commit: an acknowledged write survives the loss of power.
    #[default]
    Full,
    /// At checkpoints alone: the loss of power can take the newest commits, but never leaves half of one.
    Normal,
    /// Never. For tests.
    Off,
}

impl Synchronous {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}

/// Options for opening a store. The defaults are those of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// When SQLite waits for the disk.
    pub synchronous: Synchronous,
    /// Maximum number of concurrent reading units of work.
    pub readers: u32,
    /// Maximum wait of a unit of work for its turn, and of SQLite for a lock of another process, before the store is
    /// busy.
    pub deadline: Duration,
    /// The deadline of one statement. A statement that runs longer is interrupted, and the call fails as busy.
    pub statement_timeout: Duration,
    /// The same for the statements that read an environment into memory.
    pub load_timeout: Duration,
    /// Largest page cache of the connection that writes, in KiB.
    pub writer_cache_kib: u32,
    /// Largest page cache of each connection that reads, in KiB.
    pub reader_cache_kib: u32,
    /// Size of the write-ahead log, in pages, above which a commit checkpoints it.
    pub wal_autocheckpoint: u32,
    /// Whether opening brings an older schema up to date; otherwise an older schema is refused.
    pub migrate: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            readers: 8,
            deadline: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            load_timeout: Duration::from_secs(120),
            writer_cache_kib: 64 * 1024,
            reader_cache_kib: 16 * 1024,
            wal_autocheckpoint: 16 * 1024,
            migrate: true,
        }
    }
}
