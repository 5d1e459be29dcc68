//! The SQLite store keeps the storage contract.

#![expect(clippy::expect_used, reason = "a test without a store is a failed test")]

use canopy_storage_sqlite::SqliteStore;

async fn fresh_store() -> SqliteStore {
    SqliteStore::temporary().expect("a temporary store")
}

canopy_testkit::storage_contract!(fresh_store);
