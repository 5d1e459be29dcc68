//! Export and import of environments.

use super::hierarchy::SchemaInput;
use super::tenancy::EnvironmentBody;
use crate::answer::{Found, Representation};
use crate::idempotency::Repeatable;
use crate::input::Body;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{
    Components, Everything, Fault, Faults, Json, Place, ShownModel, ShownNodeStatus, Whole, WireValue, anything, array,
    object, request_body, request_query,
};
use canopy_app::transfer::{Imported, PartCounts, export, import};
use canopy_domain::transfer::{Document, DocumentError, NodeEntry, PermissionEntry, RoleEntry, SlugPath};
use canopy_domain::{
    AccessModel, Category, Description, DisplayName, Environment, EnvironmentPlace, HierarchyError, HierarchySchema,
    JsonObject, NodeStatus, NodeType, PermissionKey, RoleName,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// The one format of documents that there is.
const FORMAT_VERSION: u32 = 1;

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "Environments";
    vec![
        Operation::get("/export", "exportEnvironment")
            .says(
                TAG,
                "Get what the environment is made of, without ids and without assignments.",
            )
            .by(get_export),
        Operation::post("/import", "importEnvironment")
            .says(
                TAG,
                "Make the environment what a document says. What has the same name stays with its assignments.",
            )
            .judges_version()
            .by(post_import),
    ]
}

/// What an environment is made of. Things are named by what they are called: a permission by its key, a role by its name
/// without regard to case, a node by the slugs on the way down to it.
#[derive(Serialize, ToSchema)]
struct EnvironmentDocument {
    format_version: u32,
    /// The slug of the environment that it was taken from.
    source_env: String,
    access_model: ShownModel,
    hierarchy_schema: ExportedSchema,
    /// The customer's, by key.
    permissions: Vec<ExportedPermission>,
    /// The customer's, by name.
    roles: Vec<ExportedRole>,
    /// Parents before their children.
    nodes: Vec<ExportedNode>,
    /// Nothing of that kind exists here.
    #[schema(value_type = Vec<Object>)]
    oauth_clients: [(); 0],
    /// Nothing of that kind exists here.
    #[schema(value_type = Vec<Object>)]
    webhooks: [(); 0],
}

#[derive(Serialize, ToSchema)]
struct ExportedSchema {
    node_types: Vec<String>,
    /// For each type, the types that may stand directly below it.
    allowed_children: BTreeMap<String, Vec<String>>,
    /// How deep the tree may be; the root has depth 1.
    max_depth: u8,
    root_node_type: String,
}

#[derive(Serialize, ToSchema)]
struct ExportedPermission {
    key: String,
    description: Option<String>,
    category: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ExportedRole {
    name: String,
    description: Option<String>,
    is_active: bool,
    permission_keys: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct ExportedNode {
    /// The slugs from the root down to the node, with `/` between them.
    path: String,
    node_type: String,
    name: String,
    /// Left out where it is active, so that large trees stay below the limit of bodies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ShownNodeStatus, required = false)]
    status: Option<ShownNodeStatus>,
    /// Left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    metadata: Option<Box<RawValue>>,
}

impl Representation for EnvironmentDocument {}

impl EnvironmentDocument {
    fn of(environment: &Environment, document: &Document) -> Self {
        let permission = |(key, entry): (&PermissionKey, &PermissionEntry)| ExportedPermission {
            key: key.to_string(),
            description: entry.description.as_ref().map(ToString::to_string),
            category: entry.category.as_ref().map(ToString::to_string),
        };
        let role = |entry: &RoleEntry| ExportedRole {
            name: entry.name.to_string(),
            description: entry.description.as_ref().map(ToString::to_string),
            is_active: entry.is_active,
            permission_keys: entry.permission_keys.iter().map(ToString::to_string).collect(),
        };
        let node = |(path, entry): (&SlugPath, &NodeEntry)| ExportedNode {
            path: path.to_string(),
            node_type: entry.node_type.to_string(),
            name: entry.name.to_string(),
            status: (entry.status != NodeStatus::Active).then_some(ShownNodeStatus(entry.status)),
            metadata: (entry.metadata != JsonObject::default()).then(|| object(&entry.metadata)),
        };
        Self {
            format_version: FORMAT_VERSION,
            source_env: environment.slug.to_string(),
            access_model: ShownModel(document.access_model()),
            hierarchy_schema: ExportedSchema::of(document.schema()),
            permissions: document.permissions().map(permission).collect(),
            roles: document.roles().map(role).collect(),
            nodes: document.nodes().map(node).collect(),
            oauth_clients: [],
            webhooks: [],
        }
    }
}

impl ExportedSchema {
    fn of(schema: &HierarchySchema) -> Self {
        let allowed = schema.allowed_children().iter().map(|(parent, children)| {
            let children = children.iter().map(ToString::to_string).collect();
            (parent.to_string(), children)
        });
        Self {
            node_types: schema.node_types().iter().map(ToString::to_string).collect(),
            allowed_children: allowed.collect(),
            max_depth: schema.max_depth(),
            root_node_type: schema.root_node_type().to_string(),
        }
    }
}

/// What an import did, or in a dry run would do. The lists name what had to be given anew; nothing of that kind exists
/// here.
#[derive(Serialize, ToSchema)]
struct ImportedEnvironment {
    environment: EnvironmentBody,
    /// Whether the environment is as it is shown; in a dry run it is not yet.
    #[serde(skip)]
    #[schema(ignore)]
    is_done: bool,
    #[schema(value_type = Vec<Object>)]
    oauth_client_rotations: [(); 0],
    #[schema(value_type = Vec<Object>)]
    webhook_subscription_rotations: [(); 0],
    changes: ImportChanges,
}

impl Representation for ImportedEnvironment {
    const VERSIONED: bool = true;

    fn version(&self) -> Option<u32> {
        self.is_done.then(|| self.environment.version()).flatten()
    }
}

#[derive(Serialize, ToSchema)]
struct ImportChanges {
    /// The customer's.
    permissions: ChangeCounts,
    /// The customer's.
    roles: ChangeCounts,
    nodes: ChangeCounts,
    access_model_changed: bool,
    hierarchy_schema_changed: bool,
    /// Assignments that go with the roles and nodes that they name.
    assignments_removed: usize,
}

#[derive(Serialize, ToSchema)]
struct ChangeCounts {
    kept: usize,
    changed: usize,
    removed: usize,
    added: usize,
}

impl From<PartCounts> for ChangeCounts {
    fn from(counts: PartCounts) -> Self {
        Self {
            kept: counts.kept,
            changed: counts.changed,
            removed: counts.removed,
            added: counts.added,
        }
    }
}

impl ImportedEnvironment {
    fn of(imported: &Imported, is_done: bool) -> Self {
        Self {
            environment: EnvironmentBody::of(&imported.environment),
            is_done,
            oauth_client_rotations: [],
            webhook_subscription_rotations: [],
            changes: ImportChanges {
                permissions: imported.permissions.into(),
                roles: imported.roles.into(),
                nodes: imported.nodes.into(),
                access_model_changed: imported.access_model_changed,
                hierarchy_schema_changed: imported.hierarchy_schema_changed,
                assignments_removed: imported.assignments_removed,
            },
        }
    }
}

request_query!(
    /// How.
    struct ImportEnvironment {
        /// Counts and writes nothing.
        dry_run: bool = false,
    }
);

request_body!(
    /// What an environment is to be made of: an export, or a document like one.
    struct ImportDocument {
        /// The format of the document.
        format_version: Whole<FORMAT_VERSION, FORMAT_VERSION>,
        /// Not looked at.
        source_env: Option<Anything>,
        /// Not looked at.
        metadata: Option<Anything>,
        /// Whether it has a tree of nodes or the root alone.
        access_model: AccessModel,
        /// Which types of nodes there are and what may stand below what.
        hierarchy_schema: SchemaInput,
        /// The permissions; those of the system are passed over.
        permissions: Everything<ImportPermission>,
        /// The roles; that of the system is passed over.
        roles: Everything<ImportRole>,
        /// The nodes, in any order; one of them is the root.
        nodes: Everything<ImportNode>,
        /// Not supported: must be empty.
        oauth_clients: Option<Empty>,
        /// Not supported: must be empty.
        webhooks: Option<Empty>,
    }
);

request_body!(
    /// A permission.
    struct ImportPermission {
        /// Its key.
        key: PermissionKey,
        /// What it allows, for people.
        description: Option<Description>,
        /// The group it is shown in.
        category: Option<Category>,
    }
);

request_body!(
    /// A role.
    struct ImportRole {
        /// Its name.
        name: RoleName,
        /// What it is for, for people.
        description: Option<Description>,
        /// An inactive role grants nothing.
        is_active: bool = true,
        /// The keys it bundles: of the document or of the system.
        permission_keys: Vec<PermissionKey>,
    }
);

request_body!(
    /// A node.
    struct ImportNode {
        /// The slugs from the root down to the node, with `/` between them.
        path: SlugPath,
        /// Its type, one of the schema's.
        node_type: NodeType,
        /// Its name, as people read it.
        name: DisplayName,
        /// Whether access at it and below is switched on.
        status: NodeStatus = NodeStatus::Active,
        /// What the customer keeps with it.
        metadata: Option<JsonObject>,
    }
);

/// A value that is not looked at.
#[derive(Debug)]
struct Anything;

impl WireValue for Anything {
    fn read(_: &Json<'_>, _: &Place<'_>, _: &mut Faults) -> Option<Self> {
        Some(Self)
    }

    fn schema(_: &mut Components) -> RefOr<Schema> {
        anything()
    }
}

/// A list of things that are not supported here.
#[derive(Debug)]
struct Empty;

impl WireValue for Empty {
    fn read(json: &Json<'_>, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        match json {
            Json::Array(items) if items.is_empty() => Some(Self),
            Json::Array(_) => {
                faults.add_unsupported(place);
                None
            }
            other => {
                faults.add(place, Fault::wrong_type("a list", other.kind()));
                None
            }
        }
    }

    fn schema(_: &mut Components) -> RefOr<Schema> {
        array(anything(), 0, 0)
    }
}

/// A document whose parts fit together.
#[derive(Debug)]
struct DocumentInput(Document);

impl WireValue for DocumentInput {
    const UNSUPPORTED: bool = true;
    /// A tree of 100,000 nodes has six hundred thousand.
    const MAX_VALUES: usize = 1_000_000;

    fn read(json: &Json<'_>, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        let ImportDocument {
            format_version: Whole(FORMAT_VERSION),
            source_env: None | Some(Anything),
            metadata: None | Some(Anything),
            access_model,
            hierarchy_schema: SchemaInput(schema),
            permissions: Everything(permissions),
            roles: Everything(roles),
            nodes: Everything(nodes),
            oauth_clients: None | Some(Empty),
            webhooks: None | Some(Empty),
        } = ImportDocument::read(json, place, faults)?
        else {
            return None;
        };
        let listed: Vec<Vec<PermissionKey>> = roles.iter().map(|role| role.permission_keys.clone()).collect();
        let permissions = permissions.into_iter().map(|one| {
            let entry = PermissionEntry {
                description: one.description,
                category: one.category,
            };
            (one.key, entry)
        });
        let roles = roles.into_iter().map(|one| RoleEntry {
            name: one.name,
            description: one.description,
            is_active: one.is_active,
            permission_keys: one.permission_keys.into_iter().collect(),
        });
        let nodes = nodes.into_iter().map(|one| {
            let entry = NodeEntry {
                node_type: one.node_type,
                name: one.name,
                status: one.status,
                metadata: one.metadata.unwrap_or_default(),
            };
            (one.path, entry)
        });
        let document = Document::new(
            access_model,
            schema,
            permissions.collect(),
            roles.collect(),
            nodes.collect(),
        );
        document
            .map_err(|errors| note_contradictions(&errors, &listed, place, faults))
            .map(Self)
            .ok()
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        ImportDocument::schema(components)
    }
}

/// Notes what is wrong, where it is wrong. `listed` are the keys of each role as they were given.
fn note_contradictions(
    errors: &[DocumentError],
    listed: &[Vec<PermissionKey>],
    place: &Place<'_>,
    faults: &mut Faults,
) {
    let (permissions, roles, nodes) = (
        Place::Member(place, "permissions"),
        Place::Member(place, "roles"),
        Place::Member(place, "nodes"),
    );
    for error in errors {
        let fault = |code| Fault::new(code, error.to_string());
        let node = |index: usize, member: &str, code, faults: &mut Faults| {
            faults.add(&Place::Member(&Place::Item(&nodes, index), member), fault(code));
        };
        match error {
            DocumentError::RepeatedPermission { index } => {
                let item = Place::Item(&permissions, *index);
                faults.add(&Place::Member(&item, "key"), fault("repeated"));
            }
            DocumentError::RepeatedRole { index } => {
                let item = Place::Item(&roles, *index);
                faults.add(&Place::Member(&item, "name"), fault("repeated"));
            }
            DocumentError::UnknownPermission { role, key } => {
                let keys = listed.get(*role).map(Vec::as_slice).unwrap_or_default();
                let index = keys.iter().position(|one| one == key).unwrap_or_default();
                let item = Place::Item(&roles, *role);
                let keys = Place::Member(&item, "permission_keys");
                faults.add(&Place::Item(&keys, index), fault("unknown_permission_key"));
            }
            DocumentError::NoRoot => faults.add(&nodes, fault("no_root")),
            DocumentError::RepeatedNode { index } => node(*index, "path", "repeated", faults),
            DocumentError::SecondRoot { index } => node(*index, "path", "second_root", faults),
            DocumentError::UnknownParent { index } => node(*index, "path", "unknown_parent", faults),
            DocumentError::RootType { index } => node(*index, "node_type", "not_the_root_type", faults),
            DocumentError::Misplaced { index, error } => match error {
                HierarchyError::UnknownNodeType => node(*index, "node_type", "unknown_node_type", faults),
                HierarchyError::ChildTypeNotAllowed { .. } => {
                    node(*index, "node_type", "child_type_not_allowed", faults);
                }
                HierarchyError::MaxDepthExceeded { .. } => node(*index, "path", "max_depth_exceeded", faults),
                _ => node(*index, "path", "not_allowed", faults),
            },
        }
    }
}

async fn get_export(request: Request<EnvironmentPlace>) -> Result<Found<EnvironmentDocument>, Problem> {
    let place = request.scope;
    let (environment, document) = request
        .run(move |app, _| async move { export::run(&app, &place).await })
        .await?;
    Ok(Found(EnvironmentDocument::of(&environment, &document)))
}

async fn post_import(
    request: Request<EnvironmentPlace, (), ImportEnvironment, Body<DocumentInput>>,
) -> Result<Repeatable<Found<ImportedEnvironment>>, Problem> {
    let (Body(DocumentInput(document)), request) = request.take_body();
    let (place, dry_run) = (request.scope, request.query.dry_run);
    let import = move |app, call| async move { import::run(&app, &call, &place, &document, dry_run).await };
    request
        .write(import, move |imported| {
            Ok(Found(ImportedEnvironment::of(&imported, !dry_run)))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{BodyInput, MAX_BODY_BYTES, parse_json};
    use actix_web::web::Bytes;
    use canopy_domain::{ApplicationId, EnvironmentId, Slug, Timestamp, Version};
    use uuid::Uuid;

    #[test]
    fn a_tree_of_a_hundred_thousand_nodes_fits_into_a_body_and_comes_back() {
        let kind = |text: &str| NodeType::parse(text).unwrap();
        let types = ["company", "department", "team"].map(kind);
        let below = |parent: usize, child: usize| (types[parent].clone(), [types[child].clone()].into());
        let allowed = [below(0, 1), below(1, 2)].into();
        let schema = HierarchySchema::new(types.clone().into(), allowed, 3, types[0].clone()).unwrap();
        let entry = |at: usize, name: String| NodeEntry {
            node_type: types[at].clone(),
            name: DisplayName::parse(&name).unwrap(),
            status: NodeStatus::Active,
            metadata: JsonObject::default(),
        };
        let path = |text: String| SlugPath::parse(&text).unwrap();
        let mut nodes = vec![(path("acme".to_owned()), entry(0, "Acme".to_owned()))];
        for department in 0..100 {
            let above = format!("acme/department-{department}");
            nodes.push((path(above.clone()), entry(1, format!("Department {department}"))));
            let teams = (0..999).map(|n| (path(format!("{above}/team-{n}")), entry(2, format!("Team {n}"))));
            nodes.extend(teams);
        }
        assert_eq!(nodes.len(), 100_001);
        let document = Document::new(AccessModel::Hierarchy, schema, Vec::new(), Vec::new(), nodes).unwrap();
        let now = Timestamp::parse("2026-04-20T12:00:00Z").unwrap();
        let environment = Environment {
            id: EnvironmentId::new(Uuid::nil()),
            application_id: ApplicationId::new(Uuid::nil()),
            name: DisplayName::parse("Development").unwrap(),
            slug: Slug::parse("development").unwrap(),
            settings: JsonObject::default(),
            access_model: AccessModel::Hierarchy,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        let written = Bytes::from(serde_json::to_vec(&EnvironmentDocument::of(&environment, &document)).unwrap());
        assert!(written.len() < MAX_BODY_BYTES, "{}", written.len());
        let json = parse_json(&written, Body::<DocumentInput>::MAX_VALUES).unwrap();
        let mut faults = Faults::default();
        let read = DocumentInput::read(&json, &Place::Root, &mut faults).unwrap();
        assert!(faults.is_empty() && read.0 == document);
    }
}
