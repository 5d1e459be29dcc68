//! List API keys.

use crate::{App, AppError};
use canopy_domain::EnvironmentRef;
use canopy_domain::api_key::ApiKey;

/// The keys of the environment, the newest first; those that have ended too.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_api_keys(app: &App, place: &EnvironmentRef) -> Result<Vec<ApiKey>, AppError> {
    Ok(app.read(place).await?.api_keys(place.environment).await?)
}
