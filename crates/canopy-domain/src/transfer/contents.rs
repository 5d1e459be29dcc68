//! The contents of an environment, with ids.

use super::document::is_system_key;
use super::{Document, NodeEntry, PermissionEntry, RoleEntry, SlugPath};
use crate::{Environment, HierarchySchema, Node, NodeId, Permission, PermissionId, PermissionKey, Role};
use std::collections::{BTreeSet, HashMap};

/// The contents of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The environment.
    pub environment: Environment,
    /// The schema of its tree.
    pub schema: HierarchySchema,
    /// Its catalog.
    pub permissions: Vec<Permission>,
    /// Its roles.
    pub roles: Vec<RoleContents>,
    /// Its nodes, parents before their children.
    pub nodes: Vec<Node>,
}

/// A role with its permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleContents {
    /// The role.
    pub role: Role,
    /// Its permissions.
    pub permissions: BTreeSet<PermissionId>,
}

impl Contents {
    /// Returns the equivalent document without ids.
    pub fn document(&self) -> Document {
        let keys: HashMap<PermissionId, &PermissionKey> =
            self.permissions.iter().map(|one| (one.id, &one.key)).collect();
        let custom = self.permissions.iter().filter(|one| !is_system_key(&one.key));
        let entry = |permission: &Permission| PermissionEntry {
            description: permission.description.clone(),
            category: permission.category.clone(),
        };
        let bundle = |permissions: &BTreeSet<PermissionId>| {
            let bundled = permissions.iter().filter_map(|id| keys.get(id));
            bundled.map(|key| (*key).clone()).collect()
        };
        let custom_roles = self.roles.iter().filter(|one| !one.role.kind.is_system());
        let roles = custom_roles.map(|RoleContents { role, permissions }| {
            let entry = RoleEntry {
                name: role.name.clone(),
                description: role.description.clone(),
                is_active: role.is_active,
                permission_keys: bundle(permissions),
            };
            (role.name.folded(), entry)
        });
        let nodes = self.paths().into_iter();
        let mut nodes: Vec<(SlugPath, NodeEntry)> = nodes.map(|(path, node)| (path, NodeEntry::from(node))).collect();
        nodes.sort_unstable_by(|(one, _), (two, _)| one.cmp(two));
        Document {
            access_model: self.environment.access_model,
            schema: self.schema.clone(),
            permissions: custom.map(|one| (one.key.clone(), entry(one))).collect(),
            roles: roles.collect(),
            nodes,
        }
    }

    /// Returns its nodes with their paths, parents before their children.
    pub(super) fn paths(&self) -> Vec<(SlugPath, &Node)> {
        let mut places: HashMap<NodeId, usize> = HashMap::with_capacity(self.nodes.len());
        let mut paths: Vec<(SlugPath, &Node)> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let above = node.parent.and_then(|parent| paths.get(*places.get(&parent)?));
            let path = match above {
                Some((above, _)) => above.child(&node.slug),
                None => SlugPath::root(&node.slug),
            };
            places.insert(node.id, paths.len());
            paths.push((path, node));
        }
        paths
    }
}

impl NodeEntry {
    /// Returns whether the document has these values for the node.
    pub(super) fn is_of(&self, node: &Node) -> bool {
        let Self {
            node_type,
            name,
            status,
            metadata,
        } = self;
        *node_type == node.node_type && *name == node.name && *status == node.status && *metadata == node.metadata
    }
}

impl From<&Node> for NodeEntry {
    fn from(node: &Node) -> Self {
        Self {
            node_type: node.node_type.clone(),
            name: node.name.clone(),
            status: node.status,
            metadata: node.metadata.clone(),
        }
    }
}
