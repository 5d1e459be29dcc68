//! Setup of the catalog and roles of an environment: bootstrap, additions, and setup status.

pub mod bootstrap;
mod resource;
pub mod resource_permissions;
mod size;

use crate::{
    ApplicationId, EnvironmentId, PermissionId, PermissionKey, PermissionSource, RoleId, RoleKind, RoleName, Slug,
};
use std::collections::{BTreeSet, HashMap};

pub use resource::{Resource, ResourceKeyError};
pub use size::{CatalogError, CatalogLimits, CatalogSize};

/// All permissions and roles of an environment, as far as these rules need them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// The permissions.
    pub permissions: HashMap<PermissionKey, CatalogPermission>,
    /// The roles.
    pub roles: HashMap<RoleId, CatalogRole>,
}

/// A permission of a [`Catalog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogPermission {
    /// Its id.
    pub id: PermissionId,
    /// Its source: the system or the customer.
    pub source: PermissionSource,
}

/// A role of a [`Catalog`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogRole {
    /// Its name.
    pub name: RoleName,
    /// Custom or system.
    pub kind: RoleKind,
    /// Its permissions.
    pub permissions: BTreeSet<PermissionId>,
}

impl Catalog {
    fn custom_permissions(&self) -> usize {
        self.permissions
            .values()
            .filter(|p| p.source == PermissionSource::Custom)
            .count()
    }

    fn custom_roles(&self) -> usize {
        self.roles.values().filter(|role| !role.kind.is_system()).count()
    }

    /// Returns the new keys, each once and in order, and the number of keys that exist already or are repeated.
    fn new_keys(&self, keys: &[PermissionKey]) -> (Vec<PermissionKey>, usize) {
        let mut seen = BTreeSet::new();
        let fresh: Vec<PermissionKey> = keys
            .iter()
            .filter(|key| !self.permissions.contains_key(*key) && seen.insert(*key))
            .cloned()
            .collect();
        let skipped = keys.len() - fresh.len();
        (fresh, skipped)
    }

    /// Returns the keys that are neither in the catalog nor in `fresh`, sorted, each once.
    fn unknown_keys<'a>(
        &self,
        fresh: &[PermissionKey],
        wanted: impl Iterator<Item = &'a PermissionKey>,
    ) -> Vec<PermissionKey> {
        let fresh: BTreeSet<&PermissionKey> = fresh.iter().collect();
        let unknown: BTreeSet<&PermissionKey> = wanted
            .filter(|key| !self.permissions.contains_key(*key) && !fresh.contains(key))
            .collect();
        unknown.into_iter().cloned().collect()
    }
}

/// The setup status of an environment. Counts only custom rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupSummary {
    /// The application.
    pub application_id: ApplicationId,
    /// Its slug.
    pub application_slug: Slug,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// Its slug.
    pub environment_slug: Slug,
    /// True if it has a custom permission.
    pub has_permissions: bool,
    /// True if it has a custom role.
    pub has_roles: bool,
    /// True if a custom role has a permission.
    pub has_role_permissions: bool,
    /// Number of active members of the application, including inactive identities.
    pub identities: u64,
}

impl SetupSummary {
    /// Returns whether the setup is complete, so that roles can be assigned.
    pub const fn is_complete(&self) -> bool {
        self.has_permissions && self.has_roles && self.has_role_permissions
    }
}
