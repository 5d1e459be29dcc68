//! The surfaces of the service: their path prefixes, and the slugs in them.

use crate::incoming::Incoming;
use canopy_app::session::{Level, Slugs};

/// A group of calls that share a path prefix and a way to name the tenancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Surface {
    /// For operators and admins; the path names the place.
    Portal(Level),
    /// For backends, and for end users about themselves; the credential names one environment.
    Public,
    /// For programs that speak OpenID AuthZEN; the credential names one environment.
    AuthZen,
}

impl Surface {
    /// The beginning of its paths.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Portal(Level::Installation) => "/portal/v1",
            Self::Portal(Level::Account) => "/portal/v1/accounts/{accountSlug}",
            Self::Portal(Level::Application) => "/portal/v1/accounts/{accountSlug}/applications/{appSlug}",
            Self::Portal(Level::Environment) => {
                "/portal/v1/accounts/{accountSlug}/applications/{appSlug}/environments/{envSlug}"
            }
            Self::Public => "/api/v1",
            Self::AuthZen => "/access/v1",
        }
    }

    /// Returns whether it takes API keys.
    pub(crate) const fn takes_keys(self) -> bool {
        match self {
            Self::Portal(_) => false,
            Self::Public | Self::AuthZen => true,
        }
    }

    /// The path parameters of the prefix, with what they name.
    pub(crate) fn slugs(self) -> &'static [(&'static str, &'static str)] {
        const ALL: &[(&str, &str)] = &[
            ("accountSlug", "The account."),
            ("appSlug", "The application of the account."),
            ("envSlug", "The environment of the application."),
        ];
        let count = match self {
            Self::Portal(Level::Installation) | Self::Public | Self::AuthZen => 0,
            Self::Portal(Level::Account) => 1,
            Self::Portal(Level::Application) => 2,
            Self::Portal(Level::Environment) => 3,
        };
        ALL.get(..count).unwrap_or_default()
    }
}

/// Reads the slugs in the path of a request.
pub(crate) fn slugs(incoming: &Incoming, surface: Surface) -> Slugs<&str> {
    let mut slugs = surface.slugs().iter().map(|(name, _)| incoming.named(name));
    Slugs {
        account: slugs.next().unwrap_or_default(),
        application: slugs.next().unwrap_or_default(),
        environment: slugs.next().unwrap_or_default(),
    }
}
