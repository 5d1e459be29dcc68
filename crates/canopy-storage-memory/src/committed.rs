//! The newest committed state.

use crate::state::State;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use tokio::sync::watch;

/// The newest committed state.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    state: RwLock<State>,
    loses_answers: AtomicBool,
    /// True while commits take place but do not return.
    holds_answers: watch::Sender<bool>,
}

impl Committed {
    /// Returns whether commits take place but are reported as failed.
    pub(crate) fn loses_answers(&self) -> bool {
        self.loses_answers.load(Ordering::SeqCst)
    }

    /// From now on commits take place but do not return; or they return.
    pub(crate) fn hold_answers(&self, hold: bool) {
        self.holds_answers.send_replace(hold);
    }

    /// Waits until commits may return.
    pub(crate) async fn may_return(&self) {
        // The sender lives as long as this, so an error never comes.
        self.holds_answers.subscribe().wait_for(|holds| !holds).await.ok();
    }

    /// The state as it stands.
    pub(crate) fn get(&self) -> State {
        // A state is replaced whole, so a panic elsewhere cannot have left half of one.
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the state.
    pub(crate) fn set(&self, state: State) {
        let old = std::mem::replace(&mut *self.state.write().unwrap_or_else(PoisonError::into_inner), state);
        // Taking apart a large state takes a while; readers need not wait for it.
        drop(old);
    }

    /// From now on commits take place but are reported as failed; or no longer.
    pub(crate) fn lose_answers(&self, lose: bool) {
        self.loses_answers.store(lose, Ordering::SeqCst);
    }
}
