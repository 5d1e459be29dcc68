//! Get an account, application or environment.

use crate::{App, AppError};
use canopy_domain::{
    Account, AccountId, Application, ApplicationId, ApplicationRef, Environment, EnvironmentId, TenancyError, Tenant,
};

/// The account.
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

/// The application.
///
/// # Errors
/// [`TenancyError::NotFound`]; [`AppError::Store`].
pub async fn get_application(app: &App, id: ApplicationId) -> Result<Application, AppError> {
    Ok(app
        .read(id)
        .await?
        .application(id)
        .await?
        .ok_or(TenancyError::NotFound(Tenant::Application))?)
}

/// The environment.
///
/// # Errors
/// [`TenancyError::NotFound`]; [`AppError::Store`].
pub async fn get_environment(app: &App, id: EnvironmentId) -> Result<Environment, AppError> {
    Ok(app
        .read(id)
        .await?
        .environment(id)
        .await?
        .ok_or(TenancyError::NotFound(Tenant::Environment))?)
}

/// Where the application with this id lies, if it is the account's.
///
/// # Errors
/// [`TenancyError::NotFound`]; [`AppError::Store`].
pub async fn find_application(app: &App, account: AccountId, id: ApplicationId) -> Result<ApplicationRef, AppError> {
    let found = get_application(app, id).await?;
    if found.account_id != account {
        return Err(TenancyError::NotFound(Tenant::Application).into());
    }
    Ok(ApplicationRef {
        account,
        application: id,
    })
}
