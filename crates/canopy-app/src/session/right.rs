//! Principal × requirement → right.

use crate::{AppError, Caller};
use canopy_domain::api_key::AreaScope;
use canopy_domain::port::{Share, TokenError};
use canopy_domain::{AccountId, EnvironmentRef, IdentityId};

/// The key scope that a call requires of a valid API key. Every other principal that may make the call needs no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requires {
    /// No scope: API keys cannot reach the call.
    NoScope,
    /// A scope that opens this area.
    Area(AreaScope),
    /// A scope that allows checks, if only of one permission. Each check is judged by its permission.
    Checks,
    /// A scope that does not exist: every key is refused, even one with full access.
    UnknownScope,
}

impl Requires {
    /// Refuses a key that lacks the scope.
    ///
    /// # Errors
    /// [`AppError::ScopeMissing`].
    pub fn check(self, caller: &Caller) -> Result<(), AppError> {
        let is_open = match (self, caller) {
            (Self::UnknownScope, _) => false,
            (Self::Area(area), Caller::ApiKey { access, .. }) => access.opens(area),
            (Self::Checks, Caller::ApiKey { access, .. }) => access.allows_some_check(),
            (Self::NoScope, _) | (_, Caller::Operator { .. } | Caller::Admin { .. } | Caller::Identity { .. }) => true,
        };
        if is_open { Ok(()) } else { Err(AppError::ScopeMissing) }
    }

    /// Returns the system permission that opens the call to keys.
    pub const fn scope(self) -> Option<&'static str> {
        match self {
            Self::NoScope | Self::UnknownScope => None,
            Self::Area(area) => Some(area.as_str()),
            Self::Checks => Some(AreaScope::Evaluate.as_str()),
        }
    }
}

/// Refuses a caller that may not make a write. Keys need a scope that opens the area; without an area they make none.
pub(crate) fn check_write(caller: &Caller, area: Option<AreaScope>) -> Result<(), AppError> {
    match (caller, area) {
        (Caller::Operator { .. } | Caller::Admin { .. }, _) => Ok(()),
        (Caller::ApiKey { .. }, Some(area)) => Requires::Area(area).check(caller),
        (Caller::ApiKey { .. }, None) | (Caller::Identity { .. }, _) => Err(AppError::WrongPrincipal),
    }
}

/// Requires an operator.
pub(super) const fn check_operator(caller: &Caller) -> Result<(), AppError> {
    match caller {
        Caller::Operator { .. } => Ok(()),
        Caller::Admin { .. } | Caller::Identity { .. } | Caller::ApiKey { .. } => Err(AppError::WrongPrincipal),
    }
}

/// Requires a principal of the portal surface. Checked before the path is resolved.
pub(super) const fn check_portal(caller: &Caller) -> Result<(), AppError> {
    match caller {
        Caller::Operator { .. } | Caller::Admin { .. } => Ok(()),
        Caller::Identity { .. } | Caller::ApiKey { .. } => Err(AppError::WrongPrincipal),
    }
}

/// Returns the environment that a credential is bound to, for the calls of the public surface that manage it.
///
/// # Errors
/// [`AppError::WrongPrincipal`] for operators and identities; [`TokenError::NoEnvironment`] for an admin's token that names
/// no environment.
pub(super) fn bound_environment(caller: &Caller) -> Result<EnvironmentRef, AppError> {
    match caller {
        Caller::Admin { environment, .. } => Ok((*environment).ok_or(TokenError::NoEnvironment)?),
        Caller::ApiKey { place, .. } => Ok(*place),
        Caller::Operator { .. } | Caller::Identity { .. } => Err(AppError::WrongPrincipal),
    }
}

/// Returns the environment and the identity of an end user's token, for the calls of the public surface about the caller.
///
/// # Errors
/// [`AppError::WrongPrincipal`] for all but identities; [`TokenError::NoEnvironment`] for a token that names no environment.
pub(super) fn end_user(caller: &Caller) -> Result<(EnvironmentRef, IdentityId), AppError> {
    match caller {
        Caller::Identity { id, environment, .. } => Ok(((*environment).ok_or(TokenError::NoEnvironment)?, *id)),
        Caller::Operator { .. } | Caller::Admin { .. } | Caller::ApiKey { .. } => Err(AppError::WrongPrincipal),
    }
}

/// Returns whether the caller may see the account; to others it does not exist.
pub(super) fn may_see(caller: &Caller, account: AccountId) -> bool {
    match caller {
        Caller::Operator { .. } => true,
        Caller::Admin { account: own, .. } => *own == account,
        Caller::Identity { .. } | Caller::ApiKey { .. } => false,
    }
}

/// Returns the share that pays for resolving the path of a call.
pub(super) fn own_share(caller: &Caller) -> Share {
    match caller {
        Caller::Operator { .. } => Share::Installation,
        Caller::Admin { account, .. } | Caller::Identity { account, .. } => (*account).into(),
        Caller::ApiKey { place, .. } => place.into(),
    }
}
