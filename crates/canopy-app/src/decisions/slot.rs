//! The index of one environment, and how far it must be before it answers.

use canopy_domain::Revision;
use canopy_domain::access::{AccessIndex, Change};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// The index of one environment.
#[derive(Default)]
pub(super) struct Slot {
    index: RwLock<Option<AccessIndex>>,
    /// The newest revision known to be committed. An index that is behind it answers nothing.
    floor: AtomicU64,
    /// Raised whenever the state of the store is in doubt, so that a snapshot read before is not used after.
    doubt: AtomicU64,
    /// Held by whoever loads the index or catches it up; others wait for the result.
    pub(super) moving: tokio::sync::Mutex<()>,
}

impl Slot {
    /// Asks the index, if it is loaded and not behind its floor.
    pub(super) fn ask<R>(&self, ask: impl FnOnce(&AccessIndex) -> R) -> Option<R> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let current = index
            .as_ref()
            .filter(|index| index.revision().get() >= self.floor.load(Ordering::Acquire))?;
        Some(ask(current))
    }

    /// From now on nothing older than this revision is answered.
    pub(super) fn raise_floor(&self, revision: Revision) {
        self.floor.fetch_max(revision.get(), Ordering::AcqRel);
    }

    /// Whether the index is behind its floor; one that is not loaded is not.
    pub(super) fn behind(&self) -> Option<Revision> {
        self.revision()
            .filter(|revision| revision.get() < self.floor.load(Ordering::Acquire))
    }

    /// What must be handed back with an index that is built from a snapshot; taken before the snapshot is read.
    pub(super) fn doubt(&self) -> u64 {
        self.doubt.load(Ordering::Acquire)
    }

    /// Puts an index in place, unless the state of the store came in doubt after `doubt` was taken.
    pub(super) fn put(&self, index: AccessIndex, doubt: u64) {
        let mut slot = self.index.write().unwrap_or_else(PoisonError::into_inner);
        *slot = (self.doubt() == doubt).then_some(index);
    }

    /// Throws the index away, and with it every snapshot that is being read.
    pub(super) fn forget(&self) {
        self.doubt.fetch_add(1, Ordering::AcqRel);
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The revision of the index, if it is loaded.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(AccessIndex::revision)
    }

    /// Moves the index one revision forward. `false` when it is not exactly one behind, or when it broke, in which case
    /// it is thrown away and loaded again on the next question.
    pub(super) fn step(&self, revision: Revision, changes: &[Change]) -> bool {
        let mut slot = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = slot.as_mut() else { return false };
        if index.revision() >= revision {
            return true;
        }
        if index.revision().next() != revision {
            return false;
        }
        if let Err(error) = index.apply(revision, changes) {
            tracing::error!(%error, %revision, "a change record does not fit the index; it will be loaded again");
            *slot = None;
            return false;
        }
        true
    }
}
