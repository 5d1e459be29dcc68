//! The tree of nodes of an environment, and the schema that says which types may stand where.

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
    /// Names a [`Node`].
    NodeId
);

/// The name of a type of nodes: 1 to 100 of `A-Z a-z 0-9 _ -`, compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeType(Box<str>);

/// Why a text is not a [`NodeType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 100 characters of A-Z, a-z, 0-9, `_` and `-`")]
pub struct NodeTypeError;

impl NodeType {
    /// The largest number of characters (and bytes).
    pub const MAX_CHARS: usize = 100;

    /// Checks a text; nothing is trimmed or folded.
    ///
    /// # Errors
    /// [`NodeTypeError`] when a rule is broken.
    pub fn parse(raw: &str) -> Result<Self, NodeTypeError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if bounded(raw, Self::MAX_CHARS, &[]).is_err() || !raw.bytes().all(allowed) {
            return Err(NodeTypeError);
        }
        Ok(Self(raw.into()))
    }

    /// The type of a node where types do not matter: `node`.
    pub fn node() -> Self {
        Self("node".into())
    }

    /// The text.
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
    /// Whether access at a node is switched on.
    NodeStatus {
        /// On.
        Active = "active",
        /// Off, at the node and at all nodes below it.
        Inactive = "inactive",
    }
);

/// A node of an environment's tree. The root alone has no parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// The environment whose tree it stands in.
    pub environment_id: EnvironmentId,
    /// The node above; `None` for the root.
    pub parent: Option<NodeId>,
    /// Its type, one of the schema's.
    pub node_type: NodeType,
    /// Its name, as people read it.
    pub name: DisplayName,
    /// Its name in paths, unique among its siblings.
    pub slug: Slug,
    /// On or off.
    pub status: NodeStatus,
    /// Free-form metadata of the customer.
    pub metadata: JsonObject,
    /// The version: 1 at creation, one more with each change.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Why a change to the tree is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HierarchyError {
    /// No such node in the environment.
    #[error("the environment has no such node")]
    NodeNotFound,
    /// The node named as parent is not in the environment.
    #[error("the environment has no node with the id of the parent")]
    ParentNotFound,
    /// An item refers to a `ref` that no earlier or later item of the request has, or to itself, or in a circle.
    #[error("`parent_ref` names no other item of this request that leads to an existing node")]
    UnknownParentRef,
    /// Two items of a request have the same `ref`.
    #[error("an earlier item of this request has the same `ref`")]
    DuplicateRef {
        /// The index of the earlier item.
        first: usize,
    },
    /// The environment is flat: it has the root alone.
    #[error("the environment is flat; nodes can be made after its access model is `hierarchy`")]
    Flat,
    /// The schema does not know the type.
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
    /// The node would lie deeper than the schema allows.
    #[error("the node would lie deeper than the hierarchy schema allows")]
    MaxDepthExceeded {
        /// The depth that the schema allows; the root has depth 1.
        max_depth: u8,
    },
    /// The node would stand below itself.
    #[error("a node cannot stand below itself")]
    Cycle,
    /// The root stays where it is.
    #[error("the root can be neither moved nor deleted")]
    RootStays,
    /// A sibling has the slug.
    #[error("a sibling of the node has this slug already")]
    SlugTaken,
    /// The node to delete has dependents.
    #[error("the node has children or assignments; delete it with `force` to remove all below it with it")]
    NodeInUse {
        /// Number of its child nodes.
        children: u64,
        /// Number of assignments at the node.
        assignments: u64,
    },
    /// The node was changed since the caller read it.
    #[error("the node has been changed since it was read")]
    NodeStale {
        /// The version it has now.
        current: Version,
    },
    /// The new schema would be broken by nodes that exist.
    #[error("nodes of the environment break this schema")]
    SchemaInUse {
        /// Some of the nodes, and why.
        examples: Vec<SchemaBreak>,
    },
    /// The new schema contradicts itself.
    #[error("the schema contradicts itself")]
    ContradictorySchema {
        /// All contradictions.
        errors: Vec<SchemaError>,
    },
    /// The environment cannot become flat this way.
    #[error("an environment becomes flat only by `revert-to-flat`")]
    RevertNeeded,
    /// There is nothing to revert.
    #[error("the environment is flat already")]
    AlreadyFlat,
    /// The environment was changed since the caller read it.
    #[error("the environment has been changed since it was read")]
    Stale {
        /// The version it has now.
        current: Version,
    },
}

/// A node that a schema does not allow, as an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaBreak {
    /// The node.
    pub node: NodeId,
    /// The reason.
    pub reason: SchemaBreakReason,
}

string_enum!(
    /// Why a node breaks a schema.
    SchemaBreakReason {
        /// The schema lacks its type.
        UnknownNodeType = "unknown_node_type",
        /// Its type may not stand below its parent's.
        ChildTypeNotAllowed = "child_type_not_allowed",
        /// It lies too deep.
        MaxDepthExceeded = "max_depth_exceeded",
    }
);
