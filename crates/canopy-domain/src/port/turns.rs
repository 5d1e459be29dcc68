//! Fair turns at what a store has few of: connections, and the right to write.

use crate::{AccountId, ApplicationId, EnvironmentId, EnvironmentRef};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// The tenant that a unit of work is charged to.
///
/// An environment's own work is charged to the environment, work on an account as a whole to the account. Work of the
/// installation itself is that of operators, commands and background tasks, and the first look at a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// The installation itself.
    Installation,
    /// An account as a whole.
    Account(AccountId),
    /// An application as a whole.
    Application(ApplicationId),
    /// One environment.
    Environment(EnvironmentId),
}

impl Share {
    /// The share of one environment of an account where it is given, else that of the account.
    pub fn within(account: AccountId, environment: Option<EnvironmentId>) -> Self {
        environment.map_or(Self::Account(account), Self::Environment)
    }

    /// The tenant's id; nil for the installation.
    pub fn id(self) -> Uuid {
        match self {
            Self::Installation => Uuid::nil(),
            Self::Account(id) => id.as_uuid(),
            Self::Application(id) => id.as_uuid(),
            Self::Environment(id) => id.as_uuid(),
        }
    }
}

impl From<AccountId> for Share {
    fn from(account: AccountId) -> Self {
        Self::Account(account)
    }
}

impl From<ApplicationId> for Share {
    fn from(application: ApplicationId) -> Self {
        Self::Application(application)
    }
}

impl From<EnvironmentId> for Share {
    fn from(environment: EnvironmentId) -> Self {
        Self::Environment(environment)
    }
}

impl From<&EnvironmentRef> for Share {
    fn from(place: &EnvironmentRef) -> Self {
        Self::Environment(place.environment)
    }
}

/// Turns at a fixed number of places. Waiting tenants are served in rotation, one turn each; the turns of one tenant go to
/// those of its requests that wait longest. No tenant holds more than its part of the places at once; the installation itself
/// is no tenant and may hold all of them.
///
/// Knows no runtime and no clock: a deadline is the caller's, who drops the future. Clones are the same places.
#[derive(Debug, Clone)]
pub struct Turns {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// The number of places that one tenant may hold.
    part: usize,
    held: HashMap<Share, usize>,
    waiting: HashMap<Share, VecDeque<Arc<Mutex<Waiting>>>>,
    /// The tenants that have requests waiting, in the order in which they are served.
    rotation: VecDeque<Share>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    is_granted: bool,
    waker: Option<Waker>,
}

/// A place that is held until this is dropped.
#[derive(Debug)]
pub struct Turn {
    state: Arc<Mutex<State>>,
    share: Share,
}

/// The places were closed: nobody gets a turn any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store is closed")]
pub struct TurnsClosed;

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is finished before anything can panic.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    /// Turns at `places`, of which one tenant holds no more than `part` at once. Both are at least 1.
    pub fn new(places: usize, part: usize) -> Self {
        let state = State {
            free: places.max(1),
            part: part.max(1),
            held: HashMap::new(),
            waiting: HashMap::new(),
            rotation: VecDeque::new(),
            is_closed: false,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`TurnsClosed`].
    pub async fn take(&self, share: Share) -> Result<Turn, TurnsClosed> {
        let waiting = {
            let mut state = lock(&self.state);
            if state.is_closed {
                return Err(TurnsClosed);
            }
            if state.is_free_for(share) {
                state.hold(share);
                return Ok(self.turn(share));
            }
            let waiting = Arc::new(Mutex::new(Waiting::default()));
            let queue = state.waiting.entry(share).or_default();
            queue.push_back(Arc::clone(&waiting));
            if queue.len() == 1 {
                state.rotation.push_back(share);
            }
            waiting
        };
        let wait = Wait {
            turns: self,
            share,
            waiting,
            is_done: false,
        };
        wait.await
    }

    /// The number of requests of all tenants that wait for a turn.
    pub fn waiting(&self) -> usize {
        lock(&self.state).waiting.values().map(VecDeque::len).sum()
    }

    /// Refuses turns from now on, to those that wait as well.
    pub fn close(&self) {
        let wakers: Vec<Waker> = {
            let mut state = lock(&self.state);
            state.is_closed = true;
            state.rotation.clear();
            let waiting = std::mem::take(&mut state.waiting).into_values().flatten();
            waiting.filter_map(|one| lock(&one).waker.take()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn turn(&self, share: Share) -> Turn {
        Turn {
            state: Arc::clone(&self.state),
            share,
        }
    }
}

impl State {
    fn has_part_left(&self, share: Share) -> bool {
        share == Share::Installation || self.held.get(&share).is_none_or(|held| *held < self.part)
    }

    /// Returns whether a request that comes now may have a place at once. Those that wait while places are free wait
    /// for their own tenant's part.
    fn is_free_for(&self, share: Share) -> bool {
        self.free > 0 && self.has_part_left(share)
    }

    fn hold(&mut self, share: Share) {
        self.free = self.free.saturating_sub(1);
        *self.held.entry(share).or_default() += 1;
    }

    fn release(&mut self, share: Share) {
        self.free += 1;
        if let Some(held) = self.held.get_mut(&share) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(&share);
            }
        }
    }

    /// Gives free places to those whose turn it is.
    fn grant(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let mut passed_over = 0;
        while self.free > 0 && passed_over < self.rotation.len() {
            let Some(share) = self.rotation.pop_front() else { break };
            if !self.has_part_left(share) {
                self.rotation.push_back(share);
                passed_over += 1;
                continue;
            }
            let next = self.waiting.get_mut(&share).and_then(VecDeque::pop_front);
            if self.waiting.get(&share).is_some_and(|queue| !queue.is_empty()) {
                self.rotation.push_back(share);
            } else {
                self.waiting.remove(&share);
            }
            if let Some(next) = next {
                self.hold(share);
                let mut next = lock(&next);
                next.is_granted = true;
                wakers.extend(next.waker.take());
                passed_over = 0;
            }
        }
        wakers
    }

    /// Takes a request out of its queue.
    fn leave(&mut self, share: Share, waiting: &Arc<Mutex<Waiting>>) {
        let Some(queue) = self.waiting.get_mut(&share) else {
            return;
        };
        queue.retain(|one| !Arc::ptr_eq(one, waiting));
        if queue.is_empty() {
            self.waiting.remove(&share);
            self.rotation.retain(|one| *one != share);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let wakers = {
            let mut state = lock(&self.state);
            state.release(self.share);
            state.grant()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// One request that waits.
struct Wait<'a> {
    turns: &'a Turns,
    share: Share,
    waiting: Arc<Mutex<Waiting>>,
    is_done: bool,
}

impl Future for Wait<'_> {
    type Output = Result<Turn, TurnsClosed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let state = lock(&self.turns.state);
        let mut waiting = lock(&self.waiting);
        let answer = if waiting.is_granted {
            Poll::Ready(Ok(self.turns.turn(self.share)))
        } else if state.is_closed {
            Poll::Ready(Err(TurnsClosed))
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

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut state = lock(&self.turns.state);
        let is_granted = lock(&self.waiting).is_granted;
        if is_granted {
            // The place came between the last look and now: it goes to the next.
            drop(state);
            drop(self.turns.turn(self.share));
        } else {
            state.leave(self.share, &self.waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, Turns, TurnsClosed};
    use crate::EnvironmentId;
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use uuid::Uuid;

    fn tenant(number: u128) -> Share {
        EnvironmentId::new(Uuid::from_u128(number)).into()
    }

    fn look<F: Future>(future: core::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_turns_go_round_the_tenants_however_many_requests_one_of_them_has() {
        let turns = Turns::new(1, 1);
        let (busy, other) = (tenant(1), tenant(2));
        let Poll::Ready(Ok(held)) = look(pin!(turns.take(busy))) else {
            panic!("a free place");
        };
        let (mut second, mut third) = (pin!(turns.take(busy)), pin!(turns.take(busy)));
        assert!(look(second.as_mut()).is_pending());
        assert!(look(third.as_mut()).is_pending());
        let mut single = pin!(turns.take(other));
        assert!(look(single.as_mut()).is_pending());
        assert_eq!(turns.waiting(), 3);
        drop(held);
        let Poll::Ready(Ok(second)) = look(second.as_mut()) else {
            panic!("who waits longest comes first");
        };
        assert!(look(single.as_mut()).is_pending());
        drop(second);
        assert!(look(third.as_mut()).is_pending(), "it is the other tenant's turn");
        let Poll::Ready(Ok(single)) = look(single.as_mut()) else {
            panic!("the other tenant's turn");
        };
        drop(single);
        assert!(look(third.as_mut()).is_ready());
        assert_eq!(turns.waiting(), 0);
    }

    #[test]
    fn a_tenant_holds_no_more_than_its_part_and_leaves_the_rest_to_others() {
        let turns = Turns::new(3, 2);
        let one = tenant(1);
        let Poll::Ready(Ok(first)) = look(pin!(turns.take(one))) else {
            panic!("a free place");
        };
        let _second = look(pin!(turns.take(one)));
        let mut third = pin!(turns.take(one));
        assert!(look(third.as_mut()).is_pending(), "one place is for the others");
        assert!(look(pin!(turns.take(tenant(2)))).is_ready());
        assert!(look(third.as_mut()).is_pending());
        drop(first);
        assert!(look(third.as_mut()).is_ready());
    }

    #[test]
    fn a_request_that_gives_up_leaves_the_queue_and_passes_on_a_place_it_was_given() {
        let turns = Turns::new(1, 1);
        let Poll::Ready(Ok(held)) = look(pin!(turns.take(tenant(1)))) else {
            panic!("a free place");
        };
        let mut last = pin!(turns.take(tenant(3)));
        {
            let mut given_up = pin!(turns.take(tenant(2)));
            assert!(look(given_up.as_mut()).is_pending());
            let mut granted = pin!(turns.take(tenant(2)));
            assert!(look(granted.as_mut()).is_pending());
            assert!(look(last.as_mut()).is_pending());
            drop(held);
        }
        assert!(look(last.as_mut()).is_ready());
        assert_eq!(turns.waiting(), 0);
    }

    #[test]
    fn nobody_gets_a_turn_at_what_is_closed() {
        let turns = Turns::new(1, 1);
        let held = look(pin!(turns.take(tenant(1))));
        let mut waiting = pin!(turns.take(tenant(2)));
        assert!(look(waiting.as_mut()).is_pending());
        turns.close();
        assert!(matches!(look(waiting.as_mut()), Poll::Ready(Err(TurnsClosed))));
        drop(held);
        assert!(matches!(
            look(pin!(turns.take(tenant(2)))),
            Poll::Ready(Err(TurnsClosed))
        ));
    }
}
