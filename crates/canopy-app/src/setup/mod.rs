//! Setup of the catalog and roles of an environment.

mod bootstrap;
mod resource_permissions;
mod summaries;

pub use bootstrap::{BootstrapCounts, BootstrapEnvironment};
pub use resource_permissions::{AddResourcePermissions, ResourcePermissionsCounts};
pub use summaries::list_setup_summaries;

use crate::{AppError, Moment};
use canopy_domain::port::ReadTx;
use canopy_domain::setup::Catalog;
use canopy_domain::{EnvironmentId, Permission, PermissionId, PermissionKey, PermissionSource, Version};
use std::collections::HashMap;

/// Returns the custom permissions with these keys.
fn custom_permissions(at: &Moment<'_>, environment: EnvironmentId, keys: &[PermissionKey]) -> Vec<Permission> {
    keys.iter()
        .map(|key| Permission {
            id: PermissionId::new(at.mint()),
            environment_id: environment,
            key: key.clone(),
            description: None,
            category: None,
            source: PermissionSource::Custom,
            version: Version::FIRST,
            created_at: at.now(),
        })
        .collect()
}

/// Returns the id of every key of the catalog and of new permissions.
fn ids_by_key(catalog: &Catalog, made: &[Permission]) -> HashMap<PermissionKey, PermissionId> {
    let old = catalog
        .permissions
        .iter()
        .map(|(key, permission)| (key.clone(), permission.id));
    old.chain(made.iter().map(|permission| (permission.key.clone(), permission.id)))
        .collect()
}

/// Refuses a catalog that would grow beyond its limits.
pub(crate) async fn admit_catalog(
    facts: &mut dyn ReadTx,
    at: &Moment<'_>,
    environment: EnvironmentId,
    (keys, pairs): (usize, usize),
) -> Result<(), AppError> {
    if keys + pairs > 0 {
        let before = facts.catalog_size(environment).await?;
        at.catalog_limits().admit(before, before.plus(keys, pairs))?;
    }
    Ok(())
}
