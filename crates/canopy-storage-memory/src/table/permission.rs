//! Permissions.

use canopy_domain::{Permission, PermissionId, PermissionKey};
use std::collections::BTreeMap;

/// The permissions of one environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Permissions {
    pub(crate) by_id: BTreeMap<PermissionId, Permission>,
    pub(crate) by_key: BTreeMap<PermissionKey, PermissionId>,
}

impl Permissions {
    /// All of them, by key.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Permission> {
        self.by_key.values().filter_map(|id| self.by_id.get(id))
    }
}
