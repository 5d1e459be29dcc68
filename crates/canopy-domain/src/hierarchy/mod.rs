//! The tree of nodes of an environment, and its schema: the node types and which may be below which.

pub mod change;
pub mod create;
pub mod names;
pub mod remove;
pub mod revert;
mod schema;
pub mod schema_change;

use crate::id::id_type;
use crate::string_enum::string_enum;
use crate::text::{TextError, bounded};
use crate::{DisplayName, EnvironmentId, JsonObject, Slug, Timestamp, Version};

pub use schema::{HierarchySchema, SchemaError};

id_type!(
    /// The id of a [`Node`].
    NodeId
);

/// The name of a node type: 1 to 100 of `A-Z a-z 0-9 _ -`, compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeType(Box<str>);

/// The rule that a text breaks which is not a [`NodeType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 100 characters of A-Z, a-z, 0-9, `_` and `-`")]
pub struct NodeTypeError;

impl NodeType {
    /// Maximum number of characters (and bytes).
    pub const MAX_CHARS: usize = 100;

    /// Checks a text; nothing is trimmed or folded.
    ///
    /// # Errors
    /// [`NodeTypeError`] if a rule is broken.
    pub fn parse(raw: &str) -> Result<Self, NodeTypeError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if bounded(raw, Self::MAX_CHARS, &[]).is_err() || !raw.bytes().all(allowed) {
            return Err(NodeTypeError);
        }
        Ok(Self(raw.into()))
    }

    /// Returns the node type for trees without types: `node`.
    pub fn node() -> Self {
        Self("node".into())
    }

    /// Returns the text.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for NodeType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<TextError> for NodeTypeError {
    fn from(_: TextError) -> Self {
        Self
    }
}

string_enum!(
    /// The state of a node.
    NodeStatus {
        /// Active.
        Active = "active",
        /// Inactive: no access at the node and at all nodes below it.
        Inactive = "inactive",
    }
);

/// A node of an environment's tree. Only the root has no parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// The environment of its tree.
    pub environment_id: EnvironmentId,
    /// The parent; `None` for the root.
    pub parent: Option<NodeId>,
    /// Its node type, as defined in the schema.
    pub node_type: NodeType,
    /// The display name.
    pub name: DisplayName,
    /// The slug, unique among its siblings.
    pub slug: Slug,
    /// Active or inactive.
    pub status: NodeStatus,
    /// Free-form metadata of the customer.
    pub metadata: JsonObject,
    /// The version: 1 at creation, one more with each change.
    pub version: Version,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of its last change.
    pub updated_at: Timestamp,
}

/// An error of a change to the tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HierarchyError {
    /// No such node in the environment.
    #[error("the environment has no such node")]
    NodeNotFound,
    /// The environment has no node with the id of the parent.
    #[error("the environment has no node with the id of the parent")]
    ParentNotFound,
    /// An item refers to a `ref` that no other item of the request has, to itself, or in a circle.
    #[error("`parent_ref` does not lead to an existing node through other items of this request")]
    UnknownParentRef,
    /// Two items of a request have the same `ref`.
    #[error("an earlier item of this request has the same `ref`")]
    DuplicateRef {
        /// The index of the earlier item.
        first: usize,
    },
    /// The environment is flat: it has only the root.
    #[error("the environment is flat; change its access model to `hierarchy` before creating nodes")]
    Flat,
    /// The schema lacks the type.
    #[error("the hierarchy schema has no such node type")]
    UnknownNodeType,
    /// The schema does not allow the type below the parent's type.
    #[error("the hierarchy schema does not allow this node type below the parent's type")]
    ChildTypeNotAllowed {
        /// The parent's type.
        parent: NodeType,
        /// The child's type.
        child: NodeType,
    },
    /// The node would be deeper than the schema allows.
    #[error("the node would be deeper than the hierarchy schema allows")]
    MaxDepthExceeded {
        /// The maximum depth of the schema; the root has depth 1.
        max_depth: u8,
    },
    /// The node would be below itself.
    #[error("a node cannot be below itself")]
    Cycle,
    /// The root cannot be moved or deleted.
    #[error("the root can be neither moved nor deleted")]
    RootStays,
    /// A sibling has the slug.
    #[error("a sibling of the node has this slug already")]
    SlugTaken,
    /// The node to delete has dependents.
    #[error(
        "the node has children or assignments; delete it with `force` to delete its subtree and their assignments too"
    )]
    NodeInUse {
        /// Number of its child nodes.
        children: u64,
        /// Number of assignments at the node.
        assignments: u64,
    },
    /// The node was changed since the caller read it.
    #[error("the node has been changed since it was read")]
    NodeStale {
        /// The current version.
        current: Version,
    },
    /// Existing nodes break the new schema.
    #[error("nodes of the environment break this schema")]
    SchemaInUse {
        /// Some of the nodes, with the reasons.
        examples: Vec<SchemaBreak>,
    },
    /// The new schema contradicts itself.
    #[error("the schema contradicts itself")]
    ContradictorySchema {
        /// All contradictions.
        errors: Vec<SchemaError>,
    },
    /// The environment can become flat only by a revert.
    #[error("an environment becomes flat only by `revert-to-flat`")]
    RevertNeeded,
    /// The environment is already flat.
    #[error("the environment is flat already")]
    AlreadyFlat,
    /// The environment was changed since the caller read it.
    #[error("the environment has been changed since it was read")]
    Stale {
        /// The current version.
        current: Version,
    },
}

/// An example of a node that breaks a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaBreak {
    /// The node.
    pub node: NodeId,
    /// The reason.
    pub reason: SchemaBreakReason,
}

string_enum!(
    /// The reason for which a node breaks a schema.
    SchemaBreakReason {
        /// The schema lacks its type.
        UnknownNodeType = "unknown_node_type",
        /// The schema does not allow its type below its parent's.
        ChildTypeNotAllowed = "child_type_not_allowed",
        /// It is too deep.
        MaxDepthExceeded = "max_depth_exceeded",
    }
);
