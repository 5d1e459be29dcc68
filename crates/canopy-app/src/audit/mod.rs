//! The audit log.

pub mod get;
pub mod list;
pub mod refusals;
