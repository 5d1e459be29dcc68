//! What can be asked of the list of permissions.

use super::{Category, PermissionSource};

/// Which permissions are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermissionQuery {
    /// Only those whose key or description contains this text, already [case folded](crate::fold_case).
    pub search: Option<String>,
    /// Only those of this category.
    pub category: Option<Category>,
    /// Only those of this source.
    pub source: Option<PermissionSource>,
}
