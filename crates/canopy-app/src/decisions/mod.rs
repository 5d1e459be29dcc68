//! The decision indexes of this process: loaded on first use and updated by every commit before it is acknowledged.

mod batch_policy;
mod failure;
mod fence;
mod load;
mod slot;
mod unpublished;

use crate::AppError;
use canopy_domain::audit::AuditEventId;
use canopy_domain::port::{EnvironmentChanges, FeedEvent, Head, Secrets, Store, StoreError};
use canopy_domain::{EnvironmentId, EnvironmentRef, Revision, TenancyError, Tenant};
use fence::Fence;
use load::Loader;
use slot::{NextTag, Origin, Slot};
use unpublished::{CommitUnderWay, Unpublished};

pub(crate) use fence::copy_error;
pub use slot::{EnvironmentState, HeldState, StateView};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Maximum silence of the change feed before checks that rely on it are refused.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);

/// The freshness of a check when several processes share a store. With a single process both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// Evaluated at the newest revision that was committed before the call.
    #[default]
    Strong,
    /// Evaluated at the newest revision that this process knows.
    Eventual,
}

/// Statistics of the decision indexes of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Number of loaded indexes.
    pub indexes: usize,
    /// Their memory in bytes.
    pub bytes: usize,
    /// Number of environments that cannot be loaded, because they are damaged or too large for an index.
    pub failing: usize,
    /// The number of known committed revisions that the index furthest behind lacks.
    pub revisions_behind: u64,
}

/// One index for each environment with checks.
pub struct Decisions {
    store: Arc<dyn Store>,
    slots: RwLock<HashMap<EnvironmentId, Arc<Slot>>>,
    loader: Arc<Loader>,
    fence: Fence,
    unpublished: Unpublished,
    last_event: Mutex<Option<Instant>>,
}

impl core::fmt::Debug for Decisions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let loaded = self.slots.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Decisions")
            .field("environments", &loaded)
            .finish_non_exhaustive()
    }
}

impl Decisions {
    /// Creates an empty set of indexes.
    pub(crate) fn new(store: Arc<dyn Store>, secrets: &dyn Secrets) -> Self {
        Self {
            store,
            slots: RwLock::default(),
            loader: Arc::new(Loader::new(secrets)),
            fence: Fence::default(),
            unpublished: Unpublished::default(),
            last_event: Mutex::default(),
        }
    }

    /// Limits the size of one copy of an index, in bytes. Larger ones are not loaded, and writes that would exceed the
    /// limit are refused. Default: no limit.
    pub fn bound_index(&self, bytes: usize) {
        self.loader.bound_index(bytes);
    }

    /// Returns the maximum number of bytes of one index; `None` without a limit.
    pub(crate) fn index_bound(&self) -> Option<usize> {
        Some(self.loader.index_bound()).filter(|bytes| *bytes < usize::MAX)
    }

    /// Returns the memory of one copy of an index, if it is known here.
    pub(crate) fn index_bytes(&self, environment: EnvironmentId) -> Option<usize> {
        self.known(environment)?.copy_bytes()
    }

    /// Returns whether stored data allows checks. Fails only if environments were requested and none of them could be
    /// loaded: a single damaged or too large one does not count.
    ///
    /// # Errors
    /// The reason for which the last of them could not be loaded.
    pub fn can_answer(&self) -> Result<(), AppError> {
        let slots = self.slots();
        if slots.iter().any(|(_, slot)| slot.revision().is_some()) {
            return Ok(());
        }
        match slots.iter().rev().find_map(|(_, slot)| slot.failure()) {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    /// Limits the memory of all indexes, in bytes, by evicting the least recently used ones. A single index may exceed
    /// it. Default: no limit.
    pub fn bound_memory(&self, bytes: usize) {
        self.loader.bound_memory(bytes);
    }

    fn known(&self, environment: EnvironmentId) -> Option<Arc<Slot>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(&environment).map(Arc::clone)
    }

    /// Returns the slot of an environment, and creates it if needed.
    fn slot(&self, environment: EnvironmentId) -> Option<Arc<Slot>> {
        let slot = self.known(environment)?;
        slot.touch(self.loader.loads());
        Some(slot)
    }

    fn slots(&self) -> Vec<(EnvironmentId, Arc<Slot>)> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.iter().map(|(id, slot)| (*id, Arc::clone(slot))).collect()
    }

    /// Returns the statistics of the indexes in memory, as of the last measurement.
    pub fn census(&self) -> Census {
        let mut sum = Census::default();
        for (_, slot) in self.slots() {
            sum.failing += usize::from(slot.failure().is_some());
            if let Some(revision) = slot.revision() {
                sum.indexes += 1;
                sum.bytes += slot.bytes();
                let behind = slot.floor().saturating_sub(revision.get());
                sum.revisions_behind = sum.revisions_behind.max(behind);
            }
        }
        sum
    }

    /// Reads the loaded state of an environment, if there is one. It includes every commit that this process has published or
    /// received, but may lack commits of other processes.
    pub(crate) fn peek<R>(&self, environment: EnvironmentId, ask: impl FnOnce(&EnvironmentState) -> R) -> Option<R> {
        self.slot(environment)?.ask(|view| ask(view.state()))
    }

    /// Returns the head of an environment as of a moment after this call, if several processes share the store. The
    /// state of the environment in this process is no older from then on.
    ///
    /// # Errors
    /// [`AppError::Store`] if the store does not answer; not found for an unknown or deleted environment.
    pub(crate) async fn fence(&self, place: &EnvironmentRef) -> Result<Option<Arc<Head>>, AppError> {
        let environment = place.environment;
        if self.store.shared().is_none() {
            self.fence_own_commits(place).await?;
            return Ok(None);
        }
        let store = Arc::clone(&self.store);
        let heads = move |asked: Vec<EnvironmentId>| async move {
            match store.shared() {
                Some(shared) => shared.heads(&asked).await,
                None => Ok(Vec::new()),
            }
        };
        let before = self.slot(environment).and_then(|slot| slot.origin());
        let Some(head) = self.fence.head(environment, heads).await? else {
            self.let_go(&[environment]);
            return Err(TenancyError::NotFound(Tenant::Environment).into());
        };
        if let Some(slot) = self.known(environment) {
            let is_behind = before.is_some_and(|(reached, _)| head.revision < reached);
            let epoch = epoch_of(self.store.as_ref());
            if is_behind || is_diverged(&head, epoch, before) || is_diverged(&head, epoch, slot.origin()) {
                // For example a promoted standby that lacks the last commits, or a restored backup.
                tracing::warn!(%environment, head = %head.revision, "store lacks commits of this index; reloading index");
                slot.forget();
            }
            slot.raise_floor(head.revision);
        }
        Ok(Some(head))
    }

    /// Raises the floor of an environment to its stored revision while a commit of this process is under way: the rows of the
    /// commit may be readable before its changes are published. Reads nothing otherwise. The read is charged to the account.
    async fn fence_own_commits(&self, place: &EnvironmentRef) -> Result<(), AppError> {
        let environment = place.environment;
        if !self.unpublished.has(environment) {
            return Ok(());
        }
        let slot = self.slot_to_load(environment);
        let mut tx = self.store.read_for(place.into()).await?;
        let Some(revision) = tx.revision(environment).await? else {
            self.let_go(&[environment]);
            return Err(TenancyError::NotFound(Tenant::Environment).into());
        };
        slot.raise_floor(revision);
        Ok(())
    }

    /// Announces a commit of this process, until the result is dropped after [`publish`](Self::publish). Meanwhile, checks of
    /// these environments read the stored revision first. Returns `None` if processes share the store: then every fence does.
    pub(crate) fn begin_commit(&self, environments: impl Iterator<Item = EnvironmentId>) -> Option<CommitUnderWay> {
        self.store
            .shared()
            .is_none()
            .then(|| self.unpublished.begin(environments.collect()))
    }

    fn slot_to_load(&self, environment: EnvironmentId) -> Arc<Slot> {
        self.slot(environment).unwrap_or_else(|| {
            let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(environment).or_default())
        })
    }

    /// Reads the state of an environment, after loading it or catching it up if needed.
    ///
    /// # Errors
    /// [`AppError::Store`] if the store fails, or if the requested freshness is not available; not found for an unknown
    /// or deleted environment.
    pub async fn ask<R>(
        &self,
        place: &EnvironmentRef,
        consistency: Consistency,
        ask: impl FnOnce(&EnvironmentState) -> R + Send,
    ) -> Result<R, AppError> {
        self.view(place, consistency, |view| ask(view.state())).await
    }

    /// Like [`ask`](Self::ask), with a view that can be held.
    ///
    /// # Errors
    /// Like [`ask`](Self::ask).
    pub(crate) async fn view<R>(
        &self,
        place: &EnvironmentRef,
        consistency: Consistency,
        ask: impl FnOnce(StateView<'_>) -> R + Send,
    ) -> Result<R, AppError> {
        let is_shared = self.store.shared().is_some();
        if consistency == Consistency::Strong || !is_shared {
            self.fence(place).await?;
        } else if self.is_cut_off() {
            return Err(StoreError::Unavailable("the change feed is silent".into()).into());
        }
        self.view_fenced(place, ask).await
    }

    /// Reads the state of an environment like [`view`](Self::view), after the caller has passed any required fence.
    pub(crate) async fn view_fenced<R>(
        &self,
        place: &EnvironmentRef,
        ask: impl FnOnce(StateView<'_>) -> R + Send,
    ) -> Result<R, AppError> {
        let environment = place.environment;
        let slot = self.slot_to_load(environment);
        let mut ask = Some(ask);
        // A commit may raise the floor while the index catches up, so this repeats until an index is current. Each pass
        // reaches at least the floor at its start, or shows that the store has no such revision.
        loop {
            if let Some(answer) = slot.ask(|view| ask.take().map(|ask| ask(view))).flatten() {
                return Ok(answer);
            }
            match self.bring_forward(*place, &slot).await {
                Ok(()) => self.evict(Some(environment)),
                Err(gone @ AppError::Tenancy(TenancyError::NotFound(_))) => {
                    self.let_go(&[environment]);
                    return Err(gone);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Loads the state of a slot, or catches it up with the store, in its own task: a cancelled caller cancels nothing
    /// for the other waiters.
    async fn bring_forward(&self, place: EnvironmentRef, slot: &Arc<Slot>) -> Result<(), AppError> {
        let (store, loader, slot) = (Arc::clone(&self.store), Arc::clone(&self.loader), Arc::clone(slot));
        let bringing = async move {
            let moving = slot.moving.lock().await;
            let brought = loader.bring_forward(store.as_ref(), &place, &slot).await;
            drop(moving);
            brought
        };
        let brought = tokio::spawn(bringing).await;
        brought.map_err(|error| StoreError::Internal(error.into()))?
    }

    /// Evicts the least recently used indexes while they exceed the limit, except the one that was just loaded. Running
    /// checks of an evicted index began before, so their results are not outdated.
    fn evict(&self, loaded: Option<EnvironmentId>) {
        let mut slots = self.slots();
        let mut bytes: usize = slots.iter().map(|(_, slot)| slot.bytes()).sum();
        if bytes <= self.loader.bound() {
            return;
        }
        let loads = self.loader.loads();
        slots.sort_by_cached_key(|(_, slot)| slot.rank(loads));
        let mut gone = Vec::new();
        for (environment, slot) in &slots {
            if bytes <= self.loader.bound() {
                break;
            }
            if Some(*environment) != loaded && slot.bytes() > 0 {
                bytes -= slot.bytes();
                gone.push(*environment);
            }
        }
        self.remove(&gone);
    }

    /// Drops back buffers that no change uses any more, and applies the memory limit to grown indexes. Call every few
    /// seconds.
    pub async fn evict_idle(&self) {
        for (_, slot) in self.slots() {
            slot.evict_idle().await;
        }
        self.evict(None);
    }

    /// Applies a commit of this process to the indexes. An environment without checks has none.
    ///
    /// A slot is created before its snapshot is read, so a commit either finds the slot or is in the snapshot. Floors
    /// are raised in any case: once the commit is acknowledged, no older state answers. Until then the previous state
    /// answers, so that checks do not wait.
    pub(crate) async fn publish(&self, commit: AuditEventId, committed: &[(Revision, EnvironmentChanges)]) {
        let tag = NextTag::Commit(commit, epoch_of(self.store.as_ref()));
        let moves: Vec<_> = committed
            .iter()
            .filter_map(|(revision, one)| Some((self.known(one.environment)?, *revision, &one.changes)))
            .collect();
        let raise = Raise(
            moves
                .iter()
                .map(|(slot, revision, _)| (Arc::clone(slot), *revision))
                .collect(),
        );
        for (slot, revision, changes) in &moves {
            if !slot.step(*revision, tag, changes).await {
                // Behind by more than this commit, or being loaded: the next check catches it up.
                tracing::debug!(%revision, "index left behind its floor");
            }
        }
        drop(raise);
    }

    /// Drops the indexes of deleted environments. Later checks find no environment.
    pub(crate) fn end(&self, gone: &[EnvironmentId]) {
        for slot in self.remove(gone) {
            slot.raise_floor(Revision::END);
        }
    }

    /// Drops the indexes of environments that other processes reported as deleted. Later checks find out from the
    /// store.
    fn let_go(&self, said_to_be_gone: &[EnvironmentId]) {
        for slot in self.remove(said_to_be_gone) {
            slot.forget();
        }
    }

    fn remove(&self, environments: &[EnvironmentId]) -> Vec<Arc<Slot>> {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        environments
            .iter()
            .filter_map(|environment| slots.remove(environment))
            .collect()
    }

    /// Invalidates the indexes of a former epoch.
    pub(crate) fn forget(&self, environments: impl Iterator<Item = EnvironmentId>) {
        for slot in environments.filter_map(|environment| self.slot(environment)) {
            slot.forget();
        }
    }

    /// Receives the commits of other processes, until the change feed disconnects. A process with a shared store calls
    /// this in a loop; with its own store it returns at once.
    ///
    /// # Errors
    /// The reason of the disconnect.
    pub async fn follow(&self) -> Result<(), AppError> {
        match self.store.shared() {
            Some(shared) => match shared.listen(&|news| self.receive(news)).await? {},
            None => Ok(()),
        }
    }

    /// Queries a shared store for the revisions of all loaded environments, because feed events can be lost, for
    /// example with the process that published them. Call every few seconds beside [`follow`](Self::follow).
    ///
    /// # Errors
    /// [`AppError::Store`] if the store does not answer.
    pub async fn catch_up(&self) -> Result<(), AppError> {
        let slots = self.slots();
        let loaded: Vec<EnvironmentId> = slots.iter().map(|(environment, _)| *environment).collect();
        let before: HashMap<EnvironmentId, (Revision, Origin)> = slots
            .iter()
            .filter_map(|(environment, slot)| Some((*environment, slot.origin()?)))
            .collect();
        let Some(shared) = self.store.shared().filter(|_| !loaded.is_empty()) else {
            return Ok(());
        };
        let heads = shared.heads(&loaded).await?;
        let epoch = shared.epoch();
        for head in &heads {
            if let Some(slot) = self.known(head.environment) {
                let before = before.get(&head.environment).copied();
                if is_diverged(head, epoch, before) || is_diverged(head, epoch, slot.origin()) {
                    tracing::warn!(
                        environment = %head.environment,
                        head = %head.revision,
                        "store lacks commits of this index; reloading index"
                    );
                    slot.forget();
                }
                slot.raise_floor(head.revision);
            }
        }
        let exist: HashSet<EnvironmentId> = heads.into_iter().map(|head| head.environment).collect();
        let gone: Vec<EnvironmentId> = loaded.into_iter().filter(|one| !exist.contains(one)).collect();
        self.let_go(&gone);
        Ok(())
    }

    fn receive(&self, event: FeedEvent) {
        match event {
            FeedEvent::Alive => {}
            // Revisions published while the feed was disconnected are unknown: reload every index.
            FeedEvent::Connected => {
                self.slots().iter().for_each(|(_, slot)| slot.forget());
            }
            FeedEvent::Revisions(revisions) => {
                for (environment, revision) in revisions {
                    if revision == Revision::END {
                        self.let_go(&[environment]);
                    } else if let Some(slot) = self.known(environment) {
                        slot.raise_floor(revision);
                    }
                }
            }
        }
        *self.last_event.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns whether the feed has been silent for too long.
    fn is_cut_off(&self) -> bool {
        let last = self.last_event.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|last| last.elapsed() > SILENCE)
    }
}

/// Returns whether a state is not part of the history of this head: after a failover another commit has its revision,
/// or may have.
fn is_diverged(head: &Head, epoch: u64, state: Option<(Revision, Origin)>) -> bool {
    state.is_some_and(|(revision, origin)| {
        let has_other_tag = head.tag.is_some() && origin.tag.is_some() && head.tag != origin.tag;
        origin.epoch != epoch || (revision == head.revision && has_other_tag)
    })
}

/// Returns the number of failovers of a store.
fn epoch_of(store: &dyn Store) -> u64 {
    store.shared().map_or(0, canopy_domain::port::SharedStore::epoch)
}

/// Raises floors on drop.
struct Raise(Vec<(Arc<Slot>, Revision)>);

impl Drop for Raise {
    fn drop(&mut self) {
        for (slot, revision) in &self.0 {
            slot.raise_floor(*revision);
        }
    }
}
