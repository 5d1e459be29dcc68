//! Filters of the list of permissions.

use super::{Category, PermissionSource};
use crate::SearchWords;

/// Which permissions are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermissionQuery {
    /// Only those that the search finds in their key and description.
    pub search: Option<SearchWords>,
    /// Only those of this category.
    pub category: Option<Category>,
    /// Only those of this source.
    pub source: Option<PermissionSource>,
}
