//! The audit log.

pub(crate) mod described;
pub mod get;
pub mod list;
pub mod refusals;
