//! Lists or counts the assignments of an environment.

use crate::{App, AppError};
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSummary, AssignmentView};
use canopy_domain::{EnvironmentRef, Page, Timestamp};

/// Returns the assignments that match the query, and the instant of their status.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_assignments(
    app: &App,
    place: &EnvironmentRef,
    query: &AssignmentQuery,
) -> Result<(Page<AssignmentView>, Timestamp), AppError> {
    let now = app.now();
    Ok((
        app.read(place)
            .await?
            .assignment_views(place.environment, query, now)
            .await?,
        now,
    ))
}

/// Counts the assignments by status.
///
/// # Errors
/// [`AppError::Store`].
pub async fn summarize_assignments(app: &App, place: &EnvironmentRef) -> Result<AssignmentSummary, AppError> {
    Ok(app
        .read(place)
        .await?
        .assignment_summary(place.environment, app.now())
        .await?)
}
