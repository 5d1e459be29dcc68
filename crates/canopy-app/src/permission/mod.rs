//! The catalog of permissions.

mod change;
mod create;
mod delete;
mod get;
mod list;

pub use change::ChangePermission;
pub use create::{CreatePermissions, NewPermission};
pub use delete::DeletePermission;
pub use get::get_permission;
pub use list::list_permissions;
