//! Get a node.

use crate::{App, AppError};
use canopy_domain::{EnvironmentPlace, HierarchyError, Node, NodeId};

/// The node.
///
/// # Errors
/// [`HierarchyError::NodeNotFound`]; [`AppError::Store`].
pub async fn run(app: &App, place: &EnvironmentPlace, id: NodeId) -> Result<Node, AppError> {
    Ok(app
        .read()
        .await?
        .node(place.environment, id)
        .await?
        .ok_or(HierarchyError::NodeNotFound)?)
}
