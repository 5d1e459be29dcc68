//! The decision indexes of this process: loaded on first use, moved forward by every commit, never behind an answer.

use crate::AppError;
use canopy_domain::access::{AccessIndex, Change};
use canopy_domain::port::{Store, StoreError};
use canopy_domain::{EnvironmentId, Revision};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How many revisions are read at once when an index catches up.
const CATCH_UP_PAGE: u32 = 256;

/// One index for each environment that was asked about.
pub struct Decisions {
    store: Arc<dyn Store>,
    slots: RwLock<HashMap<EnvironmentId, Arc<Slot>>>,
}

/// The index of one environment.
#[derive(Default)]
struct Slot {
    index: RwLock<Option<AccessIndex>>,
    /// The newest revision known to be committed. An index that is behind it answers nothing.
    floor: AtomicU64,
    /// Raised whenever the state of the store is in doubt, so that a snapshot read before is not used after.
    doubt: AtomicU64,
    /// Held by whoever loads the index or catches it up; others wait for the result.
    moving: tokio::sync::Mutex<()>,
}

impl core::fmt::Debug for Decisions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let loaded = self.slots.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Decisions")
            .field("environments", &loaded)
            .finish_non_exhaustive()
    }
}

impl Slot {
    fn ask<R>(&self, ask: impl FnOnce(&AccessIndex) -> R) -> Option<R> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let current = index
            .as_ref()
            .filter(|index| index.revision().get() >= self.floor.load(Ordering::Acquire))?;
        Some(ask(current))
    }

    fn raise_floor(&self, revision: Revision) {
        self.floor.fetch_max(revision.get(), Ordering::AcqRel);
    }

    fn replace(&self, index: Option<AccessIndex>) {
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
    }

    fn revision(&self) -> Option<Revision> {
        self.index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(AccessIndex::revision)
    }

    /// Moves the index one revision forward. `false` when it is not exactly one behind, or when it broke, in which case
    /// it is thrown away and loaded again on the next question.
    fn step(&self, revision: Revision, changes: &[Change]) -> bool {
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

impl Decisions {
    /// No index is loaded yet.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            slots: RwLock::default(),
        }
    }

    fn slot(&self, environment: EnvironmentId) -> Option<Arc<Slot>> {
        self.slots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&environment)
            .map(Arc::clone)
    }

    /// Asks the index of an environment if it is loaded and current; `None` when that takes I/O.
    pub fn ask_now<R>(&self, environment: EnvironmentId, ask: impl FnOnce(&AccessIndex) -> R) -> Option<R> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(&environment)?.ask(ask)
    }

    /// Asks the index of an environment, loading it or catching it up first where that is needed.
    ///
    /// # Errors
    /// [`AppError::Store`] when the store fails; [`AppError::Broken`] when there is no such environment.
    pub async fn ask<R>(
        &self,
        environment: EnvironmentId,
        ask: impl FnOnce(&AccessIndex) -> R + Send,
    ) -> Result<R, AppError> {
        let slot = self.slot(environment).unwrap_or_else(|| {
            let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(environment).or_default())
        });
        let mut ask = Some(ask);
        // A commit may move the floor while the index catches up, so this repeats until an index is current. Each round
        // reaches at least the revision that the floor had at its start.
        loop {
            if let Some(answer) = slot.ask(|index| ask.take().map(|ask| ask(index))).flatten() {
                return Ok(answer);
            }
            let moving = slot.moving.lock().await;
            self.bring_forward(environment, &slot).await?;
            drop(moving);
        }
    }

    /// Loads the index, or catches it up with the store. The caller holds the slot's `moving` lock.
    async fn bring_forward(&self, environment: EnvironmentId, slot: &Slot) -> Result<(), AppError> {
        let Some(mut revision) = slot.revision() else {
            let doubt = slot.doubt.load(Ordering::Acquire);
            let snapshot = self.store.read().await?.snapshot(environment).await?;
            let snapshot = snapshot.ok_or(AppError::Broken("an environment that was looked up has no snapshot"))?;
            let index = AccessIndex::build(&snapshot)
                .map_err(|error| StoreError::Corrupt(format!("environment {environment}: {error}")))?;
            slot.replace(Some(index));
            if slot.doubt.load(Ordering::Acquire) != doubt {
                slot.replace(None);
            }
            return Ok(());
        };
        while revision.get() < slot.floor.load(Ordering::Acquire) {
            let records = self
                .store
                .read()
                .await?
                .changes_since(environment, revision, CATCH_UP_PAGE)
                .await?;
            if records.is_empty() || !records.iter().all(|(at, changes)| slot.step(*at, changes)) {
                slot.replace(None);
                return Ok(());
            }
            let Some(reached) = slot.revision() else { return Ok(()) };
            revision = reached;
        }
        Ok(())
    }

    /// Moves an index forward by a commit of this process. An environment that nobody asked about has none.
    ///
    /// The slot is put in place before a snapshot is read, so a commit either finds it here or is in the snapshot.
    pub(crate) fn publish(&self, environment: EnvironmentId, revision: Revision, changes: &[Change]) {
        let Some(slot) = self.slot(environment) else { return };
        slot.raise_floor(revision);
        if !slot.step(revision, changes) {
            // Behind by more than this commit, or being loaded: the next question brings it forward.
            tracing::debug!(%revision, "index left behind its floor");
        }
    }

    /// Throws indexes away whose state is in doubt.
    pub(crate) fn forget(&self, environments: &[EnvironmentId]) {
        for environment in environments {
            if let Some(slot) = self.slot(*environment) {
                slot.doubt.fetch_add(1, Ordering::AcqRel);
                slot.replace(None);
            }
        }
    }
}
