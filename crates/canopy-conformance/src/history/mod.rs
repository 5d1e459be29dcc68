//! A history checker: does a serial order of calls explain all responses that the clients of one environment got?
//!
//! A concurrent run is recorded as [`Call`]s: each with its request, the time it was sent, the time of its response,
//! and the response. [`check`] searches for an order of all writes, after Wing and Gong, in which
//!
//! - a call whose response arrived before another one was sent comes before it;
//! - each write creates the next revision of the environment, unless it changes nothing;
//! - each item of a creation is judged on the state just before; an atomic creation stores all of its items or none,
//!   and no assignment is created twice;
//! - each check is answered from the state at the revision that it names. That revision was reached before the response
//!   arrived and, for a strong check, is no older than any write or check whose response arrived before the check was
//!   sent.
//!
//! A write without a response may have been executed at any time after it was sent, or never.
//!
//! The verdict is exact for the recorded calls: a run that passes has such an order, and one that fails has none. So it
//! finds double grants, lost and partial writes, reverted writes, stale and premature answers, revisions with two
//! states, and refusals without a reason. It cannot find what no response shows, so end a run with strong checks and
//! with [`Request::List`]. It knows only its own kinds of calls: every write to the environment during the run must be
//! one of them and must be recorded, all assignments are open without an end, and identities stay active members.
//!
//! ```
//! use canopy_conformance::history::{Answer, Call, History, Request, State, check};
//! use std::{collections::BTreeSet, time::Duration};
//! # use canopy_domain::{NodeId, RoleId};
//! # let (root, node, role) = (NodeId::new(uuid::Uuid::from_u128(1)), NodeId::new(uuid::Uuid::from_u128(2)), RoleId::new(uuid::Uuid::from_u128(3)));
//! let start = State { revision: 7, nodes: [(root, None)].into(), ..State::default() };
//! let made = Call {
//!     client: 0,
//!     begun: Duration::from_millis(1),
//!     ended: Duration::from_millis(2),
//!     request: Request::CreateNode { parent: root },
//!     answer: Answer::NodeCreated(node),
//! };
//! // Nobody ever made the role, so its permissions cannot have been set.
//! let set = Call {
//!     request: Request::SetPermissions { role, keys: BTreeSet::new() },
//!     answer: Answer::Done,
//!     ..made.clone()
//! };
//! assert!(check(&History { start: start.clone(), calls: vec![made.clone()] }).is_ok());
//! assert!(check(&History { start, calls: vec![made, set] }).is_err());
//! ```

mod search;
mod state;

pub use state::{RoleState, State};

use canopy_domain::{AssignmentId, AssignmentKey, IdentityId, NodeId, RoleId};
use core::fmt;
use search::{Found, search};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The recorded calls of one environment.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The state before the first call.
    pub start: State,
    /// The calls, in any order.
    pub calls: Vec<Call>,
}

/// A request and its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The client; for messages only.
    pub client: usize,
    /// The time it was sent, since the run began.
    pub begun: Duration,
    /// The time its response arrived.
    pub ended: Duration,
    /// The request.
    pub request: Request,
    /// The response.
    pub answer: Answer,
}

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// New assignments, each different, without windows; a single one is a batch of one.
    Create {
        /// The items.
        items: Vec<AssignmentKey>,
        /// True for all or nothing.
        atomic: bool,
    },
    /// Deletion of these assignments, all or nothing.
    Remove {
        /// Their ids, and their triples as the client knows them.
        rows: Vec<(AssignmentId, AssignmentKey)>,
    },
    /// The whole set of a role's permissions.
    SetPermissions {
        /// The role.
        role: RoleId,
        /// Its permissions from now on.
        keys: BTreeSet<String>,
    },
    /// A new node.
    CreateNode {
        /// The node it is below.
        parent: NodeId,
    },
    /// A check: may this identity use this permission at this node?
    Evaluate {
        /// The identity.
        identity: IdentityId,
        /// The permission.
        permission: String,
        /// The node.
        node: NodeId,
        /// True if the response must see every write whose response arrived before.
        is_strong: bool,
    },
    /// All assignments. Read page by page, so only while nothing is written.
    List,
}

/// The response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// No response, or a failure (5xx).
    Open,
    /// To [`Request::Create`]: the outcome of each item.
    Created(Vec<ItemAnswer>),
    /// To [`Request::Remove`]: executed.
    Removed,
    /// To [`Request::Remove`]: nothing was deleted, because these are unknown.
    NotThere(BTreeSet<AssignmentId>),
    /// To [`Request::SetPermissions`].
    Done,
    /// To [`Request::CreateNode`].
    NodeCreated(NodeId),
    /// To [`Request::CreateNode`]: the parent is unknown.
    NoSuchParent,
    /// To [`Request::Evaluate`].
    Decided {
        /// The revision of the decision.
        revision: u64,
        /// The verdict.
        is_allowed: bool,
        /// The names of the granting roles.
        granting_roles: BTreeSet<String>,
    },
    /// To [`Request::List`].
    Held(BTreeMap<AssignmentKey, AssignmentId>),
}

/// The outcome of one item of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemAnswer {
    /// Stored, under this id.
    Stored(AssignmentId),
    /// Refused as a duplicate, of the assignment with this id if the response names it.
    Taken(Option<AssignmentId>),
    /// Its node is unknown.
    NoSuchNode,
    /// Valid, but rolled back because of other items.
    RolledBack,
}

impl Call {
    /// Returns the time by which it was executed, if it was; `None` for a call without a response.
    fn settled_by(&self) -> Option<Duration> {
        (self.answer != Answer::Open).then_some(self.ended)
    }
}

/// The reason for which a history is wrong.
#[derive(Debug)]
pub enum Violation {
    /// No serial order explains it.
    Unexplained {
        /// The first response that no order explains, given all earlier requests and responses.
        answer: Box<Call>,
        /// The number of earlier responses, which together can be explained.
        before: usize,
    },
    /// The search was aborted after `steps` steps.
    Undecided {
        /// The number.
        steps: u64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexplained { answer, before } => write!(
                f,
                "no serial order explains what client {} was answered between {:?} and {:?}, after {before} other \
                 answers: {:?} to {:?}",
                answer.client, answer.begun, answer.ended, answer.answer, answer.request
            ),
            Self::Undecided { steps } => write!(f, "no serial order found in {steps} steps, nor that there is none"),
        }
    }
}

impl core::error::Error for Violation {}

/// Checks that a serial order of all calls explains every response.
///
/// # Errors
/// The first response that no order explains.
pub fn check(history: &History) -> Result<(), Violation> {
    match search(&history.start, &history.calls) {
        Found::Order => Ok(()),
        Found::Undecided { steps } => Err(Violation::Undecided { steps }),
        Found::Nothing => Err(first_unexplained(history)),
    }
}

/// Returns the first response that no order explains, by bisection: if the responses up to one of them have an order,
/// so have those up to any earlier one.
fn first_unexplained(history: &History) -> Violation {
    let mut calls = history.calls.clone();
    calls.sort_by_key(|call| call.settled_by().unwrap_or(Duration::MAX));
    let (mut explained, mut not) = (0, calls.partition_point(|call| call.answer != Answer::Open));
    while explained + 1 < not {
        let middle = explained.midpoint(not);
        match search(&history.start, &first_answers(&calls, middle)) {
            Found::Order => explained = middle,
            Found::Nothing | Found::Undecided { .. } => not = middle,
        }
    }
    match calls.get(explained) {
        Some(answer) => Violation::Unexplained {
            answer: Box::new(answer.clone()),
            before: explained,
        },
        None => Violation::Undecided { steps: 0 },
    }
}

/// Returns the calls as known when the first `count` responses had arrived; calls sent by then are open.
fn first_answers(calls: &[Call], count: usize) -> Vec<Call> {
    let (answered, others) = calls.split_at(count.min(calls.len()));
    let until = answered.last().map_or(Duration::ZERO, |call| call.ended);
    let open = others.iter().filter(|call| call.begun <= until).map(|call| Call {
        answer: Answer::Open,
        ..call.clone()
    });
    answered.iter().cloned().chain(open).collect()
}

#[cfg(test)]
mod tests;
