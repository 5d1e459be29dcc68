//! The state of one environment, and the floor that it must reach before it answers.
//!
//! Reads never wait for writes, because a state that answers is never changed. A change is applied to a second copy,
//! which then replaces the first. Once no reader uses the first copy, it becomes the buffer for the next change. The
//! second copy is created by the first change after a load, so environments that are only read have one.

use super::failure::LoadFailure;
use arc_swap::ArcSwapOption;
use canopy_domain::Revision;
use canopy_domain::access::KeyRing;
use canopy_domain::access::{AccessIndex, Change, IndexError, IndexSize};
use canopy_domain::audit::AuditEventId;
use canopy_domain::port::CommitTag;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::yield_now;

/// Time after a permanent load failure before the next try. Checks in between get the same error.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Number of loads of other environments within which an environment that was used again is evicted last.
const RECENT_LOADS: u64 = 1_024;

/// Number of checks whether the back buffer is free before the state is copied.
const PATIENCE: usize = 1_000;

/// The state on which checks of one environment are evaluated, at one revision.
#[derive(Debug, Clone)]
pub struct EnvironmentState {
    /// The decision index.
    pub index: AccessIndex,
    /// The valid API keys.
    pub keys: KeyRing,
}

impl EnvironmentState {
    /// Returns its memory in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.index.memory_bytes() + self.keys.memory_bytes()
    }

    fn apply(&mut self, revision: Revision, changes: &[Change]) -> Result<(), IndexError> {
        self.index.apply(revision, changes)?;
        self.keys.apply(changes);
        Ok(())
    }
}

/// The double buffer with the state of one environment.
#[derive(Default)]
pub(super) struct Slot {
    loaded: ArcSwapOption<Loaded>,
    back: Mutex<Option<BackBuffer>>,
    /// The newest revision known to be committed. An older state answers no check.
    floor: AtomicU64,
    /// The number of invalidations. A state or snapshot of an earlier index epoch is not used.
    index_epoch: AtomicU64,
    /// The load count at its last use.
    used: AtomicU64,
    /// The load count at its own last load.
    loaded_at: AtomicU64,
    /// The memory at the last measurement.
    bytes: AtomicUsize,
    /// The memory of one copy at the last measurement, plus an upper bound of later changes.
    copy_bytes: AtomicUsize,
    /// The last load failure, if it is permanent.
    failure: std::sync::Mutex<Option<(LoadFailure, Instant)>>,
    /// The revision of the last measurement.
    weighed_at: AtomicU64,
    /// Locked during a load or catch-up of the state; others wait for the result.
    pub(super) moving: Mutex<()>,
}

/// The borrowed state of an environment.
#[derive(Clone, Copy)]
pub struct StateView<'a>(&'a Arc<Loaded>);

impl<'a> StateView<'a> {
    /// Returns the state.
    pub fn state(self) -> &'a EnvironmentState {
        &self.0.state
    }

    /// Holds the state for longer work. While it is held, a change may have to copy it.
    pub fn hold(self) -> HeldState {
        HeldState(Arc::clone(self.0))
    }
}

impl core::fmt::Debug for StateView<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("StateView")
            .field(&self.0.state.index.revision())
            .finish()
    }
}

/// A state held at one revision, unaffected by changes.
#[derive(Clone)]
pub struct HeldState(Arc<Loaded>);

impl core::ops::Deref for HeldState {
    type Target = EnvironmentState;

    fn deref(&self) -> &EnvironmentState {
        &self.0.state
    }
}

impl core::fmt::Debug for HeldState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("HeldState")
            .field(&self.0.state.index.revision())
            .finish()
    }
}

struct Loaded {
    state: EnvironmentState,
    origin: Origin,
    /// The index epoch before its snapshot was read.
    index_epoch: u64,
}

/// The origin of a state. It distinguishes states of the same revision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The tag of its revision, if the store has tags.
    pub(super) tag: Option<CommitTag>,
    /// The epoch of the store when its snapshot was about to be read.
    pub(super) epoch: u64,
}

/// The tag of a state after a change.
#[derive(Debug, Clone, Copy)]
pub(super) enum NextTag {
    /// As stored.
    Known(Option<CommitTag>),
    /// Derived from this commit, which this process made in this epoch of the store.
    Commit(AuditEventId, u64),
}

/// The back buffer: the copy that gets the next change.
struct BackBuffer {
    loaded: Arc<Loaded>,
    /// The last change, which it lacks.
    behind: (Revision, Arc<[Change]>),
}

impl Slot {
    /// Reads the state, if it is loaded and not behind its floor. Never waits.
    pub(super) fn ask<R>(&self, ask: impl FnOnce(StateView<'_>) -> R) -> Option<R> {
        let loaded = self.loaded.load();
        let state = self.trusted(loaded.as_deref())?;
        let loaded = loaded.as_ref()?;
        (state.index.revision().get() >= self.floor()).then(|| ask(StateView(loaded)))
    }

    /// Returns the revision of the state, if it is loaded.
    pub(super) fn revision(&self) -> Option<Revision> {
        let loaded = self.loaded.load();
        self.trusted(loaded.as_deref()).map(|state| state.index.revision())
    }

    /// Returns the revision and the origin of the state, if it is loaded.
    pub(super) fn origin(&self) -> Option<(Revision, Origin)> {
        let loaded = self.loaded.load();
        let loaded = loaded
            .as_ref()
            .filter(|loaded| loaded.index_epoch == self.index_epoch())?;
        Some((loaded.state.index.revision(), loaded.origin))
    }

    fn trusted<'a>(&self, loaded: Option<&'a Loaded>) -> Option<&'a EnvironmentState> {
        loaded
            .filter(|loaded| loaded.index_epoch == self.index_epoch())
            .map(|loaded| &loaded.state)
    }

    /// Returns the newest revision known to be committed.
    pub(super) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// Raises the floor: from now on, no older state answers.
    pub(super) fn raise_floor(&self, revision: Revision) {
        self.floor.fetch_max(revision.get(), Ordering::AcqRel);
    }

    /// Lowers a wrong floor, unless it has changed since.
    pub(super) fn lower_floor(&self, from: u64, to: Revision) {
        self.floor
            .compare_exchange(from, to.get(), Ordering::AcqRel, Ordering::Relaxed)
            .ok();
    }

    /// Starts a new index epoch: earlier states answer no check from now on.
    pub(super) fn forget(&self) {
        self.index_epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns the index epoch. Read it before a snapshot, and pass it to [`put`](Self::put) with the state.
    pub(super) fn index_epoch(&self) -> u64 {
        self.index_epoch.load(Ordering::Acquire)
    }

    /// Records a use at this load count.
    pub(super) fn touch(&self, loads: u64) {
        // Written only when it changes, because all processors share it.
        if self.used.load(Ordering::Relaxed) != loads {
            self.used.store(loads, Ordering::Relaxed);
        }
    }

    /// Returns the load count at its last use.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Returns the memory at the last measurement.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns an upper bound of the memory of one copy; `None` if none is loaded.
    pub(super) fn copy_bytes(&self) -> Option<usize> {
        self.revision().map(|_| self.copy_bytes.load(Ordering::Relaxed))
    }

    /// Records its load at this load count.
    pub(super) fn note_load(&self, loads: u64) {
        self.loaded_at.store(loads, Ordering::Relaxed);
        self.touch(loads);
    }

    /// Returns its eviction rank, first to evict first: slots that were not used again since their load, then by the
    /// time since their last use. So a burst of cold environments, each used once, evicts none that is in use.
    pub(super) fn rank(&self, loads: u64) -> (bool, u64) {
        let used = self.used();
        let in_use = used > self.loaded_at.load(Ordering::Relaxed) && loads.saturating_sub(used) <= RECENT_LOADS;
        (in_use, used)
    }

    /// Records the result of a load; `None` for success or a temporary failure.
    pub(super) fn note_failure(&self, failure: Option<LoadFailure>) {
        let mut noted = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *noted = failure.map(|failure| (failure, Instant::now()));
    }

    /// Returns the last load failure, if it is permanent.
    pub(super) fn failure(&self) -> Option<LoadFailure> {
        let noted = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        noted.as_ref().map(|(failure, _)| failure.clone())
    }

    /// Like [`failure`](Self::failure), if it is too early for a retry.
    pub(super) fn recent_failure(&self) -> Option<LoadFailure> {
        let noted = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = noted.as_ref().filter(|(_, at)| at.elapsed() < RETRY_AFTER);
        recent.map(|(failure, _)| failure.clone())
    }

    /// Measures its memory.
    pub(super) async fn weigh(&self) {
        let back = self.back.lock().await;
        let copies = 1 + usize::from(back.is_some());
        let loaded = self.loaded.load();
        let one = loaded.as_ref().map_or(0, |loaded| loaded.state.memory_bytes());
        self.copy_bytes.store(one, Ordering::Relaxed);
        self.bytes.store(one * copies, Ordering::Relaxed);
        let revision = loaded.as_ref().map_or(0, |loaded| loaded.state.index.revision().get());
        self.weighed_at.store(revision, Ordering::Relaxed);
    }

    /// Drops the back buffer if no change came since the last call, and measures the rest.
    pub(super) async fn evict_idle(&self) {
        let Some(revision) = self.revision() else { return };
        let changed = revision.get() != self.weighed_at.load(Ordering::Relaxed);
        if changed || self.back.lock().await.take().is_some() {
            self.weigh().await;
        }
    }

    /// Installs a state whose snapshot was read after `index_epoch` was.
    pub(super) async fn put(&self, state: EnvironmentState, origin: Origin, index_epoch: u64) {
        let mut back = self.back.lock().await;
        *back = None;
        self.loaded.store(Some(Arc::new(Loaded {
            state,
            origin,
            index_epoch,
        })));
    }

    /// Returns the progress of the state.
    pub(super) fn progress(&self) -> Progress {
        match self.revision() {
            None => Progress::Absent,
            Some(revision) if revision.get() < self.floor() => Progress::Behind(revision),
            Some(_) => Progress::Current,
        }
    }

    /// Applies one revision to the state. Returns `false` if the state is not exactly one behind, if a change failed,
    /// or if the state was read before a failover. Then it must be loaded again.
    pub(super) async fn step(&self, revision: Revision, tag: NextTag, changes: &Arc<[Change]>) -> bool {
        let mut back = self.back.lock().await;
        let Some(now) = self.loaded.load_full() else {
            return false;
        };
        let reached = now.state.index.revision();
        if reached >= revision {
            return true;
        }
        if reached.next() != revision {
            return false;
        }
        let tag = match tag {
            NextTag::Known(tag) => tag,
            NextTag::Commit(_, epoch) if epoch != now.origin.epoch => {
                self.forget();
                return false;
            }
            NextTag::Commit(commit, _) => now.origin.tag.map(|tag| tag.after(commit)),
        };
        let next = match back.take() {
            Some(copy) => swap(copy, &now).await,
            None => Ok(copy_of(&now)),
        };
        let next = next.and_then(|mut next| {
            next.state.apply(revision, changes)?;
            next.origin.tag = tag;
            Ok(next)
        });
        match next {
            Ok(next) => {
                let added = IndexSize::bytes_of_changes(changes);
                self.copy_bytes.fetch_add(added, Ordering::Relaxed);
                self.loaded.store(Some(Arc::new(next)));
                *back = Some(BackBuffer {
                    loaded: now,
                    behind: (revision, Arc::clone(changes)),
                });
                true
            }
            Err(error) => {
                tracing::error!(%error, %revision, "change record does not fit the index; reloading index");
                self.forget();
                false
            }
        }
    }
}

fn copy_of(loaded: &Loaded) -> Loaded {
    Loaded {
        state: loaded.state.clone(),
        origin: loaded.origin,
        index_epoch: loaded.index_epoch,
    }
}

/// Waits until no reader holds the back buffer, and catches it up with the front state. Copies the front state if a
/// reader holds the back buffer for too long.
async fn swap(back: BackBuffer, now: &Loaded) -> Result<Loaded, IndexError> {
    let BackBuffer {
        mut loaded,
        behind: (revision, changes),
    } = back;
    for _ in 0..PATIENCE {
        match Arc::try_unwrap(loaded) {
            Ok(mut free) => {
                free.state.apply(revision, &changes)?;
                free.origin = now.origin;
                return Ok(free);
            }
            Err(in_use) => loaded = in_use,
        }
        yield_now().await;
    }
    Ok(copy_of(now))
}

/// The progress of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not loaded, or invalidated.
    Absent,
    /// At this revision, which is older than its floor.
    Behind(Revision),
    /// At its floor or beyond.
    Current,
}

#[cfg(test)]
mod tests {
    use super::{EnvironmentState, NextTag, Origin, Slot};
    use canopy_domain::access::KeyRing;
    use canopy_domain::access::{AccessIndex, Snapshot};
    use canopy_domain::{EnvironmentId, Revision};
    use std::sync::Arc;
    use uuid::Uuid;

    fn state() -> EnvironmentState {
        let snapshot = Snapshot {
            environment: EnvironmentId::new(Uuid::nil()),
            revision: Revision::new(1),
            permissions: vec![],
            roles: vec![],
            nodes: vec![],
            subjects: vec![],
            grants: vec![],
            keys: vec![],
        };
        EnvironmentState {
            index: AccessIndex::build(&snapshot).unwrap(),
            keys: KeyRing::default(),
        }
    }

    async fn step(slot: &Slot, revision: u64) -> bool {
        slot.step(Revision::new(revision), NextTag::Known(None), &Arc::from([]))
            .await
    }

    fn revision(slot: &Slot) -> Option<u64> {
        slot.ask(|view| view.state().index.revision().get())
    }

    /// Tests that a read sees a constant state while changes are applied, and that later reads see the changes.
    #[test]
    fn who_asks_and_who_writes_do_not_wait_for_each_other() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let slot = Slot::default();
        runtime.block_on(slot.put(state(), Origin::default(), 0));
        assert_eq!(revision(&slot), Some(1));
        slot.ask(|held| {
            for next in 2..=6 {
                assert!(runtime.block_on(step(&slot, next)));
                assert_eq!(revision(&slot), Some(next));
                assert_eq!(held.state().index.revision().get(), 1);
            }
        });
        assert!(!runtime.block_on(step(&slot, 9)), "a gap");
        assert!(runtime.block_on(step(&slot, 5)), "known already");
        assert_eq!(revision(&slot), Some(6));
        slot.raise_floor(Revision::new(7));
        assert_eq!(revision(&slot), None);
        assert!(runtime.block_on(step(&slot, 7)));
        assert_eq!(revision(&slot), Some(7));
    }
}
