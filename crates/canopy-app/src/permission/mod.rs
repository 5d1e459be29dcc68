//! The catalog of permissions.

pub mod create;
pub mod get;
pub mod list;
