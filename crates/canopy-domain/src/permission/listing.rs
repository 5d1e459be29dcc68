//! Filters of the list of permissions.

use super::{Category, PermissionSource};
use crate::SearchWords;

/// Selects permissions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermissionQuery {
    /// Only those whose key or description matches the search.
    pub search: Option<SearchWords>,
    /// Only those of this category.
    pub category: Option<Category>,
    /// Only those of this source.
    pub source: Option<PermissionSource>,
}
