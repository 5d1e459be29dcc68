//! What an environment is made of, without ids.

use crate::{
    AccessModel, Category, Description, DisplayName, HierarchyError, HierarchySchema, JsonObject, NodeStatus, NodeType,
    PermissionKey, RoleName, SYSTEM_PERMISSION_KEYS, Slug, SlugError,
};
use core::fmt;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The slugs on the way from the root, whose slug comes first, down to a node; written with `/` between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlugPath(Vec<Slug>);

impl SlugPath {
    /// The largest number of characters of a path in a tree as deep as it may be.
    pub const MAX_CHARS: usize = HierarchySchema::MAX_DEPTH as usize * (Slug::MAX_CHARS + 1) - 1;

    /// Reads slugs with `/` between them.
    ///
    /// # Errors
    /// The rule that the first bad slug breaks.
    ///
    /// ```
    /// # use canopy_domain::transfer::SlugPath;
    /// assert_eq!(SlugPath::parse("acme/eu/berlin")?.to_string(), "acme/eu/berlin");
    /// assert!(SlugPath::parse("acme//berlin").is_err());
    /// # Ok::<(), canopy_domain::SlugError>(())
    /// ```
    pub fn parse(raw: &str) -> Result<Self, SlugError> {
        raw.split('/').map(Slug::parse).collect::<Result<_, _>>().map(Self)
    }

    /// The path of these slugs; `None` where there are none.
    pub fn new(slugs: Vec<Slug>) -> Option<Self> {
        (!slugs.is_empty()).then_some(Self(slugs))
    }

    /// Its slugs, that of the root first.
    pub fn slugs(&self) -> &[Slug] {
        &self.0
    }

    /// The path of a root.
    pub(super) fn root(slug: Slug) -> Self {
        Self(vec![slug])
    }

    /// The path of a node below the one that this path leads to.
    pub(super) fn child(&self, slug: Slug) -> Self {
        let mut slugs = self.0.clone();
        slugs.push(slug);
        Self(slugs)
    }

    /// How deep the node lies; the root has depth 1.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// The slugs below the root: what a node is told apart by, since every tree has one root.
    pub(super) fn below_root(&self) -> &[Slug] {
        self.0.split_first().map(|(_, below)| below).unwrap_or_default()
    }

    /// The slug of the node itself.
    pub(crate) fn last(&self) -> Option<&Slug> {
        self.0.last()
    }

    fn parent(&self) -> Option<Self> {
        match self.0.split_last() {
            None | Some((_, [])) => None,
            Some((_, above)) => Some(Self(above.to_vec())),
        }
    }
}

impl fmt::Display for SlugPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, slug) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            slug.fmt(f)?;
        }
        Ok(())
    }
}

/// A permission of a document, besides its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermissionEntry {
    /// What it allows.
    pub description: Option<Description>,
    /// The group it is shown in.
    pub category: Option<Category>,
}

/// A role of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleEntry {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    pub description: Option<Description>,
    /// An inactive role grants nothing.
    pub is_active: bool,
    /// What it bundles.
    pub permission_keys: BTreeSet<PermissionKey>,
}

/// A node of a document, besides its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its type, one of the schema's.
    pub node_type: NodeType,
    /// Its name.
    pub name: DisplayName,
    /// On or off.
    pub status: NodeStatus,
    /// What the customer keeps with it.
    pub metadata: JsonObject,
}

/// What an environment is made of. Its parts fit together: roles bundle permissions that are there, and the tree is one
/// that the schema allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub(super) access_model: AccessModel,
    pub(super) schema: HierarchySchema,
    pub(super) permissions: BTreeMap<PermissionKey, PermissionEntry>,
    /// By folded name.
    pub(super) roles: BTreeMap<String, RoleEntry>,
    /// Parents come before their children.
    pub(super) nodes: BTreeMap<SlugPath, NodeEntry>,
}

/// One contradiction of a document; indexes are those of the lists it was made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A permission has the key of an earlier one.
    #[error("an earlier permission has the same key")]
    RepeatedPermission {
        /// The permission.
        index: usize,
    },
    /// A role has the name of an earlier one.
    #[error("an earlier role has the same name, without regard to case")]
    RepeatedRole {
        /// The role.
        index: usize,
    },
    /// A role bundles a key that is neither the document's nor the system's.
    #[error("the document has no such permission")]
    UnknownPermission {
        /// The role.
        role: usize,
        /// The key.
        key: PermissionKey,
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
    /// The root is not of the type that the schema says.
    #[error("the root must be of the schema's `root_node_type`")]
    RootType {
        /// The root.
        index: usize,
    },
    /// No node stands at the path above.
    #[error("no node has the path above this one")]
    UnknownParent {
        /// The node.
        index: usize,
    },
    /// The schema does not allow a node where it stands.
    #[error("{error}")]
    Misplaced {
        /// The node.
        index: usize,
        /// The rule it breaks.
        #[source]
        error: HierarchyError,
    },
}

/// Whether every environment has the key from the start.
pub(super) fn is_system_key(key: &PermissionKey) -> bool {
    SYSTEM_PERMISSION_KEYS.contains(&key.as_str())
}

impl Document {
    /// Puts a document together. System permissions and the system role are passed over: every environment has its own.
    ///
    /// # Errors
    /// Every contradiction in it, not the first alone.
    pub fn new(
        access_model: AccessModel,
        schema: HierarchySchema,
        permissions: Vec<(PermissionKey, PermissionEntry)>,
        roles: Vec<RoleEntry>,
        nodes: Vec<(SlugPath, NodeEntry)>,
    ) -> Result<Self, Vec<DocumentError>> {
        let mut errors = Vec::new();
        let permissions = catalog(permissions, &mut errors);
        let roles = bundles(roles, &permissions, &mut errors);
        let nodes = tree(access_model, &schema, nodes, &mut errors);
        if errors.is_empty() {
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

    /// Whether it has a tree of nodes or the root alone.
    pub const fn access_model(&self) -> AccessModel {
        self.access_model
    }

    /// The schema of its tree.
    pub const fn schema(&self) -> &HierarchySchema {
        &self.schema
    }

    /// Its custom permissions, by key.
    pub fn permissions(&self) -> impl Iterator<Item = (&PermissionKey, &PermissionEntry)> {
        self.permissions.iter()
    }

    /// Its custom roles, by folded name.
    pub fn roles(&self) -> impl Iterator<Item = &RoleEntry> {
        self.roles.values()
    }

    /// Its nodes, parents before their children, siblings by slug.
    pub fn nodes(&self) -> impl Iterator<Item = (&SlugPath, &NodeEntry)> {
        self.nodes.iter()
    }

    /// Its root.
    pub(crate) fn root(&self) -> Option<(&Slug, &NodeEntry)> {
        let (path, root) = self.nodes.first_key_value()?;
        Some((path.last()?, root))
    }
}

fn catalog(
    permissions: Vec<(PermissionKey, PermissionEntry)>,
    errors: &mut Vec<DocumentError>,
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
    roles: Vec<RoleEntry>,
    permissions: &BTreeMap<PermissionKey, PermissionEntry>,
    errors: &mut Vec<DocumentError>,
) -> BTreeMap<String, RoleEntry> {
    let system = RoleName::environment_admin().folded();
    let mut bundles = BTreeMap::new();
    for (role, entry) in roles.into_iter().enumerate() {
        let name = entry.name.folded();
        if name == system {
            continue;
        }
        let unknown = |key: &&PermissionKey| !permissions.contains_key(*key) && !is_system_key(key);
        errors.extend(entry.permission_keys.iter().filter(unknown).map(|key| {
            let key = key.clone();
            DocumentError::UnknownPermission { role, key }
        }));
        if bundles.insert(name, entry).is_some() {
            errors.push(DocumentError::RepeatedRole { index: role });
        }
    }
    bundles
}

fn tree(
    model: AccessModel,
    schema: &HierarchySchema,
    nodes: Vec<(SlugPath, NodeEntry)>,
    errors: &mut Vec<DocumentError>,
) -> BTreeMap<SlugPath, NodeEntry> {
    let mut tree: BTreeMap<SlugPath, NodeEntry> = BTreeMap::new();
    let mut places = Vec::with_capacity(nodes.len());
    for (index, (path, entry)) in nodes.into_iter().enumerate() {
        match tree.entry(path) {
            Entry::Occupied(_) => errors.push(DocumentError::RepeatedNode { index }),
            Entry::Vacant(place) => {
                places.push((index, place.key().clone()));
                place.insert(entry);
            }
        }
    }
    let mut has_root = false;
    for (index, path) in places {
        let Some(entry) = tree.get(&path) else { continue };
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
            Some(parent) => match tree.get(&parent) {
                None => errors.push(DocumentError::UnknownParent { index }),
                Some(parent) => {
                    let allowed = schema.check_child(&parent.node_type, &entry.node_type, path.depth());
                    errors.extend(allowed.err().map(misplaced));
                }
            },
        }
    }
    if !has_root {
        errors.push(DocumentError::NoRoot);
    }
    tree
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

    fn role(name: &str, keys: &[&str]) -> RoleEntry {
        RoleEntry {
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
        roles: Vec<RoleEntry>,
        nodes: Vec<(SlugPath, NodeEntry)>,
    ) -> Result<Document, Vec<DocumentError>> {
        let permissions = permissions.iter().map(|text| (key(text), PermissionEntry::default()));
        Document::new(AccessModel::Hierarchy, schema(), permissions.collect(), roles, nodes)
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
        let unknown = |text: &str| DocumentError::UnknownPermission {
            role: 0,
            key: key(text),
        };
        let expected = vec![
            DocumentError::RepeatedPermission { index: 2 },
            unknown("x.y"),
            unknown("x.z"),
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
        assert_eq!(flat, Err(vec![misplaced(1, HierarchyError::Flat)]));
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
