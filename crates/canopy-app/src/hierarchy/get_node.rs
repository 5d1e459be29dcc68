//! Gets a node, its subtree, its children or its ancestors.

use crate::{App, AppError};
use canopy_domain::port::ReadTx;
use canopy_domain::{EnvironmentRef, HierarchyError, Node, NodeId};

/// Returns the node.
///
/// # Errors
/// [`HierarchyError::NodeNotFound`]; [`AppError::Store`].
pub async fn get_node(app: &App, place: &EnvironmentRef, id: NodeId) -> Result<Node, AppError> {
    known(app.read(place).await?.as_mut(), place, id).await
}

/// Returns the node with its subtree, parents before their children, siblings by slug. The node comes first.
///
/// # Errors
/// [`HierarchyError::NodeNotFound`]; [`AppError::Store`].
pub async fn get_subtree(app: &App, place: &EnvironmentRef, id: NodeId) -> Result<Vec<Node>, AppError> {
    let found = app.read(place).await?.bare_nodes(place.environment, Some(id)).await?;
    if found.is_empty() {
        return Err(HierarchyError::NodeNotFound.into());
    }
    Ok(found)
}

/// Returns the children of the node, by slug, if they have at most `max_bytes` bytes.
///
/// # Errors
/// [`HierarchyError::NodeNotFound`]; [`AppError::AnswerTooLarge`] before any is read; [`AppError::Store`].
pub async fn get_children(
    app: &App,
    place: &EnvironmentRef,
    id: NodeId,
    max_bytes: usize,
) -> Result<Vec<Node>, AppError> {
    /// Minimum size of a node in bytes, besides its metadata.
    const NODE_BYTES: u64 = 300;
    let mut tx = app.read(place).await?;
    known(tx.as_mut(), place, id).await?;
    let (nodes, metadata) = tx.children_size(place.environment, id).await?;
    let bytes = nodes.saturating_mul(NODE_BYTES).saturating_add(metadata);
    if bytes > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
        return Err(AppError::AnswerTooLarge { max_bytes });
    }
    Ok(tx.children(place.environment, id).await?)
}

/// Returns the ancestors of the node, the root first.
///
/// # Errors
/// [`HierarchyError::NodeNotFound`]; [`AppError::Store`].
pub async fn get_ancestors(app: &App, place: &EnvironmentRef, id: NodeId) -> Result<Vec<Node>, AppError> {
    let mut tx = app.read(place).await?;
    known(tx.as_mut(), place, id).await?;
    Ok(tx.ancestors(place.environment, id).await?)
}

/// Returns the node, or the error that it does not exist.
pub(super) async fn known(tx: &mut dyn ReadTx, place: &EnvironmentRef, id: NodeId) -> Result<Node, AppError> {
    let found = tx.node(place.environment, id).await?;
    Ok(found.ok_or(HierarchyError::NodeNotFound)?)
}
