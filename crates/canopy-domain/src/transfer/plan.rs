//! Plans the replacement of an environment's contents by a document.

use super::document::is_system_key;
use super::{Contents, Document, NodeEntry, RoleContents, RoleEntry};
use crate::changeset::{Bundle, ChangeSet, EnvironmentRow, Rows, Updated};
use crate::{
    Assignment, Environment, HierarchySchema, Node, NodeId, Permission, PermissionId, PermissionKey, PermissionSource,
    Role, RoleId, RoleKind, Slug, Timestamp, Version,
};
use core::hash::Hash;
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// The changes of one kind of row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChanges<T> {
    /// New rows.
    pub added: Vec<T>,
    /// Changed rows, in their new state.
    pub changed: Vec<T>,
    /// Deleted rows.
    pub removed: Vec<T>,
    /// Number of unchanged rows.
    pub kept: usize,
}

impl<T> Default for RowChanges<T> {
    fn default() -> Self {
        Self {
            added: Vec::new(),
            changed: Vec::new(),
            removed: Vec::new(),
            kept: 0,
        }
    }
}

impl<T> RowChanges<T> {
    const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// The plan that replaces the contents of an environment by those of a document. Seeded rows stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The changed environment, if its access model or schema changes.
    pub environment: Option<Environment>,
    /// The new schema.
    pub schema: HierarchySchema,
    /// Custom permissions.
    pub permissions: RowChanges<Permission>,
    /// Custom roles. A role whose permissions change counts as changed.
    pub roles: RowChanges<RoleContents>,
    /// Permissions that existing and new roles gain.
    pub bound: Vec<(RoleId, PermissionId)>,
    /// Permissions that existing roles lose, among permissions that are not deleted.
    pub unbound: Vec<(RoleId, PermissionId)>,
    /// Nodes: new ones parents first, deleted ones children first.
    pub nodes: RowChanges<Node>,
}

impl Plan {
    /// Returns whether nothing changes.
    pub const fn is_empty(&self) -> bool {
        self.environment.is_none() && self.permissions.is_empty() && self.roles.is_empty() && self.nodes.is_empty()
    }

    /// Converts the plan to a change set. The `lost` assignments are deleted with their roles and nodes.
    pub fn change_set(&self, before: &Contents, lost: Vec<Assignment>) -> ChangeSet {
        let environment = before.environment.id;
        let bundles: HashMap<RoleId, &BTreeSet<PermissionId>> =
            before.roles.iter().map(|one| (one.role.id, &one.permissions)).collect();
        let contents = self.roles.changed.iter().chain(&self.roles.added);
        let bundles = contents.map(|one| Bundle {
            environment,
            role: one.role.id,
            before: bundles.get(&one.role.id).copied().cloned().unwrap_or_default(),
            after: one.permissions.clone(),
        });
        let environments = self.environment.iter().map(|after| Updated {
            before: EnvironmentRow {
                environment: before.environment.clone(),
                schema: before.schema.clone(),
            },
            after: EnvironmentRow {
                environment: after.clone(),
                schema: self.schema.clone(),
            },
        });
        ChangeSet {
            environments: Rows::updated(environments.collect()),
            permissions: rows(&self.permissions, &before.permissions, Permission::clone, |one| one.id),
            roles: rows(&self.roles, &before.roles, |one| one.role.clone(), |one| one.role.id),
            bundles: bundles.collect(),
            nodes: rows(&self.nodes, &before.nodes, Node::clone, |one| one.id),
            assignments: Rows::removed(lost),
            ..ChangeSet::default()
        }
    }
}

/// Returns the rows of a part of a plan.
fn rows<T, R, Id: Eq + Hash>(
    part: &RowChanges<T>,
    before: &[T],
    row: impl Fn(&T) -> R,
    id: impl Fn(&T) -> Id,
) -> Rows<R> {
    let known: HashMap<Id, &T> = before.iter().map(|one| (id(one), one)).collect();
    let updated = part.changed.iter().filter_map(|after| {
        Some(Updated {
            before: row(known.get(&id(after)).copied()?),
            after: row(after),
        })
    });
    Rows {
        removed: part.removed.iter().map(&row).collect(),
        updated: updated.collect(),
        added: part.added.iter().map(&row).collect(),
    }
}

/// Plans the replacement of an environment's contents by a document; `mint` returns new ids.
pub fn plan(document: &Document, contents: &Contents, now: Timestamp, mint: &mut dyn FnMut() -> Uuid) -> Plan {
    let before = &contents.environment;
    let same = before.access_model == document.access_model && contents.schema == document.schema;
    let environment = (!same).then(|| Environment {
        access_model: document.access_model,
        version: before.version.next(),
        updated_at: now,
        ..before.clone()
    });
    let (permissions, ids) = plan_permissions(document, contents, now, mint);
    let mut plan = Plan {
        environment,
        schema: document.schema.clone(),
        permissions,
        roles: RowChanges::default(),
        bound: Vec::new(),
        unbound: Vec::new(),
        nodes: plan_nodes(document, contents, now, mint),
    };
    plan_roles(&mut plan, document, contents, &ids, now, mint);
    plan
}

/// Also returns the id of each key after the import, including system keys.
fn plan_permissions<'k>(
    document: &'k Document,
    contents: &'k Contents,
    now: Timestamp,
    mint: &mut dyn FnMut() -> Uuid,
) -> (RowChanges<Permission>, HashMap<&'k PermissionKey, PermissionId>) {
    let mut part = RowChanges::default();
    let mut ids = HashMap::new();
    for before in &contents.permissions {
        if is_system_key(&before.key) {
            ids.insert(&before.key, before.id);
            continue;
        }
        let Some(entry) = document.permissions.get(&before.key) else {
            part.removed.push(before.clone());
            continue;
        };
        ids.insert(&before.key, before.id);
        if before.description == entry.description && before.category == entry.category {
            part.kept += 1;
        } else {
            part.changed.push(Permission {
                description: entry.description.clone(),
                category: entry.category.clone(),
                version: before.version.next(),
                ..before.clone()
            });
        }
    }
    for (key, entry) in &document.permissions {
        if ids.contains_key(key) {
            continue;
        }
        let made = Permission {
            id: PermissionId::new(mint()),
            environment_id: contents.environment.id,
            key: key.clone(),
            description: entry.description.clone(),
            category: entry.category.clone(),
            source: PermissionSource::Custom,
            version: Version::FIRST,
            created_at: now,
        };
        ids.insert(key, made.id);
        part.added.push(made);
    }
    (part, ids)
}

fn plan_roles(
    plan: &mut Plan,
    document: &Document,
    contents: &Contents,
    ids: &HashMap<&PermissionKey, PermissionId>,
    now: Timestamp,
    mint: &mut dyn FnMut() -> Uuid,
) {
    let gone: HashSet<PermissionId> = plan.permissions.removed.iter().map(|one| one.id).collect();
    let bundle = |entry: &RoleEntry| -> BTreeSet<PermissionId> {
        let bundled = entry.permission_keys.iter().filter_map(|key| ids.get(key));
        bundled.copied().collect()
    };
    let mut there = HashSet::new();
    for before in contents.roles.iter().filter(|one| !one.role.kind.is_system()) {
        let (id, name) = (before.role.id, before.role.name.folded());
        let Some(entry) = document.roles.get(&name) else {
            plan.roles.removed.push(before.clone());
            continue;
        };
        there.insert(name);
        let permissions = bundle(entry);
        let role = Role {
            name: entry.name.clone(),
            description: entry.description.clone(),
            is_active: entry.is_active,
            ..before.role.clone()
        };
        if role == before.role && permissions == before.permissions {
            plan.roles.kept += 1;
            continue;
        }
        let taken = before
            .permissions
            .difference(&permissions)
            .filter(|one| !gone.contains(one));
        plan.unbound.extend(taken.map(|permission| (id, *permission)));
        let given = permissions.difference(&before.permissions);
        plan.bound.extend(given.map(|permission| (id, *permission)));
        plan.roles.changed.push(RoleContents {
            role: role.next(now),
            permissions,
        });
    }
    for (name, entry) in &document.roles {
        if there.contains(name) {
            continue;
        }
        let role = Role {
            id: RoleId::new(mint()),
            environment_id: contents.environment.id,
            name: entry.name.clone(),
            description: entry.description.clone(),
            kind: RoleKind::Custom,
            is_active: entry.is_active,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        let permissions = bundle(entry);
        plan.bound
            .extend(permissions.iter().map(|permission| (role.id, *permission)));
        plan.roles.added.push(RoleContents { role, permissions });
    }
}

fn plan_nodes(
    document: &Document,
    contents: &Contents,
    now: Timestamp,
    mint: &mut dyn FnMut() -> Uuid,
) -> RowChanges<Node> {
    let mut part = RowChanges::default();
    let paths = contents.paths();
    let there: HashMap<&str, &Node> = paths.iter().map(|(path, node)| (path.below_root(), *node)).collect();
    let mut ids: HashMap<&str, NodeId> = HashMap::with_capacity(document.nodes.len());
    for (path, entry) in &document.nodes {
        let place = path.below_root();
        let Ok(slug) = Slug::parse(path.last()) else { continue };
        let id = if let Some(before) = there.get(place) {
            if before.slug == slug && entry.is_of(before) {
                part.kept += 1;
            } else {
                part.changed.push(Node {
                    version: before.version.next(),
                    updated_at: now,
                    ..filled(before, &slug, entry)
                });
            }
            before.id
        } else {
            // The parent is the root, which has an empty path below the root.
            let above = (!place.is_empty()).then(|| place.rsplit_once('/').map_or("", |(above, _)| above));
            let made = Node {
                id: NodeId::new(mint()),
                environment_id: contents.environment.id,
                parent: above.and_then(|above| ids.get(above).copied()),
                node_type: entry.node_type.clone(),
                name: entry.name.clone(),
                slug,
                status: entry.status,
                metadata: entry.metadata.clone(),
                version: Version::FIRST,
                created_at: now,
                updated_at: now,
            };
            let id = made.id;
            part.added.push(made);
            id
        };
        ids.insert(place, id);
    }
    let gone = paths
        .iter()
        .rev()
        .filter(|(path, _)| !ids.contains_key(path.below_root()));
    part.removed = gone.map(|(_, node)| (*node).clone()).collect();
    part
}

/// Returns the node with the values of the document.
pub(crate) fn filled(node: &Node, slug: &Slug, entry: &NodeEntry) -> Node {
    Node {
        node_type: entry.node_type.clone(),
        name: entry.name.clone(),
        slug: slug.clone(),
        status: entry.status,
        metadata: entry.metadata.clone(),
        ..node.clone()
    }
}
