//! Rows of the catalog and of the setup status.

use crate::shape::shape;
use canopy_domain::setup::{CatalogPermission, CatalogRole, CatalogSize, SetupSummary};
use canopy_domain::{PermissionKey, PermissionSource, RoleId, RoleName, Slug};
use std::collections::BTreeSet;

shape! {
    /// A permission of the catalog.
    CatalogPermissionRow in "permissions" reads ((PermissionKey, CatalogPermission)) {
        id: "id" as id,
        key: "key" as text(PermissionKey::parse),
        source: "source" as word(PermissionSource::parse),
    } => (key, CatalogPermission { id, source })
}

shape! {
    /// A role of the catalog, without its permissions.
    CatalogRoleRow in "roles" reads ((RoleId, CatalogRole)) {
        id: "id" as id,
        name: "name" as text(RoleName::restored),
        kind: "system_key" as role_kind,
    } => (id, CatalogRole { name, kind, permissions: BTreeSet::new() })
}

shape! {
    /// The numbers of permissions and of pairs.
    CatalogSizeRow in "permissions" reads CatalogSize { keys: _ as count, pairs: _ as count, }
}

shape! {
    /// The setup status of an environment.
    SetupSummaryRow in "environments" reads SetupSummary {
        environment_id: "id" as id,
        application_id: "id" as id,
        application_slug: "slug" as text(Slug::parse),
        environment_slug: "slug" as text(Slug::parse),
        has_permissions: _ as flag,
        has_roles: _ as flag,
        has_role_permissions: _ as flag,
        identities: _ as count,
    }
}
