//! Assignments: an identity holds a role at a node and all below it, within a window of time.

pub mod bulk_create;
pub mod change;
pub mod listing;
mod window;

use crate::id::id_type;
use crate::string_enum::string_enum;
use crate::{EnvironmentId, IdentityId, NodeId, RoleId, Timestamp};

pub use window::{Window, WindowError};

id_type!(
    /// Names an [`Assignment`].
    AssignmentId
);

string_enum!(
    /// Where an instant lies relative to a window.
    AssignmentStatus {
        /// Before it.
        Scheduled = "scheduled",
        /// In it.
        Active = "active",
        /// After it.
        Expired = "expired",
    }
);

string_enum!(
    /// Whether access at a node was given there or comes from above.
    AccessType {
        /// The assignment is at the node itself.
        Direct = "direct",
        /// The assignment is at a node above.
        Inherited = "inherited",
    }
);

/// An active assignment that ends within this many seconds (7 days) is "expiring soon".
pub const EXPIRING_SOON_SECONDS: i64 = 7 * 24 * 60 * 60;

/// The triple of an assignment. An environment has at most one assignment for each triple, whatever its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssignmentKey {
    /// The identity.
    pub identity: IdentityId,
    /// As what.
    pub role: RoleId,
    /// Where, and at everything below.
    pub node: NodeId,
}

/// An identity holds a role at a node and all below it, while its window is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Its id.
    pub id: AssignmentId,
    /// The environment it belongs to.
    pub environment_id: EnvironmentId,
    /// The identity, role and node.
    pub key: AssignmentKey,
    /// When it holds.
    pub window: Window,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An assignment that exists, as far as rules look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExistingAssignment {
    /// Its id.
    pub id: AssignmentId,
    /// When it holds.
    pub window: Window,
}

impl ExistingAssignment {
    /// As it stands in the way of another one at this instant.
    pub fn conflicting_at(&self, now: Timestamp) -> Conflicting {
        Conflicting {
            id: self.id,
            status: self.window.status_at(now),
            effective_to: self.window.to(),
        }
    }
}

impl From<&Assignment> for ExistingAssignment {
    fn from(assignment: &Assignment) -> Self {
        Self {
            id: assignment.id,
            window: assignment.window,
        }
    }
}

/// An assignment that stands in the way of another one of the same identity, role and node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflicting {
    /// Its id.
    pub id: AssignmentId,
    /// Where the instant of the call lies relative to its window.
    pub status: AssignmentStatus,
    /// The end of its window; `None` when it never ends.
    pub effective_to: Option<Timestamp>,
}

const fn conflict_message(status: AssignmentStatus) -> &'static str {
    match status {
        AssignmentStatus::Active => "the identity already has this role at this node",
        AssignmentStatus::Scheduled => {
            "the identity has an assignment of this role at this node that starts later; change its window instead"
        }
        AssignmentStatus::Expired => {
            "the identity's assignment of this role at this node has ended; renew it by changing its window"
        }
    }
}

/// Why an assignment is refused. In the order in which the rules are checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// No such assignment in the environment.
    #[error("the environment has no such assignment")]
    NotFound,
    /// The account has no such identity.
    #[error("the account has no such identity")]
    IdentityNotFound,
    /// The environment has no such node.
    #[error("the environment has no such node")]
    NodeNotFound,
    /// The environment has no such role.
    #[error("the environment has no such role")]
    RoleNotFound,
    /// A system role cannot be given to an identity.
    #[error("the system role cannot be assigned to an identity")]
    SystemRoleNotAssignable,
    /// An inactive role cannot be assigned.
    #[error("the role is not active")]
    RoleInactive,
    /// The identity is not an active member of the application.
    #[error("the identity is not an active member of the application")]
    MembershipNotActive,
    /// The end does not lie after the start.
    #[error("`effective_to` must be after `effective_from`")]
    InvalidWindow,
    /// The environment has an assignment of this identity, role and node, in whatever window.
    #[error("{}", conflict_message(existing.status))]
    Conflict {
        /// The assignment there is.
        existing: Conflicting,
    },
    /// An earlier item of the same request names the same identity, role and node.
    #[error("an earlier item of this request names the same identity, role and node")]
    DuplicateInBatch {
        /// The index of the earlier item.
        first: usize,
    },
}
