//! Questions, and the reasons of a denial.

use crate::string_enum::string_enum;
use crate::{IdentityId, NodeId};

/// Where access is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// At this node: assignments at it and at all nodes above count.
    Node(NodeId),
    /// At any active node of the environment.
    AppWide,
}

/// May this identity do this, there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The identity that asks for access.
    pub identity: IdentityId,
    /// The key of the permission; a text that is no key of the catalog is simply not held.
    pub permission: &'a str,
    /// Where.
    pub target: Target,
}

string_enum!(
    /// Why access is denied: the first of these, in this order, that applies.
    DenialReason {
        /// Not in the account, or never a member of the application.
        IdentityNotFound = "identity_not_found",
        /// The account-wide switch is off.
        IdentityInactive = "identity_inactive",
        /// The membership in the application is not active.
        MembershipInactive = "membership_inactive",
        /// The catalog lacks the key.
        PermissionNotFound = "permission_not_found",
        /// The environment lacks the node.
        NodeNotFound = "node_not_found",
        /// The node or one above it is switched off; app-wide: the permission is held at inactive nodes only.
        NodeInactive = "node_inactive",
        /// An assignment that would grant it starts later.
        AssignmentScheduled = "assignment_scheduled",
        /// An assignment that would grant it has ended.
        AssignmentExpired = "assignment_expired",
        /// An assignment that is open now names a role that would grant it but is inactive.
        RoleInactive = "role_inactive",
        /// No assignment that counts here bundles the permission.
        NoGrant = "no_grant",
    }
);
