//! The catalog of permissions of an environment.

pub mod change;
mod key;
pub mod listing;

use crate::id::id_type;
use crate::string_enum::string_enum;
use crate::{Description, EnvironmentId, RoleId, Timestamp, Version, text::text_type};

pub use key::{PermissionKey, PermissionKeyError};

id_type!(
    /// The id of a [`Permission`].
    PermissionId
);

text_type!(
    /// A word that groups permissions for people; rules ignore it.
    Category,
    100
);

string_enum!(
    /// The source of a permission.
    PermissionSource {
        /// Seeded with every environment; cannot be changed or deleted.
        System = "system",
        /// Created by the customer.
        Custom = "custom",
    }
);

/// A permission of an environment's catalog. Its key never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Its id.
    pub id: PermissionId,
    /// The environment of its catalog.
    pub environment_id: EnvironmentId,
    /// The key, unique in the environment, compared byte for byte.
    pub key: PermissionKey,
    /// A description, for people.
    pub description: Option<Description>,
    /// The category for display.
    pub category: Option<Category>,
    /// Its source: the system or the customer.
    pub source: PermissionSource,
    /// The version: 1 at creation, one more with each change.
    pub version: Version,
    /// The time of its creation.
    pub created_at: Timestamp,
}

impl Permission {
    /// Returns the folded text that searches match: key and description.
    pub fn searched_text(&self) -> String {
        let description = self.description.as_ref().map(Description::as_str);
        crate::searched_text([self.key.as_str()].into_iter().chain(description))
    }
}

/// The keys that every environment is seeded with. Each lets API keys manage an area or run checks.
pub const SYSTEM_PERMISSION_KEYS: [&str; 14] = [
    "environment.manage",
    "permission.read",
    "permission.manage",
    "role.read",
    "role.manage",
    "node.read",
    "node.manage",
    "identity.read",
    "identity.manage",
    "assignment.read",
    "assignment.manage",
    "access.evaluate",
    "api_key.manage",
    "audit.read",
];

/// An error of a change to the permission catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    /// No such permission in the environment.
    #[error("the environment has no such permission")]
    NotFound,
    /// The catalog has the key already, or the request names it twice.
    #[error("a permission with this key exists already")]
    KeyTaken {
        /// Every existing key, sorted.
        keys: Vec<PermissionKey>,
    },
    /// System permissions cannot be changed or deleted.
    #[error("a system permission cannot be changed or deleted")]
    System,
    /// Roles bundle the permission.
    #[error("roles bundle this permission; delete it with `force` to unbind it from them")]
    InUse {
        /// The roles, sorted.
        roles: Vec<RoleId>,
    },
    /// The permission was changed since the caller read it.
    #[error("the permission has been changed since it was read")]
    Stale {
        /// The current version.
        current: Version,
    },
}
