//! Accounts, their applications, and environments.

pub mod change;
mod slug;

use crate::id::id_type;
use crate::string_enum::string_enum;
use crate::{DisplayName, JsonObject, Timestamp, Version};

pub use slug::{Slug, SlugError};

id_type!(
    /// The id of an [`Account`].
    AccountId
);
id_type!(
    /// The id of an [`Application`].
    ApplicationId
);
id_type!(
    /// The id of an [`Environment`].
    EnvironmentId
);

/// A customer: the owner of applications and of the identities that use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The display name.
    pub name: DisplayName,
    /// The slug, unique in the installation.
    pub slug: Slug,
    /// Free-form metadata of the customer.
    pub settings: JsonObject,
    /// The version: 1 at creation, one more with each change.
    pub version: Version,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of its last change.
    pub updated_at: Timestamp,
}

/// A product of an account, with one or more environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The display name.
    pub name: DisplayName,
    /// The slug, unique in the account.
    pub slug: Slug,
    /// Free-form metadata of the customer.
    pub settings: JsonObject,
    /// The default environment of the application.
    pub default_environment_id: Option<EnvironmentId>,
    /// The version: 1 at creation, one more with each change.
    pub version: Version,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of its last change.
    pub updated_at: Timestamp,
}

/// The unit of isolation: one catalog of permissions, its roles, one tree of nodes and their assignments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// The application it belongs to.
    pub application_id: ApplicationId,
    /// The display name.
    pub name: DisplayName,
    /// The slug, unique in the application.
    pub slug: Slug,
    /// Free-form metadata of the customer.
    pub settings: JsonObject,
    /// The access model.
    pub access_model: AccessModel,
    /// The version of its own row and its hierarchy schema; changes to its contents do not count.
    pub version: Version,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of its last change.
    pub updated_at: Timestamp,
}

string_enum!(
    /// The access model of an environment: flat or hierarchy.
    AccessModel {
        /// Only the root exists; every assignment is at it.
        Flat = "flat",
        /// Assignments are at nodes of a tree and hold at all nodes below them.
        Hierarchy = "hierarchy",
    }
);

/// The ids of an environment, its application and its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnvironmentRef {
    /// The account.
    pub account: AccountId,
    /// The application of that account.
    pub application: ApplicationId,
    /// The environment of that application.
    pub environment: EnvironmentId,
}

/// The ids of an application and its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApplicationRef {
    /// The account.
    pub account: AccountId,
    /// The application of that account.
    pub application: ApplicationId,
}

impl ApplicationRef {
    /// Returns the reference to an environment of the application.
    pub const fn environment(self, environment: EnvironmentId) -> EnvironmentRef {
        EnvironmentRef {
            account: self.account,
            application: self.application,
            environment,
        }
    }
}

impl EnvironmentRef {
    /// Returns the reference to the application.
    pub const fn application_ref(&self) -> ApplicationRef {
        ApplicationRef {
            account: self.account,
            application: self.application,
        }
    }
}

string_enum!(
    /// The kind of tenant in an error.
    Tenant {
        /// An account.
        Account = "account",
        /// An application.
        Application = "application",
        /// An environment.
        Environment = "environment",
    }
);

/// An error of a change to accounts, applications or environments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenancyError {
    /// The slug or id is unknown, or the caller may not see it.
    #[error("the {0} does not exist")]
    NotFound(Tenant),
    /// The slug is taken.
    #[error("a sibling {0} has this slug already")]
    SlugTaken(Tenant),
    /// The last application of an account cannot be deleted.
    #[error("the last application of an account cannot be deleted")]
    LastApplication,
    /// The last environment of an application cannot be deleted.
    #[error("the last environment of an application cannot be deleted")]
    LastEnvironment,
    /// The application has reached the maximum number of environments.
    #[error("an application has at most {max} environments")]
    TooManyEnvironments {
        /// The maximum number.
        max: usize,
    },
    /// The default environment of an application cannot be deleted.
    #[error("the default environment of an application cannot be deleted; choose another default first")]
    DefaultEnvironment,
    /// An environment is too large to be exported or copied.
    #[error("the environment has more than {max_bytes} bytes as a document")]
    TooLarge {
        /// The maximum number of bytes.
        max_bytes: u64,
    },
    /// It was changed since the caller read it.
    #[error("the {what} has been changed since it was read")]
    Stale {
        /// The entity that was not found.
        what: Tenant,
        /// The current version.
        current: Version,
    },
}
