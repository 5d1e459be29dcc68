//! Errors of facts that contradict each other.

use crate::{AssignmentId, IdentityId, NodeId, PermissionId, Revision, RoleId};

/// Why facts cannot be indexed: they contradict each other, or a change does not follow on the index's revision.
///
/// A store never sends such facts. Whoever meets this error has a broken feed and builds the index anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Changes must be applied one revision after the other.
    #[error("the index stands at revision {current} and cannot take the changes of revision {given}")]
    RevisionGap {
        /// Where the index stands.
        current: Revision,
        /// The revision of the changes.
        given: Revision,
    },
    /// A snapshot has two permissions with one id.
    #[error("permission {0} is given twice")]
    RepeatedPermission(PermissionId),
    /// A snapshot has two roles with one id.
    #[error("role {0} is given twice")]
    RepeatedRole(RoleId),
    /// A snapshot has two nodes with one id.
    #[error("node {0} is given twice")]
    RepeatedNode(NodeId),
    /// A snapshot has two members with one id.
    #[error("identity {0} is given twice")]
    RepeatedSubject(IdentityId),
    /// A snapshot has two assignments with one id.
    #[error("assignment {0} is given twice")]
    RepeatedGrant(AssignmentId),
    /// Two permissions have one key.
    #[error("permission {0} has the key of another permission")]
    KeyTaken(PermissionId),
    /// A role bundles a permission that the catalog does not have.
    #[error("role {role} bundles permission {permission}, which the catalog does not have")]
    UnknownPermission {
        /// The role.
        role: RoleId,
        /// Its permissions.
        permission: PermissionId,
    },
    /// A node stands below a node that is not in the tree.
    #[error("node {node} stands below node {parent}, which is not in the tree")]
    UnknownParent {
        /// The node.
        node: NodeId,
        /// The node above.
        parent: NodeId,
    },
    /// A node stands below itself.
    #[error("node {0} stands below itself")]
    Cycle(NodeId),
    /// The tree has a root already.
    #[error("node {0} is a second root")]
    SecondRoot(NodeId),
    /// An assignment names a role that is not there.
    #[error("assignment {grant} names role {role}, which does not exist")]
    UnknownRole {
        /// The assignment.
        grant: AssignmentId,
        /// The role it names.
        role: RoleId,
    },
    /// An assignment names a node that is not in the tree.
    #[error("assignment {grant} names node {node}, which is not in the tree")]
    UnknownNode {
        /// The assignment.
        grant: AssignmentId,
        /// The node it names.
        node: NodeId,
    },
    /// A role that assignments name cannot be removed.
    #[error("role {0} is removed while assignments name it")]
    RoleInUse(RoleId),
    /// A node with children or assignments cannot be removed.
    #[error("node {0} is removed while it has children or assignments")]
    NodeInUse(NodeId),
    /// More than two thousand million things of one kind.
    #[error("there are more things of one kind than an index can number")]
    TooLarge,
}
