//! Setting up an environment's catalog and roles.

pub mod bootstrap;
pub mod resource_permissions;
pub mod summaries;

use crate::App;
use canopy_domain::access::{Change, PermissionFact};
use canopy_domain::setup::Catalog;
use canopy_domain::{EnvironmentId, Permission, PermissionId, PermissionKey, PermissionSource, Timestamp, Version};
use std::collections::HashMap;

/// The custom permissions that these keys make.
fn custom_permissions(
    app: &App,
    environment: EnvironmentId,
    keys: &[PermissionKey],
    now: Timestamp,
) -> Vec<Permission> {
    keys.iter()
        .map(|key| Permission {
            id: PermissionId::new(app.mint()),
            environment_id: environment,
            key: key.clone(),
            description: None,
            category: None,
            source: PermissionSource::Custom,
            version: Version::FIRST,
            created_at: now,
        })
        .collect()
}

/// The id of every key of the catalog and of those just made.
fn ids_by_key(catalog: &Catalog, made: &[Permission]) -> HashMap<PermissionKey, PermissionId> {
    let old = catalog
        .permissions
        .iter()
        .map(|(key, permission)| (key.clone(), permission.id));
    old.chain(made.iter().map(|permission| (permission.key.clone(), permission.id)))
        .collect()
}

fn permissions_put(made: &[Permission]) -> impl Iterator<Item = Change> {
    made.iter().map(|one| {
        Change::PermissionPut(PermissionFact {
            id: one.id,
            key: one.key.clone(),
        })
    })
}
