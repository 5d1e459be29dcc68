//! Roles and their permissions.

mod change;
mod create;
mod delete;
mod get;
mod list;
mod replace_permissions;

pub use change::ChangeRole;
pub use create::{CreateRole, NewRole};
pub use delete::DeleteRole;
pub use get::{get_role, get_role_permissions};
pub use list::list_roles;
pub use replace_permissions::{ReplaceRolePermissions, Replaced};

use crate::AppError;
use canopy_domain::port::{ReadTx, Unique};
use canopy_domain::{EnvironmentId, PermissionId, PermissionKey, RoleError};
use std::collections::{BTreeSet, HashMap};

/// Returns the error of a race for a name: another role got it meanwhile.
fn name_taken(unique: Unique) -> Option<AppError> {
    (unique == Unique::RoleName).then(|| RoleError::NameTaken.into())
}

/// Returns the ids of the keys of a role.
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
