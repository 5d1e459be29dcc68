//! The tree of nodes and its schema.

pub mod bulk_create;
pub mod change_schema;
pub mod get_node;
pub mod get_schema;
pub mod list_nodes;
