//! Export and import of environments.

mod document;

use super::hierarchy::SchemaInput;
use super::tenancy::EnvironmentBody;
use crate::answer::{Found, Representation};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::{BodyInput, BodySource, Received, read_stream, unread};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{
    Components, Everything, Fault, Faults, Json, JsonPointer, Lists, ObjectStream, Whole, WireValue, anything, array,
    request_body, request_query,
};
use actix_web::HttpRequest;
use actix_web::web::Bytes;
use canopy_app::Mode;
use canopy_app::transfer::{self, Imported, RowCounts};
use canopy_domain::transfer::{Document, DocumentError, NodeEntry, PermissionEntry, RoleDraft, SlugPath};
use canopy_domain::{
    AccessModel, Category, Description, DisplayName, EnvironmentRef, HierarchyError, HierarchySchema, JsonObject,
    NodeStatus, NodeType, PermissionKey, RoleName, TenancyError,
};
use document::{Exported, FORMAT_VERSION};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "Environments";
    vec![
        Operation::get("/export", "exportEnvironment")
            .summary(
                TAG,
                "Export the contents of the environment, without ids and assignments.",
            )
            .errors(&[E::EnvironmentTooLarge])
            .handler(get_export),
        Operation::post("/import", "importEnvironment")
            .summary(
                TAG,
                "Replace the contents of the environment by a document. Resources of the same name keep their assignments.",
            )
            .errors(&[E::CatalogTooLarge])
            .judges_version()
            .handler(post_import),
    ]
}

/// The result of an import, or in a dry run the expected one. The lists name contents that must be configured again;
/// always empty here.
#[derive(Serialize, ToSchema)]
struct ImportedEnvironment {
    environment: EnvironmentBody,
    /// True if the import was carried out; false in a dry run.
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
    /// Custom ones; system ones are not counted.
    permissions: ChangeCounts,
    /// Custom ones; system ones are not counted.
    roles: ChangeCounts,
    nodes: ChangeCounts,
    access_model_changed: bool,
    hierarchy_schema_changed: bool,
    /// Number of assignments deleted together with their roles and nodes.
    assignments_removed: usize,
}

#[derive(Serialize, ToSchema)]
struct ChangeCounts {
    kept: usize,
    changed: usize,
    removed: usize,
    added: usize,
}

impl From<RowCounts> for ChangeCounts {
    fn from(counts: RowCounts) -> Self {
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
    /// The options of the call.
    struct ImportEnvironment {
        /// True to count and write nothing.
        dry_run: bool = false,
    }
    writes nothing with dry_run
);

request_body!(
    /// The contents to import: an export, or a document of the same format.
    struct ImportDocument {
        /// The format of the document.
        format_version: Whole<FORMAT_VERSION, FORMAT_VERSION>,
        /// Ignored.
        source_env: Option<Anything>,
        /// Ignored.
        metadata: Option<Anything>,
        /// The access model.
        access_model: AccessModel,
        /// The hierarchy schema.
        hierarchy_schema: SchemaInput,
        /// The permissions; system permissions are ignored.
        permissions: Everything<ImportPermission>,
        /// The roles; the system role is ignored.
        roles: Everything<ImportRole>,
        /// The nodes in any order, including the root.
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
        /// A description, for people.
        description: Option<Description>,
        /// The category for display.
        category: Option<Category>,
    }
);

request_body!(
    /// A role.
    struct ImportRole {
        /// Its name.
        name: RoleName,
        /// A description, for people.
        description: Option<Description>,
        /// An inactive role grants nothing.
        is_active: bool = true,
        /// The keys it bundles: of the document or of the system.
        permission_keys: Everything<PermissionKey>,
    }
);

request_body!(
    /// A node.
    struct ImportNode {
        /// The slugs from the root to the node, separated by `/`.
        path: SlugPath,
        /// Its node type, as defined in the hierarchy schema.
        node_type: NodeType,
        /// The display name.
        name: DisplayName,
        /// `inactive` switches off access at the node and at all nodes below it.
        status: NodeStatus = NodeStatus::Active,
        /// Free-form metadata of the customer.
        metadata: Option<JsonObject>,
    }
);

/// A value that is ignored.
#[derive(Debug)]
struct Anything;

impl WireValue for Anything {
    fn read(_: &Json<'_>, _: &JsonPointer<'_>, _: &mut Faults) -> Option<Self> {
        Some(Self)
    }

    fn schema(_: &mut Components) -> RefOr<Schema> {
        anything()
    }
}

/// A list that must be empty.
#[derive(Debug)]
struct Empty;

impl WireValue for Empty {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
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

/// The items of the lists of a document.
#[derive(Debug, Default)]
struct ImportLists {
    permissions: Vec<(PermissionKey, PermissionEntry)>,
    roles: Vec<RoleDraft>,
    nodes: Vec<(SlugPath, NodeEntry)>,
}

impl Lists for ImportLists {
    const NAMES: &'static [&'static str] = &["permissions", "roles", "nodes"];

    fn item(&mut self, list: usize, json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) {
        match list {
            0 => self
                .permissions
                .extend(ImportPermission::read(json, place, faults).map(Into::into)),
            1 => self.roles.extend(ImportRole::read(json, place, faults).map(Into::into)),
            _ => self.nodes.extend(ImportNode::read(json, place, faults).map(Into::into)),
        }
        if !faults.is_empty() {
            // The document will be refused; only its faults still matter.
            *self = Self::default();
        }
    }
}

impl From<ImportPermission> for (PermissionKey, PermissionEntry) {
    fn from(one: ImportPermission) -> Self {
        let entry = PermissionEntry {
            description: one.description,
            category: one.category,
        };
        (one.key, entry)
    }
}

impl From<ImportRole> for RoleDraft {
    fn from(one: ImportRole) -> Self {
        Self {
            name: one.name,
            description: one.description,
            is_active: one.is_active,
            permission_keys: one.permission_keys.0,
        }
    }
}

impl From<ImportNode> for (SlugPath, NodeEntry) {
    fn from(one: ImportNode) -> Self {
        let entry = NodeEntry {
            node_type: one.node_type,
            name: one.name,
            status: one.status,
            metadata: one.metadata.unwrap_or_default(),
        };
        (one.path, entry)
    }
}

/// A document whose parts are valid on their own.
#[derive(Debug)]
struct ImportParts {
    access_model: AccessModel,
    schema: HierarchySchema,
    lists: ImportLists,
}

impl ImportParts {
    /// Combines the scalar members with the lists that were read before.
    fn of(head: ImportDocument, lists: ImportLists) -> Option<Self> {
        let ImportDocument {
            format_version: Whole(FORMAT_VERSION),
            source_env: None | Some(Anything),
            metadata: None | Some(Anything),
            access_model,
            hierarchy_schema: SchemaInput(schema),
            permissions: Everything(_),
            roles: Everything(_),
            nodes: Everything(_),
            oauth_clients: None | Some(Empty),
            webhooks: None | Some(Empty),
        } = head
        else {
            return None;
        };
        Some(Self {
            access_model,
            schema,
            lists,
        })
    }

    /// Combines the parts into a document.
    fn document(self) -> Result<Document, Faults> {
        let ImportLists {
            permissions,
            roles,
            nodes,
        } = self.lists;
        Document::new(self.access_model, self.schema, permissions, roles, nodes).map_err(|errors| {
            let mut faults = Faults::default();
            note_contradictions(errors.listed(), &mut faults);
            faults.omit(errors.omitted());
            faults
        })
    }
}

impl BodyInput for ImportParts {
    type Draft = Self;
    const HAS_BODY: bool = true;
    const VERSIONED: bool = false;
    const UNSUPPORTED: bool = true;
    const STREAMED: bool = true;

    fn read(json: &Json<'_>, _: &Bytes, faults: &mut Faults) -> Option<Self> {
        Self::of(
            ImportDocument::read(json, &JsonPointer::Root, faults)?,
            ImportLists::default(),
        )
    }

    async fn receive(source: BodySource<'_>, faults: &mut Faults) -> Result<Received<Self>, Problem> {
        let max_bytes = source.state.import_bytes();
        let stream = ObjectStream::new(ImportLists::default());
        let (stream, digest) = read_stream(source, max_bytes, stream, faults).await?;
        let end = stream.end(faults, |head, faults| {
            ImportDocument::read(head, &JsonPointer::Root, faults)
        });
        let (head, lists) = end.map_err(|error| unread(error, usize::MAX))?;
        let draft = head.and_then(|head| Self::of(head, lists));
        Ok(Received { draft, digest })
    }

    fn complete(draft: Self, _: &HttpRequest) -> Result<Self, Problem> {
        Ok(draft)
    }

    fn schema(components: &mut Components) -> Option<RefOr<Schema>> {
        Some(ImportDocument::schema(components))
    }
}

/// Notes each contradiction at its position.
fn note_contradictions(errors: &[DocumentError], faults: &mut Faults) {
    let (permissions, roles, nodes) = (
        JsonPointer::Member(&JsonPointer::Root, "permissions"),
        JsonPointer::Member(&JsonPointer::Root, "roles"),
        JsonPointer::Member(&JsonPointer::Root, "nodes"),
    );
    for error in errors {
        let fault = |code| Fault::new(code, error.to_string());
        let node = |index: usize, member: &str, code, faults: &mut Faults| {
            faults.add(
                &JsonPointer::Member(&JsonPointer::Item(&nodes, index), member),
                fault(code),
            );
        };
        match error {
            DocumentError::RepeatedPermission { index } => {
                let item = JsonPointer::Item(&permissions, *index);
                faults.add(&JsonPointer::Member(&item, "key"), fault("repeated"));
            }
            DocumentError::RepeatedRole { index } => {
                let item = JsonPointer::Item(&roles, *index);
                faults.add(&JsonPointer::Member(&item, "name"), fault("repeated"));
            }
            DocumentError::UnknownPermission { role, index } => {
                let item = JsonPointer::Item(&roles, *role);
                let keys = JsonPointer::Member(&item, "permission_keys");
                faults.add(&JsonPointer::Item(&keys, *index), fault("unknown_permission_key"));
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

async fn get_export(request: Request<EnvironmentRef>) -> Result<Exported, Problem> {
    let (place, max_bytes) = (request.tenancy, request.import_bytes());
    let of = request
        .run(move |app, _| async move { transfer::export_environment(&app, &place, max_bytes).await })
        .await?;
    let encoded = request
        .work(move |pace| {
            let encoded = document::encode((&of.0, &of.1), max_bytes, pace)?;
            Ok(encoded.ok_or(TenancyError::TooLarge { max_bytes }))
        })
        .await?;
    encoded.map_err(Into::into)
}

async fn post_import(
    request: Request<EnvironmentRef, (), ImportEnvironment, ImportParts>,
) -> Result<Repeatable<Found<ImportedEnvironment>>, Problem> {
    let (parts, request) = request.take_body();
    let (place, dry_run) = (request.tenancy, request.query.dry_run);
    let document = request.work(move |_| Ok(parts.document())).await??;
    let document = Arc::new(document);
    let import = transfer::ImportEnvironment {
        environment: place,
        document,
    };
    request
        .execute_once(import, Mode::dry_run_if(dry_run), move |imported| {
            Ok(Found(ImportedEnvironment::of(&imported, !dry_run)))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use canopy_app::long_work::Pace;
    use canopy_domain::{ApplicationId, Environment, EnvironmentId, Slug, Timestamp, Version};
    use uuid::Uuid;

    fn acme() -> Environment {
        let now = Timestamp::parse("2026-04-20T12:00:00Z").unwrap();
        Environment {
            id: EnvironmentId::new(Uuid::nil()),
            application_id: ApplicationId::new(Uuid::nil()),
            name: DisplayName::parse("Development").unwrap(),
            slug: Slug::parse("development").unwrap(),
            settings: JsonObject::default(),
            access_model: AccessModel::Hierarchy,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        }
    }

    /// Returns a tree with departments of 999 teams each.
    fn tree(departments: usize) -> Document {
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
        for department in 0..departments {
            let above = format!("acme/department-{department}");
            nodes.push((path(above.clone()), entry(1, format!("Department {department}"))));
            let teams = (0..999).map(|n| (path(format!("{above}/team-{n}")), entry(2, format!("Team {n}"))));
            nodes.extend(teams);
        }
        Document::new(AccessModel::Hierarchy, schema, Vec::new(), Vec::new(), nodes).unwrap()
    }

    fn encoded(document: &Document, max_bytes: u64) -> Option<Vec<u8>> {
        let encoded = document::encode((&acme(), document), max_bytes, &mut Pace::unbroken()).unwrap();
        encoded.map(Exported::into_bytes)
    }

    #[test]
    fn a_document_in_pieces_comes_back() {
        let document = tree(10);
        let written = encoded(&document, u64::MAX).unwrap();
        let mut faults = Faults::default();
        let mut stream = ObjectStream::new(ImportLists::default());
        for piece in written.chunks(1_000) {
            stream.push(piece, &mut faults).unwrap();
        }
        let read =
            |head: &Json<'_>, faults: &mut Faults| ImportDocument::read(head, &JsonPointer::Root, faults).unwrap();
        let (head, lists) = stream.end(&mut faults, read).unwrap();
        assert!(faults.is_empty());
        assert_eq!(ImportParts::of(head, lists).unwrap().document().unwrap(), document);
    }

    #[test]
    fn a_document_has_a_bounded_size() {
        let document = tree(1);
        let written = encoded(&document, u64::MAX).unwrap();
        let size = u64::try_from(written.len()).unwrap();
        assert_eq!(encoded(&document, size), Some(written));
        assert_eq!(encoded(&document, size - 1), None);
    }
}
