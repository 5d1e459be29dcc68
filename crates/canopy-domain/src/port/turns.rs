//! Fair turns at scarce resources: connections, the write lock, and threads for long work.

use super::share::{Share, TurnBounds, TurnError, TurnTaker};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::thread::{self, Thread};

/// Turns at a fixed number of places. Waiting parties are served in rotation, one turn each; within a party, the
/// longest waiting request is first. No party holds more than its part of the places at once.
///
/// It uses no runtime and no clock: callers implement deadlines by dropping the future. Clones share the places.
#[derive(Debug, Clone)]
pub struct Turns<K: TurnTaker = Share> {
    state: Arc<Mutex<State<K>>>,
}

#[derive(Debug)]
struct State<K> {
    bounds: TurnBounds,
    free: usize,
    parties: HashMap<K, Party>,
    /// The parties with waiting requests, in the order in which they are served.
    rotation: VecDeque<K>,
    /// The number of requests that wait for their first turn.
    waiting: usize,
    is_closed: bool,
}

/// The requests of one party.
#[derive(Debug, Default)]
struct Party {
    /// The number of requests that hold a place.
    running: usize,
    /// The number of requests that had a turn and have not ended: they hold a place, or passed it on and wait for it
    /// again.
    begun: usize,
    paused: VecDeque<Ticket>,
    fresh: VecDeque<Ticket>,
}

/// A request's entry in a queue.
type Ticket = Arc<Mutex<Waiting>>;

#[derive(Debug, Default)]
struct Waiting {
    is_granted: bool,
    waker: Option<Waker>,
}

/// A place, released on drop.
#[derive(Debug)]
pub struct Turn<K: TurnTaker = Share> {
    state: Arc<Mutex<State<K>>>,
    party: K,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it changes the state.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: TurnTaker> Turns<K> {
    /// Creates turns at free places.
    pub fn new(bounds: TurnBounds) -> Self {
        let state = State {
            free: bounds.places.max(1),
            bounds,
            parties: HashMap::new(),
            rotation: VecDeque::new(),
            waiting: 0,
            is_closed: false,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`TurnError`].
    pub async fn take(&self, party: K) -> Result<Turn<K>, TurnError> {
        let ticket = {
            let mut state = lock(&self.state);
            if state.is_closed {
                return Err(TurnError::Closed);
            }
            if state.is_free_for(party) {
                state.begin(party);
                return Ok(self.turn(party));
            }
            state.enter(party)?
        };
        let wait = Wait {
            turns: self,
            party,
            ticket,
            is_done: false,
        };
        wait.await
    }

    /// Returns the number of requests that wait for their first turn.
    pub fn waiting(&self) -> usize {
        lock(&self.state).waiting
    }

    /// Returns the number of requests that wait for their first turn, or had it and have not ended.
    pub fn load(&self) -> usize {
        let state = lock(&self.state);
        state.waiting + state.parties.values().map(|party| party.begun).sum::<usize>()
    }

    /// Refuses turns from now on, also to waiting requests. Requests that passed their place on get it again.
    pub fn close(&self) {
        let wakers: Vec<Waker> = {
            let mut state = lock(&self.state);
            state.is_closed = true;
            state.rotation.clear();
            state.waiting = 0;
            state.parties.values_mut().flat_map(Party::close).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn turn(&self, party: K) -> Turn<K> {
        Turn {
            state: Arc::clone(&self.state),
            party,
        }
    }
}

impl Party {
    fn is_waiting(&self) -> bool {
        !(self.paused.is_empty() && self.fresh.is_empty())
    }

    fn is_idle(&self) -> bool {
        self.begun == 0 && !self.is_waiting()
    }

    /// Returns whether a free place would be assigned, if the party may hold `most` of them.
    fn can_take(&self, most: usize) -> bool {
        self.running < most && (!self.paused.is_empty() || (self.begun < most && !self.fresh.is_empty()))
    }

    fn close(&mut self) -> Vec<Waker> {
        self.running += self.paused.len();
        let paused = self.paused.drain(..).filter_map(|ticket| grant(&ticket));
        let fresh = self.fresh.drain(..).filter_map(|ticket| lock(&ticket).waker.take());
        paused.chain(fresh).collect()
    }
}

/// Grants a turn. The caller must wake the waker after it releases all locks.
fn grant(ticket: &Ticket) -> Option<Waker> {
    let mut waiting = lock(ticket);
    waiting.is_granted = true;
    waiting.waker.take()
}

impl<K: TurnTaker> State<K> {
    /// Returns the number of places that a party may hold.
    fn most_of(&self, party: K) -> usize {
        if party.is_bounded() {
            self.bounds.part.max(1)
        } else {
            usize::MAX
        }
    }

    /// Returns whether a new request gets a place at once. Requests that wait although places are free wait for the
    /// limit of their own party.
    fn is_free_for(&self, party: K) -> bool {
        let most = self.most_of(party);
        self.free > 0 && self.parties.get(&party).is_none_or(|known| known.begun < most)
    }

    /// Counts a request that has its first turn.
    fn begin(&mut self, party: K) {
        self.free = self.free.saturating_sub(1);
        let party = self.parties.entry(party).or_default();
        party.running += 1;
        party.begun += 1;
    }

    /// Appends a request to its party's queue, unless the queue is full.
    fn enter(&mut self, party: K) -> Result<Ticket, TurnError> {
        let of_one = self.parties.get(&party).map_or(0, |party| party.fresh.len());
        let TurnBounds {
            waiting_of_one,
            waiting,
            ..
        } = self.bounds;
        if of_one >= waiting_of_one {
            return Err(TurnError::Crowded {
                waiting: waiting_of_one,
            });
        }
        if self.waiting >= waiting {
            return Err(TurnError::Crowded { waiting });
        }
        self.waiting += 1;
        Ok(self.queue(party, |party| &mut party.fresh))
    }

    fn queue(&mut self, party: K, queue: impl FnOnce(&mut Party) -> &mut VecDeque<Ticket>) -> Ticket {
        let ticket = Ticket::default();
        let known = self.parties.entry(party).or_default();
        if !known.is_waiting() {
            self.rotation.push_back(party);
        }
        queue(known).push_back(Arc::clone(&ticket));
        ticket
    }

    /// Assigns free places to the requests whose turn it is.
    fn grant(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let mut passed_over = 0;
        while self.free > 0 && passed_over < self.rotation.len() {
            let Some(key) = self.rotation.pop_front() else { break };
            let most = self.most_of(key);
            let Some(party) = self.parties.get_mut(&key) else {
                continue;
            };
            if !party.can_take(most) {
                self.rotation.push_back(key);
                passed_over += 1;
                continue;
            }
            passed_over = 0;
            let next = party.paused.pop_front().or_else(|| {
                self.waiting = self.waiting.saturating_sub(1);
                party.begun += 1;
                party.fresh.pop_front()
            });
            party.running += 1;
            self.free -= 1;
            if party.is_waiting() {
                self.rotation.push_back(key);
            }
            wakers.extend(next.as_ref().and_then(grant));
        }
        wakers
    }

    /// Returns whether another party waits for a place.
    fn is_wanted_by_others(&self, party: K) -> bool {
        let wants = |other: &K| {
            let most = self.most_of(*other);
            *other != party && self.parties.get(other).is_some_and(|known| known.can_take(most))
        };
        self.rotation.iter().any(wants)
    }

    /// Releases a place.
    fn release(&mut self, party: K) {
        self.free += 1;
        if let Some(known) = self.parties.get_mut(&party) {
            known.running = known.running.saturating_sub(1);
        }
    }

    /// Releases a place until the party's next turn, which comes after the turns of all other waiting parties.
    fn pause(&mut self, party: K) -> Ticket {
        self.release(party);
        let ticket = self.queue(party, |party| &mut party.paused);
        // An older request of this party must not get the place back before the others.
        self.rotation.retain(|one| *one != party);
        self.rotation.push_back(party);
        ticket
    }

    /// Releases a place for good.
    fn end(&mut self, party: K) {
        self.release(party);
        if let Some(known) = self.parties.get_mut(&party) {
            known.begun = known.begun.saturating_sub(1);
        }
        self.forget_idle(party);
    }

    fn forget_idle(&mut self, party: K) {
        if self.parties.get(&party).is_some_and(Party::is_idle) {
            self.parties.remove(&party);
        }
    }

    /// Removes a request from the queue for first turns.
    fn leave(&mut self, party: K, ticket: &Ticket) {
        let Some(known) = self.parties.get_mut(&party) else {
            return;
        };
        let before = known.fresh.len();
        known.fresh.retain(|one| !Arc::ptr_eq(one, ticket));
        self.waiting = self.waiting.saturating_sub(before - known.fresh.len());
        if !known.is_waiting() {
            self.rotation.retain(|one| *one != party);
        }
        self.forget_idle(party);
    }
}

impl<K: TurnTaker> Turn<K> {
    /// Passes the place to another waiting party, if there is one, and waits for the next turn. Blocks the thread.
    /// Returns whether the place was passed on meanwhile.
    pub fn pass_on(&mut self) -> bool {
        let (ticket, wakers) = {
            let mut state = lock(&self.state);
            if !state.is_wanted_by_others(self.party) {
                return false;
            }
            let ticket = state.pause(self.party);
            (ticket, state.grant())
        };
        wakers.into_iter().for_each(Waker::wake);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            {
                let mut waiting = lock(&ticket);
                if waiting.is_granted {
                    return true;
                }
                waiting.waker = Some(waker.clone());
            }
            thread::park();
        }
    }
}

/// Wakes a thread that waits for its turn.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<K: TurnTaker> Drop for Turn<K> {
    fn drop(&mut self) {
        let wakers = {
            let mut state = lock(&self.state);
            state.end(self.party);
            state.grant()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// One waiting request.
struct Wait<'a, K: TurnTaker> {
    turns: &'a Turns<K>,
    party: K,
    ticket: Ticket,
    is_done: bool,
}

impl<K: TurnTaker> Future for Wait<'_, K> {
    type Output = Result<Turn<K>, TurnError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let state = lock(&self.turns.state);
        let mut waiting = lock(&self.ticket);
        let answer = if waiting.is_granted {
            Poll::Ready(Ok(self.turns.turn(self.party)))
        } else if state.is_closed {
            Poll::Ready(Err(TurnError::Closed))
        } else {
            waiting.waker = Some(context.waker().clone());
            Poll::Pending
        };
        drop(waiting);
        drop(state);
        self.is_done = answer.is_ready();
        answer
    }
}

impl<K: TurnTaker> Drop for Wait<'_, K> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut state = lock(&self.turns.state);
        let is_granted = lock(&self.ticket).is_granted;
        if is_granted {
            // The place was assigned between the last poll and now: pass it to the next request.
            drop(state);
            drop(self.turns.turn(self.party));
        } else {
            state.leave(self.party, &self.ticket);
        }
    }
}

#[cfg(test)]
mod tests;
