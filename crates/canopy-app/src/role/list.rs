//! Lists roles.

use crate::{App, AppError};
use canopy_domain::EnvironmentRef;
use canopy_domain::role::listing::{RoleQuery, RoleView};

/// Returns the environment's roles that match the query, by name.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_roles(app: &App, place: &EnvironmentRef, query: &RoleQuery) -> Result<Vec<RoleView>, AppError> {
    Ok(app.read(place).await?.roles(place.environment, query).await?)
}
