//! Exports an environment.

use super::{bound, contents};
use crate::{App, AppError};
use canopy_domain::transfer::Document;
use canopy_domain::{Environment, EnvironmentRef};

/// Returns the contents of an environment, and the environment itself. Reads nothing of one that exceeds `max_bytes`.
///
/// # Errors
/// [`TenancyError::TooLarge`](canopy_domain::TenancyError::TooLarge); [`AppError::Work`]; [`AppError::Store`].
pub async fn export_environment(
    app: &App,
    place: &EnvironmentRef,
    max_bytes: u64,
) -> Result<(Environment, Document), AppError> {
    let id = place.environment;
    let mut tx = app.read(place).await?;
    bound(tx.as_mut(), id, max_bytes).await?;
    let contents = contents(tx.as_mut(), id).await?;
    drop(tx);
    let work = app.long_work().perform(place, move |_| {
        let document = contents.document();
        Ok((contents.environment, document))
    });
    Ok(work.await?)
}
