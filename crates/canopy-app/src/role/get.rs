//! Gets a role or its permissions.

use crate::{App, AppError};
use canopy_domain::{EnvironmentRef, PermissionKey, Role, RoleError, RoleId, Version};

/// Returns the role.
///
/// # Errors
/// [`RoleError::NotFound`]; [`AppError::Store`].
pub async fn get_role(app: &App, place: &EnvironmentRef, id: RoleId) -> Result<Role, AppError> {
    Ok(app
        .read(place)
        .await?
        .role(place.environment, id)
        .await?
        .ok_or(RoleError::NotFound)?)
}

/// Returns the permission keys of the role, sorted, and its version.
///
/// # Errors
/// [`RoleError::NotFound`]; [`AppError::Store`].
pub async fn get_role_permissions(
    app: &App,
    place: &EnvironmentRef,
    id: RoleId,
) -> Result<(Vec<PermissionKey>, Version), AppError> {
    let mut tx = app.read(place).await?;
    let role = tx.role(place.environment, id).await?.ok_or(RoleError::NotFound)?;
    let permissions = tx.role_permissions(place.environment, id).await?;
    Ok((permissions.into_iter().map(|(_, key)| key).collect(), role.version))
}
