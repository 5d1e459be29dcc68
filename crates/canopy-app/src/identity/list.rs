//! List identities.

use crate::{App, AppError};
use canopy_domain::identity::listing::IdentityQuery;
use canopy_domain::{AccountId, Identity, Page};

/// The account's identities that fit the query.
///
/// # Errors
/// [`AppError::Store`].
pub async fn run(app: &App, account: AccountId, query: &IdentityQuery) -> Result<Page<Identity>, AppError> {
    Ok(app.read().await?.identities(account, query).await?)
}
