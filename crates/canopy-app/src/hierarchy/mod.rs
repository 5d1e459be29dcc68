//! The tree of nodes and its schema.

mod bulk_create;
mod change_node;
mod change_schema;
mod get_node;
mod get_schema;
mod list_nodes;
mod list_people;
mod remove_node;
mod revert;

pub use bulk_create::CreateNodes;
pub use change_node::ChangeNode;
pub use change_schema::ChangeHierarchySchema;
pub use get_node::{get_ancestors, get_children, get_node, get_subtree};
pub use get_schema::get_hierarchy_schema;
pub use list_nodes::list_nodes;
pub use list_people::{list_node_assignments, summarize_node_assignments};
pub use remove_node::RemoveNode;
pub use revert::RevertToFlat;

use crate::AppError;
use canopy_domain::HierarchyError;
use canopy_domain::port::Unique;

/// Returns the error of a race for a slug: a sibling got it meanwhile.
fn slug_taken(unique: Unique) -> Option<AppError> {
    (unique == Unique::NodeSlug).then(|| HierarchyError::SlugTaken.into())
}
