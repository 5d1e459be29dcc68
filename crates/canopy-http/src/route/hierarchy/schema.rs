//! The hierarchy schema of an environment.

use crate::answer::{Found, Representation};
use crate::error_code::ErrorCode as E;
use crate::input::{Body, IfMatch};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Batch, Components, Fault, Faults, Given, Json, JsonPointer, Whole, WireValue, request_body};
use canopy_app::hierarchy;
use canopy_domain::hierarchy::schema_change::SchemaPatch;
use canopy_domain::{EnvironmentRef, HierarchySchema, NodeType, SchemaError, Version};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

pub(super) fn operations() -> Vec<Operation> {
    use super::TAG;
    vec![
        Operation::get("/hierarchy-schema", "getHierarchySchema")
            .summary(
                TAG,
                "Get the hierarchy schema: the node types, and the types allowed below each.",
            )
            .requires("node.read")
            .handler(get_hierarchy_schema),
        Operation::patch("/hierarchy-schema", "changeHierarchySchema")
            .summary(
                TAG,
                "Change members of the hierarchy schema. `If-Match` takes the version of the environment.",
            )
            .writes::<hierarchy::ChangeHierarchySchema>()
            .errors(&[E::SchemaInUse])
            .handler(patch_hierarchy_schema),
    ]
}

/// A hierarchy schema.
#[derive(Serialize, ToSchema)]
struct HierarchySchemaOf {
    node_types: Vec<String>,
    /// For each node type, the types allowed directly below it.
    allowed_children: BTreeMap<String, Vec<String>>,
    /// Maximum depth of the tree; the root has depth 1.
    max_depth: u8,
    root_node_type: String,
    /// The version of the environment, which `If-Match` of a change must name.
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

impl Representation for HierarchySchemaOf {
    const VERSIONED: bool = true;

    fn version(&self) -> Option<u32> {
        Some(self.version)
    }
}

request_body!(
    /// A change to a hierarchy schema. Absent members stay as they are.
    struct ChangeHierarchySchema {
        /// The node types.
        node_types: Given<Batch<NodeType>>,
        /// For each node type, the types allowed directly below it.
        allowed_children: Given<BTreeMap<NodeType, Vec<NodeType>>>,
        /// Maximum depth of the tree; the root has depth 1.
        max_depth: Given<Whole<1, { HierarchySchema::MAX_DEPTH as u32 }>>,
        /// The node type of the root.
        root_node_type: Given<NodeType>,
    }
);

/// A change to a schema. If it has all members, they are consistent.
#[derive(Debug)]
struct SchemaChange(SchemaPatch);

impl WireValue for SchemaChange {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let members = ["node_types", "allowed_children", "max_depth", "root_node_type"];
        if members.iter().all(|member| json.given(member).is_some()) {
            // Contradictions are reported where they are.
            let SchemaInput(schema) = SchemaInput::read(json, place, faults)?;
            return Some(Self(SchemaPatch::from(&schema)));
        }
        let body = ChangeHierarchySchema::read(json, place, faults)?;
        let sets = |listed: BTreeMap<NodeType, Vec<NodeType>>| {
            let sets = listed
                .into_iter()
                .map(|(parent, children)| (parent, children.into_iter().collect()));
            sets.collect()
        };
        Some(Self(SchemaPatch {
            node_types: body.node_types.0.map(|types| types.0),
            allowed_children: body.allowed_children.0.map(sets),
            max_depth: body.max_depth.0.map(|depth| u8::try_from(depth.0).unwrap_or(u8::MAX)),
            root_node_type: body.root_node_type.0,
        }))
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        ChangeHierarchySchema::schema(components)
    }
}

request_body!(
    /// A hierarchy schema.
    struct WholeHierarchySchema {
        /// The node types.
        node_types: Batch<NodeType>,
        /// For each node type, the types allowed directly below it.
        allowed_children: BTreeMap<NodeType, Vec<NodeType>>,
        /// Maximum depth of the tree; the root has depth 1.
        max_depth: Whole<1, { HierarchySchema::MAX_DEPTH as u32 }>,
        /// The node type of the root.
        root_node_type: NodeType,
    }
);

/// A consistent schema.
#[derive(Debug)]
pub(in crate::route) struct SchemaInput(pub(in crate::route) HierarchySchema);

impl WireValue for SchemaInput {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let body = WholeHierarchySchema::read(json, place, faults)?;
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
        WholeHierarchySchema::schema(components)
    }
}

fn note_contradictions(
    errors: &[SchemaError],
    listed: &BTreeMap<NodeType, Vec<NodeType>>,
    place: &JsonPointer<'_>,
    faults: &mut Faults,
) {
    let types = JsonPointer::Member(place, "node_types");
    let below = JsonPointer::Member(place, "allowed_children");
    // The first index of each child. Built once, since many of them may be unknown.
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
            SchemaError::RepeatedNodeType { index } => {
                faults.add(&JsonPointer::Item(&types, *index), fault("repeated"));
            }
            SchemaError::UnknownRootType => {
                faults.add(
                    &JsonPointer::Member(place, "root_node_type"),
                    fault("unknown_node_type"),
                );
            }
            SchemaError::UnknownParentType { parent } => {
                faults.add(
                    &JsonPointer::Member(&below, parent.as_str()),
                    fault("unknown_node_type"),
                );
            }
            SchemaError::UnknownChildType { parent, child } => {
                let index = indexes.get(&(parent, child)).copied().unwrap_or_default();
                let parent = JsonPointer::Member(&below, parent.as_str());
                faults.add(&JsonPointer::Item(&parent, index), fault("unknown_node_type"));
            }
            SchemaError::MaxDepth => faults.add(&JsonPointer::Member(place, "max_depth"), fault("out_of_range")),
        }
    }
}

async fn get_hierarchy_schema(request: Request<EnvironmentRef>) -> Result<Found<HierarchySchemaOf>, Problem> {
    let place = request.tenancy;
    let (schema, version) = request
        .run(move |app, _| async move { hierarchy::get_hierarchy_schema(&app, &place).await })
        .await?;
    Ok(Found(HierarchySchemaOf::of(&schema, version)))
}

async fn patch_hierarchy_schema(
    request: Request<EnvironmentRef, (), (), IfMatch<Body<SchemaChange>>>,
) -> Result<Found<HierarchySchemaOf>, Problem> {
    let (
        IfMatch {
            input: Body(SchemaChange(patch)),
            version,
        },
        request,
    ) = request.take_body();
    let change = hierarchy::ChangeHierarchySchema {
        environment: request.tenancy,
        patch,
        seen: version,
    };
    let (schema, version) = request.execute(change).await?;
    Ok(Found(HierarchySchemaOf::of(&schema, version)))
}
