//! The facts that decisions depend on: snapshots and changes.

use crate::api_key::KeyAccess;
use crate::{
    ApiKeyId, AssignmentId, AssignmentKey, EnvironmentId, IdentityId, MembershipStatus, NodeId, NodeType, PermissionId,
    PermissionKey, Revision, RoleId, RoleName, Slug, Timestamp, Window,
};
use std::sync::Arc;

/// A permission of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionFact {
    /// Its id.
    pub id: PermissionId,
    /// Its key; never changes.
    pub key: PermissionKey,
}

/// A role with all permissions it bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleFact {
    /// Its id.
    pub id: RoleId,
    /// Its name, for reasons.
    pub name: RoleName,
    /// True if active. An inactive role grants nothing.
    pub is_active: bool,
    /// Its permissions.
    pub permissions: Vec<PermissionId>,
}

/// A node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFact {
    /// Its id.
    pub id: NodeId,
    /// The parent; `None` for the root.
    pub parent: Option<NodeId>,
    /// Its type.
    pub node_type: NodeType,
    /// Its slug.
    pub slug: Slug,
    /// True if the node itself is active; ancestors are checked separately.
    pub is_active: bool,
}

/// An identity that is, or once was, a member of the environment's application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectFact {
    /// The identity.
    pub id: IdentityId,
    /// False if the identity is switched off in the account.
    pub is_active: bool,
    /// Its membership in the application.
    pub membership: MembershipStatus,
}

/// An assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantFact {
    /// Its id.
    pub id: AssignmentId,
    /// The identity, role and node.
    pub key: AssignmentKey,
    /// The window in which it holds.
    pub window: Window,
}

/// An API key that was not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFact {
    /// Its id.
    pub id: ApiKeyId,
    /// Its access to the public surface.
    pub access: KeyAccess,
    /// The first instant at which it is refused.
    pub expires_at: Option<Timestamp>,
}

/// Everything that decisions in one environment depend on, at one revision.
///
/// Order does not matter; [`Snapshot::nodes`] may contain a parent before or after its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The environment.
    pub environment: EnvironmentId,
    /// The revision of the facts.
    pub revision: Revision,
    /// The catalog.
    pub permissions: Vec<PermissionFact>,
    /// The roles.
    pub roles: Vec<RoleFact>,
    /// The tree.
    pub nodes: Vec<NodeFact>,
    /// The members.
    pub subjects: Vec<SubjectFact>,
    /// The assignments.
    pub grants: Vec<GrantFact>,
    /// The API keys of the environment. Decisions do not depend on them, but requests for decisions do.
    pub keys: Vec<KeyFact>,
}

/// One step from one state of an environment to the next. `…Put` creates or replaces the entity with that id, so
/// applying a change again leaves the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A permission was added to the catalog.
    PermissionPut(PermissionFact),
    /// A permission was deleted; roles no longer bundle it.
    PermissionRemoved(PermissionId),
    /// A role was created or changed. Contains all its permissions.
    RolePut(RoleFact),
    /// A role was deleted. Its assignments were removed by changes before this one.
    RoleRemoved(RoleId),
    /// A node was created, moved, renamed, retyped, activated or deactivated.
    NodePut(NodeFact),
    /// A node without children and assignments was deleted. The assignments of a subtree are removed first, then its
    /// leaves.
    NodeRemoved(NodeId),
    /// An identity became a member, or its state or membership changed.
    SubjectPut(SubjectFact),
    /// An identity was deleted, and all its assignments with it.
    SubjectRemoved(IdentityId),
    /// An assignment was created or changed.
    GrantPut(GrantFact),
    /// An assignment was deleted.
    GrantRemoved(AssignmentId),
    /// An API key was created, or its expiry was changed.
    KeyPut(KeyFact),
    /// An API key was revoked.
    KeyRemoved(ApiKeyId),
}

/// The changes of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentChanges {
    /// The environment.
    pub environment: EnvironmentId,
    /// The changes that decisions depend on; empty if they do not depend on this one. Environments with the same
    /// changes share them.
    pub changes: Arc<[Change]>,
}

impl From<&crate::Node> for NodeFact {
    fn from(node: &crate::Node) -> Self {
        Self {
            id: node.id,
            parent: node.parent,
            node_type: node.node_type.clone(),
            slug: node.slug.clone(),
            is_active: node.status == crate::NodeStatus::Active,
        }
    }
}

impl From<&crate::Assignment> for GrantFact {
    fn from(assignment: &crate::Assignment) -> Self {
        Self {
            id: assignment.id,
            key: assignment.key,
            window: assignment.window,
        }
    }
}

impl From<&crate::ApiKey> for KeyFact {
    fn from(key: &crate::ApiKey) -> Self {
        Self {
            id: key.id,
            access: key.access.clone(),
            expires_at: key.expires_at,
        }
    }
}
