//! The catalog of permissions.

use crate::rule::{ensure, one_environment, unique};
use crate::unit::{Unit, Writing};
use async_trait::async_trait;
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::port::reader::PermissionReader;
use canopy_domain::port::writer::PermissionWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{EnvironmentId, Permission, PermissionId, PermissionKey, SearchWords};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The permissions of one environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Permissions {
    pub by_id: BTreeMap<PermissionId, Permission>,
    pub by_key: BTreeMap<PermissionKey, PermissionId>,
}

impl Permissions {
    /// Returns all permissions, by key.
    pub fn in_order(&self) -> impl Iterator<Item = &Permission> {
        self.by_key.values().filter_map(|id| self.by_id.get(id))
    }
}

fn fits(permission: &Permission, query: &PermissionQuery) -> bool {
    let found = |search: &SearchWords| search.matches([permission.searched_text().as_str()]);
    query.search.as_ref().is_none_or(found)
        && (query.category.is_none() || query.category == permission.category)
        && query.source.is_none_or(|source| source == permission.source)
}

#[async_trait]
impl<Kind: Send> PermissionReader for Unit<Kind> {
    async fn permissions(
        &mut self,
        environment: EnvironmentId,
        query: &PermissionQuery,
    ) -> Result<Vec<Permission>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(vec![]);
        };
        let all = contents.permissions.in_order();
        Ok(all.filter(|permission| fits(permission, query)).cloned().collect())
    }

    async fn permission(
        &mut self,
        environment: EnvironmentId,
        id: PermissionId,
    ) -> Result<Option<Permission>, StoreError> {
        let contents = self.state.contents(environment);
        Ok(contents.and_then(|c| c.permissions.by_id.get(&id)).cloned())
    }

    async fn permission_ids(
        &mut self,
        environment: EnvironmentId,
        keys: &[PermissionKey],
    ) -> Result<HashMap<PermissionKey, PermissionId>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(HashMap::new());
        };
        let known = |key: &PermissionKey| contents.permissions.by_key.get(key).map(|id| (key.clone(), *id));
        Ok(keys.iter().filter_map(known).collect())
    }
}

#[async_trait]
impl PermissionWriter for Unit<Writing> {
    async fn insert_permissions(&mut self, permissions: &[Permission]) -> Result<(), StoreError> {
        let Some(environment) = one_environment(permissions.iter().map(|p| p.environment_id))? else {
            return Ok(());
        };
        let table = &mut self.state.contents_mut(environment)?.permissions;
        let keys = permissions.iter().map(|p| &p.key);
        unique(keys, |key| table.by_key.contains_key(*key), Unique::PermissionKey)?;
        let ids = permissions.iter().map(|p| p.id);
        unique(ids, |id| table.by_id.contains_key(id), Unique::Id)?;
        let table = Arc::make_mut(table);
        for permission in permissions {
            table.by_key.insert(permission.key.clone(), permission.id);
            table.by_id.insert(permission.id, permission.clone());
        }
        Ok(())
    }

    async fn update_permissions(&mut self, permissions: &[Permission]) -> Result<(), StoreError> {
        let Some(environment) = one_environment(permissions.iter().map(|p| p.environment_id))? else {
            return Ok(());
        };
        let table = &mut self.state.contents_mut(environment)?.permissions;
        let changing: BTreeSet<PermissionId> = permissions.iter().map(|p| p.id).collect();
        ensure(
            changing.len() == permissions.len(),
            "a call changes each permission once",
        )?;
        let known = changing.iter().all(|id| table.by_id.contains_key(id));
        ensure(known, "a changed permission is not there")?;
        let table = Arc::make_mut(table);
        for permission in permissions {
            if let Some(stored) = table.by_id.get_mut(&permission.id) {
                stored.description.clone_from(&permission.description);
                stored.category.clone_from(&permission.category);
                stored.version = permission.version;
            }
        }
        Ok(())
    }

    async fn delete_permissions(&mut self, environment: EnvironmentId, ids: &[PermissionId]) -> Result<(), StoreError> {
        if ids.is_empty() || self.state.contents(environment).is_none() {
            return Ok(());
        }
        let contents = self.state.contents_mut(environment)?;
        let gone: BTreeSet<PermissionId> = ids.iter().copied().collect();
        for row in Arc::make_mut(&mut contents.roles).by_id.values_mut() {
            row.permissions.retain(|bundled| !gone.contains(bundled));
        }
        let table = Arc::make_mut(&mut contents.permissions);
        for id in &gone {
            if let Some(old) = table.by_id.remove(id) {
                table.by_key.remove(&old.key);
            }
        }
        Ok(())
    }
}
