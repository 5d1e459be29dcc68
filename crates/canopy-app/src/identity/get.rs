//! Gets an identity.

use super::{find_member, only_members};
use crate::{App, AppError};
use canopy_domain::port::TokenError;
use canopy_domain::{AccountId, ApplicationRef, Identity, IdentityError, IdentityId};

/// Returns the identity of the account.
///
/// # Errors
/// [`IdentityError::NotFound`]; [`AppError::Store`].
pub async fn get_identity(app: &App, account: AccountId, id: IdentityId) -> Result<Identity, AppError> {
    Ok(app
        .read(account)
        .await?
        .identity(account, id)
        .await?
        .ok_or(IdentityError::NotFound)?)
}

/// Returns the calling identity.
///
/// # Errors
/// [`TokenError::UnknownIdentity`] if it is no longer in the account; [`AppError::Store`].
pub async fn get_myself(app: &App, account: AccountId, id: IdentityId) -> Result<Identity, AppError> {
    Ok(app
        .read(account)
        .await?
        .identity(account, id)
        .await?
        .ok_or(TokenError::UnknownIdentity)?)
}

/// Returns the identity, if it is a member of the application, whatever its status.
///
/// # Errors
/// [`IdentityError::NotFound`]; [`AppError::Store`].
pub async fn get_member(app: &App, place: ApplicationRef, id: IdentityId) -> Result<Identity, AppError> {
    let mut tx = app.read(place.account).await?;
    let found = find_member(tx.as_mut(), place, id).await;
    Ok(found.map_err(only_members)?.0)
}
