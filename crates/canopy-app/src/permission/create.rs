//! Create permissions, all or nothing.

use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::{Change, PermissionFact};
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::port::WriteScope;
use canopy_domain::{
    Category, Description, EnvironmentPlace, Permission, PermissionError, PermissionId, PermissionKey,
    PermissionSource, Version,
};
use std::collections::BTreeSet;

/// A permission that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPermission {
    /// Its key.
    pub key: PermissionKey,
    /// What it allows.
    pub description: Option<Description>,
    /// The group it is shown in.
    pub category: Option<Category>,
}

/// Creates custom permissions.
///
/// # Errors
/// [`PermissionError::KeyTaken`] with all keys that the catalog has or the request repeats; [`AppError::Catalog`];
/// [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    items: &[NewPermission],
) -> Result<Vec<Permission>, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let keys: Vec<PermissionKey> = items.iter().map(|item| item.key.clone()).collect();
        let existing = tx.permission_ids(place.environment, &keys).await?;
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
        app.admit_catalog(tx.as_mut(), place.environment, items.len(), 0)
            .await?;
        let made: Vec<Permission> = items
            .iter()
            .map(|item| Permission {
                id: PermissionId::new(app.mint()),
                environment_id: place.environment,
                key: item.key.clone(),
                description: item.description.clone(),
                category: item.category.clone(),
                source: PermissionSource::Custom,
                version: Version::FIRST,
                created_at: now,
            })
            .collect();
        tx.insert_permissions(&made).await?;
        let mut details = Details::default();
        details.keys(None, ListChange::Added, made.iter().map(|one| &one.key));
        let entry = AuditEntry::within(place, "permission.create", AuditCategory::Catalog)
            .on(
                "permission",
                made.first().map(|one| one.id.to_string()).unwrap_or_default(),
                made.first().map(|one| one.key.to_string()).unwrap_or_default(),
            )
            .saying(vec![
                ("count", Detail::count(made.len())),
                ("permission_ids", described::first(made.iter().map(|one| one.id))),
                ("permission_keys", described::first(made.iter().map(|one| &one.key))),
            ])
            .detailing(details);
        let steps = made.iter().map(|one| {
            Change::PermissionPut(PermissionFact {
                id: one.id,
                key: one.key.clone(),
            })
        });
        app.commit_within(tx, call, place, now, steps.collect(), entry, &made)
            .await?;
        Ok(made)
    })
    .await
}
