//! The facts that decisions rest on, as a whole (a snapshot) and as they change.

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
    /// An inactive role grants nothing.
    pub is_active: bool,
    /// Its permissions.
    pub permissions: Vec<PermissionId>,
}

/// A node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFact {
    /// Its id.
    pub id: NodeId,
    /// The node above; `None` for the root.
    pub parent: Option<NodeId>,
    /// Its type.
    pub node_type: NodeType,
    /// Its name in paths.
    pub slug: Slug,
    /// Whether the node itself is switched on; ancestors are looked at separately.
    pub is_active: bool,
}

/// An identity that is, or once was, a member of the environment's application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectFact {
    /// The identity.
    pub id: IdentityId,
    /// The account-wide switch.
    pub is_active: bool,
    /// The state of its membership in the application.
    pub membership: MembershipStatus,
}

/// An assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantFact {
    /// Its id.
    pub id: AssignmentId,
    /// The identity, role and node.
    pub key: AssignmentKey,
    /// When it holds.
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

/// Everything that decisions in one environment rest on, as it stood at one revision.
///
/// Order does not matter, except that [`Snapshot::nodes`] may name a parent before or after its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The environment.
    pub environment: EnvironmentId,
    /// The revision at which all of it was read.
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
    /// The keys that open it. No decision depends on them, but who may ask for one.
    pub keys: Vec<KeyFact>,
}

/// One step from one state of an environment to the next. `…Put` makes or replaces the thing with that id, so
/// applying a change again leaves the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A permission is in the catalog.
    PermissionPut(PermissionFact),
    /// A permission left the catalog; roles no longer bundle it.
    PermissionRemoved(PermissionId),
    /// A role was made or edited; its permissions are given whole.
    RolePut(RoleFact),
    /// A role was deleted. Its assignments were removed by changes before this one.
    RoleRemoved(RoleId),
    /// A node was made, moved, renamed, retyped or switched.
    NodePut(NodeFact),
    /// A node without children and assignments was deleted. A subtree goes assignments first, then leaves first.
    NodeRemoved(NodeId),
    /// An identity became a member, or its switch or membership changed.
    SubjectPut(SubjectFact),
    /// An identity was deleted, and all its assignments with it.
    SubjectRemoved(IdentityId),
    /// An assignment was made or changed.
    GrantPut(GrantFact),
    /// An assignment was removed.
    GrantRemoved(AssignmentId),
    /// An API key was made, or its end was set.
    KeyPut(KeyFact),
    /// An API key was revoked.
    KeyRemoved(ApiKeyId),
}

/// The changes of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentChanges {
    /// The environment.
    pub environment: EnvironmentId,
    /// The steps that decisions depend on; empty when the change does not matter to them. Environments in which the same
    /// happens share them.
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
