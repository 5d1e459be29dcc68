//! The decision indexes of this process: loaded on first use, moved forward by every commit, never behind an answer.

mod fence;
mod slot;

use crate::AppError;
use canopy_domain::access::AccessIndex;
use canopy_domain::api_key::KeyRing;
use canopy_domain::port::{EnvironmentChanges, News, Secrets, Store, StoreError};
use canopy_domain::{EnvironmentId, Revision, TenancyError, Tenant};
use fence::Fence;
use slot::{Progress, Slot};

pub use slot::EnvironmentState;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How many revisions are read at once when an index catches up.
const CATCH_UP_PAGE: u32 = 256;

/// For so long the news of other processes may stay away before questions that rely on it are refused.
const SILENCE: Duration = Duration::from_secs(5);

/// How fresh an answer must be, where several processes share a store. With a store of one process both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// Judged at the newest revision committed by anyone before the question came.
    #[default]
    Strong,
    /// Judged at the newest revision this process has heard of.
    Eventual,
}

/// What the decision indexes of a process amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// How many are loaded.
    pub indexes: usize,
    /// How much memory they hold.
    pub bytes: usize,
    /// How many revisions the one that is furthest behind lacks of what is known to be committed.
    pub revisions_behind: u64,
}

/// One index for each environment that was asked about.
pub struct Decisions {
    store: Arc<dyn Store>,
    slots: RwLock<HashMap<EnvironmentId, Arc<Slot>>>,
    fence: Fence,
    last_news: Mutex<Option<Instant>>,
    /// Where things lie in an index depends on it, so that customers cannot choose keys that are all looked for in one place.
    seed: u64,
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
    /// No index is loaded yet.
    pub(crate) fn new(store: Arc<dyn Store>, secrets: &dyn Secrets) -> Self {
        Self {
            store,
            slots: RwLock::default(),
            fence: Fence::default(),
            last_news: Mutex::default(),
            seed: secrets
                .bytes()
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes)),
        }
    }

    fn slot(&self, environment: EnvironmentId) -> Option<Arc<Slot>> {
        self.slots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&environment)
            .map(Arc::clone)
    }

    /// What is held in memory right now. An index that is being moved at this moment is left out.
    pub fn census(&self) -> Census {
        let slots: Vec<Arc<Slot>> = {
            let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
            slots.values().map(Arc::clone).collect()
        };
        slots
            .iter()
            .filter_map(|slot| slot.size())
            .fold(Census::default(), |sum, (bytes, revisions_behind)| Census {
                indexes: sum.indexes + 1,
                bytes: sum.bytes + bytes,
                revisions_behind: sum.revisions_behind.max(revisions_behind),
            })
    }

    /// Asks the state of an environment as it is known here, if it is: no older than any commit that this process has made or
    /// heard of, but perhaps older than those of others.
    pub(crate) fn peek<R>(&self, environment: EnvironmentId, ask: impl FnOnce(&EnvironmentState) -> R) -> Option<R> {
        self.slot(environment)?.ask_now(ask)
    }

    /// Asks the state of an environment if that takes no I/O: it is loaded and current, and what is asked for needs no
    /// word from the store.
    pub fn ask_now<R>(
        &self,
        environment: EnvironmentId,
        consistency: Consistency,
        ask: impl FnOnce(&EnvironmentState) -> R,
    ) -> Option<R> {
        if self.store.shared().is_some() && (consistency == Consistency::Strong || self.is_cut_off()) {
            return None;
        }
        self.slot(environment)?.ask_now(ask)
    }

    /// Asks the state of an environment, loading it or catching it up first where that is needed.
    ///
    /// # Errors
    /// [`AppError::Store`] when the store fails, or when the asked freshness cannot be had; not found when there is no
    /// such environment (any more).
    pub async fn ask<R>(
        &self,
        environment: EnvironmentId,
        consistency: Consistency,
        ask: impl FnOnce(&EnvironmentState) -> R + Send,
    ) -> Result<R, AppError> {
        let slot = self.slot(environment).unwrap_or_else(|| {
            let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(environment).or_default())
        });
        if let Some(shared) = self.store.shared() {
            match consistency {
                Consistency::Strong => {
                    let Some(head) = self.fence.head(shared, environment).await? else {
                        self.let_go(&[environment]);
                        return Err(TenancyError::NotFound(Tenant::Environment).into());
                    };
                    slot.raise_floor(head);
                }
                Consistency::Eventual if self.is_cut_off() => {
                    return Err(StoreError::Unavailable("the change feed is silent".into()).into());
                }
                Consistency::Eventual => {}
            }
        }
        let mut ask = Some(ask);
        // A commit may move the floor while the index catches up, so this repeats until an index is current. Each round
        // reaches at least the revision that the floor had at its start.
        loop {
            if let Some(answer) = slot.ask(|index| ask.take().map(|ask| ask(index))).await.flatten() {
                return Ok(answer);
            }
            let moving = slot.moving.lock().await;
            let brought = self.bring_forward(environment, &slot).await;
            drop(moving);
            if let Err(AppError::Tenancy(TenancyError::NotFound(_))) = &brought {
                self.slots
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&environment);
            }
            brought?;
        }
    }

    /// Loads the index, or catches it up with the store. The caller holds the slot's `moving` lock.
    async fn bring_forward(&self, environment: EnvironmentId, slot: &Slot) -> Result<(), AppError> {
        loop {
            match slot.progress().await {
                Progress::Current => return Ok(()),
                Progress::Absent => {
                    let doubt = slot.doubt();
                    let snapshot = self.store.read().await?.snapshot(environment).await?;
                    let snapshot = snapshot.ok_or(TenancyError::NotFound(Tenant::Environment))?;
                    let index = AccessIndex::build_seeded(&snapshot, self.seed)
                        .map_err(|error| StoreError::Corrupt(format!("environment {environment}: {error}")))?;
                    let keys = KeyRing::build(&snapshot.keys);
                    slot.put(EnvironmentState { index, keys }, doubt).await;
                    return Ok(());
                }
                Progress::Behind(revision) => {
                    let mut tx = self.store.read().await?;
                    let records = tx.changes_since(environment, revision, CATCH_UP_PAGE).await?;
                    drop(tx);
                    let mut fits = !records.is_empty();
                    for (at, changes) in &records {
                        fits = fits && slot.step(*at, changes).await;
                    }
                    if !fits {
                        slot.forget();
                    }
                }
            }
        }
    }

    /// Moves indexes forward by a commit of this process. An environment that nobody asked about has none.
    ///
    /// A slot is put in place before its snapshot is read, so a commit either finds it here or is in the snapshot. All
    /// floors are raised first: whatever becomes of the steps, nothing older is answered.
    pub(crate) async fn publish(&self, committed: &[(Revision, EnvironmentChanges)]) {
        let moves: Vec<_> = committed
            .iter()
            .filter_map(|(revision, one)| Some((self.slot(one.environment)?, *revision, &one.changes)))
            .collect();
        for (slot, revision, _) in &moves {
            slot.raise_floor(*revision);
        }
        for (slot, revision, changes) in moves {
            if !slot.step(revision, changes).await {
                // Behind by more than this commit, or being loaded: the next question brings it forward.
                tracing::debug!(%revision, "index left behind its floor");
            }
        }
    }

    /// Lets go of the indexes of environments that are gone. Whoever is about to ask one of them finds no environment.
    pub(crate) fn end(&self, gone: &[EnvironmentId]) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let ended: Vec<_> = gone
            .iter()
            .filter_map(|environment| slots.remove(environment))
            .collect();
        drop(slots);
        for slot in ended {
            slot.raise_floor(Revision::END);
        }
    }

    /// Lets go of the indexes of environments that others are said to have deleted. Whoever asks one of them next finds out
    /// from the store.
    fn let_go(&self, said_to_be_gone: &[EnvironmentId]) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        for slot in said_to_be_gone
            .iter()
            .filter_map(|environment| slots.remove(environment))
        {
            slot.forget();
        }
    }

    /// Throws indexes away whose state is in doubt.
    pub(crate) fn forget(&self, environments: impl Iterator<Item = EnvironmentId>) {
        for slot in environments.filter_map(|environment| self.slot(environment)) {
            slot.forget();
        }
    }

    /// Hears what other processes commit, until the line to the store breaks. A process with a shared store keeps calling
    /// this; with a store of its own it returns at once.
    ///
    /// # Errors
    /// Why the line broke.
    pub async fn follow(&self) -> Result<(), AppError> {
        match self.store.shared() {
            Some(shared) => match shared.listen(&|news| self.hear(news)).await? {},
            None => Ok(()),
        }
    }

    /// Asks a shared store how far the environments have come whose indexes are loaded: news may get lost, for example with
    /// the process that had some to tell. A process calls this every few seconds beside [`follow`](Self::follow).
    ///
    /// # Errors
    /// [`AppError::Store`] when the store cannot be asked.
    pub async fn catch_up(&self) -> Result<(), AppError> {
        let loaded: Vec<EnvironmentId> = {
            let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
            slots.keys().copied().collect()
        };
        let Some(shared) = self.store.shared().filter(|_| !loaded.is_empty()) else {
            return Ok(());
        };
        let heads = shared.heads(&loaded).await?;
        for (environment, revision) in &heads {
            if let Some(slot) = self.slot(*environment) {
                slot.raise_floor(*revision);
            }
        }
        let exist: HashSet<EnvironmentId> = heads.into_iter().map(|(environment, _)| environment).collect();
        let gone: Vec<EnvironmentId> = loaded.into_iter().filter(|one| !exist.contains(one)).collect();
        self.let_go(&gone);
        Ok(())
    }

    fn hear(&self, news: News) {
        match news {
            News::Alive => {}
            // What was announced while the line was down is not known: every index is read again.
            News::Connected => {
                let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
                slots.values().for_each(|slot| slot.forget());
            }
            News::Revisions(revisions) => {
                for (environment, revision) in revisions {
                    if revision == Revision::END {
                        self.let_go(&[environment]);
                    } else if let Some(slot) = self.slot(environment) {
                        slot.raise_floor(revision);
                    }
                }
            }
        }
        *self.last_news.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether nothing has been heard for too long.
    fn is_cut_off(&self) -> bool {
        let last = self.last_news.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|last| last.elapsed() > SILENCE)
    }
}
