//! The tree of nodes and its schema.

pub mod bulk_create;
pub mod change_node;
pub mod change_schema;
pub mod get_node;
pub mod get_schema;
pub mod list_nodes;
pub mod list_people;
pub mod remove_node;
pub mod revert;
