//! The catalog of permissions.

pub mod change;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;
