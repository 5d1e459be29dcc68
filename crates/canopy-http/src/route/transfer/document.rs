//! The document of an exported environment, and its encoding.

use crate::answer::{Answer, Success};
use crate::rendered::{Rendered, TooLarge};
use crate::wire::{Components, ShownModel, ShownNodeStatus, object};
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use canopy_app::long_work::{Pace, Stopped};
use canopy_domain::transfer::{Document, NodeEntry, PermissionEntry, RoleEntry, SlugPath};
use canopy_domain::{Environment, HierarchySchema, JsonObject, NodeStatus, PermissionKey};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io;
use utoipa::ToSchema;

/// The only document format.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Number of bytes between two calls of the pacing.
const SLICE_BYTES: u64 = 64 * 1024;

/// The items of a list, created one by one while they are encoded.
struct Each<'d, T>(Box<dyn Fn() -> Box<dyn Iterator<Item = T> + 'd> + 'd>);

impl<'d, T> Each<'d, T> {
    fn of<I: Iterator<Item = T> + 'd>(items: impl Fn() -> I + 'd) -> Self {
        Self(Box::new(move || Box::new(items())))
    }
}

impl<T: Serialize> Serialize for Each<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// The contents of an environment. References are by name: a permission by its key, a role by its name ignoring case, a
/// node by the slugs from the root to it.
#[derive(Serialize, ToSchema)]
pub(super) struct EnvironmentDocument<'d> {
    format_version: u32,
    /// The slug of the exported environment.
    source_env: String,
    access_model: ShownModel,
    hierarchy_schema: ExportedSchema,
    /// Custom permissions, by key.
    #[schema(value_type = Vec<ExportedPermission>)]
    permissions: Each<'d, ExportedPermission>,
    /// Custom roles, by name.
    #[schema(value_type = Vec<ExportedRole>)]
    roles: Each<'d, ExportedRole>,
    /// Parents before their children.
    #[schema(value_type = Vec<ExportedNode>)]
    nodes: Each<'d, ExportedNode>,
    /// Always empty: not supported by this service.
    #[schema(value_type = Vec<Object>)]
    oauth_clients: [(); 0],
    /// Always empty: not supported by this service.
    #[schema(value_type = Vec<Object>)]
    webhooks: [(); 0],
}

#[derive(Serialize, ToSchema)]
struct ExportedSchema {
    node_types: Vec<String>,
    /// For each node type, the types allowed directly below it.
    allowed_children: BTreeMap<String, Vec<String>>,
    /// Maximum depth of the tree; the root has depth 1.
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
    /// The slugs from the root to the node, separated by `/`.
    path: String,
    node_type: String,
    name: String,
    /// Omitted if active.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ShownNodeStatus, required = false)]
    status: Option<ShownNodeStatus>,
    /// Omitted if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    metadata: Option<Box<RawValue>>,
}

impl ExportedPermission {
    fn of((key, entry): (&PermissionKey, &PermissionEntry)) -> Self {
        Self {
            key: key.to_string(),
            description: entry.description.as_ref().map(ToString::to_string),
            category: entry.category.as_ref().map(ToString::to_string),
        }
    }
}

impl ExportedRole {
    fn of(entry: &RoleEntry) -> Self {
        Self {
            name: entry.name.to_string(),
            description: entry.description.as_ref().map(ToString::to_string),
            is_active: entry.is_active,
            permission_keys: entry.permission_keys.iter().map(ToString::to_string).collect(),
        }
    }
}

impl ExportedNode {
    fn of((path, entry): (&SlugPath, &NodeEntry)) -> Self {
        Self {
            path: path.to_string(),
            node_type: entry.node_type.to_string(),
            name: entry.name.to_string(),
            status: (entry.status != NodeStatus::Active).then_some(ShownNodeStatus(entry.status)),
            metadata: (entry.metadata != JsonObject::default()).then(|| object(&entry.metadata)),
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

impl<'d> EnvironmentDocument<'d> {
    fn of(environment: &Environment, document: &'d Document) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            source_env: environment.slug.to_string(),
            access_model: ShownModel(document.access_model()),
            hierarchy_schema: ExportedSchema::of(document.schema()),
            permissions: Each::of(move || document.permissions().map(ExportedPermission::of)),
            roles: Each::of(move || document.roles().map(ExportedRole::of)),
            nodes: Each::of(move || document.nodes().map(ExportedNode::of)),
            oauth_clients: [],
            webhooks: [],
        }
    }
}

/// Encodes a document of at most `max_bytes` bytes; `None` for a larger one. It is measured first, so that it is
/// encoded into memory of its size.
pub(super) fn encode(
    (environment, document): (&Environment, &Document),
    max_bytes: u64,
    pace: &mut Pace,
) -> Result<Option<Exported>, Stopped> {
    let mut paced = Paced {
        pace,
        text: None,
        bytes: 0,
        max_bytes,
        stopped: None,
    };
    let Some(bytes) = paced.write_document(environment, document)? else {
        return Ok(None);
    };
    paced.text = Some(Vec::with_capacity(bytes));
    paced.bytes = 0;
    let written = paced.write_document(environment, document)?;
    Ok(written.and(paced.text).map(|text| Exported(text.into())))
}

/// Counts the written bytes and keeps them if it has a buffer. Stops past the limit, and when the caller has gone.
struct Paced<'p> {
    pace: &'p mut Pace,
    text: Option<Vec<u8>>,
    bytes: u64,
    max_bytes: u64,
    stopped: Option<Stopped>,
}

impl Paced<'_> {
    /// Returns the number of bytes; `None` if there are too many.
    fn write_document(&mut self, environment: &Environment, document: &Document) -> Result<Option<usize>, Stopped> {
        let document = EnvironmentDocument::of(environment, document);
        let written = serde_json::to_writer(&mut *self, &document);
        match (written, self.stopped) {
            (Ok(()), _) => Ok(usize::try_from(self.bytes).ok()),
            (Err(_), Some(stopped)) => Err(stopped),
            // Only the size of the document can make it fail.
            (Err(_), None) => Ok(None),
        }
    }
}

impl io::Write for Paced<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.bytes / SLICE_BYTES;
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.bytes > self.max_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.bytes / SLICE_BYTES > before
            && let Err(stopped) = self.pace.check()
        {
            self.stopped = Some(stopped);
            return Err(io::ErrorKind::Other.into());
        }
        if let Some(text) = &mut self.text {
            text.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// 200 with the document of an environment, which has its own size limit.
#[derive(Debug)]
pub(super) struct Exported(Bytes);

impl Answer for Exported {
    fn describe(components: &mut Components) -> Vec<Success> {
        vec![Success {
            status: StatusCode::OK,
            description: "Done.",
            schema: Some(components.answer::<EnvironmentDocument<'static>>()),
            headers: Vec::new(),
        }]
    }

    fn render(self, _: &str, _: usize) -> Result<Rendered, TooLarge> {
        Ok(Rendered {
            body: self.0,
            ..Rendered::empty(StatusCode::OK)
        })
    }
}

#[cfg(test)]
impl Exported {
    /// Returns the whole text.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.to_vec()
    }
}
