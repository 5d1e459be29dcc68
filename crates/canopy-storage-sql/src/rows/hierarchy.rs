//! Rows of nodes.

use crate::shape::shape;
use canopy_domain::hierarchy::create::ParentFact;
use canopy_domain::hierarchy::names::NamedNode;
use canopy_domain::hierarchy::remove::NodeUses;
use canopy_domain::hierarchy::schema_change::ShapeEdge;
use canopy_domain::transfer::SlugPath;
use canopy_domain::{DisplayName, EnvironmentId, JsonObject, Node, NodeId, NodeStatus, NodeType, Slug};

shape! {
    /// A node.
    NodeRow in "nodes" reads Node {
        id: "id" as id,
        environment_id: "environment_id" as id,
        parent: "parent_id" as optional_id,
        node_type: "node_type" as text(NodeType::parse),
        name: "name" as text(DisplayName::restored),
        slug: "slug" as text(Slug::parse),
        status: "status" as word(NodeStatus::parse),
        metadata: "metadata" as text(JsonObject::parse),
        version: "version" as version,
        created_at: "created_at" as at,
        updated_at: "updated_at" as at,
    }
}

shape! {
    /// The id of a node.
    NodeIdRow in "nodes" reads (NodeId) { id: "id" as id, } => id
}

shape! {
    /// The environment that has a node.
    EnvironmentOfNodeRow in "nodes" reads (EnvironmentId) { environment: _ as id, } => environment
}

shape! {
    /// A parent of nodes that are created: its type and depth.
    ParentRow in "nodes" reads ((NodeId, ParentFact)) {
        id: "id" as id,
        node_type: "node_type" as text(NodeType::parse),
        depth: _ as count,
    } => (id, ParentFact { node_type, depth })
}

shape! {
    /// The parent and the slug of a node.
    SlugRow in "nodes" reads ((NodeId, Slug)) {
        parent: "parent_id" as id,
        slug: "slug" as text(Slug::parse),
    } => (parent, slug)
}

shape! {
    /// The path of a node, and its id.
    PathRow in "nodes" reads ((SlugPath, NodeId)) {
        id: "id" as id,
        path: "path" as text(SlugPath::parse),
    } => (path, id)
}

shape! {
    /// The names of a node.
    NamedNodeRow in "nodes" reads NamedNode {
        id: "id" as id,
        node_type: "node_type" as text(NodeType::parse),
        path: "path" as text(SlugPath::parse),
        is_only_of_type: _ as flag,
        is_only: _ as flag,
    }
}

shape! {
    /// The numbers of children and assignments of a node.
    NodeUsesRow in "nodes" reads NodeUses { children: _ as count, assignments: _ as count, }
}

shape! {
    /// The number of children of a node, and the bytes of their metadata.
    ChildrenSizeRow in "nodes" reads ((u64, u64)) { children: _ as count, bytes: _ as count, } => (children, bytes)
}

shape! {
    /// The root of a tree, and its type.
    RootRow in "nodes" reads ((NodeId, NodeType)) {
        id: "id" as id,
        node_type: "node_type" as text(NodeType::parse),
    } => (id, node_type)
}

shape! {
    /// A pair of types of which one is below the other, with an example.
    ShapeEdgeRow in "nodes" reads ShapeEdge {
        example: _ as id,
        child: "node_type" as text(NodeType::parse),
        parent: _ as optional_text(NodeType::parse),
    }
}

shape! {
    /// A node and its depth.
    DepthRow in "nodes" reads ((usize, NodeId)) { id: "id" as id, depth: "depth" as count, } => (depth, id)
}

shape! {
    /// The number of levels of a tree.
    HeightRow in "nodes" reads (usize) { height: _ as count, } => height
}

/// A node as far as a schema depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedNode {
    /// Its id.
    pub id: NodeId,
    /// The node above it; `None` for the root.
    pub parent: Option<NodeId>,
    /// Its type.
    pub node_type: NodeType,
}

shape! {
    /// A node as far as a schema depends on it.
    TypedNodeRow in "nodes" reads TypedNode {
        id: "id" as id,
        parent: "parent_id" as optional_id,
        node_type: "node_type" as text(NodeType::parse),
    }
}
