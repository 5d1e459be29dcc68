//! The SQLite store keeps the storage contract.

#![expect(clippy::expect_used, reason = "a test without a store is a failed test")]

use canopy_storage_sqlite::SqliteStore;

async fn fresh_store() -> SqliteStore {
    SqliteStore::temporary().expect("a temporary store")
}

canopy_conformance::storage_contract!(fresh_store, whole_contract);

/// The same where every list is read as a long one is.
mod long_lists {
    use canopy_storage_sqlite::SqliteStore;

    async fn fresh_store() -> SqliteStore {
        SqliteStore::temporary_with_long_lists().expect("a temporary store")
    }

    canopy_conformance::storage_contract!(fresh_store);
}

/// Every statement in the source is run against a migrated database, so a misspelt column fails here. Those that fold names
/// again are run by the tests of migrations; they have no place in a new database.
#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_run() {
    whole_contract().await;
    let mut unused = canopy_storage_sql::coverage::unused(concat!(env!("CARGO_MANIFEST_DIR"), "/src").as_ref())
        .expect("the source of the crate");
    unused.retain(|place| !place.contains("/src/folding.rs:"));
    assert_eq!(unused, Vec::<String>::new());
}
