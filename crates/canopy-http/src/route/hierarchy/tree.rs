//! The whole tree as one answer.

use super::FULL_ACCESS;
use crate::answer::Representation;
use crate::wire::ShownNodeStatus;
use canopy_domain::{Node, NodeId};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// The whole tree, and which part of it the caller may reach.
#[derive(Serialize, ToSchema)]
pub(super) struct Tree {
    /// The trees of the caller's roots.
    #[schema(value_type = Vec<TreeNode>)]
    tree: Vec<Branch>,
    scope: TreeScope,
}

impl Representation for Tree {}

/// Which part of the tree the caller may reach.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the wire format names them")]
struct TreeScope {
    accessible_node_ids: Vec<Uuid>,
    scope_root_node_ids: Vec<Uuid>,
    entry_node_ids: Vec<Uuid>,
}

/// A node with all that stands below it.
#[derive(Serialize, ToSchema)]
struct TreeNode {
    id: Uuid,
    name: String,
    slug: String,
    node_type: String,
    /// The node above; null for the root.
    parent_node_id: Option<Uuid>,
    status: ShownNodeStatus,
    /// `full` for those who manage the environment.
    access_state: &'static str,
    can_access: bool,
    can_manage: bool,
    #[schema(no_recursion)]
    children: Vec<TreeNode>,
    version: u32,
}

/// A node with all that stands below it, as it is written.
struct Branch {
    node: Node,
    children: Vec<Branch>,
}

impl Serialize for Branch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut one = serializer.serialize_struct("TreeNode", 11)?;
        one.serialize_field("id", &self.node.id.as_uuid())?;
        one.serialize_field("name", self.node.name.as_str())?;
        one.serialize_field("slug", self.node.slug.as_str())?;
        one.serialize_field("node_type", self.node.node_type.as_str())?;
        one.serialize_field("parent_node_id", &self.node.parent.map(|id| id.as_uuid()))?;
        one.serialize_field("status", &ShownNodeStatus(self.node.status))?;
        one.serialize_field("access_state", FULL_ACCESS)?;
        one.serialize_field("can_access", &true)?;
        one.serialize_field("can_manage", &true)?;
        one.serialize_field("children", &self.children)?;
        one.serialize_field("version", &self.node.version.get())?;
        one.end()
    }
}

impl Tree {
    /// The tree of these nodes, of which parents come before their children. The caller reaches all of it.
    pub(super) fn of(nodes: Vec<Node>) -> Self {
        let accessible_node_ids = nodes.iter().map(|node| node.id.as_uuid()).collect();
        let roots: Vec<Uuid> = nodes
            .iter()
            .filter(|node| node.parent.is_none())
            .map(|node| node.id.as_uuid())
            .collect();
        Self {
            tree: branches(nodes),
            scope: TreeScope {
                accessible_node_ids,
                scope_root_node_ids: roots.clone(),
                entry_node_ids: roots,
            },
        }
    }
}

/// Hangs each node below its parent. From the last to the first, the children of a node are complete when it is reached.
fn branches(nodes: Vec<Node>) -> Vec<Branch> {
    let mut below: HashMap<Option<NodeId>, Vec<Branch>> = HashMap::new();
    for node in nodes.into_iter().rev() {
        let mut children = below.remove(&Some(node.id)).unwrap_or_default();
        children.reverse();
        below.entry(node.parent).or_default().push(Branch { node, children });
    }
    let mut roots = below.remove(&None).unwrap_or_default();
    roots.reverse();
    roots
}
