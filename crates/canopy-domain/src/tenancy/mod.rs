//! Accounts, their applications and the environments in which everything else lives.

pub mod change;
mod slug;

use crate::id::id_type;
use crate::string_enum::string_enum;
use crate::{DisplayName, JsonObject, Timestamp, Version};

pub use slug::{Slug, SlugError};

id_type!(
    /// Names an [`Account`].
    AccountId
);
id_type!(
    /// Names an [`Application`].
    ApplicationId
);
id_type!(
    /// Names an [`Environment`].
    EnvironmentId
);

/// A customer: the owner of applications and of the identities that use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name, as people read it.
    pub name: DisplayName,
    /// Its name in paths, unique in the installation.
    pub slug: Slug,
    /// Free-form metadata of the customer.
    pub settings: JsonObject,
    /// The version: 1 at creation, one more with each change.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A product of an account, with one or more environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// Its name, as people read it.
    pub name: DisplayName,
    /// Its name in paths, unique in the account.
    pub slug: Slug,
    /// Free-form metadata of the customer.
    pub settings: JsonObject,
    /// The environment that stands for the application where none is named.
    pub default_environment_id: Option<EnvironmentId>,
    /// The version: 1 at creation, one more with each change.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The unit of isolation: one catalog of permissions, its roles, one tree of nodes and their assignments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// The application it belongs to.
    pub application_id: ApplicationId,
    /// Its name, as people read it.
    pub name: DisplayName,
    /// Its name in paths, unique in the application.
    pub slug: Slug,
    /// Free-form metadata of the customer.
    pub settings: JsonObject,
    /// Whether it has a tree of nodes or the root alone.
    pub access_model: AccessModel,
    /// The version of its own row and its hierarchy schema; changes to its contents do not count.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

string_enum!(
    /// Whether an environment's access is flat or follows a tree.
    AccessModel {
        /// Only the root exists; every assignment is made there.
        Flat = "flat",
        /// Assignments are made at nodes of a tree and hold for all below them.
        Hierarchy = "hierarchy",
    }
);

/// Where an environment lies: the ids on the way from its account down to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnvironmentRef {
    /// The account.
    pub account: AccountId,
    /// The application of that account.
    pub application: ApplicationId,
    /// The environment of that application.
    pub environment: EnvironmentId,
}

/// Where an application lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApplicationRef {
    /// The account.
    pub account: AccountId,
    /// The application of that account.
    pub application: ApplicationId,
}

impl ApplicationRef {
    /// Where an environment of the application lies.
    pub const fn environment(self, environment: EnvironmentId) -> EnvironmentRef {
        EnvironmentRef {
            account: self.account,
            application: self.application,
            environment,
        }
    }
}

impl EnvironmentRef {
    /// The application on the way.
    pub const fn application_ref(&self) -> ApplicationRef {
        ApplicationRef {
            account: self.account,
            application: self.application,
        }
    }
}

string_enum!(
    /// Which thing of the tenancy tree an error speaks of.
    Tenant {
        /// An account.
        Account = "account",
        /// An application.
        Application = "application",
        /// An environment.
        Environment = "environment",
    }
);

/// Why a change to accounts, applications or environments is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenancyError {
    /// There is none with this slug or id where the caller may look.
    #[error("there is no such {0}")]
    NotFound(Tenant),
    /// The slug is taken.
    #[error("a sibling {0} has this slug already")]
    SlugTaken(Tenant),
    /// An account keeps at least one application.
    #[error("the last application of an account cannot be deleted")]
    LastApplication,
    /// An application keeps at least one environment.
    #[error("the last environment of an application cannot be deleted")]
    LastEnvironment,
    /// An application has no room for another environment.
    #[error("an application has at most {max} environments")]
    TooManyEnvironments {
        /// The largest number of them.
        max: usize,
    },
    /// The default environment of an application stays for as long as it is that.
    #[error("the default environment of an application cannot be deleted; make another one the default first")]
    DefaultEnvironment,
    /// An environment is too large to be exported or copied.
    #[error("the environment has more than {max_bytes} bytes as a document")]
    TooLarge {
        /// The largest number of bytes.
        max_bytes: u64,
    },
    /// It was changed since the caller read it.
    #[error("the {what} has been changed since it was read")]
    Stale {
        /// The entity that was not found.
        what: Tenant,
        /// The version it has now.
        current: Version,
    },
}
