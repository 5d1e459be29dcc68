//! List the assignments of an environment, or count them.

use crate::{App, AppError};
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSummary, AssignmentView};
use canopy_domain::{EnvironmentRef, Page, Timestamp};

/// The assignments that fit the query, and the instant at which their state was judged.
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

/// How many there are, by state.
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
