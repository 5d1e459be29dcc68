//! Gets an assignment.

use crate::{App, AppError};
use canopy_domain::{Assignment, AssignmentError, AssignmentId, EnvironmentRef};

/// Returns the assignment.
///
/// # Errors
/// [`AssignmentError::NotFound`]; [`AppError::Store`].
pub async fn get_assignment(app: &App, place: &EnvironmentRef, id: AssignmentId) -> Result<Assignment, AppError> {
    let found = app.read(place).await?.assignments(place.environment, &[id]).await?;
    Ok(found.into_iter().next().ok_or(AssignmentError::NotFound)?)
}
