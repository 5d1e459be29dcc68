//! Export an environment.

use super::contents;
use crate::{App, AppError};
use canopy_domain::transfer::Document;
use canopy_domain::{Environment, EnvironmentPlace};

/// What the environment is made of, and the environment it was taken from.
///
/// # Errors
/// [`AppError::Store`].
pub async fn run(app: &App, place: &EnvironmentPlace) -> Result<(Environment, Document), AppError> {
    let contents = contents(app.read(place).await?.as_mut(), place.environment).await?;
    let document = contents.document();
    Ok((contents.environment, document))
}
