//! The catalog and roles as a whole.

use crate::state::Contents;
use crate::unit::Unit;
use async_trait::async_trait;
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::SetupReader;
use canopy_domain::setup::{Catalog, CatalogPermission, CatalogRole, CatalogSize, SetupSummary};
use canopy_domain::{AccountId, Description, EnvironmentId, PermissionSource};

fn catalog(contents: &Contents) -> Catalog {
    let permissions = contents.permissions.by_id.values().map(|permission| {
        let entry = CatalogPermission {
            id: permission.id,
            source: permission.source,
        };
        (permission.key.clone(), entry)
    });
    let roles = contents.roles.by_id.values().map(|row| {
        let entry = CatalogRole {
            name: row.role.name.clone(),
            kind: row.role.kind,
            permissions: row.permissions.clone(),
        };
        (row.role.id, entry)
    });
    Catalog {
        permissions: permissions.collect(),
        roles: roles.collect(),
    }
}

#[async_trait]
impl<Kind: Send> SetupReader for Unit<Kind> {
    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError> {
        Ok(self.state.contents(environment).map(catalog).unwrap_or_default())
    }

    async fn catalog_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(0);
        };
        let described = |text: &str, description: &Option<Description>| {
            text.len() + description.as_ref().map_or(0, |description| description.as_str().len())
        };
        let keys = &contents.permissions.by_id;
        let permissions = keys.values().map(|one| described(one.key.as_str(), &one.description));
        let roles = contents.roles.by_id.values().map(|row| {
            let bundled = row.permissions.iter().filter_map(|id| keys.get(id));
            let bundled: usize = bundled.map(|one| one.key.as_str().len()).sum();
            described(row.role.name.as_str(), &row.role.description) + bundled
        });
        let bytes: usize = permissions.chain(roles).sum();
        Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    async fn catalog_size(&mut self, environment: EnvironmentId) -> Result<CatalogSize, StoreError> {
        let size = |contents: &Contents| CatalogSize {
            keys: contents.permissions.by_id.len(),
            pairs: contents.roles.by_id.values().map(|row| row.permissions.len()).sum(),
        };
        Ok(self.state.contents(environment).map(size).unwrap_or_default())
    }

    async fn setup_summaries(&mut self, account: AccountId) -> Result<Vec<SetupSummary>, StoreError> {
        let mut summaries = vec![];
        for application in self.state.tenancy.applications_of(account) {
            let identities = self.state.directory.active_members(application.id);
            for environment in self.state.tenancy.environments_of(application.id) {
                let Some(contents) = self.state.contents(environment.id) else {
                    continue;
                };
                let custom_roles = || contents.roles.by_id.values().filter(|row| !row.role.kind.is_system());
                let mut permissions = contents.permissions.by_id.values();
                summaries.push(SetupSummary {
                    application_id: application.id,
                    application_slug: application.slug.clone(),
                    environment_id: environment.id,
                    environment_slug: environment.slug.clone(),
                    has_permissions: permissions.any(|permission| permission.source == PermissionSource::Custom),
                    has_roles: custom_roles().next().is_some(),
                    has_role_permissions: custom_roles().any(|row| !row.permissions.is_empty()),
                    identities,
                });
            }
        }
        Ok(summaries)
    }
}
