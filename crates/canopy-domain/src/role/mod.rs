//! Roles: additive bundles of permissions. There is no deny and no inheritance between roles.

pub mod change;
mod collision;
pub mod listing;

use crate::id::id_type;
use crate::text::text_type;
pub use collision::{NameCollision, NameCollisions};

use crate::{AssignmentId, Description, EnvironmentId, PermissionKey, Timestamp, Version};

id_type!(
    /// The id of a [`Role`].
    RoleId
);

text_type!(
    /// The name of a role, unique in its environment, ignoring case.
    RoleName,
    100
);

/// The fixed key of the only system role.
pub const ENVIRONMENT_ADMIN_KEY: &str = "environment_admin";
/// The name of the only system role. It bundles every system permission.
pub const ENVIRONMENT_ADMIN_NAME: &str = "Environment Admin";

impl RoleName {
    /// Returns the name of the system role.
    pub fn environment_admin() -> Self {
        Self(ENVIRONMENT_ADMIN_NAME.into())
    }
}

/// The kind of a role: custom, or the one that every environment is seeded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoleKind {
    /// Created by the customer.
    Custom,
    /// `environment_admin`: bundles all system permissions; cannot be changed, deleted or assigned.
    EnvironmentAdmin,
}

impl RoleKind {
    /// Returns whether it is a system role.
    pub const fn is_system(self) -> bool {
        matches!(self, Self::EnvironmentAdmin)
    }

    /// Returns the fixed key of a system role.
    pub const fn system_key(self) -> Option<&'static str> {
        match self {
            Self::Custom => None,
            Self::EnvironmentAdmin => Some(ENVIRONMENT_ADMIN_KEY),
        }
    }

    /// Returns the kind of a stored `system_key`; `None` for an unknown one.
    pub fn from_system_key(key: Option<&str>) -> Option<Self> {
        match key {
            None => Some(Self::Custom),
            Some(ENVIRONMENT_ADMIN_KEY) => Some(Self::EnvironmentAdmin),
            Some(_) => None,
        }
    }
}

/// A role of an environment. Its permissions are stored separately.
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
    /// Custom or system.
    pub kind: RoleKind,
    /// False if the role is inactive, so that it grants nothing.
    pub is_active: bool,
    /// The version: 1 at creation, one more with each change of the role or its permissions.
    pub version: Version,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of its last change.
    pub updated_at: Timestamp,
}

impl Role {
    /// Returns the role after a change to it or to its permissions.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        Self {
            version: self.version.next(),
            updated_at: now,
            ..self
        }
    }
}

/// An error of a change to a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// No such role in the environment.
    #[error("the environment has no such role")]
    NotFound,
    /// The environment has a role of this name, ignoring case.
    #[error("a role with this name exists already")]
    NameTaken,
    /// System roles cannot be changed or deleted.
    #[error("the system role cannot be changed or deleted")]
    System,
    /// The role has assignments.
    #[error("the role is assigned; delete it with `force` to delete its assignments too")]
    InUse {
        /// Number of assignments of the role.
        assignments: u64,
        /// Some of them.
        examples: Vec<AssignmentId>,
    },
    /// The catalog lacks some keys.
    #[error("some permission keys are not in the environment's catalog")]
    UnknownPermissionKeys {
        /// All of them, sorted, each once.
        keys: Vec<PermissionKey>,
    },
    /// The role was changed since the caller read it.
    #[error("the role has been changed since it was read")]
    Stale {
        /// The current version.
        current: Version,
    },
}
