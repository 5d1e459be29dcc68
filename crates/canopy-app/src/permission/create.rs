//! Creates permissions, all or nothing.

use crate::audit::described::{self, ListChange};
use crate::audit_entry::AuditEntry;
use crate::setup::admit_catalog;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{
    Category, Description, EnvironmentRef, Permission, PermissionError, PermissionId, PermissionKey, PermissionSource,
    Version,
};
use std::collections::BTreeSet;

/// A requested permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPermission {
    /// Its key.
    pub key: PermissionKey,
    /// Its description.
    pub description: Option<Description>,
    /// The category for display.
    pub category: Option<Category>,
}

/// Creates custom permissions.
///
/// Fails with [`PermissionError::KeyTaken`], which has all existing and repeated keys, with [`AppError::Catalog`] or
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct CreatePermissions {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The permissions.
    pub items: Vec<NewPermission>,
}

#[async_trait]
impl Write for CreatePermissions {
    type Outcome = Vec<Permission>;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::PermissionManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Vec<Permission>>, AppError> {
        let Self { environment, items } = self;
        let id = environment.environment;
        let keys: Vec<PermissionKey> = items.iter().map(|item| item.key.clone()).collect();
        let existing = facts.permission_ids(id, &keys).await?;
        let mut seen = BTreeSet::new();
        let taken: BTreeSet<&PermissionKey> = keys
            .iter()
            .filter(|key| !seen.insert(*key) || existing.contains_key(*key))
            .collect();
        if !taken.is_empty() {
            return Err(PermissionError::KeyTaken {
                keys: taken.into_iter().cloned().collect(),
            }
            .into());
        }
        admit_catalog(facts, at, id, (items.len(), 0)).await?;
        let made: Vec<Permission> = items
            .iter()
            .map(|item| Permission {
                id: PermissionId::new(at.mint()),
                environment_id: id,
                key: item.key.clone(),
                description: item.description.clone(),
                category: item.category.clone(),
                source: PermissionSource::Custom,
                version: Version::FIRST,
                created_at: at.now(),
            })
            .collect();
        let mut details = at.details();
        details.keys(None, ListChange::Added, made.iter().map(|one| &one.key));
        let entry = AuditEntry::within(environment, "permission.create", AuditCategory::Catalog)
            .resource(
                "permission",
                made.first().map(|one| one.id.to_string()).unwrap_or_default(),
                made.first().map(|one| one.key.to_string()).unwrap_or_default(),
            )
            .detail(vec![
                ("count", Detail::count(made.len())),
                ("permission_ids", described::first(made.iter().map(|one| one.id))),
                ("permission_keys", described::first(made.iter().map(|one| &one.key))),
            ])
            .detailing(details);
        let changes = ChangeSet {
            permissions: Rows::added(made.clone()),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, made, entry))
    }
}
