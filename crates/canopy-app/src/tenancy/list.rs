//! Lists accounts, applications or environments, each by slug.

use crate::{App, AppError};
use canopy_domain::port::Share;
use canopy_domain::{Account, AccountId, Application, ApplicationRef, Environment};

/// Returns all accounts. The caller must be an operator.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_accounts(app: &App) -> Result<Vec<Account>, AppError> {
    Ok(app.read(Share::Installation).await?.accounts().await?)
}

/// Returns the account's applications.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_applications(app: &App, account: AccountId) -> Result<Vec<Application>, AppError> {
    Ok(app.read(account).await?.applications(account).await?)
}

/// Returns the application's environments.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_environments(app: &App, place: ApplicationRef) -> Result<Vec<Environment>, AppError> {
    Ok(app.read(&place).await?.environments(place.application).await?)
}
