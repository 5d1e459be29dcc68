//! Errors of names in an index.

use crate::access::IndexError;
use crate::slug_path::SlugPathError;
use crate::uuid::Uuid;
use crate::{PermissionKeyError, Revision, TextError};

/// An error of a build or a change by names. The message quotes the invalid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A text is not the key of a permission.
    #[error("`{key}` is not a permission key: {rule}")]
    PermissionKey {
        /// The text.
        key: String,
        /// The rule that it breaks.
        rule: PermissionKeyError,
    },
    /// A text is not the name of a role.
    #[error("`{name}` is not a role name: {rule}")]
    RoleName {
        /// The text.
        name: String,
        /// The rule that it breaks.
        rule: TextError,
    },
    /// A text is not the path of a node.
    #[error("`{path}` is not the path of a node: a part of it {rule}")]
    NodePath {
        /// The text.
        path: String,
        /// The rule that it breaks.
        rule: SlugPathError,
    },
    /// An identity has an empty name.
    #[error("the name of an identity must not be empty")]
    EmptyIdentity,
    /// The index has no such permission.
    #[error("permission `{key}` does not exist")]
    UnknownPermission {
        /// Its key.
        key: String,
    },
    /// A role bundles a permission that the index does not have.
    #[error("role `{role}` bundles permission `{key}`, which does not exist")]
    UnknownPermissionOfRole {
        /// The role.
        role: String,
        /// The key of the permission.
        key: String,
    },
    /// The index has no such role.
    #[error("role `{name}` does not exist")]
    UnknownRole {
        /// Its name.
        name: String,
    },
    /// The index has no such node.
    #[error("node `{path}` does not exist")]
    UnknownNode {
        /// Its path.
        path: String,
    },
    /// The index has no such identity.
    #[error("identity `{name}` does not exist")]
    UnknownIdentity {
        /// Its name.
        name: String,
    },
    /// Two roles of a builder have the same name, ignoring case.
    #[error("role `{name}` is given twice")]
    RoleTaken {
        /// The name.
        name: String,
    },
    /// A tree has one root, which begins all its paths.
    #[error("`{path}` does not begin with the root `{root}`")]
    SecondRoot {
        /// The path.
        path: String,
        /// The root of the tree.
        root: String,
    },
    /// A node has the path already.
    #[error("node `{path}` already exists")]
    PathTaken {
        /// The path that the node would get.
        path: String,
    },
    /// A node cannot move below itself, and the root cannot move.
    #[error("node `{node}` cannot move below `{parent}`")]
    Cycle {
        /// The node.
        node: String,
        /// The node that it would move below.
        parent: String,
    },
    /// A node with nodes below it or grants at it cannot be removed.
    #[error("node `{path}` has nodes below it or grants at it")]
    NodeInUse {
        /// Its path.
        path: String,
    },
    /// A granted role cannot be removed.
    #[error("role `{name}` has grants")]
    RoleInUse {
        /// Its name.
        name: String,
    },
    /// The grant to revoke does not exist.
    #[error("`{identity}` has no grant of role `{role}` at `{node}` itself")]
    NotGranted {
        /// The identity.
        identity: String,
        /// The role.
        role: String,
        /// The node.
        node: String,
    },
    /// The id function returned the id of another entity, or the nil UUID.
    #[error("the id {id} of `{name}` is taken or nil")]
    Id {
        /// The id.
        id: Uuid,
        /// The name of the entity.
        name: String,
    },
    /// Revisions must rise.
    #[error("the index is at revision {current}, and cannot go back to {given}")]
    Revision {
        /// The revision of the index.
        current: Revision,
        /// The revision that was given.
        given: Revision,
    },
    /// The index is full. The only error after which it must be built anew.
    #[error(transparent)]
    Index(#[from] IndexError),
}
