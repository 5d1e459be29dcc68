//! The tree of nodes and its schema.

mod tree;

use crate::answer::{Created, Found, Representation};
use crate::bulk::{BulkAnswer, SentItems};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::{Body, IfMatch, Sent};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{
    Batch, Components, Fault, Faults, Instant, Json, Name, Place, ShownNodeStatus, Whole, WireValue, object,
    request_body,
};
use canopy_app::BulkMode;
use canopy_app::hierarchy::{bulk_create, change_schema, get_node, get_schema, list_nodes};
use canopy_domain::bulk::Outcome;
use canopy_domain::hierarchy::create::{NewNode, ParentName};
use canopy_domain::{
    ApplicationId, DisplayName, EnvironmentPlace, HierarchySchema, JsonObject, Node, NodeId, NodeType, SchemaError,
    Slug, Version,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "Hierarchy";
    const NODE_RULES: &[E] = &[
        E::HierarchyFlat,
        E::ParentNotFound,
        E::UnknownNodeType,
        E::ChildTypeNotAllowed,
        E::MaxDepthExceeded,
    ];
    vec![
        Operation::get("/nodes", "getTree")
            .says(TAG, "Get the whole tree.")
            .needs("node.read")
            .by(get_tree),
        Operation::post("/nodes", "createNode")
            .says(TAG, "Make a node.")
            .needs("node.manage")
            .fails(NODE_RULES)
            .fails(&[E::NodeSlugTaken])
            .by(post_node),
        Operation::post("/nodes/bulk-create", "bulkCreateNodes")
            .says(
                TAG,
                "Make many nodes; parents are named by their id or by their `ref` in the request.",
            )
            .needs("node.manage")
            .item_fails(NODE_RULES)
            .item_fails(&[E::NodeSlugTaken, E::UnknownParentRef, E::DuplicateRef])
            .by(post_nodes),
        Operation::get("/nodes/{nodeId}", "getNode")
            .says(TAG, "Get a node.")
            .needs("node.read")
            .fails(&[E::NodeNotFound])
            .by(get_one),
        Operation::get("/hierarchy-schema", "getHierarchySchema")
            .says(
                TAG,
                "Get the schema: which types of nodes there are and what may stand below what.",
            )
            .needs("node.read")
            .by(get_hierarchy_schema),
        Operation::patch("/hierarchy-schema", "changeHierarchySchema")
            .says(
                TAG,
                "Replace the schema. `If-Match` takes the version of the environment.",
            )
            .needs("node.manage")
            .fails(&[E::SchemaInUse])
            .by(patch_hierarchy_schema),
    ]
}

/// A node.
#[derive(Serialize, ToSchema)]
#[schema(as = Node)]
struct NodeBody {
    id: Uuid,
    application_id: Uuid,
    /// The node above; null for the root.
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

/// A node, with what the caller may do at it.
#[derive(Serialize, ToSchema)]
struct NodeDetail {
    id: Uuid,
    application_id: Uuid,
    /// The node above; null for the root.
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
    /// `full` for those who manage the environment.
    access_state: &'static str,
    can_access: bool,
    can_manage: bool,
}

/// What managers of the environment may do at every node.
const FULL_ACCESS: &str = "full";

impl NodeDetail {
    fn of(node: NodeBody) -> Self {
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
            can_manage: true,
        }
    }
}

/// A hierarchy schema.
#[derive(Serialize, ToSchema)]
struct HierarchySchemaOf {
    node_types: Vec<String>,
    /// For each type, the types that may stand directly below it.
    allowed_children: BTreeMap<String, Vec<String>>,
    /// How deep the tree may be; the root has depth 1.
    max_depth: u8,
    root_node_type: String,
    /// The version of the environment, which a change must name.
    version: u32,
}

impl HierarchySchemaOf {
    fn of(schema: &HierarchySchema, version: Version) -> Self {
        let texts = |types: &BTreeSet<NodeType>| types.iter().map(ToString::to_string).collect();
        Self {
            node_types: schema.node_types().iter().map(ToString::to_string).collect(),
            allowed_children: schema
                .allowed_children()
                .iter()
                .map(|(parent, children)| (parent.to_string(), texts(children)))
                .collect(),
            max_depth: schema.max_depth(),
            root_node_type: schema.root_node_type().to_string(),
            version: version.get(),
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

versioned!(NodeBody, NodeDetail, HierarchySchemaOf);

request_body!(
    /// A node to make.
    struct CreateNode {
        /// The node above.
        parent_node_id: NodeId,
        /// Its type, one of the schema's.
        node_type: NodeType,
        /// Its name, as people read it.
        name: DisplayName,
        /// Its name in paths, unique among its siblings; made from the name where it is not given.
        slug: Option<Slug>,
        /// What the customer keeps with it.
        metadata: Option<JsonObject>,
    }
);

request_body!(
    /// A node to make with others. Its parent is named by id or by `ref`, not both.
    struct CreateNodeItem {
        /// A name for it within the request.
        reference as "ref": Option<Name>,
        /// The `ref` of the node above.
        parent_ref: Option<Name>,
        /// The id of the node above.
        parent_node_id: Option<NodeId>,
        /// Its type, one of the schema's.
        node_type: NodeType,
        /// Its name, as people read it.
        name: DisplayName,
        /// Its name in paths, unique among its siblings; made from the name where it is not given.
        slug: Option<Slug>,
        /// What the customer keeps with it.
        metadata: Option<JsonObject>,
    }
);

/// An item whose parent is named once.
#[derive(Debug)]
struct NodeItem(NewNode);

impl WireValue for NodeItem {
    fn read(json: &Json<'_>, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        let body = CreateNodeItem::read(json, place, faults);
        // Whether the parent is named once is judged as it was sent, so also where another member is bad.
        match (json.given("parent_node_id"), json.given("parent_ref")) {
            (None, None) if matches!(json, Json::Object(_)) => faults.add(
                &Place::Member(place, "parent_node_id"),
                Fault::new("required", "is required where there is no `parent_ref`"),
            ),
            (Some(_), Some(_)) => faults.add(
                &Place::Member(place, "parent_ref"),
                Fault::new("not_allowed", "is not allowed beside `parent_node_id`"),
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
    /// Nodes to make.
    struct BulkCreateNodes {
        /// The nodes.
        nodes: Batch<NodeItem>,
        /// Whether one bad item keeps all from being stored.
        atomic: bool = true,
        /// Judges everything and writes nothing.
        dry_run: bool = false,
    }
);

request_body!(
    /// A hierarchy schema.
    struct ChangeHierarchySchema {
        /// The types of nodes.
        node_types: Batch<NodeType>,
        /// For each type, the types that may stand directly below it.
        allowed_children: BTreeMap<NodeType, Vec<NodeType>>,
        /// How deep the tree may be; the root has depth 1.
        max_depth: Whole<1, { HierarchySchema::MAX_DEPTH as u32 }>,
        /// The type of the root.
        root_node_type: NodeType,
    }
);

/// A schema that does not contradict itself.
#[derive(Debug)]
pub(super) struct SchemaInput(pub(super) HierarchySchema);

impl WireValue for SchemaInput {
    fn read(json: &Json<'_>, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        let body = ChangeHierarchySchema::read(json, place, faults)?;
        let max_depth = u8::try_from(body.max_depth.0).unwrap_or(u8::MAX);
        let listed = body.allowed_children;
        let allowed = listed
            .iter()
            .map(|(parent, children)| (parent.clone(), children.iter().cloned().collect()));
        let checked = HierarchySchema::new(body.node_types.0, allowed.collect(), max_depth, body.root_node_type);
        checked
            .map_err(|errors| note_contradictions(&errors, &listed, place, faults))
            .map(Self)
            .ok()
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        ChangeHierarchySchema::schema(components)
    }
}

fn note_contradictions(
    errors: &[SchemaError],
    listed: &BTreeMap<NodeType, Vec<NodeType>>,
    place: &Place<'_>,
    faults: &mut Faults,
) {
    let types = Place::Member(place, "node_types");
    let below = Place::Member(place, "allowed_children");
    // Where each child was listed first; built once, since there may be many that are unknown.
    let mut indexes: BTreeMap<(&NodeType, &NodeType), usize> = BTreeMap::new();
    for (parent, children) in listed {
        for (index, child) in children.iter().enumerate() {
            indexes.entry((parent, child)).or_insert(index);
        }
    }
    for error in errors {
        let fault = |code| Fault::new(code, error.to_string());
        match error {
            SchemaError::NodeTypeCount => faults.add(&types, fault("too_many_items")),
            SchemaError::RepeatedNodeType { index } => faults.add(&Place::Item(&types, *index), fault("repeated")),
            SchemaError::UnknownRootType => {
                faults.add(&Place::Member(place, "root_node_type"), fault("unknown_node_type"));
            }
            SchemaError::UnknownParentType { parent } => {
                faults.add(&Place::Member(&below, parent.as_str()), fault("unknown_node_type"));
            }
            SchemaError::UnknownChildType { parent, child } => {
                let index = indexes.get(&(parent, child)).copied().unwrap_or_default();
                let parent = Place::Member(&below, parent.as_str());
                faults.add(&Place::Item(&parent, index), fault("unknown_node_type"));
            }
            SchemaError::MaxDepth => faults.add(&Place::Member(place, "max_depth"), fault("out_of_range")),
        }
    }
}

async fn get_tree(request: Request<EnvironmentPlace>) -> Result<Found<tree::Tree>, Problem> {
    let place = request.scope;
    let nodes = request
        .run(move |app, _| async move { list_nodes::run(&app, &place).await })
        .await?;
    Ok(Found(tree::Tree::of(nodes)))
}

async fn post_node(
    request: Request<EnvironmentPlace, (), (), Body<CreateNode>>,
) -> Result<Repeatable<Created<NodeBody>>, Problem> {
    let (Body(body), request) = request.take_body();
    let place = request.scope;
    let new = [NewNode {
        reference: None,
        parent: ParentName::Id(body.parent_node_id),
        node_type: body.node_type,
        name: body.name,
        slug: body.slug,
        metadata: body.metadata.unwrap_or_default(),
    }];
    let create = move |app, call| async move { bulk_create::run(&app, &call, &place, &new, BulkMode::SINGLE).await };
    request
        .write(create, move |made| {
            let node = only(made)?;
            Ok(Created {
                name: node.id.to_string(),
                body: NodeBody::of(place.application)(node),
            })
        })
        .await
}

/// What became of the one item of a call.
pub(super) fn only<T, E: Into<Problem>>(outcomes: Vec<Outcome<T, E>>) -> Result<T, Problem> {
    match outcomes.into_iter().next() {
        Some(Outcome::Done(done)) => Ok(done),
        Some(Outcome::Refused(error)) => Err(error.into()),
        Some(Outcome::RolledBack { .. }) | None => Err(Problem::internal("one item has no outcome of its own")),
    }
}

async fn post_nodes(
    request: Request<EnvironmentPlace, (), (), Sent<BulkCreateNodes>>,
) -> Result<Repeatable<BulkAnswer<NodeBody>>, Problem> {
    let (Sent { body, raw }, request) = request.take_body();
    let place = request.scope;
    let mode = BulkMode {
        atomic: body.atomic,
        dry_run: body.dry_run,
    };
    let items: Vec<NewNode> = body.nodes.0.into_iter().map(|item| item.0).collect();
    let sent = SentItems { raw, member: "nodes" };
    let create = move |app, call| async move { bulk_create::run(&app, &call, &place, &items, mode).await };
    request
        .once_only_if(mode.dry_run)
        .write(create, move |outcomes| {
            let shown = NodeBody::of(place.application);
            Ok(BulkAnswer::of(outcomes, mode.dry_run, sent.clone(), shown))
        })
        .await
}

async fn get_one(request: Request<EnvironmentPlace, NodeId>) -> Result<Found<NodeDetail>, Problem> {
    let (place, id) = (request.scope, request.id);
    let node = request
        .run(move |app, _| async move { get_node::run(&app, &place, id).await })
        .await?;
    Ok(Found(NodeDetail::of(NodeBody::of(place.application)(node))))
}

async fn get_hierarchy_schema(request: Request<EnvironmentPlace>) -> Result<Found<HierarchySchemaOf>, Problem> {
    let place = request.scope;
    let (schema, version) = request
        .run(move |app, _| async move { get_schema::run(&app, &place).await })
        .await?;
    Ok(Found(HierarchySchemaOf::of(&schema, version)))
}

async fn patch_hierarchy_schema(
    request: Request<EnvironmentPlace, (), (), IfMatch<Body<SchemaInput>>>,
) -> Result<Found<HierarchySchemaOf>, Problem> {
    let (
        IfMatch {
            input: Body(SchemaInput(schema)),
            version,
        },
        request,
    ) = request.take_body();
    let place = request.scope;
    let changed = request.run(move |app, call| async move {
        let version = change_schema::run(&app, &call, &place, &schema, version).await?;
        Ok((schema, version))
    });
    let (schema, version) = changed.await?;
    Ok(Found(HierarchySchemaOf::of(&schema, version)))
}
