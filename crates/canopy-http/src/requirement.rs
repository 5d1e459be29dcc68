//! The key scope that a call requires of an API key.

use canopy_app::{AppError, Caller, scope};
use canopy_domain::api_key::AreaScope;

/// The key scope that a call requires of a valid API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requires {
    /// No scope: API keys cannot reach the call.
    NoScope,
    /// A scope that opens this area.
    Area(AreaScope),
    /// A scope that allows checks, of any permission. The handler checks which ones.
    Checks,
    /// A scope that does not exist: every key is refused, even one with full access.
    UnknownScope,
}

impl Requires {
    /// Refuses a key without the required scope.
    pub(crate) fn check(self, caller: &Caller) -> Result<(), AppError> {
        match self {
            Self::NoScope => Ok(()),
            Self::Area(area) => scope::opened(caller, area),
            Self::Checks => scope::checks(caller),
            Self::UnknownScope => Err(AppError::ScopeMissing),
        }
    }

    /// Returns the system permission that opens the call to keys.
    pub(crate) const fn scope(self) -> Option<&'static str> {
        match self {
            Self::NoScope | Self::UnknownScope => None,
            Self::Area(area) => Some(area.as_str()),
            Self::Checks => Some(AreaScope::Evaluate.as_str()),
        }
    }
}
