//! Waiting for the lock has an end.

use canopy_domain::port::{Store, StoreError, WriteScope};
use canopy_storage_memory::MemoryStore;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_waits_too_long_is_told_that_the_store_is_busy() {
    let store = MemoryStore::with_write_deadline(Duration::from_millis(20));
    let first = store.write(WriteScope::Installation).await.unwrap();
    let second = store.clone().write(WriteScope::Installation).await;
    assert!(matches!(second, Err(StoreError::Busy(_))));
    drop(first);
    assert!(store.write(WriteScope::Installation).await.is_ok());
}
