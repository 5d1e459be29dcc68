//! Lists permissions.

use crate::{App, AppError};
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::{EnvironmentRef, Permission};

/// Returns the environment's permissions that match the query, by key.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_permissions(
    app: &App,
    place: &EnvironmentRef,
    query: &PermissionQuery,
) -> Result<Vec<Permission>, AppError> {
    Ok(app.read(place).await?.permissions(place.environment, query).await?)
}
