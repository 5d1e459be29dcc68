//! The catalog of permissions of an environment.

pub mod change;
mod key;
pub mod listing;

use crate::id::id_type;
use crate::string_enum::string_enum;
use crate::{Description, EnvironmentId, RoleId, Timestamp, Version, text::text_type};

pub use key::{PermissionKey, PermissionKeyError};

id_type!(
    /// Names a [`Permission`].
    PermissionId
);

text_type!(
    /// A word that groups permissions for people; it has no meaning to the rules.
    Category,
    100
);

string_enum!(
    /// Where a permission comes from.
    PermissionSource {
        /// Seeded with every environment; cannot be changed or deleted.
        System = "system",
        /// Made by the customer.
        Custom = "custom",
    }
);

/// A permission of an environment's catalog. Its key never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Its id.
    pub id: PermissionId,
    /// The environment whose catalog it is in.
    pub environment_id: EnvironmentId,
    /// The key, unique in the environment, compared byte for byte.
    pub key: PermissionKey,
    /// A description, for people.
    pub description: Option<Description>,
    /// The group it is shown in.
    pub category: Option<Category>,
    /// Its source: the system or the customer.
    pub source: PermissionSource,
    /// The version: 1 at creation, one more with each change.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Permission {
    /// The folded text that searches look into: key and description.
    pub fn searched_text(&self) -> String {
        let description = self.description.as_ref().map(Description::as_str);
        crate::searched_text([self.key.as_str()].into_iter().chain(description))
    }
}

/// The keys that every environment is seeded with; each opens a management area or the checks to API keys.
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

/// Why a change to the catalog of permissions is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    /// No such permission in the environment.
    #[error("the environment has no such permission")]
    NotFound,
    /// The catalog has the key already, or the request names it twice.
    #[error("a permission with this key exists already")]
    KeyTaken {
        /// Every key that is taken, sorted.
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
        /// The version it has now.
        current: Version,
    },
}
