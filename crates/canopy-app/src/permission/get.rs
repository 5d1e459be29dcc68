//! Gets a permission.

use crate::{App, AppError};
use canopy_domain::{EnvironmentRef, Permission, PermissionError, PermissionId};

/// Returns the permission.
///
/// # Errors
/// [`PermissionError::NotFound`]; [`AppError::Store`].
pub async fn get_permission(app: &App, place: &EnvironmentRef, id: PermissionId) -> Result<Permission, AppError> {
    Ok(app
        .read(place)
        .await?
        .permission(place.environment, id)
        .await?
        .ok_or(PermissionError::NotFound)?)
}
