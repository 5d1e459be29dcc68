//! The store of the service: it can be opened later, and reports when its last user has dropped it.

use async_trait::async_trait;
use canopy_domain::api_key::KeyUse;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::{
    Begun, FeedEvent, Head, Installation, LockScope, ReadTx, RequestIdentity, Share, SharedStore, SigningKey, Store,
    StoreError, WriteTx,
};
use canopy_domain::{EnvironmentId, Revision, Timestamp};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A store that is unavailable until it is [opened](Self::open). Workers, and calls whose clients hung up, drop it at
/// different times; [`Closed`] waits for the last of them.
pub struct ServedStore {
    // Dropped before the sender, so that the store is closed when the receiver wakes up.
    store: OnceLock<Box<dyn Store>>,
    is_shared: bool,
    _in_use: Sender<Infallible>,
}

impl fmt::Debug for ServedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedStore")
            .field("is_open", &self.store.get().is_some())
            .field("is_shared", &self.is_shared)
            .finish_non_exhaustive()
    }
}

/// Resolves when the store is closed.
#[derive(Debug)]
pub struct Closed(Receiver<Infallible>);

#[derive(Debug, thiserror::Error)]
#[error("the database has not been reached since the start; try again later")]
struct NotOpen;

impl ServedStore {
    /// Creates a store that is not open yet.
    pub fn pending(is_shared: bool) -> (Arc<Self>, Closed) {
        let (sender, receiver) = channel(1);
        let served = Self {
            store: OnceLock::new(),
            is_shared,
            _in_use: sender,
        };
        (Arc::new(served), Closed(receiver))
    }

    /// Opens the store. Later calls have no effect.
    pub fn open(&self, store: Box<dyn Store>) {
        self.store.get_or_init(|| store);
    }

    fn get(&self) -> Result<&dyn Store, StoreError> {
        let store = self.store.get().map(Box::as_ref);
        store.ok_or_else(|| StoreError::Unavailable(Box::new(NotOpen)))
    }

    fn get_shared(&self) -> Result<&dyn SharedStore, StoreError> {
        let shared = self.get()?.shared();
        shared.ok_or_else(|| StoreError::Unavailable(Box::new(NotOpen)))
    }
}

impl Closed {
    /// Waits until the last user has dropped the store.
    pub async fn wait(mut self) {
        // No value is ever sent, so this waits for the last sender to be dropped.
        self.0.recv().await;
    }
}

#[async_trait]
impl Store for ServedStore {
    async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError> {
        self.get()?.read_for(share).await
    }

    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError> {
        self.get()?.write(scope).await
    }

    async fn write_once(
        &self,
        scope: LockScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError> {
        self.get()?.write_once(scope, request, since).await
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        self.get()?.note_key_uses(uses).await
    }

    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.get()?.forget_answers(outdated).await
    }

    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.get()?.prune_history(outdated).await
    }

    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.get()?.append_audit_events(events).await
    }

    /// Returns the shared interface even before the store is open.
    fn shared(&self) -> Option<&dyn SharedStore> {
        self.is_shared.then_some(self as &dyn SharedStore)
    }

    fn installation(&self) -> &dyn Installation {
        self
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.get()?.ping().await
    }
}

#[async_trait]
impl Installation for ServedStore {
    async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.get()?.installation().signing_keys().await
    }

    async fn register_signing_key(&self, key: &SigningKey) -> Result<(), StoreError> {
        self.get()?.installation().register_signing_key(key).await
    }

    async fn delete_signing_keys(&self, since: Timestamp, keep: usize) -> Result<usize, StoreError> {
        self.get()?.installation().delete_signing_keys(since, keep).await
    }

    async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.get()?.installation().secret(name, fresh).await
    }
}

#[async_trait]
impl SharedStore for ServedStore {
    async fn heads(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError> {
        self.get_shared()?.heads(environments).await
    }

    fn epoch(&self) -> u64 {
        self.get_shared().map_or(0, SharedStore::epoch)
    }

    fn publish(&self, revisions: &[(EnvironmentId, Revision)]) {
        if let Ok(store) = self.get_shared() {
            store.publish(revisions);
        }
    }

    async fn listen(&self, receive: &(dyn Fn(FeedEvent) + Send + Sync)) -> Result<Infallible, StoreError> {
        self.get_shared()?.listen(receive).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canopy_storage_sqlite::SqliteStore;
    use std::future::Future as _;
    use std::task::{Context, Poll, Waker};

    #[tokio::test]
    async fn it_is_closed_when_its_last_user_drops_it() {
        let (store, closed) = ServedStore::pending(false);
        store.open(Box::new(SqliteStore::temporary().unwrap()));
        let other: Arc<dyn Store> = store.clone();
        store.ping().await.unwrap();
        drop(store);
        let mut waiting = Box::pin(closed.wait());
        let mut look = || waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(other.shared().is_none());
        assert_eq!(look(), Poll::Pending);
        drop(other);
        assert_eq!(look(), Poll::Ready(()));
    }

    #[tokio::test]
    async fn a_pending_store_is_unavailable() {
        let (store, _closed) = ServedStore::pending(true);
        assert!(matches!(store.read().await, Err(StoreError::Unavailable(_))));
        let refused = store.write(LockScope::Installation).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
        let shared = store.shared().unwrap();
        assert!(matches!(shared.heads(&[]).await, Err(StoreError::Unavailable(_))));
        shared.publish(&[]);
        let broken = shared.listen(&|_| {}).await;
        assert!(matches!(broken, Err(StoreError::Unavailable(_))));
    }
}
