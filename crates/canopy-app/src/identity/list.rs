//! Lists identities.

use crate::{App, AppError};
use canopy_domain::identity::listing::IdentityQuery;
use canopy_domain::{AccountId, EnvironmentId, Identity, Page};

/// Returns the account's identities that match the query.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_identities(app: &App, account: AccountId, query: &IdentityQuery) -> Result<Page<Identity>, AppError> {
    Ok(app.read(account).await?.identities(account, query).await?)
}

/// Returns the members of an application that match the query.
///
/// # Errors
/// [`AppError::PortalOnly`] if a caller bound to one environment queries another application; [`AppError::Store`].
pub async fn list_members(
    app: &App,
    account: AccountId,
    bound_to: Option<EnvironmentId>,
    query: &IdentityQuery,
) -> Result<Page<Identity>, AppError> {
    if bound_to.is_some() && query.not_member_of.is_some() {
        return Err(AppError::PortalOnly);
    }
    let query = IdentityQuery {
        assigned_in: bound_to,
        ..query.clone()
    };
    list_identities(app, account, &query).await
}
