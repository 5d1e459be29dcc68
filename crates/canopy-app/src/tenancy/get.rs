//! Gets an account, application or environment.

use crate::{App, AppError};
use canopy_domain::{
    Account, AccountId, Application, ApplicationId, ApplicationRef, Environment, EnvironmentRef, TenancyError, Tenant,
};

/// Returns the account.
///
/// # Errors
/// [`TenancyError::NotFound`]; [`AppError::Store`].
pub async fn get_account(app: &App, id: AccountId) -> Result<Account, AppError> {
    Ok(app
        .read(id)
        .await?
        .account(id)
        .await?
        .ok_or(TenancyError::NotFound(Tenant::Account))?)
}

/// Returns the application.
///
/// # Errors
/// [`TenancyError::NotFound`]; [`AppError::Store`].
pub async fn get_application(app: &App, place: ApplicationRef) -> Result<Application, AppError> {
    Ok(app
        .read(&place)
        .await?
        .application(place.application)
        .await?
        .ok_or(TenancyError::NotFound(Tenant::Application))?)
}

/// Returns the environment.
///
/// # Errors
/// [`TenancyError::NotFound`]; [`AppError::Store`].
pub async fn get_environment(app: &App, place: EnvironmentRef) -> Result<Environment, AppError> {
    Ok(app
        .read(&place)
        .await?
        .environment(place.environment)
        .await?
        .ok_or(TenancyError::NotFound(Tenant::Environment))?)
}

/// Returns the reference of the application with this id, if it belongs to the account.
///
/// # Errors
/// [`TenancyError::NotFound`]; [`AppError::Store`].
pub async fn find_application(app: &App, account: AccountId, id: ApplicationId) -> Result<ApplicationRef, AppError> {
    let place = ApplicationRef {
        account,
        application: id,
    };
    let found = get_application(app, place).await?;
    if found.account_id != account {
        return Err(TenancyError::NotFound(Tenant::Application).into());
    }
    Ok(place)
}
