//! The names of an index, and their facts.

use super::NameError;
use super::ids::{IdKind, Ids};
use crate::access::{GrantFact, NodeFact, PermissionFact, RoleFact, SubjectFact};
use crate::slug_path::{SlugPath, SlugPathError};
use crate::{
    AssignmentId, AssignmentKey, IdentityId, MembershipStatus, NodeId, NodeType, PermissionId, PermissionKey, RoleName,
    Slug, Window,
};
use std::collections::HashMap;
use std::sync::Arc;

/// The facts of a node that do not follow from its path.
#[derive(Debug, Clone)]
pub(super) struct NamedNode {
    pub(super) path: Arc<str>,
    pub(super) parent: Option<NodeId>,
    pub(super) is_active: bool,
}

/// All named entities.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) ids: Ids,
    pub(super) permissions: HashMap<PermissionKey, PermissionId>,
    /// Roles, by folded name.
    pub(super) roles: HashMap<String, RoleFact>,
    pub(super) paths: HashMap<Arc<str>, NodeId>,
    pub(super) nodes: HashMap<NodeId, NamedNode>,
    pub(super) root: Option<Arc<str>>,
    pub(super) identities: HashMap<Arc<str>, IdentityId>,
    /// The name of each identity.
    pub(super) called: HashMap<IdentityId, Arc<str>>,
    pub(super) grants: HashMap<AssignmentKey, AssignmentId>,
}

impl Names {
    pub(super) fn new(ids: Ids) -> Self {
        Self {
            ids,
            permissions: HashMap::new(),
            roles: HashMap::new(),
            paths: HashMap::new(),
            nodes: HashMap::new(),
            root: None,
            identities: HashMap::new(),
            called: HashMap::new(),
            grants: HashMap::new(),
        }
    }

    /// Adds a permission; `None` if the key exists.
    pub(super) fn add_permission(&mut self, key: &str) -> Result<Option<PermissionFact>, NameError> {
        if self.permissions.contains_key(key) {
            return Ok(None);
        }
        let parsed = PermissionKey::parse(key).map_err(|rule| NameError::PermissionKey {
            key: key.to_owned(),
            rule,
        })?;
        let id = self.ids.make(IdKind::Permission, key)?;
        self.permissions.insert(parsed.clone(), id);
        Ok(Some(PermissionFact { id, key: parsed }))
    }

    /// Adds a role, or replaces the permissions of the role with this name.
    pub(super) fn set_role<'k>(
        &mut self,
        name: &str,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<RoleFact, NameError> {
        let parsed = RoleName::parse(name).map_err(|rule| NameError::RoleName {
            name: name.to_owned(),
            rule,
        })?;
        let mut permissions = Vec::new();
        for key in keys {
            let id = self.permissions.get(key).copied();
            permissions.push(id.ok_or_else(|| NameError::UnknownPermissionOfRole {
                role: name.to_owned(),
                key: key.to_owned(),
            })?);
        }
        permissions.sort_unstable();
        permissions.dedup();
        let folded = parsed.folded();
        let id = match self.roles.get(&folded) {
            Some(role) => role.id,
            None => self.ids.make(IdKind::Role, name)?,
        };
        let fact = RoleFact {
            id,
            name: parsed,
            is_active: true,
            permissions,
        };
        self.roles.insert(folded, fact.clone());
        Ok(fact)
    }

    /// Finds a role by its name, ignoring case.
    pub(super) fn role(&self, name: &str) -> Result<&RoleFact, NameError> {
        let folded = RoleName::parse(name).ok().map(|parsed| parsed.folded());
        folded
            .and_then(|folded| self.roles.get(&folded))
            .ok_or_else(|| NameError::UnknownRole { name: name.to_owned() })
    }

    /// Adds a node with its missing ancestors; returns the added nodes, from the top.
    pub(super) fn add_node(&mut self, path: &str) -> Result<Vec<NodeFact>, NameError> {
        SlugPath::parse(path).map_err(|rule| refused(path, rule))?;
        let first = path.split('/').next().unwrap_or(path);
        if let Some(root) = self.root.as_deref().filter(|root| *root != first) {
            return Err(NameError::SecondRoot {
                path: path.to_owned(),
                root: root.to_owned(),
            });
        }
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        let (mut missing, mut parent): (Vec<(NodeId, &str, Option<NodeId>)>, _) = (Vec::new(), None);
        for path in ends.filter_map(|end| path.get(..end)) {
            let id = match self.paths.get(path) {
                Some(id) => *id,
                None => match self.ids.make(IdKind::Node, path) {
                    Ok(id) => {
                        missing.push((id, path, parent));
                        id
                    }
                    Err(error) => {
                        for (id, ..) in &missing {
                            self.ids.release(id.as_uuid());
                        }
                        return Err(error);
                    }
                },
            };
            parent = Some(id);
        }
        let mut added = Vec::with_capacity(missing.len());
        for (id, path, parent) in missing {
            self.put_node(id, path.into(), parent, true);
            added.push(self.node_fact(id)?);
        }
        Ok(added)
    }

    /// Adds a node under its path.
    pub(super) fn put_node(&mut self, id: NodeId, path: Arc<str>, parent: Option<NodeId>, is_active: bool) {
        if parent.is_none() {
            self.root = Some(Arc::clone(&path));
        }
        self.paths.insert(Arc::clone(&path), id);
        let node = NamedNode {
            path,
            parent,
            is_active,
        };
        self.nodes.insert(id, node);
    }

    /// Returns the facts of a node.
    pub(super) fn node_fact(&self, id: NodeId) -> Result<NodeFact, NameError> {
        let unknown = || NameError::UnknownNode { path: id.to_string() };
        let node = self.nodes.get(&id).ok_or_else(unknown)?;
        let last = node.path.rsplit('/').next().unwrap_or_default();
        Ok(NodeFact {
            id,
            parent: node.parent,
            node_type: NodeType::node(),
            slug: Slug::parse(last).map_err(|rule| refused(&node.path, rule.into()))?,
            is_active: node.is_active,
        })
    }

    /// Finds a node by its path.
    pub(super) fn node(&self, path: &str) -> Result<NodeId, NameError> {
        let id = self.paths.get(path).copied();
        id.ok_or_else(|| NameError::UnknownNode { path: path.to_owned() })
    }

    /// Finds an identity by its name.
    pub(super) fn identity(&self, name: &str) -> Result<IdentityId, NameError> {
        let id = self.identities.get(name).copied();
        id.ok_or_else(|| NameError::UnknownIdentity { name: name.to_owned() })
    }

    /// Adds an identity; `None` if the name exists.
    pub(super) fn add_identity(&mut self, name: &str) -> Result<Option<SubjectFact>, NameError> {
        if name.is_empty() {
            return Err(NameError::EmptyIdentity);
        }
        if self.identities.contains_key(name) {
            return Ok(None);
        }
        let id = self.ids.make(IdKind::Identity, name)?;
        let name: Arc<str> = name.into();
        self.identities.insert(Arc::clone(&name), id);
        self.called.insert(id, name);
        Ok(Some(subject(id, true)))
    }

    /// Removes an identity and its grants.
    pub(super) fn remove_identity(&mut self, id: IdentityId) {
        if let Some(name) = self.called.remove(&id) {
            self.identities.remove(&name);
            self.ids.release(id.as_uuid());
        }
        let ids = &mut self.ids;
        self.grants.retain(|key, grant| {
            let stays = key.identity != id;
            if !stays {
                ids.release(grant.as_uuid());
            }
            stays
        });
    }

    /// Adds a grant, or replaces the window of an equal one. Adds an unknown identity.
    pub(super) fn grant(
        &mut self,
        (identity, role, node): (&str, &str, &str),
        window: Window,
    ) -> Result<(Option<SubjectFact>, GrantFact), NameError> {
        let (role_id, node_id) = (self.role(role)?.id, self.node(node)?);
        let new = self.add_identity(identity)?;
        let key = AssignmentKey {
            identity: self.identity(identity)?,
            role: role_id,
            node: node_id,
        };
        let id = match self.grants.get(&key) {
            Some(id) => *id,
            None => match self.ids.make(IdKind::Grant, &format!("{identity}\n{role}\n{node}")) {
                Ok(id) => id,
                Err(error) => {
                    if let Some(new) = new {
                        self.remove_identity(new.id);
                    }
                    return Err(error);
                }
            },
        };
        self.grants.insert(key, id);
        Ok((new, GrantFact { id, key, window }))
    }
}

/// Returns the facts of an identity that is a member.
pub(super) const fn subject(id: IdentityId, is_active: bool) -> SubjectFact {
    SubjectFact {
        id,
        is_active,
        membership: MembershipStatus::Active,
    }
}

pub(super) fn refused(path: &str, rule: SlugPathError) -> NameError {
    NameError::NodePath {
        path: path.to_owned(),
        rule,
    }
}
