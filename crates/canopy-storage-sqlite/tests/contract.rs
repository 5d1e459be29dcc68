//! The SQLite store keeps the storage contract.

#![expect(clippy::expect_used, reason = "a test without a store is a failed test")]

use canopy_storage_sqlite::SqliteStore;

async fn fresh_store() -> SqliteStore {
    SqliteStore::temporary().expect("a temporary store")
}

canopy_conformance::storage_contract!(fresh_store);

/// The same where every list is read as a long one is.
mod long_lists {
    use canopy_storage_sqlite::SqliteStore;

    async fn fresh_store() -> SqliteStore {
        SqliteStore::temporary_with_long_lists().expect("a temporary store")
    }

    canopy_conformance::storage_contract!(fresh_store);
}
