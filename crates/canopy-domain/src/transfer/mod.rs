//! Transfer of the contents of an environment to another one: export, import and copy.
//!
//! A [`Document`] has the access model, the hierarchy schema, the custom permissions and roles, and the tree. It refers
//! to all of them by name: a permission by its key, a role by its name ignoring case, a node by its path of slugs. It
//! omits the rows that every environment is seeded with, and everything about people: assignments, memberships and
//! keys.

mod contents;
mod document;
pub mod plan;

pub use crate::slug_path::{SlugPath, SlugPathError};
pub use contents::{Contents, RoleContents};
pub use document::{Document, DocumentError, DocumentErrors, NodeEntry, PermissionEntry, RoleDraft, RoleEntry};
