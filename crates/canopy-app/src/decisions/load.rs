//! Loads indexes and catches them up, within a memory limit.

use super::EnvironmentState;
use super::failure::LoadFailure;
use super::slot::{NextTag, Origin, Progress, Slot};
use crate::AppError;
use canopy_domain::access::KeyRing;
use canopy_domain::access::{AccessIndex, Snapshot};
use canopy_domain::port::{CommitTag, Secrets, Store, StoreError};
use canopy_domain::{EnvironmentId, EnvironmentRef, Revision, TenancyError, Tenant};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Number of revisions that an index reads at once when it catches up.
const CATCH_UP_PAGE: u32 = 256;

/// Number of concurrent loads. A burst of cold environments then takes neither all connections to the store nor all
/// processors from loaded ones.
const LOADS_AT_ONCE: usize = 2;

/// Maximum wait of a cold environment for its load, and maximum duration of the load.
const TURN_PATIENCE: Duration = Duration::from_secs(10);
const LOAD_DEADLINE: Duration = Duration::from_secs(60);

/// Loads and catches up slots, and counts the loads.
pub(super) struct Loader {
    /// The seed of the memory layout of indexes, so that customers cannot choose keys with equal hashes.
    seed: u64,
    turns: Semaphore,
    /// The number of loads: the clock for the least recently used index.
    loads: AtomicU64,
    bound: AtomicUsize,
    index_bound: AtomicUsize,
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
            index_bound: AtomicUsize::new(usize::MAX),
        }
    }

    pub(super) fn bound_memory(&self, bytes: usize) {
        self.bound.store(bytes, Ordering::Relaxed);
    }

    /// Returns the maximum number of bytes of all indexes.
    pub(super) fn bound(&self) -> usize {
        self.bound.load(Ordering::Relaxed)
    }

    pub(super) fn bound_index(&self, bytes: usize) {
        self.index_bound.store(bytes, Ordering::Relaxed);
    }

    /// Returns the maximum number of bytes of one copy of one index.
    pub(super) fn index_bound(&self) -> usize {
        self.index_bound.load(Ordering::Relaxed)
    }

    pub(super) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// Loads the state, or catches it up with the store. The caller holds the slot's `moving` lock.
    pub(super) async fn bring_forward(
        &self,
        store: &dyn Store,
        place: &EnvironmentRef,
        slot: &Slot,
    ) -> Result<(), AppError> {
        loop {
            match slot.progress() {
                Progress::Current => return Ok(()),
                Progress::Absent => {
                    if let Some(failure) = slot.recent_failure() {
                        return Err(failure.into());
                    }
                    let turn = timeout(TURN_PATIENCE, self.turns.acquire()).await;
                    let turn = turn.map_err(|_| busy("too many environments are being loaded; try again later"))?;
                    let loaded = timeout(LOAD_DEADLINE, self.load(store, place, slot)).await;
                    let loaded =
                        loaded.unwrap_or_else(|_| Err(busy("the environment could not be loaded in time").into()));
                    drop(turn);
                    slot.note_failure(loaded.as_ref().err().and_then(LoadFailure::of));
                    return loaded;
                }
                Progress::Behind(revision) => catch_up(store, place, slot, revision).await?,
            }
        }
    }

    async fn load(&self, store: &dyn Store, place: &EnvironmentRef, slot: &Slot) -> Result<(), AppError> {
        let environment = place.environment;
        let (index_epoch, floor) = (slot.index_epoch(), slot.floor());
        let epoch = super::epoch_of(store);
        let mut tx = store.read_for(place.into()).await?;
        let max_bytes = self.index_bound();
        if max_bytes < usize::MAX {
            // Checked before any read: a too large snapshot would otherwise end the process, after each restart again.
            let bytes = tx.index_size(environment).await?.bytes();
            if bytes > max_bytes {
                tracing::error!(%environment, bytes, max_bytes, "environment exceeds index.environment_mib; its checks are refused");
                return Err(AppError::IndexTooLarge { bytes, max_bytes });
            }
        }
        let snapshot = tx.snapshot(environment).await?;
        let snapshot = snapshot.ok_or(TenancyError::NotFound(Tenant::Environment))?;
        let tags = tx.commit_tags(environment, snapshot.revision, 1).await?;
        drop(tx);
        let tag = tags
            .first()
            .filter(|(at, _)| *at == snapshot.revision)
            .map(|(_, tag)| *tag);
        let origin = Origin { tag, epoch };
        if snapshot.revision.get() < floor {
            // The store lacks a revision that was published: it lost commits, or another process published a wrong one.
            tracing::warn!(%environment, revision = %snapshot.revision, floor, "store revision went backwards; reloading index");
            slot.lower_floor(floor, snapshot.revision);
        }
        slot.put(self.build(environment, snapshot).await?, origin, index_epoch)
            .await;
        self.loads.fetch_add(1, Ordering::Relaxed);
        slot.note_load(self.loads());
        slot.weigh().await;
        Ok(())
    }

    /// Builds an index on a blocking thread: a large one takes a good part of a second.
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

fn busy(what: &'static str) -> StoreError {
    StoreError::Busy(what.into())
}

/// Applies the next change records to a state. If they do not follow, or cannot be decoded, the state must be loaded
/// again: a newer release may have written them, and the snapshot has the same facts in a known form.
async fn catch_up(store: &dyn Store, place: &EnvironmentRef, slot: &Slot, revision: Revision) -> Result<(), AppError> {
    let environment = place.environment;
    let origin = slot
        .origin()
        .filter(|(at, _)| *at == revision)
        .map(|(_, origin)| origin);
    let mut tx = store.read_for(place.into()).await?;
    let records = match tx.changes_since(environment, revision, CATCH_UP_PAGE).await {
        Ok(records) => records,
        Err(StoreError::Corrupt(what)) => {
            tracing::warn!(%environment, %revision, %what, "change record cannot be read; reloading index");
            slot.forget();
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let tags = tx.commit_tags(environment, revision, CATCH_UP_PAGE + 1).await?;
    drop(tx);
    let tags: HashMap<Revision, CommitTag> = tags.into_iter().collect();
    // Records continue this state only if the store has its tag: after a failover another commit may have its revision.
    let mut fits = !records.is_empty() && origin.is_some_and(|origin| origin.tag == tags.get(&revision).copied());
    for (at, changes) in records {
        let tag = NextTag::Known(tags.get(&at).copied());
        fits = fits && slot.step(at, tag, &changes.into()).await;
    }
    if !fits {
        slot.forget();
    }
    Ok(())
}
