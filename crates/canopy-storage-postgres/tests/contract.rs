//! The PostgreSQL store keeps the storage contract.

use canopy_testkit::postgres::{PostgresStore, store};

async fn fresh_store() -> PostgresStore {
    store().await
}

canopy_testkit::storage_contract!(fresh_store);
