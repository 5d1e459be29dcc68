//! Filters of the list of roles.

use super::Role;
use crate::string_enum::string_enum;

string_enum!(
    /// A filter by role type.
    RoleTypeFilter {
        /// The system role.
        System = "system",
        /// The customer's roles.
        Custom = "custom",
    }
);

/// Selects roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoleQuery {
    /// True to include inactive roles.
    pub include_inactive: bool,
    /// Only those of this type.
    pub kind: Option<RoleTypeFilter>,
}

/// A role in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleView {
    /// The role.
    pub role: Role,
    /// Number of its permissions.
    pub permission_count: u64,
}
