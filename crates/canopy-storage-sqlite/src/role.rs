//! Roles and what they bundle.

use crate::error::ensure;
use crate::packed::{Cell, IDS, Layout, Packed};
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::port::reader::RoleReader;
use canopy_domain::port::writer::RoleWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::role::listing::{RoleQuery, RoleTypeFilter, RoleView};
use canopy_domain::{Description, EnvironmentId, PermissionId, PermissionKey, Role, RoleId, RoleName};
use canopy_storage_sql::rows::role::{PermissionKeyRow, RoleNameRow, RoleRow, RoleViewRow};
use canopy_storage_sql::write::one_environment;
use canopy_storage_sql::{SqlText, sql};
use std::collections::{HashMap, HashSet};

// With the environment in each row, an UPDATE looks each row up by its key; given once, SQLite would go through all roles
// of the environment and through all given rows for each.
const ROWS: Layout = Layout(&[
    ("environment_id", Cell::Id),
    ("id", Cell::Id),
    ("name", Cell::Text),
    ("name_folded", Cell::Text),
    ("description", Cell::Text),
    ("system_key", Cell::Text),
    ("is_active", Cell::Number),
    ("version", Cell::Number),
    ("created_at", Cell::Number),
    ("updated_at", Cell::Number),
]);
const PAIRS: Layout = Layout(&[("role_id", Cell::Id), ("permission_id", Cell::Id)]);

fn pack(roles: &[Role]) -> Packed {
    Packed::new(ROWS, roles, |row, role| {
        row.id(role.environment_id.as_bytes());
        row.id(role.id.as_bytes());
        row.text(role.name.as_str());
        row.text(&role.name.folded());
        row.optional_text(role.description.as_ref().map(Description::as_str));
        row.optional_text(role.kind.system_key());
        row.number(role.is_active);
        row.number(role.version.get());
        row.at(role.created_at);
        row.at(role.updated_at);
    })
}

fn pack_pairs(pairs: &[(RoleId, PermissionId)]) -> Packed {
    Packed::new(PAIRS, pairs, |row, (role, permission)| {
        row.id(role.as_bytes());
        row.id(permission.as_bytes());
    })
}

#[async_trait]
impl RoleReader for UnitOfWork {
    async fn roles(&mut self, environment: EnvironmentId, query: &RoleQuery) -> Result<Vec<RoleView>, StoreError> {
        let query = *query;
        self.run(move |c| {
            static SELECT: SqlText = sql!(
                "SELECT {RoleRow}, (SELECT count(*) FROM role_permissions AS bound \
                 WHERE bound.environment_id = roles.environment_id AND bound.role_id = roles.id) \
                 FROM roles WHERE environment_id = ?1 AND (?2 OR is_active) \
                 AND (?3 IS NULL OR (system_key IS NOT NULL) = ?3) ORDER BY name_folded"
            );
            let system = query.kind.map(|kind| match kind {
                RoleTypeFilter::System => true,
                RoleTypeFilter::Custom => false,
            });
            Statement::new(&SELECT)
                .bind(environment.as_bytes())
                .bind(query.include_inactive)
                .bind(system)
                .all(c, RoleViewRow)
        })
        .await
    }

    async fn role(&mut self, environment: EnvironmentId, id: RoleId) -> Result<Option<Role>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText = sql!("SELECT {RoleRow} FROM roles WHERE environment_id = ?1 AND id = ?2");
            let statement = Statement::new(&SELECT).bind(environment.as_bytes()).bind(id.as_bytes());
            statement.first(c, RoleRow)
        })
        .await
    }

    async fn role_permissions(
        &mut self,
        environment: EnvironmentId,
        id: RoleId,
    ) -> Result<Vec<(PermissionId, PermissionKey)>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT p.id, p.key FROM role_permissions AS bound \
                              JOIN permissions AS p ON p.environment_id = bound.environment_id AND p.id = permission_id \
                              WHERE bound.environment_id = ?1 AND role_id = ?2 ORDER BY p.key"
        );
        self.run(move |c| {
            let statement = Statement::new(&SELECT).bind(environment.as_bytes()).bind(id.as_bytes());
            statement.all(c, PermissionKeyRow)
        })
        .await
    }

    async fn role_names(
        &mut self,
        environment: EnvironmentId,
        ids: &[RoleId],
    ) -> Result<HashMap<RoleId, RoleName>, StoreError> {
        static SELECT: SqlText = sql!(
            "{} SELECT r.id, r.name FROM given CROSS JOIN roles AS r ON r.environment_id = ?3 AND r.id = given.id",
            IDS.given()
        );
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = Packed::distinct_ids(ids.iter().map(RoleId::as_bytes));
        self.run(move |c| {
            let select = ids.statement(&SELECT).bind(environment.as_bytes());
            select.all(c, RoleNameRow)
        })
        .await
    }

    async fn roles_bundling(
        &mut self,
        environment: EnvironmentId,
        permission: PermissionId,
    ) -> Result<Vec<Role>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText = sql!(
                "SELECT {RoleRow} FROM roles WHERE environment_id = ?1 AND id IN (SELECT role_id FROM role_permissions \
                 WHERE environment_id = ?1 AND permission_id = ?2) ORDER BY id"
            );
            let statement = Statement::new(&SELECT)
                .bind(environment.as_bytes())
                .bind(permission.as_bytes());
            statement.all(c, RoleRow)
        })
        .await
    }
}

#[async_trait]
impl RoleWriter for UnitOfWork {
    async fn insert_roles(&mut self, roles: &[Role]) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "{} INSERT INTO roles (environment_id, id, name, name_folded, description, system_key, is_active, \
                 version, created_at, updated_at) SELECT environment_id, id, name, name_folded, description, system_key, is_active, \
                 version, created_at, updated_at FROM given",
            ROWS.given()
        );
        static TAKEN: SqlText = sql!(
            "{} SELECT EXISTS (SELECT 1 FROM given CROSS JOIN roles AS r \
                 ON r.environment_id = given.environment_id AND r.name_folded = given.name_folded)",
            ROWS.given()
        );
        if one_environment(roles.iter().map(|role| role.environment_id))?.is_none() {
            return Ok(());
        }
        let names: HashSet<String> = roles.iter().map(|role| role.name.folded()).collect();
        let (count, repeated) = (roles.len(), names.len() < roles.len());
        let rows = pack(roles);
        self.run(move |c| {
            let Some(stored) = rows.statement(&INSERT).attempt(c)? else {
                let taken = repeated || rows.statement(&TAKEN).holds(c)?;
                return Err(StoreError::Duplicate(if taken { Unique::RoleName } else { Unique::Id }));
            };
            ensure(stored == count, "a role was not stored")
        })
        .await
    }

    async fn update_roles(&mut self, roles: &[Role]) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "{} UPDATE roles SET name = given.name, name_folded = given.name_folded, \
                 description = given.description, system_key = given.system_key, is_active = given.is_active, \
                 version = given.version, created_at = given.created_at, updated_at = given.updated_at \
                 FROM given WHERE roles.environment_id = given.environment_id AND roles.id = given.id",
            ROWS.given()
        );
        if one_environment(roles.iter().map(|role| role.environment_id))?.is_none() {
            return Ok(());
        }
        let (count, rows) = (roles.len(), pack(roles));
        self.run(move |c| {
            let update = rows.statement(&UPDATE);
            let changed = update.execute_unique(c, Unique::RoleName)?;
            ensure(changed == count, "a changed role is not there, or given twice")
        })
        .await
    }

    async fn delete_roles(&mut self, environment: EnvironmentId, ids: &[RoleId]) -> Result<(), StoreError> {
        static UNBIND: SqlText = sql!(
            "{} DELETE FROM role_permissions WHERE environment_id = ?3 AND role_id IN (SELECT id FROM given)",
            IDS.given()
        );
        static DELETE: SqlText = sql!(
            "{} DELETE FROM roles WHERE environment_id = ?3 AND id IN (SELECT id FROM given)",
            IDS.given()
        );
        if ids.is_empty() {
            return Ok(());
        }
        let ids = Packed::ids(ids.iter().map(RoleId::as_bytes));
        self.run(move |c| {
            ids.statement(&UNBIND).bind(environment.as_bytes()).execute(c)?;
            ids.statement(&DELETE).bind(environment.as_bytes()).execute(c)?;
            Ok(())
        })
        .await
    }

    async fn bind_permissions(
        &mut self,
        environment: EnvironmentId,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError> {
        // Ignores pairs that are there; a broken foreign key is never ignored.
        static INSERT: SqlText = sql!(
            "{} INSERT INTO role_permissions (environment_id, role_id, permission_id) \
                 SELECT ?3, role_id, permission_id FROM given WHERE true ON CONFLICT DO NOTHING",
            PAIRS.given()
        );
        if pairs.is_empty() {
            return Ok(());
        }
        let pairs = pack_pairs(pairs);
        self.run(move |c| {
            pairs
                .statement(&INSERT)
                .bind(environment.as_bytes())
                .execute(c)
                .map(|_| ())
        })
        .await
    }

    async fn unbind_permissions(
        &mut self,
        environment: EnvironmentId,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError> {
        static DELETE: SqlText = sql!(
            "{} DELETE FROM role_permissions WHERE environment_id = ?3 \
                 AND (role_id, permission_id) IN (SELECT role_id, permission_id FROM given)",
            PAIRS.given()
        );
        if pairs.is_empty() {
            return Ok(());
        }
        let pairs = pack_pairs(pairs);
        self.run(move |c| {
            pairs
                .statement(&DELETE)
                .bind(environment.as_bytes())
                .execute(c)
                .map(|_| ())
        })
        .await
    }
}
