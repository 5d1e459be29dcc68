//! The in-memory store keeps the storage contract.

use canopy_storage_memory::MemoryStore;

async fn fresh_store() -> MemoryStore {
    MemoryStore::new()
}

canopy_conformance::storage_contract!(fresh_store);
