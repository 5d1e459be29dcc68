//! The right that a call needs of the API key that makes it.

use canopy_app::{AppError, Caller, scope};
use canopy_domain::api_key::AreaScope;

/// What a call needs of an API key, beyond that it is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requires {
    /// Nothing: no key gets as far as this.
    NoScope,
    /// A scope that opens this area.
    Area(AreaScope),
    /// A scope that allows checks, if only of one permission. Which it allows is looked at when it is known what is asked.
    Checks,
    /// What no key has, full access among them.
    UnknownScope,
}

impl Requires {
    /// Refuses a key that lacks what is needed.
    pub(crate) fn check(self, caller: &Caller) -> Result<(), AppError> {
        match self {
            Self::NoScope => Ok(()),
            Self::Area(area) => scope::opened(caller, area),
            Self::Checks => scope::checks(caller),
            Self::UnknownScope => Err(AppError::ScopeMissing),
        }
    }

    /// The system permission that opens the call to keys.
    pub(crate) const fn scope(self) -> Option<&'static str> {
        match self {
            Self::NoScope | Self::UnknownScope => None,
            Self::Area(area) => Some(area.as_str()),
            Self::Checks => Some(AreaScope::Evaluate.as_str()),
        }
    }
}
