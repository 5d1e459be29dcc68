//! Errors of contradictory facts.

use crate::{AssignmentId, IdentityId, NodeId, PermissionId, Revision, RoleId};

/// An error of facts that contradict each other, or of a change that does not follow the index's revision.
///
/// A store never sends such facts. After this error the change feed is broken, and the index must be built anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Changes must be applied in the order of their revisions.
    #[error("the index is at revision {current} and cannot apply the changes of revision {given}")]
    RevisionGap {
        /// The revision of the index.
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
    /// Two permissions have the same key.
    #[error("permission {0} has the key of another permission")]
    KeyTaken(PermissionId),
    /// A role bundles a permission that is not in the catalog.
    #[error("role {role} bundles permission {permission}, which the catalog does not have")]
    UnknownPermission {
        /// The role.
        role: RoleId,
        /// The permission.
        permission: PermissionId,
    },
    /// The parent of a node is not in the tree.
    #[error("the parent {parent} of node {node} is not in the tree")]
    UnknownParent {
        /// The node.
        node: NodeId,
        /// The parent.
        parent: NodeId,
    },
    /// A node is its own ancestor.
    #[error("node {0} is below itself")]
    Cycle(NodeId),
    /// The tree has a root already.
    #[error("node {0} is a second root")]
    SecondRoot(NodeId),
    /// An assignment names an unknown role.
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
    /// A role with assignments cannot be removed.
    #[error("role {0} is removed while assignments name it")]
    RoleInUse(RoleId),
    /// A node with children or assignments cannot be removed.
    #[error("node {0} is removed while it has children or assignments")]
    NodeInUse(NodeId),
    /// More than two thousand million entities of one kind.
    #[error("there are more entities of one kind than an index can number")]
    TooLarge,
}
