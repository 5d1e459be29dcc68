//! Rows of roles, permissions and the pairs of them.

use crate::shape::{Shape, shape};
use canopy_domain::assignment::bulk_create::AssignableRole;
use canopy_domain::port::StoreError;
use canopy_domain::role::listing::RoleView;
use canopy_domain::{
    Category, Description, EnvironmentId, Permission, PermissionId, PermissionKey, PermissionSource, Role, RoleId,
    RoleName,
};

shape! {
    /// A role.
    RoleRow in "roles" reads Role {
        id: "id" as id,
        environment_id: "environment_id" as id,
        name: "name" as text(RoleName::restored),
        description: "description" as optional_text(Description::restored),
        kind: "system_key" as role_kind,
        is_active: "is_active" as flag,
        version: "version" as version,
        created_at: "created_at" as at,
        updated_at: "updated_at" as at,
    }
}

/// A role, and behind its columns the number of permissions that it bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleViewRow;

impl Shape for RoleViewRow {
    type Value = RoleView;
    const TABLE: &'static str = RoleRow::TABLE;
    const WIDTH: usize = RoleRow::WIDTH + 1;

    fn columns(self) -> Vec<&'static str> {
        let mut columns = RoleRow.columns();
        columns.push("");
        columns
    }

    fn read(row: &impl crate::Row, first: usize) -> Result<RoleView, StoreError> {
        Ok(RoleView {
            role: RoleRow::read(row, first)?,
            permission_count: row.count(first + RoleRow::WIDTH)?,
        })
    }
}

shape! {
    /// The name of a role.
    RoleNameRow in "roles" reads ((RoleId, RoleName)) {
        id: "id" as id,
        name: "name" as text(RoleName::parse),
    } => (id, name)
}

shape! {
    /// The stored name of a role, with its environment.
    StoredRoleNameRow in "roles" reads ((EnvironmentId, RoleId, RoleName)) {
        environment: "environment_id" as id,
        id: "id" as id,
        name: "name" as text(RoleName::restored),
    } => (environment, id, name)
}

shape! {
    /// A role as far as an assignment depends on it.
    AssignableRoleRow in "roles" reads ((RoleId, AssignableRole)) {
        id: "id" as id,
        kind: "system_key" as role_kind,
        is_active: "is_active" as flag,
    } => (id, AssignableRole { kind, is_active })
}

shape! {
    /// A permission.
    PermissionRow in "permissions" reads Permission {
        id: "id" as id,
        environment_id: "environment_id" as id,
        key: "key" as text(PermissionKey::parse),
        description: "description" as optional_text(Description::restored),
        category: "category" as optional_text(Category::restored),
        source: "source" as word(PermissionSource::parse),
        version: "version" as version,
        created_at: "created_at" as at,
    }
}

shape! {
    /// The key of a permission.
    PermissionKeyRow in "permissions" reads ((PermissionId, PermissionKey)) {
        id: "id" as id,
        key: "key" as text(PermissionKey::parse),
    } => (id, key)
}

shape! {
    /// The id of a permission, by its key.
    PermissionIdRow in "permissions" reads ((PermissionKey, PermissionId)) {
        id: "id" as id,
        key: "key" as text(PermissionKey::parse),
    } => (key, id)
}

shape! {
    /// A role and a permission that it bundles.
    RolePermissionRow in "role_permissions" reads ((RoleId, PermissionId)) {
        role: "role_id" as id,
        permission: "permission_id" as id,
    } => (role, permission)
}
