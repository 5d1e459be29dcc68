//! Filters of the list of roles.

use super::Role;
use crate::string_enum::string_enum;

string_enum!(
    /// Whose roles are listed.
    RoleTypeFilter {
        /// The system role.
        System = "system",
        /// The customer's roles.
        Custom = "custom",
    }
);

/// Which roles are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoleQuery {
    /// Inactive roles too.
    pub include_inactive: bool,
    /// Only those of this type.
    pub kind: Option<RoleTypeFilter>,
}

/// A role as listings show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleView {
    /// The role.
    pub role: Role,
    /// Number of its permissions.
    pub permission_count: u64,
}
