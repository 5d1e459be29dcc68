//! Get an identity.

use crate::{App, AppError};
use canopy_domain::{AccountId, Identity, IdentityError, IdentityId};

/// The identity of the account.
///
/// # Errors
/// [`IdentityError::NotFound`]; [`AppError::Store`].
pub async fn run(app: &App, account: AccountId, id: IdentityId) -> Result<Identity, AppError> {
    Ok(app
        .read()
        .await?
        .identity(account, id)
        .await?
        .ok_or(IdentityError::NotFound)?)
}
