//! Roles and the permissions they bundle.

use super::permission::Permissions;
use crate::rule::ensure;
use canopy_domain::port::StoreError;
use canopy_domain::{PermissionId, Role, RoleId};
use std::collections::{BTreeMap, BTreeSet};

/// The roles of one environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roles {
    pub(crate) by_id: BTreeMap<RoleId, RoleRow>,
    pub(crate) by_folded_name: BTreeMap<String, RoleId>,
}

/// A role with what it bundles.
#[derive(Debug, Clone)]
pub(crate) struct RoleRow {
    pub(crate) role: Role,
    pub(crate) permissions: BTreeSet<PermissionId>,
}

impl Roles {
    /// All of them, by folded name.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &RoleRow> {
        self.by_folded_name.values().filter_map(|id| self.by_id.get(id))
    }

    pub(crate) fn check_pairs(
        &self,
        permissions: &Permissions,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError> {
        let known = |(role, permission): &(RoleId, PermissionId)| {
            self.by_id.contains_key(role) && permissions.by_id.contains_key(permission)
        };
        ensure(pairs.iter().all(known), "a bound role or permission is not there")
    }
}
