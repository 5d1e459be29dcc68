//! Changes by names. Each is atomic: the next check sees it, and a refused change has no effect.

use super::names::{refused, subject};
use super::{NameError, NamedIndex};
use crate::access::{Change, IndexError};
use crate::slug_path::SlugPath;
use crate::{AssignmentKey, NodeId, Window};
use std::sync::Arc;

impl NamedIndex {
    /// Adds a permission, unless it exists.
    ///
    /// # Errors
    /// A [`NameError`] for a text that is no permission key.
    pub fn add_permission(&mut self, key: &str) -> Result<(), NameError> {
        let added = self.names.add_permission(key)?;
        self.apply(&added.map(Change::PermissionPut).into_iter().collect::<Vec<_>>())
    }

    /// Adds a role, or replaces the permissions of the role with this name.
    ///
    /// # Errors
    /// A [`NameError`] for a text that is no role name, or for an unknown permission.
    pub fn set_role<'k>(&mut self, name: &str, keys: impl IntoIterator<Item = &'k str>) -> Result<(), NameError> {
        let role = self.names.set_role(name, keys)?;
        self.apply(&[Change::RolePut(role)])
    }

    /// Removes a role without grants.
    ///
    /// # Errors
    /// A [`NameError`] for a role that is unknown or granted.
    pub fn remove_role(&mut self, name: &str) -> Result<(), NameError> {
        let role = self.names.role(name)?;
        let (id, folded) = (role.id, role.name.folded());
        match self.apply(&[Change::RoleRemoved(id)]) {
            Err(NameError::Index(IndexError::RoleInUse(_))) => {
                return Err(NameError::RoleInUse { name: name.to_owned() });
            }
            applied => applied?,
        }
        self.names.roles.remove(&folded);
        self.names.ids.release(id.as_uuid());
        Ok(())
    }

    /// Adds a node with its missing ancestors, unless it exists.
    ///
    /// # Errors
    /// A [`NameError`] for a text that is no path, or for a path with another root.
    pub fn add_node(&mut self, path: &str) -> Result<(), NameError> {
        let added = self.names.add_node(path)?;
        self.apply(&added.into_iter().map(Change::NodePut).collect::<Vec<_>>())
    }

    /// Moves a node below another parent, with its subtree and all grants there. Visits all paths.
    ///
    /// # Errors
    /// A [`NameError`] for an unknown node or parent, for a parent at or below the node, and if the parent has a node
    /// of this name.
    pub fn move_node(&mut self, path: &str, parent: &str) -> Result<(), NameError> {
        let (node, above) = (self.names.node(path)?, self.names.node(parent)?);
        if parent == path || is_below(parent, path) {
            return Err(NameError::Cycle {
                node: path.to_owned(),
                parent: parent.to_owned(),
            });
        }
        let last = path.rsplit('/').next().unwrap_or(path);
        let moved_to = format!("{parent}/{last}");
        if moved_to == path {
            return Ok(());
        }
        if self.names.paths.contains_key(moved_to.as_str()) {
            return Err(NameError::PathTaken { path: moved_to });
        }
        let moved = self.moved_paths(path, &moved_to)?;
        let mut fact = self.names.node_fact(node)?;
        fact.parent = Some(above);
        self.apply(&[Change::NodePut(fact)])?;
        for (id, new) in moved {
            self.names.paths.insert(Arc::clone(&new), id);
            if let Some(one) = self.names.nodes.get_mut(&id) {
                let old = core::mem::replace(&mut one.path, new);
                self.names.paths.remove(&old);
            }
        }
        if let Some(one) = self.names.nodes.get_mut(&node) {
            one.parent = Some(above);
        }
        Ok(())
    }

    /// Removes a node without nodes below it and without grants.
    ///
    /// # Errors
    /// A [`NameError`] for a node that is unknown or in use.
    pub fn remove_node(&mut self, path: &str) -> Result<(), NameError> {
        let node = self.names.node(path)?;
        match self.apply(&[Change::NodeRemoved(node)]) {
            Err(NameError::Index(IndexError::NodeInUse(_))) => {
                return Err(NameError::NodeInUse { path: path.to_owned() });
            }
            applied => applied?,
        }
        self.names.paths.remove(path);
        self.names.nodes.remove(&node);
        self.names.ids.release(node.as_uuid());
        if self.names.paths.is_empty() {
            self.names.root = None;
        }
        Ok(())
    }

    /// Activates or deactivates a node. An inactive node gives no access at it and below it.
    ///
    /// # Errors
    /// A [`NameError`] for an unknown node.
    pub fn set_node_active(&mut self, path: &str, is_active: bool) -> Result<(), NameError> {
        let node = self.names.node(path)?;
        let mut fact = self.names.node_fact(node)?;
        fact.is_active = is_active;
        self.apply(&[Change::NodePut(fact)])?;
        if let Some(one) = self.names.nodes.get_mut(&node) {
            one.is_active = is_active;
        }
        Ok(())
    }

    /// Adds an identity without a grant, unless it exists.
    ///
    /// # Errors
    /// A [`NameError`] for an empty name.
    pub fn add_identity(&mut self, name: &str) -> Result<(), NameError> {
        let added = self.names.add_identity(name)?;
        self.apply(&added.map(Change::SubjectPut).into_iter().collect::<Vec<_>>())
    }

    /// Removes an identity and all its grants. Visits all grants.
    ///
    /// # Errors
    /// A [`NameError`] for an unknown identity.
    pub fn remove_identity(&mut self, name: &str) -> Result<(), NameError> {
        let identity = self.names.identity(name)?;
        self.apply(&[Change::SubjectRemoved(identity)])?;
        self.names.remove_identity(identity);
        Ok(())
    }

    /// Activates or deactivates an identity. An inactive one has no access, and keeps its grants.
    ///
    /// # Errors
    /// A [`NameError`] for an unknown identity.
    pub fn set_identity_active(&mut self, name: &str, is_active: bool) -> Result<(), NameError> {
        let identity = self.names.identity(name)?;
        self.apply(&[Change::SubjectPut(subject(identity, is_active))])
    }

    /// Grants a role at a node and all nodes below it, without end. Adds an unknown identity, and replaces the window
    /// of an equal grant.
    ///
    /// # Errors
    /// A [`NameError`] for an unknown role or node.
    pub fn grant(&mut self, identity: &str, role: &str, node: &str) -> Result<(), NameError> {
        self.grant_during(identity, role, node, Window::ALWAYS)
    }

    /// Grants a role like [`grant`](Self::grant), during a window.
    ///
    /// # Errors
    /// Like [`grant`](Self::grant).
    pub fn grant_during(&mut self, identity: &str, role: &str, node: &str, window: Window) -> Result<(), NameError> {
        let (new, grant) = self.names.grant((identity, role, node), window)?;
        let new = new.map(Change::SubjectPut);
        self.apply(&new.into_iter().chain([Change::GrantPut(grant)]).collect::<Vec<_>>())
    }

    /// Revokes a role that was granted at exactly this node.
    ///
    /// # Errors
    /// A [`NameError`] for an unknown name, and if the identity was not granted the role at the node itself.
    pub fn revoke(&mut self, identity: &str, role: &str, node: &str) -> Result<(), NameError> {
        let key = AssignmentKey {
            identity: self.names.identity(identity)?,
            role: self.names.role(role)?.id,
            node: self.names.node(node)?,
        };
        let id = self.names.grants.get(&key).copied();
        let id = id.ok_or_else(|| NameError::NotGranted {
            identity: identity.to_owned(),
            role: role.to_owned(),
            node: node.to_owned(),
        })?;
        self.apply(&[Change::GrantRemoved(id)])?;
        self.names.grants.remove(&key);
        self.names.ids.release(id.as_uuid());
        Ok(())
    }

    /// Returns the nodes of a moved subtree, each with its new path.
    fn moved_paths(&self, from: &str, to: &str) -> Result<Vec<(NodeId, Arc<str>)>, NameError> {
        let mut moved = Vec::new();
        for (old, id) in &self.names.paths {
            let below = old.strip_prefix(from).unwrap_or_default();
            if **old == *from || below.starts_with('/') {
                let new = format!("{to}{below}");
                SlugPath::parse(&new).map_err(|rule| refused(&new, rule))?;
                moved.push((*id, new.into()));
            }
        }
        Ok(moved)
    }

    /// Applies changes as one step; an empty list is no step.
    fn apply(&mut self, changes: &[Change]) -> Result<(), NameError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.index.apply(self.index.revision().next(), changes)?;
        if !self.has_revisions_of_caller {
            self.revision = self.revision.next();
        }
        Ok(())
    }
}

/// Returns whether a path is below another one.
fn is_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
}
