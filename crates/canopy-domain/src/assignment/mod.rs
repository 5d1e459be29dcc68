//! Assignments: an identity has a role at a node and all nodes below it, within a window of time.

pub mod bulk_create;
pub mod change;
pub mod listing;
mod window;

use crate::id::id_type;
use crate::string_enum::string_enum;
use crate::{EnvironmentId, IdentityId, NodeId, RoleId, Timestamp};

pub use window::{Window, WindowError};

id_type!(
    /// The id of an [`Assignment`].
    AssignmentId
);

string_enum!(
    /// The position of an instant relative to a window.
    AssignmentStatus {
        /// Before the window.
        Scheduled = "scheduled",
        /// In the window.
        Active = "active",
        /// After the window.
        Expired = "expired",
    }
);

string_enum!(
    /// The origin of access at a node.
    AccessType {
        /// The assignment is at the node itself.
        Direct = "direct",
        /// The assignment is at an ancestor.
        Inherited = "inherited",
    }
);

/// Seconds (7 days) before the end within which an active assignment counts as "expiring soon".
pub const EXPIRING_SOON_SECONDS: i64 = 7 * 24 * 60 * 60;

/// The triple of an assignment. An environment has at most one assignment for each triple, whatever its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssignmentKey {
    /// The identity.
    pub identity: IdentityId,
    /// The role.
    pub role: RoleId,
    /// The node; the assignment also holds at all nodes below it.
    pub node: NodeId,
}

/// An identity's role at a node and all nodes below it, during a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Its id.
    pub id: AssignmentId,
    /// The environment it belongs to.
    pub environment_id: EnvironmentId,
    /// The identity, role and node.
    pub key: AssignmentKey,
    /// The window in which it holds.
    pub window: Window,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of its last change.
    pub updated_at: Timestamp,
}

/// The facts of an existing assignment that rules need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExistingAssignment {
    /// Its id.
    pub id: AssignmentId,
    /// The window in which it holds.
    pub window: Window,
}

impl ExistingAssignment {
    /// Returns the conflict that it causes for another one at this instant.
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

/// An existing assignment that conflicts with another one of the same identity, role and node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflicting {
    /// Its id.
    pub id: AssignmentId,
    /// Its status at the instant of the call.
    pub status: AssignmentStatus,
    /// The end of its window; `None` if it never ends.
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

/// An error of an assignment. In the order in which the rules are checked.
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
    /// A system role cannot be assigned.
    #[error("the system role cannot be assigned to an identity")]
    SystemRoleNotAssignable,
    /// An inactive role cannot be assigned.
    #[error("the role is not active")]
    RoleInactive,
    /// The identity is not an active member of the application.
    #[error("the identity is not an active member of the application")]
    MembershipNotActive,
    /// The end is not after the start.
    #[error("`effective_to` must be after `effective_from`")]
    InvalidWindow,
    /// The environment has an assignment of this identity, role and node, whatever its window.
    #[error("{}", conflict_message(existing.status))]
    Conflict {
        /// The existing assignment.
        existing: Conflicting,
    },
    /// An earlier item of the same request names the same identity, role and node.
    #[error("an earlier item of this request names the same identity, role and node")]
    DuplicateInBatch {
        /// The index of the earlier item.
        first: usize,
    },
}
