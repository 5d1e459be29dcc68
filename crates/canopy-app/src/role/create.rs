//! Create a role.

use super::{fact, known_permissions};
use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::Change;
use canopy_domain::audit::AuditCategory;
use canopy_domain::port::{StoreError, Unique, WriteScope};
use canopy_domain::{
    Description, EnvironmentPlace, PermissionId, PermissionKey, Role, RoleError, RoleId, RoleKind, RoleName, Version,
};
use std::collections::BTreeSet;

/// A role that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRole {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    pub description: Option<Description>,
    /// What it bundles; repetitions count once.
    pub permission_keys: Vec<PermissionKey>,
}

/// Creates a custom role.
///
/// # Errors
/// [`RoleError::NameTaken`], [`RoleError::UnknownPermissionKeys`]; [`AppError::Catalog`]; [`AppError::Store`].
pub async fn run(app: &App, call: &Call, place: &EnvironmentPlace, new: &NewRole) -> Result<Role, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let known = known_permissions(tx.as_mut(), place.environment, &new.permission_keys).await?;
        app.admit_catalog(tx.as_mut(), place.environment, 0, known.len())
            .await?;
        let role = Role {
            id: RoleId::new(app.mint()),
            environment_id: place.environment,
            name: new.name.clone(),
            description: new.description.clone(),
            kind: RoleKind::Custom,
            is_active: true,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        tx.insert_roles(core::slice::from_ref(&role))
            .await
            .map_err(|error| match error {
                StoreError::Duplicate(Unique::RoleName) => RoleError::NameTaken.into(),
                other => AppError::from(other),
            })?;
        let permissions: Vec<PermissionId> = known.values().copied().collect();
        let pairs: Vec<(RoleId, PermissionId)> = permissions.iter().map(|id| (role.id, *id)).collect();
        tx.bind_permissions(place.environment, &pairs).await?;
        let keys: BTreeSet<&PermissionKey> = known.keys().collect();
        let mut details = Details::default();
        details.keys(Some((role.id, &role.name)), ListChange::Added, &keys);
        let entry = AuditEntry::within(place, "role.create", AuditCategory::Catalog)
            .on("role", role.id, &role.name)
            .saying(vec![
                ("permission_ids", described::first(&permissions)),
                ("permission_keys", described::first(keys)),
            ])
            .detailing(details);
        let changes = vec![Change::RolePut(fact(&role, permissions))];
        app.commit_within(tx, call, place, now, changes, entry, &role).await?;
        Ok(role)
    })
    .await
}
