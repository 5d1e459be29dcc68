//! The SQLite store keeps the storage contract.

use canopy_storage_sqlite::SqliteStore;

async fn fresh_store() -> SqliteStore {
    SqliteStore::temporary().expect("a temporary store")
}

canopy_testkit::storage_contract!(fresh_store);
