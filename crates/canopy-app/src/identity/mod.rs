//! Identities of an account and their memberships in its applications.

pub mod attach;
pub mod bulk_create;
pub mod get;
pub mod list;
