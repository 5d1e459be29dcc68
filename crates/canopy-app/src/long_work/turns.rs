//! Turns at long work: few, and shared among environments.

use super::WorkOptions;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use uuid::Uuid;

/// The queue is full.
#[derive(Debug)]
pub(super) struct Refused {
    /// The number that may wait.
    pub(super) waiting: usize,
}

/// The work that has a turn, and the work that waits for one.
#[derive(Debug)]
pub(super) struct Turns {
    options: WorkOptions,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    /// Turns that nobody has.
    free: usize,
    shares: HashMap<Uuid, Share>,
    /// The environments where work waits, the next one first.
    ring: VecDeque<Uuid>,
    /// Pieces of work that have not begun.
    waiting: usize,
    next_ticket: u64,
}

/// The work of one environment.
#[derive(Debug, Default)]
struct Share {
    /// Pieces that have a turn.
    running: usize,
    /// Pieces that have begun and not ended: those that run and those that paused.
    begun: usize,
    paused: VecDeque<Ticket>,
    fresh: VecDeque<Ticket>,
}

/// A place in the queue.
#[derive(Debug)]
struct Ticket {
    number: u64,
    call: oneshot::Sender<()>,
}

impl Share {
    fn is_waiting(&self) -> bool {
        !(self.paused.is_empty() && self.fresh.is_empty())
    }

    fn is_idle(&self) -> bool {
        self.begun == 0 && !self.is_waiting()
    }

    /// Returns whether a turn would be taken, where an environment may have `most` of them.
    fn can_take(&self, most: usize) -> bool {
        self.running < most && (!self.paused.is_empty() || (self.begun < most && !self.fresh.is_empty()))
    }
}

impl Turns {
    pub(super) fn new(options: WorkOptions) -> Self {
        let queue = Queue {
            free: options.turns.max(2),
            shares: HashMap::new(),
            ring: VecDeque::new(),
            waiting: 0,
            next_ticket: 0,
        };
        Self {
            options,
            queue: Mutex::new(queue),
        }
    }

    pub(super) const fn options(&self) -> &WorkOptions {
        &self.options
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of turns that one environment may have: never all of them.
    fn most_of_one(&self) -> usize {
        self.options.turns.max(2) - 1
    }

    pub(super) fn load(&self) -> usize {
        let queue = self.queue();
        queue.waiting + queue.shares.values().map(|share| share.begun).sum::<usize>()
    }

    /// Takes a place in the queue, unless it is full.
    pub(super) fn wait(turns: &Arc<Self>, environment: Uuid) -> Result<Waiting, Refused> {
        let mut queue = turns.queue();
        let options = &turns.options;
        let of_one = queue.shares.get(&environment).map_or(0, |share| share.fresh.len());
        if of_one >= options.waiting_of_one {
            return Err(Refused {
                waiting: options.waiting_of_one,
            });
        }
        if queue.waiting >= options.waiting {
            return Err(Refused {
                waiting: options.waiting,
            });
        }
        let (number, called) = queue.enter(environment, |share| &mut share.fresh);
        queue.waiting += 1;
        queue.hand_out(turns.most_of_one());
        drop(queue);
        Ok(Waiting {
            turns: Arc::clone(turns),
            environment,
            number,
            called: Some(called),
        })
    }

    fn end(&self, environment: Uuid) {
        let mut queue = self.queue();
        queue.free += 1;
        if let Some(share) = queue.shares.get_mut(&environment) {
            share.running -= 1;
            share.begun -= 1;
        }
        queue.hand_out(self.most_of_one());
        queue.sweep(environment);
    }
}

impl Queue {
    /// Takes a place in a queue of an environment.
    fn enter(
        &mut self,
        environment: Uuid,
        line: impl FnOnce(&mut Share) -> &mut VecDeque<Ticket>,
    ) -> (u64, oneshot::Receiver<()>) {
        let number = self.next_ticket;
        self.next_ticket += 1;
        let (call, called) = oneshot::channel();
        let share = self.shares.entry(environment).or_default();
        if !share.is_waiting() {
            self.ring.push_back(environment);
        }
        line(share).push_back(Ticket { number, call });
        (number, called)
    }

    /// Gives free turns to those who wait, one environment after the other.
    fn hand_out(&mut self, most: usize) {
        let mut passed_over = 0;
        while self.free > 0 && passed_over < self.ring.len() {
            let Some(environment) = self.ring.pop_front() else {
                return;
            };
            let Some(share) = self.shares.get_mut(&environment) else {
                continue;
            };
            if !share.can_take(most) {
                self.ring.push_back(environment);
                passed_over += 1;
                continue;
            }
            passed_over = 0;
            let ticket = if let Some(paused) = share.paused.pop_front() {
                Some(paused)
            } else {
                self.waiting -= 1;
                share.begun += 1;
                share.fresh.pop_front()
            };
            share.running += 1;
            self.free -= 1;
            if share.is_waiting() {
                self.ring.push_back(environment);
            }
            // Whoever waits takes its ticket back before it goes, so the call is heard.
            if let Some(ticket) = ticket {
                ticket.call.send(()).ok();
            }
        }
    }

    /// Returns whether anybody of another environment would take a turn.
    fn is_wanted_by_others(&self, environment: Uuid, most: usize) -> bool {
        let wants =
            |other: &Uuid| *other != environment && self.shares.get(other).is_some_and(|share| share.can_take(most));
        self.ring.iter().any(wants)
    }

    /// Forgets an environment that has no work.
    fn sweep(&mut self, environment: Uuid) {
        if self.shares.get(&environment).is_some_and(Share::is_idle) {
            self.shares.remove(&environment);
        }
    }

    /// Takes a ticket back; `false` if it was called.
    fn leave(&mut self, environment: Uuid, number: u64) -> bool {
        let Some(share) = self.shares.get_mut(&environment) else {
            return false;
        };
        let Some(place) = share.fresh.iter().position(|ticket| ticket.number == number) else {
            return false;
        };
        share.fresh.remove(place);
        self.waiting -= 1;
        if !share.is_waiting() {
            self.ring.retain(|other| *other != environment);
        }
        self.sweep(environment);
        true
    }
}

/// A place in the queue; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Waiting {
    turns: Arc<Turns>,
    environment: Uuid,
    number: u64,
    /// `None` once the turn is taken.
    called: Option<oneshot::Receiver<()>>,
}

impl Waiting {
    /// Waits for the turn.
    pub(super) async fn turn(mut self) -> Turn {
        if let Some(called) = &mut self.called {
            // The queue, which holds the other end, outlives this.
            called.await.ok();
        }
        self.called = None;
        Turn {
            turns: Arc::clone(&self.turns),
            environment: self.environment,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.called.is_some() && !self.turns.queue().leave(self.environment, self.number) {
            // It was called just now.
            self.turns.end(self.environment);
        }
    }
}

/// A turn at work; dropping it ends the work.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    environment: Uuid,
}

impl Turn {
    /// Gives the turn to another environment that waits, if any does, and waits for the next one. Blocks the thread.
    pub(super) fn pass_on(&mut self) -> bool {
        let most = self.turns.most_of_one();
        let mut queue = self.turns.queue();
        if !queue.is_wanted_by_others(self.environment, most) {
            return false;
        }
        if let Some(share) = queue.shares.get_mut(&self.environment) {
            share.running -= 1;
        }
        queue.free += 1;
        let (_, called) = queue.enter(self.environment, |share| &mut share.paused);
        queue.hand_out(most);
        drop(queue);
        called.blocking_recv().ok();
        true
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.end(self.environment);
    }
}
