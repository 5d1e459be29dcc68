//! Builds an index from names.

use super::ids::{IdFunction, IdKind, Ids};
use super::names::Names;
use super::{NameError, NamedIndex};
use crate::access::{AccessIndex, Snapshot};
use crate::uuid::Uuid;
use crate::{EnvironmentId, Revision, Window};
use core::fmt;
use std::collections::HashMap;
use std::sync::Arc;

/// Collects names for a [`NamedIndex`]. The order of the calls does not matter: [`build`](Self::build) looks names up.
#[derive(Clone, Default)]
#[must_use]
pub struct IndexBuilder {
    permissions: Vec<String>,
    roles: Vec<(String, Vec<String>)>,
    nodes: Vec<String>,
    identities: Vec<String>,
    grants: Vec<(String, String, String, Option<Window>)>,
    ids: Option<IdFunction>,
    revision: Option<Revision>,
    seed: u64,
}

impl fmt::Debug for IndexBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexBuilder")
            .field("permissions", &self.permissions)
            .field("roles", &self.roles)
            .field("nodes", &self.nodes)
            .field("identities", &self.identities)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

impl IndexBuilder {
    /// Adds a permission by its key, such as `note.read`.
    pub fn permission(mut self, key: impl Into<String>) -> Self {
        self.permissions.push(key.into());
        self
    }

    /// Adds a role and its permissions. Role names are compared ignoring case.
    pub fn role<K: Into<String>>(mut self, name: impl Into<String>, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into).collect();
        self.roles.push((name.into(), keys));
        self
    }

    /// Adds a node by its path from the root, such as `acme/eu`, with its missing ancestors.
    pub fn node(mut self, path: impl Into<String>) -> Self {
        self.nodes.push(path.into());
        self
    }

    /// Adds an identity without a grant, by any name: an id or an email address.
    pub fn identity(mut self, name: impl Into<String>) -> Self {
        self.identities.push(name.into());
        self
    }

    /// Grants a role at a node and all nodes below it, without end. Adds an unknown identity.
    pub fn grant(mut self, identity: impl Into<String>, role: impl Into<String>, node: impl Into<String>) -> Self {
        self.grants.push((identity.into(), role.into(), node.into(), None));
        self
    }

    /// Grants a role like [`grant`](Self::grant), during a window. Of equal grants the last one counts.
    pub fn grant_during(
        mut self,
        identity: impl Into<String>,
        role: impl Into<String>,
        node: impl Into<String>,
        window: Window,
    ) -> Self {
        self.grants
            .push((identity.into(), role.into(), node.into(), Some(window)));
        self
    }

    /// Sets a function that returns a unique id for each entity. By default entities are numbered, so that the same
    /// calls create the same ids.
    pub fn ids(mut self, function: impl Fn(IdKind, &str) -> Uuid + Send + Sync + 'static) -> Self {
        self.ids = Some(Arc::new(function));
        self
    }

    /// Sets the first revision, and leaves later ones to [`NamedIndex::set_revision`]. By default the index begins at
    /// 1, and each change creates the next revision.
    pub const fn revision(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Sets the secret seed of the memory layout, for ids that untrusted users choose; see
    /// [`AccessIndex::build_seeded`].
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Builds the index.
    ///
    /// # Errors
    /// A [`NameError`] with the first invalid name: permissions first, then roles, nodes, identities and grants.
    pub fn build(self) -> Result<NamedIndex, NameError> {
        let mut names = Names::new(self.ids.map_or(Ids::Numbered(0), Ids::of));
        let revision = self.revision.unwrap_or(Revision::new(1));
        let mut facts = Snapshot {
            environment: names.ids.make::<EnvironmentId>(IdKind::Environment, "")?,
            revision,
            permissions: vec![],
            roles: vec![],
            nodes: vec![],
            subjects: vec![],
            grants: vec![],
            keys: vec![],
        };
        for key in &self.permissions {
            facts.permissions.extend(names.add_permission(key)?);
        }
        for (name, keys) in &self.roles {
            if names.role(name).is_ok() {
                return Err(NameError::RoleTaken { name: name.clone() });
            }
            facts.roles.push(names.set_role(name, keys.iter().map(String::as_str))?);
        }
        for path in &self.nodes {
            facts.nodes.extend(names.add_node(path)?);
        }
        for name in &self.identities {
            facts.subjects.extend(names.add_identity(name)?);
        }
        let mut places = HashMap::new();
        for (identity, role, node, window) in &self.grants {
            let (new, grant) = names.grant((identity, role, node), window.unwrap_or(Window::ALWAYS))?;
            facts.subjects.extend(new);
            let earlier = places.get(&grant.id).copied();
            if let Some(earlier) = earlier.and_then(|place: usize| facts.grants.get_mut(place)) {
                *earlier = grant;
            } else {
                places.insert(grant.id, facts.grants.len());
                facts.grants.push(grant);
            }
        }
        Ok(NamedIndex {
            index: AccessIndex::build_seeded(&facts, self.seed)?,
            names,
            revision,
            has_revisions_of_caller: self.revision.is_some(),
        })
    }
}
