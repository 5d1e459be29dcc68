//! Counts identities.

use crate::{App, AppError};
use canopy_domain::identity::listing::IdentityCounts;
use canopy_domain::{AccountId, ApplicationRef, EnvironmentId};

/// Counts the identities of the account.
///
/// # Errors
/// [`AppError::Store`].
pub async fn count_identities(app: &App, account: AccountId) -> Result<IdentityCounts, AppError> {
    Ok(app.read(account).await?.identity_counts(account, None, None).await?)
}

/// Counts the members of the application. If the caller is bound to one environment, only assignments there count.
///
/// # Errors
/// [`AppError::Store`].
pub async fn count_members(
    app: &App,
    place: ApplicationRef,
    bound_to: Option<EnvironmentId>,
) -> Result<IdentityCounts, AppError> {
    let application = Some(place.application);
    let mut tx = app.read(place.account).await?;
    Ok(tx.identity_counts(place.account, application, bound_to).await?)
}
