//! A history checker: is there a serial order of calls that explains what the clients of one environment were answered?
//!
//! A concurrent run is recorded as [`Call`]s: what was asked, when it was sent, when the answer was there, and what it
//! said. [`check`] looks for an order of all writes, after Wing and Gong, in which
//!
//! - a call that was answered before another one was sent comes before it;
//! - each write takes the next revision of the environment, unless it changes nothing;
//! - each item of a creation is judged on what stood just before; an atomic one stores all of its items or none, and nothing
//!   is given twice;
//! - each check is answered from the state at the revision that it names. That revision was reached before the answer was
//!   there and, for a strong check, is no older than any write or check that was answered before the check was sent.
//!
//! A write without an answer may have been carried out at any time after it was sent, or never.
//!
//! The verdict is exact for what the calls say: a run that passes has such an order, and one that fails has none. So it
//! finds double grants, lost and half-done writes, writes that come back, stale and premature answers, revisions with two
//! states, and refusals without a reason. It cannot find what no answer shows (end a run with strong checks, and with
//! [`Request::List`]), and it takes nothing into account but the kinds of calls it knows: every write to the environment
//! during the run must be one of them and must be recorded, all assignments are open without an end, and identities stay
//! active members.
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

/// What was recorded of one environment.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What stood before the first call.
    pub start: State,
    /// The calls, in any order.
    pub calls: Vec<Call>,
}

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Who asked. Only shown.
    pub client: usize,
    /// When it was sent, since the run began.
    pub begun: Duration,
    /// When the answer was there.
    pub ended: Duration,
    /// What was asked.
    pub request: Request,
    /// What was answered.
    pub answer: Answer,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// New assignments, each different, without windows; a single one is a batch of one.
    Create {
        /// What is given.
        items: Vec<AssignmentKey>,
        /// All or nothing.
        atomic: bool,
    },
    /// The end of these assignments, all or nothing.
    Remove {
        /// Their ids, and what the client knows them to give.
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
    /// May this identity do this there?
    Evaluate {
        /// The identity.
        identity: IdentityId,
        /// What.
        permission: String,
        /// Where.
        node: NodeId,
        /// Whether the answer must see all that was answered before.
        is_strong: bool,
    },
    /// All assignments. Read page by page, so only where nothing is written meanwhile.
    List,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, or that something failed on the way (5xx).
    Open,
    /// To [`Request::Create`]: what became of each item.
    Created(Vec<ItemAnswer>),
    /// To [`Request::Remove`]: done.
    Removed,
    /// To [`Request::Remove`]: nothing was done, because these are not there.
    NotThere(BTreeSet<AssignmentId>),
    /// To [`Request::SetPermissions`].
    Done,
    /// To [`Request::CreateNode`].
    NodeCreated(NodeId),
    /// To [`Request::CreateNode`]: there is no such parent.
    NoSuchParent,
    /// To [`Request::Evaluate`].
    Decided {
        /// The revision it was judged at.
        revision: u64,
        /// The verdict.
        is_allowed: bool,
        /// The names of the roles that grant it.
        granting_roles: BTreeSet<String>,
    },
    /// To [`Request::List`].
    Held(BTreeMap<AssignmentKey, AssignmentId>),
}

/// What became of one item of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemAnswer {
    /// Stored, under this id.
    Stored(AssignmentId),
    /// Given already, by the assignment with this id if the answer said so.
    Taken(Option<AssignmentId>),
    /// Its node is not there.
    NoSuchNode,
    /// It would have been stored, but for the others.
    RolledBack,
}

impl Call {
    /// When it must have been carried out, if it was; `None` for a call without an answer.
    fn settled_by(&self) -> Option<Duration> {
        (self.answer != Answer::Open).then_some(self.ended)
    }
}

/// Why a history is not right.
#[derive(Debug)]
pub enum Violation {
    /// No serial order explains it.
    Unexplained {
        /// The first answer that cannot be explained by what was asked and answered until then.
        answer: Box<Call>,
        /// How many answers came before, all of which can be explained together.
        before: usize,
    },
    /// The search was given up after so many steps.
    Undecided {
        /// How many.
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

/// Makes sure that a serial order of all calls explains every answer.
///
/// # Errors
/// The first answer that none explains.
pub fn check(history: &History) -> Result<(), Violation> {
    match search(&history.start, &history.calls) {
        Found::Order => Ok(()),
        Found::Undecided { steps } => Err(Violation::Undecided { steps }),
        Found::Nothing => Err(first_unexplained(history)),
    }
}

/// The answers up to one of them can be explained if those up to any later one can. So the first that cannot is found by
/// halving.
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

/// What was known when the first `count` answers were there: what was sent by then is open.
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
