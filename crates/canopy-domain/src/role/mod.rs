//! Roles: additive bundles of permissions. There is no deny and no inheritance between roles.

pub mod change;
mod collision;
pub mod listing;

use crate::id::id_type;
use crate::text::text_type;
pub use collision::{NameCollision, NameCollisions};

use crate::{AssignmentId, Description, EnvironmentId, PermissionKey, Timestamp, Version};

id_type!(
    /// Names a [`Role`].
    RoleId
);

text_type!(
    /// The name of a role, unique in its environment without regard to case.
    RoleName,
    100
);

/// The word that names the one system role, whatever it is called on screen.
pub const ENVIRONMENT_ADMIN_KEY: &str = "environment_admin";
/// The name of the one system role. It bundles every system permission.
pub const ENVIRONMENT_ADMIN_NAME: &str = "Environment Admin";

impl RoleName {
    /// The name of the system role.
    pub fn environment_admin() -> Self {
        Self(ENVIRONMENT_ADMIN_NAME.into())
    }
}

/// Whether a role is the customer's or the one that every environment is seeded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoleKind {
    /// Made by the customer.
    Custom,
    /// `environment_admin`: bundles all system permissions; cannot be edited, deleted or given to an identity.
    EnvironmentAdmin,
}

impl RoleKind {
    /// Whether it is a system role.
    pub const fn is_system(self) -> bool {
        matches!(self, Self::EnvironmentAdmin)
    }

    /// The fixed word of a system role.
    pub const fn system_key(self) -> Option<&'static str> {
        match self {
            Self::Custom => None,
            Self::EnvironmentAdmin => Some(ENVIRONMENT_ADMIN_KEY),
        }
    }

    /// The kind that a stored `system_key` means; `None` for an unknown word.
    pub fn from_system_key(key: Option<&str>) -> Option<Self> {
        match key {
            None => Some(Self::Custom),
            Some(ENVIRONMENT_ADMIN_KEY) => Some(Self::EnvironmentAdmin),
            Some(_) => None,
        }
    }
}

/// A role of an environment. The permissions it bundles are kept beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: RoleId,
    /// The environment it belongs to.
    pub environment_id: EnvironmentId,
    /// Its name.
    pub name: RoleName,
    /// A description, for people.
    pub description: Option<Description>,
    /// The customer's or the system's.
    pub kind: RoleKind,
    /// An inactive role grants nothing.
    pub is_active: bool,
    /// The version: 1 at creation, one more with each change of the role or its permissions.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Role {
    /// The role after a change to it or to what it bundles.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        Self {
            version: self.version.next(),
            updated_at: now,
            ..self
        }
    }
}

/// Why a change to a role is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// No such role in the environment.
    #[error("the environment has no such role")]
    NotFound,
    /// The environment has a role of this name, without regard to case.
    #[error("a role with this name exists already")]
    NameTaken,
    /// System roles cannot be edited or deleted.
    #[error("the system role cannot be changed or deleted")]
    System,
    /// Identities hold the role.
    #[error("the role is assigned; delete it with `force` to remove its assignments with it")]
    InUse {
        /// Number of assignments of the role.
        assignments: u64,
        /// Some of them.
        examples: Vec<AssignmentId>,
    },
    /// Keys that the catalog does not have.
    #[error("some permission keys are not in the environment's catalog")]
    UnknownPermissionKeys {
        /// All of them, sorted, each once.
        keys: Vec<PermissionKey>,
    },
    /// The role was changed since the caller read it.
    #[error("the role has been changed since it was read")]
    Stale {
        /// The version it has now.
        current: Version,
    },
}
