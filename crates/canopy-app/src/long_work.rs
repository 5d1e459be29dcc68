//! Threads for work that would block an HTTP worker for too long: bulk checks, explanations, reverse questions, large
//! bodies and responses.
//!
//! Each piece of work waits for one of few [turns](Turns). Turns rotate among accounts, and one account never has all
//! of them. Work checks its [`Pace`] between slices of about a millisecond: there it passes its turn to another waiting
//! account, and stops once its caller has gone.

use canopy_domain::port::{Share, Turn, TurnBounds, TurnError, Turns};
use core::time::Duration;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Instant;

/// The length of a slice: the time after which work passes its turn to waiting work.
const SLICE: Duration = Duration::from_millis(1);

/// Bounds on long work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkOptions {
    /// The number of concurrent pieces, at least 2. One account runs at most one less.
    pub turns: usize,
    /// The number of pieces of one account that may wait for their turn.
    pub waiting_of_one: usize,
    /// The total number of pieces that may wait.
    pub waiting: usize,
    /// The maximum wait of a piece before it begins.
    pub patience: Duration,
}

impl WorkOptions {
    fn bounds(&self) -> TurnBounds {
        let places = self.turns.max(2);
        TurnBounds {
            places,
            part: places - 1,
            waiting_of_one: self.waiting_of_one,
            waiting: self.waiting,
        }
    }
}

impl Default for WorkOptions {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Self {
            turns: cores.max(2),
            waiting_of_one: 32,
            waiting: 512,
            patience: Duration::from_secs(5),
        }
    }
}

/// The reason for which long work has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// Too many pieces of work wait already.
    #[error("too many long requests are waiting; try again later")]
    Crowded {
        /// The maximum number of waiting pieces, of the account or in total.
        waiting: usize,
    },
    /// It did not begin before the deadline.
    #[error("the request waited too long for its turn; try again later")]
    TooLate {
        /// The maximum wait in milliseconds.
        patience_ms: u64,
    },
    /// It failed: always a bug in Canopy.
    #[error("long work ended without a result")]
    Lost,
}

/// The caller has gone, so the rest of the work is not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// Runs long work. Clones share everything.
#[derive(Debug, Clone)]
pub struct LongWork {
    room: Arc<RwLock<Room>>,
}

/// The turns of long work, and the maximum wait for one.
#[derive(Debug, Clone)]
struct Room {
    turns: Turns,
    patience: Duration,
}

impl Room {
    fn new(options: &WorkOptions) -> Self {
        Self {
            turns: Turns::new(options.bounds()),
            patience: options.patience,
        }
    }
}

impl Default for LongWork {
    fn default() -> Self {
        Self::new(WorkOptions::default())
    }
}

impl LongWork {
    /// Creates an idle instance.
    pub fn new(options: WorkOptions) -> Self {
        let room = Arc::new(RwLock::new(Room::new(&options)));
        Self { room }
    }

    /// Changes the bounds for later work. Call it before the service answers requests.
    pub fn configure(&self, options: WorkOptions) {
        *self.room.write().unwrap_or_else(PoisonError::into_inner) = Room::new(&options);
    }

    fn room(&self) -> Room {
        self.room.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs work on its own thread, when it is the account's turn. Dropping the future removes the work from the queue,
    /// or stops it at the end of its slice.
    ///
    /// Requires a tokio runtime with a time driver. The work must wait only for its turns.
    ///
    /// # Errors
    /// [`WorkError`]; then nothing was done.
    pub async fn perform<T: Send + 'static>(
        &self,
        share: impl Into<Share>,
        work: impl FnOnce(&mut Pace) -> Result<T, Stopped> + Send + 'static,
    ) -> Result<T, WorkError> {
        let Room { turns, patience } = self.room();
        let turn = match tokio::time::timeout(patience, turns.take(share.into())).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(TurnError::Crowded { waiting })) => return Err(WorkError::Crowded { waiting }),
            Ok(Err(TurnError::Closed)) => return Err(WorkError::Lost),
            Err(_) => {
                let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
                return Err(WorkError::TooLate { patience_ms });
            }
        };
        let caller = Presence(Arc::default());
        let mut pace = Pace::of(turn, Arc::clone(&caller.0));
        let done = tokio::task::spawn_blocking(move || work(&mut pace)).await;
        drop(caller);
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Stopped)) => Err(WorkError::Lost),
            Err(failed) => {
                tracing::error!(error = %failed, "long work panicked");
                Err(WorkError::Lost)
            }
        }
    }

    /// Returns the number of pieces of work that wait or run.
    pub fn load(&self) -> usize {
        self.room().turns.load()
    }
}

/// Marks the caller as gone on drop.
struct Presence(Arc<AtomicBool>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Tells work when to pause and when to stop.
#[derive(Debug)]
pub struct Pace {
    /// `None` for work that is short enough to need no turn.
    turn: Option<Turn>,
    gone: Arc<AtomicBool>,
    slice_began: Instant,
}

impl Pace {
    fn of(turn: Turn, gone: Arc<AtomicBool>) -> Self {
        Self {
            turn: Some(turn),
            gone,
            slice_began: Instant::now(),
        }
    }

    /// Returns the pace of work that runs without turns. It never stops.
    pub fn unbroken() -> Self {
        Self {
            turn: None,
            gone: Arc::default(),
            slice_began: Instant::now(),
        }
    }

    /// Ends the slice after its time. Call it often: it reads the clock (about 30 ns).
    ///
    /// # Errors
    /// [`Stopped`] once the caller has gone.
    pub fn check(&mut self) -> Result<(), Stopped> {
        let Some(turn) = &mut self.turn else { return Ok(()) };
        if self.gone.load(Ordering::Acquire) {
            return Err(Stopped);
        }
        if self.slice_began.elapsed() < SLICE {
            return Ok(());
        }
        if !turn.pass_on() {
            // No work waits for the turn, but HTTP workers may wait for the processor.
            thread::yield_now();
        }
        self.slice_began = Instant::now();
        if self.gone.load(Ordering::Acquire) {
            return Err(Stopped);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{LongWork, Pace, Stopped, WorkError, WorkOptions};
    use canopy_domain::AccountId;
    use core::time::Duration;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Barrier};
    use tokio::sync::oneshot;
    use uuid::Uuid;

    const ACME: AccountId = AccountId::new(Uuid::from_u128(1));
    const GLOBEX: AccountId = AccountId::new(Uuid::from_u128(2));

    fn options() -> WorkOptions {
        WorkOptions {
            turns: 2,
            waiting_of_one: 3,
            waiting: 4,
            patience: Duration::from_secs(60),
        }
    }

    /// Works until it is asked to end, or until its caller has gone.
    fn until(end: oneshot::Receiver<()>) -> impl FnOnce(&mut Pace) -> Result<(), Stopped> + Send + 'static {
        let mut end = end;
        move |pace| {
            while end.try_recv().is_err() {
                pace.check()?;
            }
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_account_never_has_all_turns() {
        let room = LongWork::new(options());
        let (end, ended) = oneshot::channel();
        let (long, short) = (room.clone(), room.clone());
        let (start, started) = oneshot::channel();
        let first = tokio::spawn(async move {
            let work = until(ended);
            let told = move |pace: &mut Pace| {
                start.send(()).ok();
                work(pace)
            };
            long.perform(ACME, told).await
        });
        started.await.unwrap();
        // A second piece of the same account waits, although a turn is free.
        let second = tokio::spawn(async move { short.perform(ACME, |_| Ok(7)).await });
        assert_eq!(room.perform(GLOBEX, |_| Ok(8)).await, Ok(8));
        assert!(!second.is_finished());
        end.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(second.await.unwrap(), Ok(7));
        assert_eq!(room.load(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_turn_goes_round_among_accounts_that_wait() {
        let room = LongWork::new(options());
        // Two accounts hold both turns, each until a third one has been served.
        let served = Arc::new(AtomicUsize::new(0));
        let both = Arc::new(Barrier::new(2));
        let hold = |account: u128| {
            let (room, served, both) = (room.clone(), Arc::clone(&served), Arc::clone(&both));
            tokio::spawn(async move {
                let work = move |pace: &mut Pace| {
                    both.wait();
                    while served.load(Ordering::Acquire) == 0 {
                        pace.check()?;
                    }
                    Ok(())
                };
                room.perform(AccountId::new(Uuid::from_u128(account)), work).await
            })
        };
        let (first, second) = (hold(1), hold(2));
        let third = Arc::clone(&served);
        let done = room.perform(AccountId::new(Uuid::from_u128(3)), move |_| {
            third.fetch_add(1, Ordering::AcqRel);
            Ok(())
        });
        assert_eq!(done.await, Ok(()));
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(second.await.unwrap(), Ok(()));
        assert_eq!(room.load(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_stops_when_its_caller_has_gone() {
        let room = LongWork::new(options());
        let (told, tells) = channel();
        let (start, started) = oneshot::channel();
        let work = move |pace: &mut Pace| {
            start.send(()).ok();
            let stopped: Result<(), Stopped> = loop {
                if let Err(stopped) = pace.check() {
                    break Err(stopped);
                }
            };
            told.send(stopped).ok();
            stopped
        };
        let running = {
            let room = room.clone();
            tokio::spawn(async move { room.perform(ACME, work).await })
        };
        started.await.unwrap();
        running.abort();
        let stopped = tokio::task::spawn_blocking(move || tells.recv()).await.unwrap();
        assert_eq!(stopped, Ok(Err(Stopped)));
        // The turn is free again.
        assert_eq!(room.perform(ACME, |_| Ok(1)).await, Ok(1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_leaves_the_queue_leaves_no_place_in_it() {
        let room = LongWork::new(options());
        let (end, ended) = oneshot::channel();
        let first = {
            let room = room.clone();
            tokio::spawn(async move { room.perform(ACME, until(ended)).await })
        };
        while room.load() < 1 {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            let mut waiting = Box::pin(room.perform(ACME, |_| Ok(())));
            assert!(futures_util::poll!(&mut waiting).is_pending());
        }
        assert_eq!(room.load(), 1);
        end.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_queue_is_bounded_for_each_account_and_in_all_and_in_time() {
        let room = LongWork::new(WorkOptions {
            patience: Duration::from_millis(20),
            ..options()
        });
        let (end, ended) = oneshot::channel();
        let (start, started) = oneshot::channel();
        let first = {
            let room = room.clone();
            let work = until(ended);
            tokio::spawn(async move {
                let told = move |pace: &mut Pace| {
                    start.send(()).ok();
                    work(pace)
                };
                room.perform(ACME, told).await
            })
        };
        started.await.unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(room.perform(ACME, |_| Ok(())))).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        let fourth = room.perform(ACME, |_| Ok(())).await;
        assert_eq!(fourth, Err(WorkError::Crowded { waiting: 3 }));
        for one in waiting {
            assert_eq!(one.await, Err(WorkError::TooLate { patience_ms: 20 }));
        }
        assert_eq!(room.load(), 1);
        end.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
    }
}
