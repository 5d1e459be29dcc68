//! Creates a role.

use super::{known_permissions, name_taken};
use crate::audit::described::{self, ListChange};
use crate::audit_entry::AuditEntry;
use crate::setup::admit_catalog;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::AuditCategory;
use canopy_domain::changeset::{Bundle, ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{
    Description, EnvironmentRef, PermissionId, PermissionKey, Role, RoleId, RoleKind, RoleName, Version,
};
use std::collections::BTreeSet;

/// A requested role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRole {
    /// Its name.
    pub name: RoleName,
    /// Its description.
    pub description: Option<Description>,
    /// Its permissions; repetitions count once.
    pub permission_keys: Vec<PermissionKey>,
}

/// Creates a custom role.
///
/// Fails with [`RoleError::NameTaken`](canopy_domain::RoleError::NameTaken),
/// [`RoleError::UnknownPermissionKeys`](canopy_domain::RoleError::UnknownPermissionKeys), [`AppError::Catalog`] or
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct CreateRole {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The role.
    pub new: NewRole,
}

#[async_trait]
impl Write for CreateRole {
    type Outcome = Role;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::RoleManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Role>, AppError> {
        let Self { environment, new } = self;
        let id = environment.environment;
        let known = known_permissions(facts, id, &new.permission_keys).await?;
        admit_catalog(facts, at, id, (0, known.len())).await?;
        let role = Role {
            id: RoleId::new(at.mint()),
            environment_id: id,
            name: new.name.clone(),
            description: new.description.clone(),
            kind: RoleKind::Custom,
            is_active: true,
            version: Version::FIRST,
            created_at: at.now(),
            updated_at: at.now(),
        };
        let permissions: Vec<PermissionId> = known.values().copied().collect();
        let keys: BTreeSet<&PermissionKey> = known.keys().collect();
        let mut details = at.details();
        details.keys(Some((role.id, &role.name)), ListChange::Added, &keys);
        let entry = AuditEntry::within(environment, "role.create", AuditCategory::Catalog)
            .resource("role", role.id, &role.name)
            .detail(vec![
                ("permission_ids", described::first(&permissions)),
                ("permission_keys", described::first(keys)),
            ])
            .detailing(details);
        let bundle = Bundle {
            environment: id,
            role: role.id,
            before: BTreeSet::new(),
            after: permissions.into_iter().collect(),
        };
        let changes = ChangeSet {
            roles: Rows::added(vec![role.clone()]),
            bundles: vec![bundle],
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, role, entry))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        name_taken(unique)
    }
}
