//! The tenants that work is charged to, and the bounds on their turns.

use crate::{AccountId, ApplicationRef, EnvironmentRef};
use core::fmt::Debug;
use core::hash::Hash;
use uuid::Uuid;

/// The tenant that work is charged to: an account, whichever of its applications and environments the work is for.
///
/// Operators, commands and background tasks, and the first look-up of a credential, are charged to the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// The installation itself.
    Installation,
    /// An account with its contents.
    Account(AccountId),
}

impl From<AccountId> for Share {
    fn from(account: AccountId) -> Self {
        Self::Account(account)
    }
}

impl From<&ApplicationRef> for Share {
    fn from(place: &ApplicationRef) -> Self {
        Self::Account(place.account)
    }
}

impl From<&EnvironmentRef> for Share {
    fn from(place: &EnvironmentRef) -> Self {
        Self::Account(place.account)
    }
}

/// A party that takes turns.
pub trait TurnTaker: Copy + Eq + Hash + Debug + Send + Unpin + 'static {
    /// Returns whether its number of places is limited to the part of one party.
    fn is_bounded(&self) -> bool;
}

impl TurnTaker for Share {
    /// Returns false for the installation, which may hold all places.
    fn is_bounded(&self) -> bool {
        *self != Self::Installation
    }
}

/// Any id, such as that of a row that several transactions want to lock.
impl TurnTaker for Uuid {
    fn is_bounded(&self) -> bool {
        true
    }
}

/// Bounds on turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnBounds {
    /// The number of places, at least 1.
    pub places: usize,
    /// The number of places that one party may hold, at least 1.
    pub part: usize,
    /// The number of requests of one party that may wait.
    pub waiting_of_one: usize,
    /// The number of requests that may wait in all.
    pub waiting: usize,
}

impl TurnBounds {
    /// Creates bounds without limits on the queues.
    pub const fn new(places: usize, part: usize) -> Self {
        Self {
            places,
            part,
            waiting_of_one: usize::MAX,
            waiting: usize::MAX,
        }
    }
}

/// The reason for which a request gets no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    /// The places were closed, so all turns are refused.
    #[error("the store is closed")]
    Closed,
    /// Too many requests wait already.
    #[error("{waiting} requests are waiting already; try again later")]
    Crowded {
        /// The number of requests that may wait, of the party or in all.
        waiting: usize,
    },
}
