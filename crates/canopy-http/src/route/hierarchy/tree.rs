//! The tree in responses, whole or in part, and the neighbours of a node.

use super::{FULL_ACCESS, NodeBody, TAG};
use crate::answer::{Found, Listing, Representation};
use crate::error_code::ErrorCode as E;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::ShownNodeStatus;
use canopy_app::hierarchy;
use canopy_domain::api_key::AreaScope;
use canopy_domain::{EnvironmentRef, Node, NodeId};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::HashMap;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const READ: &str = "node.read";
    vec![
        Operation::get("/nodes", "getTree")
            .summary(TAG, "Get the whole tree.")
            .requires(READ)
            .handler(get_tree),
        Operation::get("/nodes/{nodeId}/tree", "getSubtree")
            .summary(TAG, "Get a node with its subtree.")
            .requires(READ)
            .errors(&[E::NodeNotFound])
            .handler(get_subtree),
        Operation::get("/nodes/{nodeId}/children", "listChildren")
            .summary(TAG, "List the children of a node, by slug.")
            .requires(READ)
            .errors(&[E::NodeNotFound])
            .handler(list_children),
        Operation::get("/nodes/{nodeId}/ancestors", "listAncestors")
            .summary(TAG, "List the ancestors of a node, the root first.")
            .requires(READ)
            .errors(&[E::NodeNotFound])
            .handler(list_ancestors),
    ]
}

/// The whole tree, and the part that the caller may reach.
#[derive(Serialize, ToSchema)]
struct Tree {
    /// The subtrees of the caller's roots.
    #[schema(value_type = Vec<TreeNode>)]
    tree: Vec<Branch>,
    scope: TreeScope,
}

impl Representation for Tree {
    fn weight(&self) -> usize {
        self.scope.accessible_node_ids.len() * (NODE_BYTES + ID_BYTES)
    }
}

/// Estimated size of a node of a tree, and of an id in a list, as JSON in bytes.
const NODE_BYTES: usize = 360;
const ID_BYTES: usize = 40;

/// The part of the tree that the caller may reach.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the wire format names them")]
struct TreeScope {
    accessible_node_ids: Vec<Uuid>,
    scope_root_node_ids: Vec<Uuid>,
    entry_node_ids: Vec<Uuid>,
}

/// A node with its subtree.
#[derive(Serialize, ToSchema)]
struct TreeNode {
    id: Uuid,
    name: String,
    slug: String,
    node_type: String,
    /// The parent node; null for the root.
    parent_node_id: Option<Uuid>,
    status: ShownNodeStatus,
    /// Always `full`: a caller that may read the tree reads all of it.
    access_state: &'static str,
    can_access: bool,
    /// True if the caller may change it.
    can_manage: bool,
    #[schema(no_recursion)]
    children: Vec<TreeNode>,
    version: u32,
}

/// A node with its subtree, as it is rendered.
struct Branch {
    node: Node,
    can_manage: bool,
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
        one.serialize_field("can_manage", &self.can_manage)?;
        one.serialize_field("children", &self.children)?;
        one.serialize_field("version", &self.node.version.get())?;
        one.end()
    }
}

impl PartialSchema for Branch {
    fn schema() -> RefOr<Schema> {
        TreeNode::schema()
    }
}

impl ToSchema for Branch {
    fn name() -> Cow<'static, str> {
        TreeNode::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        TreeNode::schemas(schemas);
    }
}

impl Representation for Branch {
    fn weight(&self) -> usize {
        let below: usize = self.children.iter().map(Representation::weight).sum();
        below + NODE_BYTES
    }
}

impl Tree {
    /// Builds the tree of nodes, in which parents come before their children. The caller reaches all of it.
    fn of(nodes: Vec<Node>, can_manage: bool) -> Self {
        let accessible_node_ids = nodes.iter().map(|node| node.id.as_uuid()).collect();
        let roots: Vec<Uuid> = nodes
            .iter()
            .filter(|node| node.parent.is_none())
            .map(|node| node.id.as_uuid())
            .collect();
        Self {
            tree: branches(nodes, None, can_manage),
            scope: TreeScope {
                accessible_node_ids,
                scope_root_node_ids: roots.clone(),
                entry_node_ids: roots,
            },
        }
    }
}

/// Attaches each node to its parent and returns those below `above`. Goes from the last node to the first, so that the
/// children of a node are complete when it is reached.
fn branches(nodes: Vec<Node>, above: Option<NodeId>, can_manage: bool) -> Vec<Branch> {
    let mut below: HashMap<Option<NodeId>, Vec<Branch>> = HashMap::new();
    for node in nodes.into_iter().rev() {
        let mut children = below.remove(&Some(node.id)).unwrap_or_default();
        children.reverse();
        below.entry(node.parent).or_default().push(Branch {
            node,
            can_manage,
            children,
        });
    }
    let mut roots = below.remove(&above).unwrap_or_default();
    roots.reverse();
    roots
}

async fn get_tree(request: Request<EnvironmentRef>) -> Result<Found<Tree>, Problem> {
    let place = request.tenancy;
    let nodes = request
        .run(move |app, _| async move { hierarchy::list_nodes(&app, &place).await })
        .await?;
    Ok(Found(Tree::of(nodes, request.may(AreaScope::NodeManage))))
}

type AboutNode = Request<EnvironmentRef, NodeId>;

async fn get_subtree(request: AboutNode) -> Result<Found<Branch>, Problem> {
    let (place, id) = (request.tenancy, request.id);
    let nodes = request
        .run(move |app, _| async move { hierarchy::get_subtree(&app, &place, id).await })
        .await?;
    let above = nodes.first().and_then(|top| top.parent);
    let top = branches(nodes, above, request.may(AreaScope::NodeManage))
        .into_iter()
        .next();
    let top = top.ok_or_else(|| Problem::internal("a subtree has no root"))?;
    Ok(Found(top))
}

async fn list_children(request: AboutNode) -> Result<Listing<NodeBody>, Problem> {
    let (place, id, max_bytes) = (request.tenancy, request.id, request.max_answer_bytes());
    let nodes = request
        .run(move |app, _| async move { hierarchy::get_children(&app, &place, id, max_bytes).await })
        .await?;
    Ok(Listing::of(nodes, NodeBody::of(place.application)))
}

async fn list_ancestors(request: AboutNode) -> Result<Listing<NodeBody>, Problem> {
    let (place, id) = (request.tenancy, request.id);
    let nodes = request
        .run(move |app, _| async move { hierarchy::get_ancestors(&app, &place, id).await })
        .await?;
    Ok(Listing::of(nodes, NodeBody::of(place.application)))
}
