//! The audit log.

pub(crate) mod described;
pub mod details;
pub mod get;
pub mod list;
pub mod refusals;
