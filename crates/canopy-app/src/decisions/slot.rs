//! The state of one environment, and how far it must be before it answers.

use canopy_domain::Revision;
use canopy_domain::access::{AccessIndex, Change};
use canopy_domain::api_key::KeyRing;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, RwLock};

/// What answers in one environment rest on, at one revision.
#[derive(Debug)]
pub struct EnvironmentState {
    /// What decisions rest on.
    pub index: AccessIndex,
    /// The keys that may ask for them.
    pub keys: KeyRing,
}

/// Where the state of one environment is kept.
#[derive(Default)]
pub(super) struct Slot {
    loaded: RwLock<Option<Loaded>>,
    /// The newest revision known to be committed. An index that is behind it answers nothing.
    floor: AtomicU64,
    /// How often the state of the store came in doubt. An index, or a snapshot, from before the last time is not used.
    doubt: AtomicU64,
    /// Held by whoever loads the index or catches it up; others wait for the result.
    pub(super) moving: Mutex<()>,
}

struct Loaded {
    state: EnvironmentState,
    /// The doubt when its snapshot was about to be read.
    doubt: u64,
}

impl Slot {
    /// Asks the index, if it is loaded, not behind its floor, and not being moved right now. Never waits.
    pub(super) fn ask_now<R>(&self, ask: impl FnOnce(&EnvironmentState) -> R) -> Option<R> {
        let loaded = self.loaded.try_read().ok()?;
        self.current(loaded.as_ref()).map(ask)
    }

    /// Asks the index, if it is loaded and not behind its floor, once nobody moves it.
    pub(super) async fn ask<R>(&self, ask: impl FnOnce(&EnvironmentState) -> R) -> Option<R> {
        let loaded = self.loaded.read().await;
        self.current(loaded.as_ref()).map(ask)
    }

    /// The bytes of the index and how far it is behind its floor, if it is loaded and not being moved right now.
    pub(super) fn size(&self) -> Option<(usize, u64)> {
        let loaded = self.loaded.try_read().ok()?;
        let state = self.trusted(loaded.as_ref())?;
        let floor = self.floor.load(Ordering::Acquire);
        Some((
            state.index.memory_bytes(),
            floor.saturating_sub(state.index.revision().get()),
        ))
    }

    fn current<'a>(&self, loaded: Option<&'a Loaded>) -> Option<&'a EnvironmentState> {
        let state = self.trusted(loaded)?;
        (state.index.revision().get() >= self.floor.load(Ordering::Acquire)).then_some(state)
    }

    fn trusted<'a>(&self, loaded: Option<&'a Loaded>) -> Option<&'a EnvironmentState> {
        loaded
            .filter(|loaded| loaded.doubt == self.doubt())
            .map(|loaded| &loaded.state)
    }

    /// From now on nothing older than this revision is answered.
    pub(super) fn raise_floor(&self, revision: Revision) {
        self.floor.fetch_max(revision.get(), Ordering::AcqRel);
    }

    /// From now on nothing is answered from what was read before.
    pub(super) fn forget(&self) {
        self.doubt.fetch_add(1, Ordering::AcqRel);
    }

    /// What must be handed back with an index that is built from a snapshot; taken before the snapshot is read.
    pub(super) fn doubt(&self) -> u64 {
        self.doubt.load(Ordering::Acquire)
    }

    /// Puts an index in place whose snapshot was read after `doubt` was taken.
    pub(super) async fn put(&self, state: EnvironmentState, doubt: u64) {
        let old = self.loaded.write().await.replace(Loaded { state, doubt });
        // Taking apart a large index takes a while; nobody need wait for it.
        drop(old);
    }

    /// How far the index is, if it is loaded.
    pub(super) async fn progress(&self) -> Progress {
        let loaded = self.loaded.read().await;
        match self.trusted(loaded.as_ref()).map(|state| state.index.revision()) {
            None => Progress::Absent,
            Some(revision) if revision.get() < self.floor.load(Ordering::Acquire) => Progress::Behind(revision),
            Some(_) => Progress::Current,
        }
    }

    /// Moves the index one revision forward. `false` when it is not exactly one behind, or when it broke, in which case
    /// it is not trusted any more.
    pub(super) async fn step(&self, revision: Revision, changes: &[Change]) -> bool {
        let mut loaded = self.loaded.write().await;
        let Some(Loaded {
            state: EnvironmentState { index, keys },
            ..
        }) = loaded.as_mut()
        else {
            return false;
        };
        if index.revision() >= revision {
            return true;
        }
        if index.revision().next() != revision {
            return false;
        }
        if let Err(error) = index.apply(revision, changes) {
            tracing::error!(%error, %revision, "a change record does not fit the index; it will be loaded again");
            self.forget();
            return false;
        }
        keys.apply(changes);
        true
    }
}

/// How far an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not loaded, or not to be trusted.
    Absent,
    /// At this revision, which is older than its floor.
    Behind(Revision),
    /// At its floor or beyond.
    Current,
}
