//! Gets the hierarchy schema of an environment.

use crate::{App, AppError};
use canopy_domain::{EnvironmentRef, HierarchySchema, TenancyError, Tenant, Version};

/// Returns the schema, and the version of the environment that a change must expect.
///
/// # Errors
/// [`AppError::Store`].
pub async fn get_hierarchy_schema(app: &App, place: &EnvironmentRef) -> Result<(HierarchySchema, Version), AppError> {
    let mut tx = app.read(place).await?;
    let absent = || TenancyError::NotFound(Tenant::Environment);
    let environment = tx.environment(place.environment).await?.ok_or_else(absent)?;
    let (_, schema) = tx.hierarchy(place.environment).await?.ok_or_else(absent)?;
    Ok((schema, environment.version))
}
