//! The contents of an environment, without ids.

use super::SlugPath;
use crate::{
    AccessModel, Category, Description, DisplayName, HierarchyError, HierarchySchema, JsonObject, NodeStatus, NodeType,
    PermissionKey, RoleName, SYSTEM_PERMISSION_KEYS, Slug,
};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A permission of a document, besides its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermissionEntry {
    /// A description of what it allows.
    pub description: Option<Description>,
    /// The category for display.
    pub category: Option<Category>,
}

/// A role of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleEntry {
    /// Its name.
    pub name: RoleName,
    /// Its description.
    pub description: Option<Description>,
    /// False if the role is inactive, so that it grants nothing.
    pub is_active: bool,
    /// Its permissions.
    pub permission_keys: BTreeSet<PermissionKey>,
}

/// A role as listed in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleDraft {
    /// Its name.
    pub name: RoleName,
    /// Its description.
    pub description: Option<Description>,
    /// False if the role is inactive, so that it grants nothing.
    pub is_active: bool,
    /// Its permissions, in the order of the document.
    pub permission_keys: Vec<PermissionKey>,
}

impl From<RoleDraft> for RoleEntry {
    fn from(draft: RoleDraft) -> Self {
        Self {
            name: draft.name,
            description: draft.description,
            is_active: draft.is_active,
            permission_keys: draft.permission_keys.into_iter().collect(),
        }
    }
}

/// A node of a document, besides its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its node type, as defined in the schema.
    pub node_type: NodeType,
    /// Its name.
    pub name: DisplayName,
    /// Active or inactive.
    pub status: NodeStatus,
    /// Free-form metadata of the customer.
    pub metadata: JsonObject,
}

/// The contents of an environment. They are consistent: roles bundle existing permissions, and the schema allows the
/// tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub(super) access_model: AccessModel,
    pub(super) schema: HierarchySchema,
    pub(crate) permissions: BTreeMap<PermissionKey, PermissionEntry>,
    /// Roles by folded name.
    pub(crate) roles: BTreeMap<String, RoleEntry>,
    /// Nodes sorted by path, so parents come before their children.
    pub(super) nodes: Vec<(SlugPath, NodeEntry)>,
}

/// One contradiction in a document; indexes refer to the lists it was built from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A permission has the key of an earlier one.
    #[error("an earlier permission has the same key")]
    RepeatedPermission {
        /// The permission.
        index: usize,
    },
    /// A role has the name of an earlier one.
    #[error("an earlier role has the same name, ignoring case")]
    RepeatedRole {
        /// The role.
        index: usize,
    },
    /// A role bundles a key that is neither in the document nor a system key.
    #[error("the document has no such permission")]
    UnknownPermission {
        /// The role.
        role: usize,
        /// The key, among those of the role.
        index: usize,
    },
    /// A node has the path of an earlier one.
    #[error("an earlier node has the same path")]
    RepeatedNode {
        /// The node.
        index: usize,
    },
    /// No node is a root.
    #[error("one node must be the root: its path is its slug")]
    NoRoot,
    /// A node is a root besides the first one.
    #[error("a tree has one root; the path of a node below it begins with the root's slug")]
    SecondRoot {
        /// The node.
        index: usize,
    },
    /// The root is not of the type that the schema requires.
    #[error("the root must be of the schema's `root_node_type`")]
    RootType {
        /// The root.
        index: usize,
    },
    /// A node has no parent in the document.
    #[error("no node has the path of this node's parent")]
    UnknownParent {
        /// The node.
        index: usize,
    },
    /// The schema does not allow a node at its position.
    #[error("{error}")]
    Misplaced {
        /// The node.
        index: usize,
        /// The rule it breaks.
        #[source]
        error: HierarchyError,
    },
}

/// The contradictions in a document: the first ones, and the number of further ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentErrors {
    listed: Vec<DocumentError>,
    omitted: usize,
}

impl DocumentErrors {
    /// Maximum number of listed contradictions. A document can have more of them than it has bytes.
    pub const MAX_LISTED: usize = 1_000;

    /// Returns the first contradictions.
    pub fn listed(&self) -> &[DocumentError] {
        &self.listed
    }

    /// Returns the number of contradictions that are not listed.
    pub const fn omitted(&self) -> usize {
        self.omitted
    }

    fn push(&mut self, error: DocumentError) {
        if self.listed.len() < Self::MAX_LISTED {
            self.listed.push(error);
        } else {
            self.omitted += 1;
        }
    }
}

/// Returns whether the key is a system permission.
pub(super) fn is_system_key(key: &PermissionKey) -> bool {
    SYSTEM_PERMISSION_KEYS.contains(&key.as_str())
}

impl Document {
    /// Builds a document. Ignores system permissions and the system role: every environment has its own.
    ///
    /// # Errors
    /// All contradictions in it, up to [`DocumentErrors::MAX_LISTED`].
    pub fn new(
        access_model: AccessModel,
        schema: HierarchySchema,
        permissions: Vec<(PermissionKey, PermissionEntry)>,
        roles: Vec<RoleDraft>,
        nodes: Vec<(SlugPath, NodeEntry)>,
    ) -> Result<Self, DocumentErrors> {
        let mut errors = DocumentErrors::default();
        let permissions = catalog(permissions, &mut errors);
        let roles = bundles(roles, &permissions, &mut errors);
        let nodes = tree(access_model, &schema, nodes, &mut errors);
        if errors.listed.is_empty() {
            Ok(Self {
                access_model,
                schema,
                permissions,
                roles,
                nodes,
            })
        } else {
            Err(errors)
        }
    }

    /// Returns the access model.
    pub const fn access_model(&self) -> AccessModel {
        self.access_model
    }

    /// Returns the schema of its tree.
    pub const fn schema(&self) -> &HierarchySchema {
        &self.schema
    }

    /// Returns its custom permissions, by key.
    pub fn permissions(&self) -> impl Iterator<Item = (&PermissionKey, &PermissionEntry)> {
        self.permissions.iter()
    }

    /// Returns its custom roles, by folded name.
    pub fn roles(&self) -> impl Iterator<Item = &RoleEntry> {
        self.roles.values()
    }

    /// Returns its nodes, parents before their children, siblings by slug.
    pub fn nodes(&self) -> impl Iterator<Item = (&SlugPath, &NodeEntry)> {
        self.nodes.iter().map(|(path, entry)| (path, entry))
    }

    /// Returns its root.
    pub(crate) fn root(&self) -> Option<(Slug, &NodeEntry)> {
        let (path, root) = self.nodes.first()?;
        Some((Slug::parse(path.last()).ok()?, root))
    }
}

fn catalog(
    permissions: Vec<(PermissionKey, PermissionEntry)>,
    errors: &mut DocumentErrors,
) -> BTreeMap<PermissionKey, PermissionEntry> {
    let mut catalog = BTreeMap::new();
    for (index, (key, entry)) in permissions.into_iter().enumerate() {
        if is_system_key(&key) {
            continue;
        }
        if catalog.insert(key, entry).is_some() {
            errors.push(DocumentError::RepeatedPermission { index });
        }
    }
    catalog
}

fn bundles(
    roles: Vec<RoleDraft>,
    permissions: &BTreeMap<PermissionKey, PermissionEntry>,
    errors: &mut DocumentErrors,
) -> BTreeMap<String, RoleEntry> {
    let system = RoleName::environment_admin().folded();
    let mut bundles = BTreeMap::new();
    for (role, draft) in roles.into_iter().enumerate() {
        let name = draft.name.folded();
        if name == system {
            continue;
        }
        for (index, key) in draft.permission_keys.iter().enumerate() {
            if !permissions.contains_key(key) && !is_system_key(key) {
                errors.push(DocumentError::UnknownPermission { role, index });
            }
        }
        if bundles.insert(name, draft.into()).is_some() {
            errors.push(DocumentError::RepeatedRole { index: role });
        }
    }
    bundles
}

fn tree(
    model: AccessModel,
    schema: &HierarchySchema,
    mut nodes: Vec<(SlugPath, NodeEntry)>,
    errors: &mut DocumentErrors,
) -> Vec<(SlugPath, NodeEntry)> {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(nodes.len());
    for (index, (path, _)) in nodes.iter().enumerate() {
        match first.entry(path.as_str()) {
            Entry::Occupied(_) => errors.push(DocumentError::RepeatedNode { index }),
            Entry::Vacant(place) => {
                place.insert(index);
            }
        }
    }
    let mut has_root = false;
    for (index, (path, entry)) in nodes.iter().enumerate() {
        if first.get(path.as_str()) != Some(&index) {
            continue;
        }
        let misplaced = |error| DocumentError::Misplaced { index, error };
        match path.parent() {
            None if has_root => errors.push(DocumentError::SecondRoot { index }),
            None => {
                has_root = true;
                if entry.node_type != *schema.root_node_type() {
                    errors.push(DocumentError::RootType { index });
                }
            }
            Some(_) if model == AccessModel::Flat => errors.push(misplaced(HierarchyError::Flat)),
            Some(parent) => match first.get(parent).and_then(|index| nodes.get(*index)) {
                None => errors.push(DocumentError::UnknownParent { index }),
                Some((_, parent)) => {
                    if let Err(error) = schema.check_child(&parent.node_type, &entry.node_type, path.depth()) {
                        errors.push(misplaced(error));
                    }
                }
            },
        }
    }
    if !has_root {
        errors.push(DocumentError::NoRoot);
    }
    drop(first);
    nodes.sort_unstable_by(|(one, _), (two, _)| one.cmp(two));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> PermissionKey {
        PermissionKey::parse(text).unwrap()
    }

    fn kind(text: &str) -> NodeType {
        NodeType::parse(text).unwrap()
    }

    fn role(name: &str, keys: &[&str]) -> RoleDraft {
        RoleDraft {
            name: RoleName::parse(name).unwrap(),
            description: None,
            is_active: true,
            permission_keys: keys.iter().map(|text| key(text)).collect(),
        }
    }

    fn node(path: &str, node_type: &str) -> (SlugPath, NodeEntry) {
        let entry = NodeEntry {
            node_type: kind(node_type),
            name: DisplayName::parse("N").unwrap(),
            status: NodeStatus::Active,
            metadata: JsonObject::default(),
        };
        (SlugPath::parse(path).unwrap(), entry)
    }

    /// `company` over `team` over `team`, at most 3 deep.
    fn schema() -> HierarchySchema {
        let below = [("company", "team"), ("team", "team")].map(|(above, below)| (kind(above), [kind(below)].into()));
        HierarchySchema::new(vec![kind("company"), kind("team")], below.into(), 3, kind("company")).unwrap()
    }

    fn make(
        permissions: &[&str],
        roles: Vec<RoleDraft>,
        nodes: Vec<(SlugPath, NodeEntry)>,
    ) -> Result<Document, Vec<DocumentError>> {
        let permissions = permissions.iter().map(|text| (key(text), PermissionEntry::default()));
        let made = Document::new(AccessModel::Hierarchy, schema(), permissions.collect(), roles, nodes);
        made.map_err(|errors| errors.listed)
    }

    #[test]
    fn every_contradiction_is_told() {
        let made = make(
            &["a.a", "a.b", "a.a"],
            vec![role("R", &["a.b", "role.read", "x.y", "x.z"]), role("r", &[])],
            vec![
                node("acme/a", "team"),
                node("acme", "team"),
                node("acme/a/b/c", "team"),
                node("acme/a", "team"),
                node("other", "company"),
                node("acme/gone/a", "team"),
                node("acme/b", "planet"),
                node("acme/c", "company"),
                node("acme/a/b", "team"),
            ],
        );
        let misplaced = |index, error| DocumentError::Misplaced { index, error };
        let not_allowed = |parent: &str, child: &str| HierarchyError::ChildTypeNotAllowed {
            parent: kind(parent),
            child: kind(child),
        };
        let unknown = |index| DocumentError::UnknownPermission { role: 0, index };
        let expected = vec![
            DocumentError::RepeatedPermission { index: 2 },
            unknown(2),
            unknown(3),
            DocumentError::RepeatedRole { index: 1 },
            DocumentError::RepeatedNode { index: 3 },
            DocumentError::RootType { index: 1 },
            misplaced(2, HierarchyError::MaxDepthExceeded { max_depth: 3 }),
            DocumentError::SecondRoot { index: 4 },
            DocumentError::UnknownParent { index: 5 },
            misplaced(6, HierarchyError::UnknownNodeType),
            misplaced(7, not_allowed("team", "company")),
        ];
        assert_eq!(made, Err(expected));
        assert_eq!(make(&[], vec![], vec![]), Err(vec![DocumentError::NoRoot]));
        let flat = Document::new(
            AccessModel::Flat,
            schema(),
            vec![],
            vec![],
            vec![node("acme", "company"), node("acme/a", "team")],
        );
        assert_eq!(
            flat.map_err(|errors| errors.listed),
            Err(vec![misplaced(1, HierarchyError::Flat)])
        );
    }

    #[test]
    fn a_bounded_number_of_contradictions_is_listed_and_the_rest_counted() {
        let keys: Vec<String> = (0..DocumentErrors::MAX_LISTED).map(|n| format!("no.k{n}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let roles = vec![role("A", &keys), role("B", &keys)];
        let nodes = vec![node("acme", "company")];
        let Err(errors) = Document::new(AccessModel::Hierarchy, schema(), vec![], roles, nodes) else {
            panic!("no key is known")
        };
        assert_eq!((errors.listed().len(), errors.omitted()), (1_000, 1_000));
        assert_eq!(
            errors.listed().last(),
            Some(&DocumentError::UnknownPermission { role: 0, index: 999 })
        );
    }

    #[test]
    fn what_the_system_seeds_is_passed_over() {
        let made = make(
            &["a.a", "role.read"],
            vec![role("environment ADMIN", &["no.such"]), role("R", &["role.read"])],
            vec![node("acme", "company")],
        );
        let made = made.unwrap();
        assert_eq!(
            made.permissions().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
            ["a.a"]
        );
        assert_eq!(made.roles().map(|role| role.name.as_str()).collect::<Vec<_>>(), ["R"]);
    }
}
