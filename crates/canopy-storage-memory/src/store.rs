//! The store: the committed state, and the lock of the single writer.

use crate::api_key::note_uses;
use crate::committed::Committed;
use crate::installation::Shared;
use crate::unit::{Reading, Unit, Writing, forget_sums};
use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::api_key::KeyUse;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::{
    Begun, Installation, LockScope, ReadTx, RequestIdentity, RowStore, RowTx, Share, Store, StoreError, Turn,
    TurnBounds, Turns, WriteTx,
};
use canopy_store_kit::running_requests::{RunningClaim, RunningRequests};
use std::sync::Arc;
use std::time::Duration;

/// A store in memory. Clones share the store.
///
/// Every write locks the whole store, whatever its scope, and waits for that lock until a deadline. Requires a Tokio
/// runtime with a timer.
///
/// ```
/// # use canopy_domain::port::Store;
/// # use canopy_domain::port::reader::TenancyReader;
/// # use canopy_storage_memory::MemoryStore;
/// # async fn example() -> Result<(), canopy_domain::port::StoreError> {
/// let store = MemoryStore::new();
/// assert!(store.read().await?.accounts().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MemoryStore {
    committed: Arc<Committed>,
    shared: Arc<Shared>,
    writer: Turns,
    running: RunningRequests,
    deadline: Duration,
    is_strict: bool,
}

impl MemoryStore {
    /// Default wait of a write for the lock.
    pub const WRITE_DEADLINE: Duration = Duration::from_secs(10);

    /// Creates an empty store.
    pub fn new() -> Self {
        Self::with_write_deadline(Self::WRITE_DEADLINE)
    }

    /// Creates an empty store whose writes wait at most this long for the lock.
    pub fn with_write_deadline(deadline: Duration) -> Self {
        Self {
            committed: Arc::default(),
            shared: Arc::default(),
            writer: one_writer(),
            running: RunningRequests::default(),
            deadline,
            is_strict: false,
        }
    }

    /// Sets whether commits are executed but reported as [`StoreError::Unavailable`], as if a connection breaks before
    /// the response. For tests of use cases.
    pub fn lose_answers(&self, lose: bool) {
        self.committed.lose_answers(lose);
    }

    /// From now on commits take place but do not return, as when a thread is held up between the two; or they return, those
    /// that wait too. For tests of use cases.
    pub fn hold_answers(&self, hold: bool) {
        self.committed.hold_answers(hold);
    }

    /// Sets whether change records cannot be read, as if they are damaged or a newer release wrote them. For tests of
    /// use cases.
    pub fn damage_history(&self, damage: bool) {
        let mut state = self.committed.get();
        state.damaged_history = damage;
        self.committed.set(state);
    }

    /// Returns a store with the state committed so far, which diverges from now on: like a standby that replaces its
    /// primary. For tests of use cases.
    #[must_use]
    pub fn fork(&self) -> Self {
        let committed = Committed::default();
        committed.set(self.committed.get());
        Self {
            committed: Arc::new(committed),
            writer: one_writer(),
            running: RunningRequests::default(),
            ..self.clone()
        }
    }

    /// Creates an empty store that refuses commits that change an environment outside their lock scope: on a store that
    /// locks rows, they would race. For tests of use cases.
    pub fn strict() -> Self {
        Self {
            is_strict: true,
            ..Self::new()
        }
    }
}

impl MemoryStore {
    /// Waits for the write lock.
    async fn lock(&self, share: Share) -> Result<Turn, StoreError> {
        match tokio::time::timeout(self.deadline, self.writer.take(share)).await {
            Ok(turn) => turn.map_err(|closed| StoreError::Unavailable(Box::new(closed))),
            Err(elapsed) => Err(StoreError::Busy(Box::new(elapsed))),
        }
    }

    async fn begin(&self, scope: LockScope, claim: Option<RunningClaim>) -> Result<Unit<Writing>, StoreError> {
        let lock = self.lock(scope.share()).await?;
        let state = self.committed.get();
        let tenant = scope.id();
        let scope = self.is_strict.then_some(scope);
        let writing = Writing::new(Arc::clone(&self.committed), scope, tenant, claim, lock);
        Ok(Unit::new(state, writing))
    }
}

fn one_writer() -> Turns {
    Turns::new(TurnBounds::new(1, 1))
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl RowStore for MemoryStore {
    async fn write_rows(&self, scope: LockScope) -> Result<Box<dyn RowTx>, StoreError> {
        Ok(Box::new(self.begin(scope, None).await?))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn read_for(&self, _share: Share) -> Result<Box<dyn ReadTx>, StoreError> {
        Ok(Box::new(Unit::new(self.committed.get(), Reading)))
    }

    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError> {
        Ok(Box::new(self.begin(scope, None).await?))
    }

    async fn write_once(
        &self,
        scope: LockScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError> {
        let Some(claim) = self.running.claim(request) else {
            return Ok(Begun::Running);
        };
        let kept = self.committed.get().answers.get(&request).cloned();
        match kept.filter(|kept| kept.at >= since) {
            Some(kept) => Ok(Begun::Answered(kept)),
            None => Ok(Begun::Fresh(Box::new(self.begin(scope, Some(claim)).await?))),
        }
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        let lock = self.lock(Share::Installation).await?;
        let mut state = self.committed.get();
        note_uses(&mut state, uses);
        self.committed.set(state);
        drop(lock);
        Ok(())
    }

    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        let _lock = self.lock(Share::Installation).await?;
        let mut state = self.committed.get();
        Arc::make_mut(&mut state.answers).retain(|_, kept| kept.at >= outdated);
        forget_sums(Arc::make_mut(&mut state.kept_bytes), outdated);
        self.committed.set(state);
        Ok(false)
    }

    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        let _lock = self.lock(Share::Installation).await?;
        let mut state = self.committed.get();
        for contents in Arc::make_mut(&mut state.environments).values_mut() {
            Arc::make_mut(&mut contents.history).prune(outdated);
        }
        self.committed.set(state);
        Ok(false)
    }

    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        let _lock = self.lock(Share::Installation).await?;
        let mut state = self.committed.get();
        let log = Arc::make_mut(&mut state.audit);
        for event in events {
            log.add(event.clone(), None)?;
        }
        self.committed.set(state);
        Ok(())
    }

    fn installation(&self) -> &dyn Installation {
        &*self.shared
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
