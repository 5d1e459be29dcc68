//! Count identities.

use crate::{App, AppError};
use canopy_domain::identity::listing::IdentityCounts;
use canopy_domain::port::Share;
use canopy_domain::{AccountId, ApplicationRef, EnvironmentId};

/// How many identities the account has.
///
/// # Errors
/// [`AppError::Store`].
pub async fn count_identities(app: &App, account: AccountId) -> Result<IdentityCounts, AppError> {
    Ok(app.read(account).await?.identity_counts(account, None, None).await?)
}

/// How many members the application has. Where the caller is bound to one environment, only what is held there counts.
///
/// # Errors
/// [`AppError::Store`].
pub async fn count_members(
    app: &App,
    place: ApplicationRef,
    bound_to: Option<EnvironmentId>,
) -> Result<IdentityCounts, AppError> {
    let application = Some(place.application);
    let mut tx = app.read(Share::within(place.account, bound_to)).await?;
    Ok(tx.identity_counts(place.account, application, bound_to).await?)
}
