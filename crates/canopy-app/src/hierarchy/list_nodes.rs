//! Lists the whole tree.

use crate::{App, AppError};
use canopy_domain::{EnvironmentRef, Node};

/// Returns every node without its metadata, parents before their children, siblings by slug. The root comes first.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_nodes(app: &App, place: &EnvironmentRef) -> Result<Vec<Node>, AppError> {
    Ok(app.read(place).await?.bare_nodes(place.environment, None).await?)
}
