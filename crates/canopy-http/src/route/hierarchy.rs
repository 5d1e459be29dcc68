//! The tree of nodes and its schema.

mod people;
mod revert;
mod schema;
mod tree;

use crate::answer::{Created, Found, NoContent, Representation};
use crate::bulk::{BulkAnswer, SentItems, only};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::{Body, IfMatch, Sent};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{
    Batch, Components, Fault, Faults, Given, Instant, Json, JsonPointer, Name, ShownNodeStatus, WireValue, object,
    request_body, request_query,
};
use canopy_app::{Mode, hierarchy};
use canopy_domain::api_key::AreaScope;
use canopy_domain::hierarchy::change::NodePatch;
use canopy_domain::hierarchy::create::{NewNode, ParentName};
use canopy_domain::{
    ApplicationId, DisplayName, Edit, EnvironmentRef, JsonObject, Node, NodeId, NodeStatus, NodeType, Slug,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

pub(super) use schema::SchemaInput;

/// The OpenAPI tag of these calls.
const TAG: &str = "Hierarchy";

pub(super) fn operations() -> Vec<Operation> {
    [
        nodes(),
        tree::operations(),
        people::operations(),
        schema::operations(),
        revert::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn nodes() -> Vec<Operation> {
    const PLACE_RULES: &[E] = &[
        E::NodeNotFound,
        E::RootStays,
        E::ParentNotFound,
        E::NodeCycle,
        E::UnknownNodeType,
        E::ChildTypeNotAllowed,
        E::MaxDepthExceeded,
        E::NodeSlugTaken,
    ];
    const NODE_RULES: &[E] = &[
        E::HierarchyFlat,
        E::ParentNotFound,
        E::UnknownNodeType,
        E::ChildTypeNotAllowed,
        E::MaxDepthExceeded,
    ];
    vec![
        Operation::post("/nodes", "createNode")
            .summary(TAG, "Create a node.")
            .writes::<hierarchy::CreateNodes>()
            .errors(NODE_RULES)
            .errors(&[E::NodeSlugTaken])
            .handler(post_node),
        Operation::post("/nodes/bulk-create", "bulkCreateNodes")
            .summary(
                TAG,
                "Create many nodes. Items name their parent by its id or by its `ref` in the request.",
            )
            .writes::<hierarchy::CreateNodes>()
            .item_errors(NODE_RULES)
            .item_errors(&[E::NodeSlugTaken, E::UnknownParentRef, E::DuplicateRef])
            .handler(post_nodes),
        Operation::get("/nodes/{nodeId}", "getNode")
            .summary(TAG, "Get a node.")
            .requires("node.read")
            .errors(&[E::NodeNotFound])
            .handler(get_one),
        Operation::patch("/nodes/{nodeId}", "changeNode")
            .summary(TAG, "Change a node, or move it with its subtree.")
            .writes::<hierarchy::ChangeNode>()
            .errors(PLACE_RULES)
            .handler(patch_node),
        Operation::delete("/nodes/{nodeId}", "deleteNode")
            .summary(
                TAG,
                "Delete a node; with `force`, all nodes below it and all assignments at them too.",
            )
            .writes::<hierarchy::RemoveNode>()
            .errors(&[E::NodeNotFound, E::RootStays, E::NodeInUse])
            .handler(delete_node),
        Operation::post("/nodes/{nodeId}/move", "moveNode")
            .summary(TAG, "Move a node with its subtree.")
            .writes::<hierarchy::ChangeNode>()
            .errors(PLACE_RULES)
            .handler(move_node),
    ]
}

/// A node.
#[derive(Serialize, ToSchema)]
#[schema(as = Node)]
struct NodeBody {
    id: Uuid,
    application_id: Uuid,
    /// The parent node; null for the root.
    parent_node_id: Option<Uuid>,
    node_type: String,
    name: String,
    slug: String,
    status: ShownNodeStatus,
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
    version: u32,
    created_at: Instant,
    updated_at: Instant,
}

impl NodeBody {
    fn of(application: ApplicationId) -> impl Fn(Node) -> Self {
        move |node| Self {
            id: node.id.as_uuid(),
            application_id: application.as_uuid(),
            parent_node_id: node.parent.map(|id| id.as_uuid()),
            node_type: node.node_type.to_string(),
            name: node.name.to_string(),
            slug: node.slug.to_string(),
            status: ShownNodeStatus(node.status),
            metadata: object(&node.metadata),
            version: node.version.get(),
            created_at: Instant(node.created_at),
            updated_at: Instant(node.updated_at),
        }
    }
}

/// A node, with the rights of the caller at it.
#[derive(Serialize, ToSchema)]
struct NodeDetail {
    id: Uuid,
    application_id: Uuid,
    /// The parent node; null for the root.
    parent_node_id: Option<Uuid>,
    node_type: String,
    name: String,
    slug: String,
    status: ShownNodeStatus,
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
    version: u32,
    created_at: Instant,
    updated_at: Instant,
    /// Always `full`: a caller that may read the tree reads all of it.
    access_state: &'static str,
    can_access: bool,
    /// True if the caller may change it.
    can_manage: bool,
}

/// The part of the tree that the caller can read.
const FULL_ACCESS: &str = "full";

impl NodeDetail {
    fn of(node: NodeBody, can_manage: bool) -> Self {
        Self {
            id: node.id,
            application_id: node.application_id,
            parent_node_id: node.parent_node_id,
            node_type: node.node_type,
            name: node.name,
            slug: node.slug,
            status: node.status,
            metadata: node.metadata,
            version: node.version,
            created_at: node.created_at,
            updated_at: node.updated_at,
            access_state: FULL_ACCESS,
            can_access: true,
            can_manage,
        }
    }
}

macro_rules! versioned {
    ($($type:ty),+) => {
        $(impl Representation for $type {
            const VERSIONED: bool = true;

            fn version(&self) -> Option<u32> {
                Some(self.version)
            }
        })+
    };
}

versioned!(NodeBody, NodeDetail);

request_body!(
    /// A node to create.
    struct CreateNode {
        /// The parent node.
        parent_node_id: NodeId,
        /// Its node type, as defined in the hierarchy schema.
        node_type: NodeType,
        /// The display name.
        name: DisplayName,
        /// The slug, unique among its siblings. Default: derived from the name.
        slug: Option<Slug>,
        /// Free-form metadata of the customer.
        metadata: Option<JsonObject>,
    }
);

request_body!(
    /// An item of a bulk call: a node to create. Its parent is named by id or by `ref`, not both.
    struct CreateNodeItem {
        /// A reference to it within the request.
        reference as "ref": Option<Name>,
        /// The `ref` of the parent node.
        parent_ref: Option<Name>,
        /// The id of the parent node.
        parent_node_id: Option<NodeId>,
        /// Its node type, as defined in the hierarchy schema.
        node_type: NodeType,
        /// The display name.
        name: DisplayName,
        /// The slug, unique among its siblings. Default: derived from the name.
        slug: Option<Slug>,
        /// Free-form metadata of the customer.
        metadata: Option<JsonObject>,
    }
);

/// An item that names its parent exactly once.
#[derive(Debug)]
struct NodeItem(NewNode);

impl WireValue for NodeItem {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let body = CreateNodeItem::read(json, place, faults);
        // The parent is checked as it was sent, so that a fault in another member hides none.
        match (json.given("parent_node_id"), json.given("parent_ref")) {
            (None, None) if matches!(json, Json::Object(_)) => faults.add(
                &JsonPointer::Member(place, "parent_node_id"),
                Fault::new("required", "is required without `parent_ref`"),
            ),
            (Some(_), Some(_)) => faults.add(
                &JsonPointer::Member(place, "parent_ref"),
                Fault::new("not_allowed", "is not allowed with `parent_node_id`"),
            ),
            _ => {}
        }
        let body = body?;
        let parent = match (body.parent_node_id, body.parent_ref) {
            (Some(id), None) => ParentName::Id(id),
            (None, Some(reference)) => ParentName::Reference(reference.0),
            _ => return None,
        };
        Some(Self(NewNode {
            reference: body.reference.map(|name| name.0),
            parent,
            node_type: body.node_type,
            name: body.name,
            slug: body.slug,
            metadata: body.metadata.unwrap_or_default(),
        }))
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        CreateNodeItem::schema(components)
    }
}

request_body!(
    /// A change to a node.
    struct ChangeNode {
        /// The display name.
        name: Given<DisplayName>,
        /// The slug, unique among its siblings.
        slug: Given<Slug>,
        /// `inactive` switches off access at the node and at all nodes below it.
        status: Given<NodeStatus>,
        /// Free-form metadata of the customer; null for none.
        metadata: Edit<JsonObject>,
        /// The parent node.
        parent_node_id: Given<NodeId>,
    }
);

impl From<ChangeNode> for NodePatch {
    fn from(body: ChangeNode) -> Self {
        Self {
            name: body.name.0,
            slug: body.slug.0,
            status: body.status.0,
            metadata: match body.metadata {
                Edit::Keep => None,
                Edit::Clear => Some(JsonObject::default()),
                Edit::Set(metadata) => Some(metadata),
            },
            parent: body.parent_node_id.0,
        }
    }
}

request_body!(
    /// The destination of a node.
    struct MoveNode {
        /// The parent node.
        parent_node_id: NodeId,
    }
);

request_query!(
    /// The options for deleting a node.
    struct DeleteNode {
        /// True to delete all nodes below it and all assignments at them too.
        force: bool = false,
    }
);

request_body!(
    /// Nodes to create.
    struct BulkCreateNodes {
        /// The nodes.
        nodes: Batch<NodeItem>,
        /// True to store no item if one of them is refused.
        atomic: bool = true,
        /// True to validate everything and write nothing.
        dry_run: bool = false,
    }
    writes nothing with dry_run
);

async fn post_node(
    request: Request<EnvironmentRef, (), (), Body<CreateNode>>,
) -> Result<Repeatable<Created<NodeBody>>, Problem> {
    let (Body(body), request) = request.take_body();
    let place = request.tenancy;
    let new = vec![NewNode {
        reference: None,
        parent: ParentName::Id(body.parent_node_id),
        node_type: body.node_type,
        name: body.name,
        slug: body.slug,
        metadata: body.metadata.unwrap_or_default(),
    }];
    let create = hierarchy::CreateNodes {
        environment: place,
        items: new,
        atomic: true,
    };
    request
        .execute_once(create, Mode::Commit, move |made| {
            let node = only(made)?;
            Ok(Created {
                name: node.id.to_string(),
                body: NodeBody::of(place.application)(node),
            })
        })
        .await
}

async fn post_nodes(
    request: Request<EnvironmentRef, (), (), Sent<BulkCreateNodes>>,
) -> Result<Repeatable<BulkAnswer<NodeBody>>, Problem> {
    let (Sent { body, raw }, request) = request.take_body();
    let place = request.tenancy;
    let dry_run = body.dry_run;
    let create = hierarchy::CreateNodes {
        environment: place,
        items: body.nodes.0.into_iter().map(|item| item.0).collect(),
        atomic: body.atomic,
    };
    let sent = SentItems {
        raw,
        member: "nodes".into(),
    };
    request
        .execute_once(create, Mode::dry_run_if(dry_run), move |outcomes| {
            let shown = NodeBody::of(place.application);
            Ok(BulkAnswer::of(outcomes, dry_run, sent.clone(), shown))
        })
        .await
}

async fn get_one(request: Request<EnvironmentRef, NodeId>) -> Result<Found<NodeDetail>, Problem> {
    let (place, id) = (request.tenancy, request.id);
    let node = request
        .run(move |app, _| async move { hierarchy::get_node(&app, &place, id).await })
        .await?;
    let can_manage = request.may(AreaScope::NodeManage);
    Ok(Found(NodeDetail::of(NodeBody::of(place.application)(node), can_manage)))
}

type Change<T> = Request<EnvironmentRef, NodeId, (), IfMatch<Body<T>>>;

async fn patch_node(request: Change<ChangeNode>) -> Result<Found<NodeBody>, Problem> {
    let (IfMatch { input, version }, request) = request.take_body();
    let place = request.tenancy;
    let change = hierarchy::ChangeNode {
        environment: place,
        id: request.id,
        patch: NodePatch::from(input.0),
        seen: version,
    };
    Ok(Found(NodeBody::of(place.application)(request.execute(change).await?)))
}

async fn move_node(request: Change<MoveNode>) -> Result<Repeatable<Found<NodeBody>>, Problem> {
    let (IfMatch { input, version }, request) = request.take_body();
    let change = hierarchy::ChangeNode {
        environment: request.tenancy,
        id: request.id,
        patch: NodePatch::to(input.0.parent_node_id),
        seen: version,
    };
    let show = NodeBody::of(request.tenancy.application);
    request
        .execute_once(change, Mode::Commit, move |node| Ok(Found(show(node))))
        .await
}

async fn delete_node(request: Request<EnvironmentRef, NodeId, DeleteNode, IfMatch<()>>) -> Result<NoContent, Problem> {
    let remove = hierarchy::RemoveNode {
        environment: request.tenancy,
        id: request.id,
        force: request.query.force,
        seen: request.body.version,
    };
    request.execute(remove).await?;
    Ok(NoContent)
}
