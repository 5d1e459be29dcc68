//! Loading indexes and catching them up, within a bound of memory.

use super::EnvironmentState;
use super::slot::{Progress, Slot};
use crate::AppError;
use canopy_domain::access::{AccessIndex, Snapshot};
use canopy_domain::api_key::KeyRing;
use canopy_domain::port::{Secrets, Store, StoreError};
use canopy_domain::{EnvironmentId, Revision, TenancyError, Tenant};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// How many revisions are read at once when an index catches up.
const CATCH_UP_PAGE: u32 = 256;

/// How many environments are loaded at once. A burst of cold ones neither takes all connections to the store nor all
/// processors from those that are in memory.
const LOADS_AT_ONCE: usize = 2;

/// Brings slots forward, and counts the loads.
pub(super) struct Loader {
    /// Where things lie in an index depends on it, so that customers cannot choose keys that are all looked for in one place.
    seed: u64,
    turns: Semaphore,
    /// How many loads there were: the clock by which it is told what was not asked for longest.
    loads: AtomicU64,
    bound: AtomicUsize,
}

impl Loader {
    pub(super) fn new(secrets: &dyn Secrets) -> Self {
        Self {
            seed: secrets
                .bytes()
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes)),
            turns: Semaphore::new(LOADS_AT_ONCE),
            loads: AtomicU64::new(0),
            bound: AtomicUsize::new(usize::MAX),
        }
    }

    pub(super) fn bound_memory(&self, bytes: usize) {
        self.bound.store(bytes, Ordering::Relaxed);
    }

    /// The largest number of bytes that indexes are to take.
    pub(super) fn bound(&self) -> usize {
        self.bound.load(Ordering::Relaxed)
    }

    pub(super) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// Loads the state, or catches it up with the store. The caller holds the slot's `moving` lock.
    pub(super) async fn bring_forward(
        &self,
        store: &dyn Store,
        environment: EnvironmentId,
        slot: &Slot,
    ) -> Result<(), AppError> {
        loop {
            match slot.progress() {
                Progress::Current => return Ok(()),
                Progress::Absent => {
                    let turn = self.turns.acquire().await;
                    let loaded = self.load(store, environment, slot).await;
                    drop(turn);
                    return loaded;
                }
                Progress::Behind(revision) => catch_up(store, environment, slot, revision).await?,
            }
        }
    }

    async fn load(&self, store: &dyn Store, environment: EnvironmentId, slot: &Slot) -> Result<(), AppError> {
        let (doubt, floor) = (slot.doubt(), slot.floor());
        let mut tx = store.read_for(environment.into()).await?;
        let snapshot = tx.snapshot(environment).await?;
        drop(tx);
        let snapshot = snapshot.ok_or(TenancyError::NotFound(Tenant::Environment))?;
        if snapshot.revision.get() < floor {
            // What was said to be committed is not there: a store that lost commits, or somebody else's word.
            tracing::warn!(%environment, revision = %snapshot.revision, floor, "the store is behind what it said before");
            slot.lower_floor(floor, snapshot.revision);
        }
        slot.put(self.build(environment, snapshot).await?, doubt).await;
        self.loads.fetch_add(1, Ordering::Relaxed);
        slot.touch(self.loads());
        slot.weigh().await;
        Ok(())
    }

    /// Builds an index where it holds nobody up: for a large one it takes a good part of a second.
    async fn build(&self, environment: EnvironmentId, snapshot: Snapshot) -> Result<EnvironmentState, StoreError> {
        let seed = self.seed;
        let make = move || {
            let index = AccessIndex::build_seeded(&snapshot, seed)?;
            let keys = KeyRing::build(&snapshot.keys);
            Ok(EnvironmentState { index, keys })
        };
        let built = spawn_blocking(make)
            .await
            .map_err(|error| StoreError::Internal(error.into()))?;
        built.map_err(|error: canopy_domain::access::IndexError| {
            StoreError::Corrupt(format!("environment {environment}: {error}"))
        })
    }
}

/// Moves a state forward by the next records. Where they do not fit, it has to be loaded again.
async fn catch_up(
    store: &dyn Store,
    environment: EnvironmentId,
    slot: &Slot,
    revision: Revision,
) -> Result<(), AppError> {
    let mut tx = store.read_for(environment.into()).await?;
    let records = tx.changes_since(environment, revision, CATCH_UP_PAGE).await?;
    drop(tx);
    let mut fits = !records.is_empty();
    for (at, changes) in &records {
        fits = fits && slot.step(*at, changes).await;
    }
    if !fits {
        slot.forget();
    }
    Ok(())
}
