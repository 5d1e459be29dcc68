//! The store as the service sees it: one that may come later, and that tells when nobody uses it any more.

use async_trait::async_trait;
use canopy_domain::api_key::KeyUse;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::{
    Begun, FeedEvent, Head, Installation, LockScope, ReadTx, RequestIdentity, Share, SharedStore, SigningKey, Store,
    StoreError, WriteTx,
};
use canopy_domain::{EnvironmentId, Revision, Timestamp};
use canopy_storage_postgres::PgStore;
use canopy_storage_sqlite::SqliteStore;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A store that is served: until it is there, it is unavailable. It tells when its last user has let go of it: workers
/// end, and calls whose clients hung up run on, at times of their own.
#[derive(Debug)]
pub struct ServedStore {
    held: Held,
    _in_use: Sender<Infallible>,
}

#[derive(Debug)]
enum Held {
    Sqlite(SqliteStore),
    Postgres(OnceLock<PgStore>),
}

/// Resolves when the store has been let go of.
#[derive(Debug)]
pub struct LetGo(Receiver<Infallible>);

#[derive(Debug, thiserror::Error)]
#[error("the database has not been reached since the start")]
struct NotThereYet;

impl ServedStore {
    /// Serves a store of this process.
    pub fn of(store: SqliteStore) -> (Arc<Self>, LetGo) {
        Self::holding(Held::Sqlite(store))
    }

    /// Serves a shared store, which [comes](Self::arrive) later.
    pub fn to_come() -> (Arc<Self>, LetGo) {
        Self::holding(Held::Postgres(OnceLock::new()))
    }

    fn holding(held: Held) -> (Arc<Self>, LetGo) {
        let (sender, receiver) = channel(1);
        let served = Self { held, _in_use: sender };
        (Arc::new(served), LetGo(receiver))
    }

    /// Here is the store. The first one stays.
    pub fn arrive(&self, store: PgStore) {
        if let Held::Postgres(place) = &self.held {
            place.get_or_init(|| store);
        }
    }

    fn postgres(&self) -> Result<&PgStore, StoreError> {
        let store = match &self.held {
            Held::Postgres(place) => place.get(),
            Held::Sqlite(_) => None,
        };
        store.ok_or_else(|| StoreError::Unavailable(Box::new(NotThereYet)))
    }

    fn store(&self) -> Result<&dyn Store, StoreError> {
        match &self.held {
            Held::Sqlite(store) => Ok(store),
            Held::Postgres(_) => Ok(self.postgres()?),
        }
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
impl Store for ServedStore {
    async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError> {
        self.store()?.read_for(share).await
    }

    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError> {
        self.store()?.write(scope).await
    }

    async fn write_once(
        &self,
        scope: LockScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError> {
        self.store()?.write_once(scope, request, since).await
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        self.store()?.note_key_uses(uses).await
    }

    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.store()?.forget_answers(outdated).await
    }

    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.store()?.prune_history(outdated).await
    }

    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.store()?.append_audit_events(events).await
    }

    /// A store that has not come yet is shared already.
    fn shared(&self) -> Option<&dyn SharedStore> {
        match self.held {
            Held::Sqlite(_) => None,
            Held::Postgres(_) => Some(self),
        }
    }

    fn installation(&self) -> &dyn Installation {
        self
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store()?.ping().await
    }
}

#[async_trait]
impl Installation for ServedStore {
    async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.store()?.installation().signing_keys().await
    }

    async fn register_signing_key(&self, key: &SigningKey) -> Result<(), StoreError> {
        self.store()?.installation().register_signing_key(key).await
    }

    async fn delete_signing_keys(&self, since: Timestamp, keep: usize) -> Result<usize, StoreError> {
        self.store()?.installation().delete_signing_keys(since, keep).await
    }

    async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.store()?.installation().secret(name, fresh).await
    }
}

#[async_trait]
impl SharedStore for ServedStore {
    async fn heads(&self, environments: &[EnvironmentId]) -> Result<Vec<Head>, StoreError> {
        self.postgres()?.heads(environments).await
    }

    fn epoch(&self) -> u64 {
        self.postgres().map_or(0, SharedStore::epoch)
    }

    fn publish(&self, revisions: &[(EnvironmentId, Revision)]) {
        if let Ok(store) = self.postgres() {
            store.publish(revisions);
        }
    }

    async fn listen(&self, receive: &(dyn Fn(FeedEvent) + Send + Sync)) -> Result<Infallible, StoreError> {
        self.postgres()?.listen(receive).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use std::task::{Context, Poll, Waker};

    #[tokio::test]
    async fn it_is_let_go_of_with_its_last_user() {
        let (store, let_go) = ServedStore::of(SqliteStore::temporary().unwrap());
        let other: Arc<dyn Store> = store.clone();
        store.ping().await.unwrap();
        drop(store);
        let mut waiting = Box::pin(let_go.wait());
        let mut look = || waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(look(), Poll::Pending);
        drop(other);
        assert_eq!(look(), Poll::Ready(()));
    }

    #[tokio::test]
    async fn what_has_not_come_yet_is_shared_and_unavailable() {
        let (store, _let_go) = ServedStore::to_come();
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
