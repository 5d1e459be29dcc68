//! The newest committed state.

use crate::state::State;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// The newest committed state.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    state: RwLock<State>,
    loses_answers: AtomicBool,
}

impl Committed {
    /// Whether commits take place but are reported as failed.
    pub(crate) fn loses_answers(&self) -> bool {
        self.loses_answers.load(Ordering::SeqCst)
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
