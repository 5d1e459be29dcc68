//! The health of the server: its silence, and the identity of the server that answers.
//!
//! A connection belongs to a generation. A new generation begins when the server stops answering and when another server has
//! taken its place: from then on, statements on older connections end with an error and the pool closes those connections.

use canopy_domain::port::StoreError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

use crate::error::Fault;

/// The server behind a connection: the identifier of its cluster and the timeline of its write-ahead log.
///
/// A promotion begins a new timeline, so a server of a lower timeline is one that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) system: String,
    pub(crate) timeline: u32,
}

/// The known state of the server at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Connections of another generation are closed.
    pub(crate) generation: u64,
    /// The server is there and does not answer.
    pub(crate) is_silent: bool,
    /// The number of connections that were admitted.
    pub(crate) admitted: u64,
}

/// The health of the server, shared by all connections of a store.
#[derive(Debug)]
pub(crate) struct Health {
    state: watch::Sender<State>,
    /// The number of times that another server took the place of the one before.
    epoch: AtomicU64,
    server: Mutex<Option<Server>>,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            epoch: AtomicU64::new(0),
            server: Mutex::new(None),
        }
    }

    pub(crate) fn state(&self) -> State {
        *self.state.borrow()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Records that the server answered.
    pub(crate) fn answered(&self) {
        self.state
            .send_if_modified(|state| core::mem::replace(&mut state.is_silent, false));
    }

    /// Records that the server of this generation does not answer: every statement that waits for it ends with an error.
    /// Changes nothing where another generation has begun. Returns whether this is news.
    pub(crate) fn fell_silent(&self, generation: u64) -> bool {
        self.silence_if(|state| state.generation == generation)
    }

    /// Records that no server could be reached since this state was seen. Changes nothing where another connection reached
    /// one meanwhile.
    pub(crate) fn unreached_since(&self, seen: State) -> bool {
        self.silence_if(|state| (state.generation, state.admitted) == (seen.generation, seen.admitted))
    }

    fn silence_if(&self, is_so: impl FnOnce(&State) -> bool) -> bool {
        self.state.send_if_modified(|state| {
            let is_news = !state.is_silent && is_so(state);
            if is_news {
                state.is_silent = true;
                state.generation += 1;
            }
            is_news
        })
    }

    /// Admits a connection to this server, which has just answered, or refuses it because the server was replaced. Returns
    /// the generation of the connection.
    pub(crate) fn admit(&self, found: Option<Server>) -> Result<u64, StoreError> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let mut took_over = false;
        match (server.as_ref(), found) {
            (_, None) => {}
            (Some(known), Some(found)) if *known == found => {}
            (Some(known), Some(found)) if known.system == found.system && found.timeline < known.timeline => {
                tracing::warn!(
                    timeline = found.timeline,
                    newest = known.timeline,
                    "PostgreSQL server was replaced by a promoted one; connection refused"
                );
                return Err(StoreError::Unavailable(Box::new(Fault(
                    "the server was replaced by a promoted one",
                ))));
            }
            (known, Some(found)) => {
                if known.is_some() {
                    tracing::warn!(
                        timeline = found.timeline,
                        "another PostgreSQL server took over; closing connections to the old one"
                    );
                    self.epoch.fetch_add(1, Ordering::AcqRel);
                    took_over = true;
                }
                *server = Some(found);
            }
        }
        let mut generation = 0;
        self.state.send_modify(|state| {
            state.generation += u64::from(took_over);
            state.admitted += 1;
            state.is_silent = false;
            generation = state.generation;
        });
        Ok(generation)
    }

    /// Waits until connections of this generation are closed.
    pub(crate) async fn cut(&self, generation: u64) {
        let mut state = self.state.subscribe();
        // The sender is not dropped while it is borrowed.
        let _ = state.wait_for(|state| state.generation != generation).await;
    }

    /// Refuses at once what would have to wait for a silent server.
    pub(crate) fn must_answer(&self) -> Result<(), StoreError> {
        if self.state().is_silent {
            return Err(StoreError::Unavailable(Box::new(Fault("the server does not answer"))));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(timeline: u32) -> Server {
        Server {
            system: "7".to_owned(),
            timeline,
        }
    }

    #[test]
    fn a_promoted_server_ends_the_generation_and_a_replaced_one_is_refused() {
        let health = Health::new();
        assert_eq!(health.admit(Some(server(1))).unwrap(), 0);
        assert_eq!(health.admit(Some(server(1))).unwrap(), 0);
        assert_eq!(health.admit(Some(server(2))).unwrap(), 1);
        assert_eq!(health.epoch(), 1);
        assert!(matches!(health.admit(Some(server(1))), Err(StoreError::Unavailable(_))));
        assert_eq!(health.admit(Some(server(2))).unwrap(), 1);
        // A server that does not say which it is changes nothing.
        assert_eq!(health.admit(None).unwrap(), 1);
        let other = Server {
            system: "8".to_owned(),
            timeline: 1,
        };
        assert_eq!(health.admit(Some(other)).unwrap(), 2);
        assert_eq!(health.epoch(), 2);
    }

    #[tokio::test]
    async fn silence_cuts_what_waits_and_refuses_what_comes() {
        let health = Health::new();
        let generation = health.admit(Some(server(1))).unwrap();
        let cut = core::pin::pin!(health.cut(generation));
        let waiting = futures_util::future::select(cut, futures_util::future::ready(()));
        assert!(matches!(waiting.await, futures_util::future::Either::Right(_)));
        assert!(health.fell_silent(generation));
        assert!(!health.fell_silent(generation));
        health.cut(generation).await;
        assert!(health.must_answer().is_err());
        assert_eq!(health.state().generation, 1);
        health.answered();
        health.must_answer().unwrap();
        assert_eq!((health.state().generation, health.epoch()), (1, 0));
    }

    #[test]
    fn a_connection_that_reaches_a_server_ends_the_silence_of_another_one() {
        let health = Health::new();
        let before = health.admit(Some(server(1))).unwrap();
        assert!(health.fell_silent(before));
        // A call that was connecting already finds the promoted server before the heartbeat does.
        let after = health.admit(Some(server(2))).unwrap();
        assert_eq!((after, health.epoch()), (2, 1));
        health.must_answer().unwrap();
        // The heartbeat speaks of the server before.
        assert!(!health.fell_silent(before));
        health.must_answer().unwrap();
        assert_eq!(health.state().generation, after);
        assert!(health.fell_silent(after));
        health.admit(Some(server(2))).unwrap();
        health.must_answer().unwrap();
    }

    #[test]
    fn a_dial_in_vain_is_no_silence_where_another_one_succeeds_meanwhile() {
        let health = Health::new();
        let generation = health.admit(Some(server(1))).unwrap();
        let seen = health.state();
        health.admit(Some(server(1))).unwrap();
        assert!(!health.unreached_since(seen));
        health.must_answer().unwrap();
        assert_eq!(health.state().generation, generation);
        let seen = health.state();
        assert!(health.unreached_since(seen));
        assert!(health.must_answer().is_err());
        // A replaced server that answers is none.
        health.admit(Some(server(2))).unwrap();
        let seen = health.state();
        assert!(health.admit(Some(server(1))).is_err());
        assert!(health.unreached_since(seen));
    }
}
