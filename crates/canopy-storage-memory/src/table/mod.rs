//! The tables: what the store holds, area by area, without the units of work that read and write it.

mod api_key;
mod assignment;
mod audit;
mod history;
mod identity;
mod node;
mod permission;
mod role;
mod tenancy;

pub(crate) use api_key::{ApiKeys, Digests};
pub(crate) use assignment::Assignments;
pub(crate) use audit::AuditLog;
pub(crate) use history::History;
pub(crate) use identity::Directory;
pub(crate) use node::{Tree, place};
pub(crate) use permission::Permissions;
pub(crate) use role::{RoleRow, Roles};
pub(crate) use tenancy::Tenancy;

use canopy_domain::Slug;

/// No slug sorts before this one.
pub(crate) fn first_slug() -> Slug {
    // A slug is never empty and `-` cannot be its first character, so `0` is the smallest.
    Slug::parse("0").unwrap_or_else(|_| Slug::node())
}
