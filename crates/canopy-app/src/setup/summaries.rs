//! Lists the setup status of each environment of an account.

use crate::{App, AppError};
use canopy_domain::AccountId;
use canopy_domain::setup::SetupSummary;

/// Returns one summary for each environment, by the slugs of application and environment.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_setup_summaries(app: &App, account: AccountId) -> Result<Vec<SetupSummary>, AppError> {
    Ok(app.read(account).await?.setup_summaries(account).await?)
}
