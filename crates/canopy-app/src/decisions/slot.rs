//! The state of one environment, and how far it must be before it answers.
//!
//! Who asks never waits for who writes. The state that answers is never changed: a change is made to a second copy, which
//! then takes its place, and the first, once nobody looks at it any more, becomes the copy for the next change. The second
//! copy is made with the first change after a load, so environments that are only read have one.

use arc_swap::ArcSwapOption;
use canopy_domain::Revision;
use canopy_domain::access::{AccessIndex, Change, IndexError};
use canopy_domain::api_key::KeyRing;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Mutex;
use tokio::task::yield_now;

/// How often it is looked whether the copy for the next change is free, before another one is made.
const PATIENCE: usize = 1_000;

/// What answers in one environment rest on, at one revision.
#[derive(Debug, Clone)]
pub struct EnvironmentState {
    /// What decisions rest on.
    pub index: AccessIndex,
    /// The keys that may ask for them.
    pub keys: KeyRing,
}

impl EnvironmentState {
    fn apply(&mut self, revision: Revision, changes: &[Change]) -> Result<(), IndexError> {
        self.index.apply(revision, changes)?;
        self.keys.apply(changes);
        Ok(())
    }
}

/// Where the state of one environment is kept.
#[derive(Default)]
pub(super) struct Slot {
    loaded: ArcSwapOption<Loaded>,
    spare: Mutex<Option<Spare>>,
    /// The newest revision known to be committed. A state that is behind it answers nothing.
    floor: AtomicU64,
    /// How often the state of the store came in doubt. A state, or a snapshot, from before the last time is not used.
    doubt: AtomicU64,
    /// When it was last asked, by the count of loads.
    used: AtomicU64,
    /// The memory that it was last found to hold.
    bytes: AtomicUsize,
    /// The revision at which that was.
    weighed_at: AtomicU64,
    /// Held by whoever loads the state or catches it up; others wait for the result.
    pub(super) moving: Mutex<()>,
}

/// The state of an environment while it is asked.
#[derive(Clone, Copy)]
pub struct StateView<'a>(&'a Arc<Loaded>);

impl<'a> StateView<'a> {
    /// The state.
    pub fn state(self) -> &'a EnvironmentState {
        &self.0.state
    }

    /// Keeps the state as it is now, for work that takes longer. While it is kept, a change may have to copy it.
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

/// A state that is kept as it was at one revision, whatever changes meanwhile.
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
    /// The doubt when its snapshot was about to be read.
    doubt: u64,
}

/// The copy for the next change.
struct Spare {
    loaded: Arc<Loaded>,
    /// What it lacks: the last change.
    behind: (Revision, Vec<Change>),
}

impl Slot {
    /// Asks the state, if it is loaded and not behind its floor. Never waits.
    pub(super) fn ask<R>(&self, ask: impl FnOnce(StateView<'_>) -> R) -> Option<R> {
        let loaded = self.loaded.load();
        let state = self.trusted(loaded.as_deref())?;
        let loaded = loaded.as_ref()?;
        (state.index.revision().get() >= self.floor()).then(|| ask(StateView(loaded)))
    }

    /// The revision of the state, if it is loaded.
    pub(super) fn revision(&self) -> Option<Revision> {
        let loaded = self.loaded.load();
        self.trusted(loaded.as_deref()).map(|state| state.index.revision())
    }

    fn trusted<'a>(&self, loaded: Option<&'a Loaded>) -> Option<&'a EnvironmentState> {
        loaded
            .filter(|loaded| loaded.doubt == self.doubt())
            .map(|loaded| &loaded.state)
    }

    /// The newest revision known to be committed.
    pub(super) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// From now on nothing older than this revision is answered.
    pub(super) fn raise_floor(&self, revision: Revision) {
        self.floor.fetch_max(revision.get(), Ordering::AcqRel);
    }

    /// Takes a floor back that was shown to be none, unless it has been moved since.
    pub(super) fn lower_floor(&self, from: u64, to: Revision) {
        self.floor
            .compare_exchange(from, to.get(), Ordering::AcqRel, Ordering::Relaxed)
            .ok();
    }

    /// From now on nothing is answered from what was read before.
    pub(super) fn forget(&self) {
        self.doubt.fetch_add(1, Ordering::AcqRel);
    }

    /// What must be handed back with a state that is built from a snapshot; taken before the snapshot is read.
    pub(super) fn doubt(&self) -> u64 {
        self.doubt.load(Ordering::Acquire)
    }

    /// Notes that it is asked at this count of loads.
    pub(super) fn touch(&self, loads: u64) {
        // Written only when it changes: all processors that ask share it.
        if self.used.load(Ordering::Relaxed) != loads {
            self.used.store(loads, Ordering::Relaxed);
        }
    }

    /// When it was last asked, by the count of loads.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The memory that it was last found to hold.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Finds out how much memory it holds.
    pub(super) async fn weigh(&self) {
        let spare = self.spare.lock().await;
        let copies = 1 + usize::from(spare.is_some());
        let loaded = self.loaded.load();
        let bytes = loaded
            .as_ref()
            .map_or(0, |loaded| loaded.state.index.memory_bytes() * copies);
        self.bytes.store(bytes, Ordering::Relaxed);
        let revision = loaded.as_ref().map_or(0, |loaded| loaded.state.index.revision().get());
        self.weighed_at.store(revision, Ordering::Relaxed);
    }

    /// Lets go of the copy for the next change, where there was no change since this was last called, and weighs the rest.
    pub(super) async fn tidy(&self) {
        let Some(revision) = self.revision() else { return };
        let changed = revision.get() != self.weighed_at.load(Ordering::Relaxed);
        if changed || self.spare.lock().await.take().is_some() {
            self.weigh().await;
        }
    }

    /// Puts a state in place whose snapshot was read after `doubt` was taken.
    pub(super) async fn put(&self, state: EnvironmentState, doubt: u64) {
        let mut spare = self.spare.lock().await;
        *spare = None;
        self.loaded.store(Some(Arc::new(Loaded { state, doubt })));
    }

    /// How far the state is, if it is loaded.
    pub(super) fn progress(&self) -> Progress {
        match self.revision() {
            None => Progress::Absent,
            Some(revision) if revision.get() < self.floor() => Progress::Behind(revision),
            Some(_) => Progress::Current,
        }
    }

    /// Moves the state one revision forward. `false` when it is not exactly one behind, or when it broke, in which case
    /// it is not trusted any more.
    pub(super) async fn step(&self, revision: Revision, changes: &[Change]) -> bool {
        let mut spare = self.spare.lock().await;
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
        let next = match spare.take() {
            Some(copy) => renew(copy, &now).await,
            None => Ok(copy_of(&now)),
        };
        let next = next.and_then(|mut next| {
            next.state.apply(revision, changes)?;
            Ok(next)
        });
        match next {
            Ok(next) => {
                self.loaded.store(Some(Arc::new(next)));
                *spare = Some(Spare {
                    loaded: now,
                    behind: (revision, changes.to_vec()),
                });
                true
            }
            Err(error) => {
                tracing::error!(%error, %revision, "a change record does not fit the index; it will be loaded again");
                self.forget();
                false
            }
        }
    }
}

fn copy_of(loaded: &Loaded) -> Loaded {
    Loaded {
        state: loaded.state.clone(),
        doubt: loaded.doubt,
    }
}

/// Brings a copy forward to the state that answers now, once nobody looks at it any more.
async fn renew(spare: Spare, now: &Loaded) -> Result<Loaded, IndexError> {
    let Spare {
        mut loaded,
        behind: (revision, changes),
    } = spare;
    for _ in 0..PATIENCE {
        match Arc::try_unwrap(loaded) {
            Ok(mut free) => {
                free.state.apply(revision, &changes)?;
                return Ok(free);
            }
            Err(in_use) => loaded = in_use,
        }
        yield_now().await;
    }
    Ok(copy_of(now))
}

/// How far a state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not loaded, or not to be trusted.
    Absent,
    /// At this revision, which is older than its floor.
    Behind(Revision),
    /// At its floor or beyond.
    Current,
}

#[cfg(test)]
mod tests {
    use super::{EnvironmentState, Slot};
    use canopy_domain::access::{AccessIndex, Snapshot};
    use canopy_domain::api_key::KeyRing;
    use canopy_domain::{EnvironmentId, Revision};
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

    fn revision(slot: &Slot) -> Option<u64> {
        slot.ask(|view| view.state().index.revision().get())
    }

    /// What is being asked stands still, while changes come and are seen by whoever asks next.
    #[test]
    fn who_asks_and_who_writes_do_not_wait_for_each_other() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let slot = Slot::default();
        runtime.block_on(slot.put(state(), 0));
        assert_eq!(revision(&slot), Some(1));
        slot.ask(|held| {
            for next in 2..=6 {
                assert!(runtime.block_on(slot.step(Revision::new(next), &[])));
                assert_eq!(revision(&slot), Some(next));
                assert_eq!(held.state().index.revision().get(), 1);
            }
        });
        assert!(!runtime.block_on(slot.step(Revision::new(9), &[])), "a gap");
        assert!(runtime.block_on(slot.step(Revision::new(5), &[])), "known already");
        assert_eq!(revision(&slot), Some(6));
        slot.raise_floor(Revision::new(7));
        assert_eq!(revision(&slot), None);
        assert!(runtime.block_on(slot.step(Revision::new(7), &[])));
        assert_eq!(revision(&slot), Some(7));
    }
}
