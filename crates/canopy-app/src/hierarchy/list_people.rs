//! Lists or counts the assignments that hold at a node, direct and inherited.

use super::get_node::known;
use crate::{App, AppError};
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentView, HeldAt, NodeAssignmentSummary};
use canopy_domain::{EnvironmentRef, NodeId, Page, Timestamp};

/// Returns the assignments that hold at a node and match the query, and the instant of their status.
///
/// # Errors
/// [`HierarchyError::NodeNotFound`](canopy_domain::HierarchyError::NodeNotFound); [`AppError::Store`].
pub async fn list_node_assignments(
    app: &App,
    place: &EnvironmentRef,
    at: HeldAt,
    query: AssignmentQuery,
) -> Result<(Page<AssignmentView>, Timestamp), AppError> {
    let now = app.now();
    let mut tx = app.read(place).await?;
    known(tx.as_mut(), place, at.node).await?;
    let query = AssignmentQuery {
        held_at: Some(at),
        ..query
    };
    Ok((tx.assignment_views(place.environment, &query, now).await?, now))
}

/// Counts the assignments by status and access type, and returns the identities of the newest.
///
/// # Errors
/// [`HierarchyError::NodeNotFound`](canopy_domain::HierarchyError::NodeNotFound); [`AppError::Store`].
pub async fn summarize_node_assignments(
    app: &App,
    place: &EnvironmentRef,
    node: NodeId,
) -> Result<NodeAssignmentSummary, AppError> {
    let mut tx = app.read(place).await?;
    known(tx.as_mut(), place, node).await?;
    Ok(tx.node_assignment_summary(place.environment, node, app.now()).await?)
}
