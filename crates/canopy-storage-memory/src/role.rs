//! Roles and their permissions.

use crate::rule::{bug, ensure, one_environment, unique};
use crate::table::RoleRow;
use crate::unit::{Unit, Writing};
use async_trait::async_trait;
use canopy_domain::port::reader::RoleReader;
use canopy_domain::port::writer::RoleWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::role::listing::{RoleQuery, RoleTypeFilter, RoleView};
use canopy_domain::{Assignment, EnvironmentId, PermissionId, PermissionKey, Role, RoleId, RoleName};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

fn fits(role: &Role, query: RoleQuery) -> bool {
    let of_kind = match query.kind {
        None => true,
        Some(RoleTypeFilter::System) => role.kind.is_system(),
        Some(RoleTypeFilter::Custom) => !role.kind.is_system(),
    };
    of_kind && (query.include_inactive || role.is_active)
}

#[async_trait]
impl<Kind: Send> RoleReader for Unit<Kind> {
    async fn roles(&mut self, environment: EnvironmentId, query: &RoleQuery) -> Result<Vec<RoleView>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(vec![]);
        };
        let fitting = contents.roles.in_order().filter(|row| fits(&row.role, *query));
        Ok(fitting
            .map(|row| RoleView {
                role: row.role.clone(),
                permission_count: u64::try_from(row.permissions.len()).unwrap_or(u64::MAX),
            })
            .collect())
    }

    async fn role(&mut self, environment: EnvironmentId, id: RoleId) -> Result<Option<Role>, StoreError> {
        let contents = self.state.contents(environment);
        let row = contents.and_then(|c| c.roles.by_id.get(&id));
        Ok(row.map(|row| row.role.clone()))
    }

    async fn role_permissions(
        &mut self,
        environment: EnvironmentId,
        id: RoleId,
    ) -> Result<Vec<(PermissionId, PermissionKey)>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(vec![]);
        };
        let Some(row) = contents.roles.by_id.get(&id) else {
            return Ok(vec![]);
        };
        let bundled = contents
            .permissions
            .in_order()
            .filter(|permission| row.permissions.contains(&permission.id));
        Ok(bundled
            .map(|permission| (permission.id, permission.key.clone()))
            .collect())
    }

    async fn role_names(
        &mut self,
        environment: EnvironmentId,
        ids: &[RoleId],
    ) -> Result<HashMap<RoleId, RoleName>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(HashMap::new());
        };
        let named = |id: &RoleId| Some((*id, contents.roles.by_id.get(id)?.role.name.clone()));
        Ok(ids.iter().filter_map(named).collect())
    }

    async fn roles_bundling(
        &mut self,
        environment: EnvironmentId,
        permission: PermissionId,
    ) -> Result<Vec<Role>, StoreError> {
        let Some(contents) = self.state.contents(environment) else {
            return Ok(vec![]);
        };
        let rows = contents.roles.by_id.values();
        let bundling = rows.filter(|row| row.permissions.contains(&permission));
        Ok(bundling.map(|row| row.role.clone()).collect())
    }
}

#[async_trait]
impl RoleWriter for Unit<Writing> {
    async fn insert_roles(&mut self, roles: &[Role]) -> Result<(), StoreError> {
        let Some(environment) = one_environment(roles.iter().map(|r| r.environment_id))? else {
            return Ok(());
        };
        let table = &mut self.state.contents_mut(environment)?.roles;
        let names = roles.iter().map(|role| role.name.folded());
        unique(names, |name| table.by_folded_name.contains_key(name), Unique::RoleName)?;
        let ids = roles.iter().map(|role| role.id);
        unique(ids, |id| table.by_id.contains_key(id), Unique::Id)?;
        let table = Arc::make_mut(table);
        for role in roles {
            table.by_folded_name.insert(role.name.folded(), role.id);
            let row = RoleRow {
                role: role.clone(),
                permissions: BTreeSet::new(),
            };
            table.by_id.insert(role.id, row);
        }
        Ok(())
    }

    async fn update_roles(&mut self, roles: &[Role]) -> Result<(), StoreError> {
        let Some(environment) = one_environment(roles.iter().map(|r| r.environment_id))? else {
            return Ok(());
        };
        let table = &mut self.state.contents_mut(environment)?.roles;
        let changing: BTreeSet<RoleId> = roles.iter().map(|role| role.id).collect();
        let stays = |name: &String| {
            table
                .by_folded_name
                .get(name)
                .is_some_and(|holder| !changing.contains(holder))
        };
        unique(roles.iter().map(|role| role.name.folded()), stays, Unique::RoleName)?;
        ensure(changing.len() == roles.len(), "a call changes each role once")?;
        ensure(
            changing.iter().all(|id| table.by_id.contains_key(id)),
            "a changed role is not there",
        )?;
        let table = Arc::make_mut(table);
        for role in roles {
            if let Some(row) = table.by_id.get(&role.id) {
                table.by_folded_name.remove(&row.role.name.folded());
            }
        }
        for role in roles {
            table.by_folded_name.insert(role.name.folded(), role.id);
            if let Some(row) = table.by_id.get_mut(&role.id) {
                row.role = role.clone();
            }
        }
        Ok(())
    }

    async fn delete_roles(&mut self, environment: EnvironmentId, ids: &[RoleId]) -> Result<(), StoreError> {
        if ids.is_empty() || self.state.contents(environment).is_none() {
            return Ok(());
        }
        let contents = self.state.contents_mut(environment)?;
        let gone: BTreeSet<RoleId> = ids.iter().copied().collect();
        let named = |assignment: &Assignment| gone.contains(&assignment.key.role);
        ensure(
            !contents.assignments.by_id.values().any(named),
            "assignments name a deleted role",
        )?;
        let table = Arc::make_mut(&mut contents.roles);
        for id in &gone {
            if let Some(old) = table.by_id.remove(id) {
                table.by_folded_name.remove(&old.role.name.folded());
            }
        }
        Ok(())
    }

    async fn bind_permissions(
        &mut self,
        environment: EnvironmentId,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError> {
        if pairs.is_empty() {
            return Ok(());
        }
        let contents = self.state.contents_mut(environment)?;
        contents.roles.check_pairs(&contents.permissions, pairs)?;
        let table = Arc::make_mut(&mut contents.roles);
        for (role, permission) in pairs {
            let row = table.by_id.get_mut(role).ok_or_else(|| bug("the role is not there"))?;
            row.permissions.insert(*permission);
        }
        Ok(())
    }

    async fn unbind_permissions(
        &mut self,
        environment: EnvironmentId,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError> {
        if pairs.is_empty() || self.state.contents(environment).is_none() {
            return Ok(());
        }
        let table = Arc::make_mut(&mut self.state.contents_mut(environment)?.roles);
        for (role, permission) in pairs {
            if let Some(row) = table.by_id.get_mut(role) {
                row.permissions.remove(permission);
            }
        }
        Ok(())
    }
}
