//! Checks, and the reasons of a denial.

use crate::string_enum::string_enum;
use crate::{IdentityId, NodeId};

/// The target of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// At this node: assignments at it and at its ancestors count.
    Node(NodeId),
    /// At any active node of the environment.
    AppWide,
}

/// A check: may this identity use this permission at this target?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The identity.
    pub identity: IdentityId,
    /// The key of the permission; an unknown key is denied.
    pub permission: &'a str,
    /// The target.
    pub target: Target,
}

string_enum!(
    /// The reason of a denial: the first of these, in this order, that applies.
    DenialReason {
        /// Not in the account, or never a member of the application.
        IdentityNotFound = "identity_not_found",
        /// The identity is switched off in the account.
        IdentityInactive = "identity_inactive",
        /// The membership in the application is not active.
        MembershipInactive = "membership_inactive",
        /// The catalog lacks the key.
        PermissionNotFound = "permission_not_found",
        /// The environment lacks the node.
        NodeNotFound = "node_not_found",
        /// The node or an ancestor is inactive; app-wide: the permission is granted at inactive nodes only.
        NodeInactive = "node_inactive",
        /// An assignment that would grant the permission starts later.
        AssignmentScheduled = "assignment_scheduled",
        /// An assignment that would grant the permission has ended.
        AssignmentExpired = "assignment_expired",
        /// An open assignment names a role that would grant the permission but is inactive.
        RoleInactive = "role_inactive",
        /// No assignment at the target has the permission.
        NoGrant = "no_grant",
    }
);
