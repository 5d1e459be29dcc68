//! Roles and what they bundle.

pub mod change;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod replace_permissions;

use canopy_domain::access::RoleFact;
use canopy_domain::port::ReadTx;
use canopy_domain::{EnvironmentId, PermissionId, PermissionKey, Role, RoleError};
use std::collections::{BTreeSet, HashMap};

use crate::AppError;

/// The role as decisions see it, with what it bundles.
fn fact(role: &Role, permissions: Vec<PermissionId>) -> RoleFact {
    RoleFact {
        id: role.id,
        name: role.name.clone(),
        is_active: role.is_active,
        permissions,
    }
}

/// The ids of keys that a role is to bundle.
async fn known_permissions(
    tx: &mut dyn ReadTx,
    environment: EnvironmentId,
    keys: &[PermissionKey],
) -> Result<HashMap<PermissionKey, PermissionId>, AppError> {
    let known = tx.permission_ids(environment, keys).await?;
    let unknown: BTreeSet<&PermissionKey> = keys.iter().filter(|key| !known.contains_key(*key)).collect();
    if unknown.is_empty() {
        Ok(known)
    } else {
        Err(RoleError::UnknownPermissionKeys {
            keys: unknown.into_iter().cloned().collect(),
        }
        .into())
    }
}
