//! A store that tells when nobody uses it any more.

use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::api_key::KeyUse;
use canopy_domain::port::{Begun, ReadTx, RequestIdentity, Store, StoreError, WriteScope, WriteTx};
use canopy_storage_sqlite::SqliteStore;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A store that tells when its last user has let go of it: workers end, and calls whose clients hung up run on, at
/// times of their own.
#[derive(Debug)]
pub struct WatchedStore {
    store: SqliteStore,
    _in_use: Sender<Infallible>,
}

/// Resolves when the store has been let go of.
#[derive(Debug)]
pub struct LetGo(Receiver<Infallible>);

impl WatchedStore {
    /// Watches a store.
    pub fn new(store: SqliteStore) -> (Arc<Self>, LetGo) {
        let (sender, receiver) = channel(1);
        let watched = Self { store, _in_use: sender };
        (Arc::new(watched), LetGo(receiver))
    }
}

impl LetGo {
    /// Waits until the last user has let go; the store is closed by then.
    pub async fn wait(mut self) {
        // Nothing is ever sent, so this is the end of the last sender.
        self.0.recv().await;
    }
}

#[async_trait]
impl Store for WatchedStore {
    async fn read(&self) -> Result<Box<dyn ReadTx>, StoreError> {
        self.store.read().await
    }

    async fn write(&self, scope: WriteScope) -> Result<Box<dyn WriteTx>, StoreError> {
        self.store.write(scope).await
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        self.store.note_key_uses(uses).await
    }

    async fn write_once(
        &self,
        scope: WriteScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError> {
        self.store.write_once(scope, request, since).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use std::task::{Context, Poll, Waker};

    #[tokio::test]
    async fn it_is_let_go_of_with_its_last_user() {
        let (store, let_go) = WatchedStore::new(SqliteStore::temporary().unwrap());
        let other: Arc<dyn Store> = store.clone();
        store.ping().await.unwrap();
        drop(store);
        let mut waiting = Box::pin(let_go.wait());
        let mut look = || waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(look(), Poll::Pending);
        drop(other);
        assert_eq!(look(), Poll::Ready(()));
    }
}
