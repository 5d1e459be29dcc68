//! Carrying what an environment is made of to another one: export, import and copy.
//!
//! A [`Document`] holds the access model, the hierarchy schema, the custom permissions and roles, and the tree, all of
//! them named by what they are called: a permission by its key, a role by its name without regard to case, a node by the
//! slugs on the way down to it. What the system seeds every environment with is left out, and so is everything about
//! people: assignments, memberships and keys.

mod contents;
mod document;
pub mod plan;

pub use crate::slug_path::{SlugPath, SlugPathError};
pub use contents::{Contents, RoleContents};
pub use document::{Document, DocumentError, DocumentErrors, NodeEntry, PermissionEntry, RoleDraft, RoleEntry};
