//! Waiting for the lock has an end.

use canopy_domain::port::{LockScope, Store, StoreError};
use canopy_storage_memory::MemoryStore;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_waits_too_long_is_told_that_the_store_is_busy() {
    let store = MemoryStore::with_write_deadline(Duration::from_millis(20));
    let first = store.write(LockScope::Installation).await.unwrap();
    let second = store.clone().write(LockScope::Installation).await;
    assert!(matches!(second, Err(StoreError::Busy(_))));
    drop(first);
    assert!(store.write(LockScope::Installation).await.is_ok());
}
