//! Roles and what they bundle.

use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use crate::value::{column, distinct, instants};
use async_trait::async_trait;
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::RoleReader;
use canopy_domain::port::writer::RoleWriter;
use canopy_domain::role::listing::{RoleQuery, RoleTypeFilter, RoleView};
use canopy_domain::{Description, EnvironmentId, PermissionId, PermissionKey, Role, RoleId, RoleName};
use canopy_storage_sql::rows::role::{PermissionKeyRow, RoleNameRow, RoleRow, RoleViewRow};
use canopy_storage_sql::write::one_environment;
use canopy_storage_sql::{Shape as _, SqlText, sql};
use std::collections::HashMap;
use uuid::Uuid;

#[async_trait]
impl RoleReader for UnitOfWork {
    async fn roles(&mut self, environment: EnvironmentId, query: &RoleQuery) -> Result<Vec<RoleView>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT {role}, \
             (SELECT count(*) FROM role_permissions AS b WHERE b.environment_id = $1 AND b.role_id = r.id) \
             FROM roles AS r WHERE r.environment_id = $1 AND (r.is_active OR $2) \
             AND ($3::boolean IS NULL OR (r.system_key IS NOT NULL) = $3) ORDER BY r.name_folded",
            role = RoleRow.of("r")
        );
        let is_system = query.kind.map(|kind| match kind {
            RoleTypeFilter::System => true,
            RoleTypeFilter::Custom => false,
        });
        Statement::new(&SELECT)
            .bind(environment.as_uuid())
            .bind(query.include_inactive)
            .bind(is_system)
            .all(self.connection()?, RoleViewRow)
            .await
    }

    async fn role(&mut self, environment: EnvironmentId, id: RoleId) -> Result<Option<Role>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {RoleRow} FROM roles WHERE environment_id = $1 AND id = $2");
        let select = Statement::new(&SELECT).bind(environment.as_uuid()).bind(id.as_uuid());
        select.first(self.connection()?, RoleRow).await
    }

    async fn role_permissions(
        &mut self,
        environment: EnvironmentId,
        id: RoleId,
    ) -> Result<Vec<(PermissionId, PermissionKey)>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT p.id, p.key FROM role_permissions AS b \
             JOIN permissions AS p ON p.environment_id = $1 AND p.id = b.permission_id \
             WHERE b.environment_id = $1 AND b.role_id = $2 ORDER BY p.key"
        );
        Statement::new(&SELECT)
            .bind(environment.as_uuid())
            .bind(id.as_uuid())
            .all(self.connection()?, PermissionKeyRow)
            .await
    }

    async fn role_names(
        &mut self,
        environment: EnvironmentId,
        ids: &[RoleId],
    ) -> Result<HashMap<RoleId, RoleName>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT r.id, r.name FROM unnest($1) AS asked (id) CROSS JOIN LATERAL \
             (SELECT o.id, o.name FROM roles AS o WHERE o.environment_id = $2 AND o.id = asked.id OFFSET 0) AS r"
        );
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        Statement::new(&SELECT)
            .bind(distinct(ids.iter().map(RoleId::as_uuid)))
            .bind(environment.as_uuid())
            .all(self.connection()?, RoleNameRow)
            .await
    }

    async fn roles_bundling(
        &mut self,
        environment: EnvironmentId,
        permission: PermissionId,
    ) -> Result<Vec<Role>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT {role} FROM role_permissions AS b \
             JOIN roles AS r ON r.environment_id = $1 AND r.id = b.role_id \
             WHERE b.environment_id = $1 AND b.permission_id = $2 ORDER BY r.id",
            role = RoleRow.of("r")
        );
        let select = Statement::new(&SELECT)
            .bind(environment.as_uuid())
            .bind(permission.as_uuid());
        select.all(self.connection()?, RoleRow).await
    }
}

/// The values of rows, from the environment on.
fn rows<'a>(sql: &'static SqlText, environment: Uuid, ids: Vec<Uuid>, roles: &'a [Role]) -> Statement<'a> {
    Statement::new(sql)
        .bind(environment)
        .bind(ids)
        .bind(column(roles, |r| r.name.as_str()))
        .bind(column(roles, |r| r.name.folded()))
        .bind(column(roles, |r| r.description.as_ref().map(Description::as_str)))
        .bind(column(roles, |r| r.kind.system_key()))
        .bind(column(roles, |r| r.is_active))
        .bind(column(roles, |r| i64::from(r.version.get())))
        .bind(instants(roles, |r| r.created_at))
        .bind(instants(roles, |r| r.updated_at))
}

/// The pairs of a call, from the environment on.
fn pairs_of(sql: &'static SqlText, environment: EnvironmentId, pairs: &[(RoleId, PermissionId)]) -> Statement<'static> {
    Statement::new(sql)
        .bind(environment.as_uuid())
        .bind(column(pairs, |(role, _)| role.as_uuid()))
        .bind(column(pairs, |(_, permission)| permission.as_uuid()))
}

#[async_trait]
impl RoleWriter for UnitOfWork {
    async fn insert_roles(&mut self, roles: &[Role]) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO roles (environment_id, id, name, name_folded, description, system_key, \
             is_active, version, created_at, updated_at) \
             SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10) AS n"
        );
        let Some(environment) = one_environment(roles.iter().map(|r| r.environment_id))?.map(|id| id.as_uuid()) else {
            return Ok(());
        };
        let insert = |ids| rows(&INSERT, environment, ids, roles);
        self.insert(column(roles, |r| r.id.as_uuid()), insert).await
    }

    async fn update_roles(&mut self, roles: &[Role]) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "UPDATE roles AS r SET name = n.name, name_folded = n.name_folded, \
             description = n.description, system_key = n.system_key, is_active = n.is_active, version = n.version, \
             created_at = n.created_at, updated_at = n.updated_at \
             FROM (SELECT old.*, new.* FROM (SELECT $1 AS id) AS scope CROSS JOIN unnest($2, $3, $4, $5, $6, $7, $8, $9, $10) AS new (id, name, name_folded, \
                 description, system_key, is_active, version, created_at, updated_at) \
                 CROSS JOIN LATERAL (SELECT o.environment_id, o.ctid AS place FROM roles AS o \
                 WHERE o.environment_id = scope.id AND o.id = new.id OFFSET 0) AS old) AS n \
             WHERE r.environment_id IS NOT DISTINCT FROM n.environment_id AND r.ctid = n.place"
        );
        let Some(environment) = one_environment(roles.iter().map(|r| r.environment_id))?.map(|id| id.as_uuid()) else {
            return Ok(());
        };
        let ids = column(roles, |r| r.id.as_uuid());
        self.update(roles.len(), rows(&UPDATE, environment, ids, roles)).await
    }

    async fn delete_roles(&mut self, environment: EnvironmentId, ids: &[RoleId]) -> Result<(), StoreError> {
        static UNBIND: SqlText = sql!(
            "DELETE FROM role_permissions AS b USING (SELECT old.place FROM unnest($1) AS gone (id) \
             CROSS JOIN LATERAL (SELECT o.ctid AS place FROM role_permissions AS o \
             WHERE o.environment_id = $2 AND o.role_id = gone.id OFFSET 0) AS old) AS gone \
             WHERE b.environment_id IS NOT DISTINCT FROM $2 AND b.ctid = gone.place"
        );
        static DELETE: SqlText = sql!(
            "DELETE FROM roles AS r USING (SELECT old.place FROM unnest($1) AS gone (id) \
             CROSS JOIN LATERAL (SELECT o.ctid AS place FROM roles AS o \
             WHERE o.environment_id = $2 AND o.id = gone.id OFFSET 0) AS old) AS gone \
             WHERE r.environment_id IS NOT DISTINCT FROM $2 AND r.ctid = gone.place"
        );
        let ids = distinct(ids.iter().map(RoleId::as_uuid));
        self.delete_within(environment, &ids, &[&UNBIND, &DELETE]).await
    }

    async fn bind_permissions(
        &mut self,
        environment: EnvironmentId,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO role_permissions (environment_id, role_id, permission_id) \
             SELECT $1, n.* FROM unnest($2, $3) AS n ON CONFLICT DO NOTHING"
        );
        if pairs.is_empty() {
            return Ok(());
        }
        pairs_of(&INSERT, environment, pairs)
            .execute(self.connection()?)
            .await
            .map(|_| ())
    }

    async fn unbind_permissions(
        &mut self,
        environment: EnvironmentId,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError> {
        // The first pair at or after the wanted one is sought: one index alone has the pairs in order, and many roles may
        // bundle the permission.
        static DELETE: SqlText = sql!(
            "DELETE FROM role_permissions AS b USING (SELECT old.place \
             FROM (SELECT $1 AS id) AS scope CROSS JOIN unnest($2, $3) AS gone (role_id, permission_id) \
             CROSS JOIN LATERAL (SELECT o.ctid AS place, o.role_id, o.permission_id FROM role_permissions AS o \
                 WHERE o.environment_id = scope.id \
                 AND (o.role_id, o.permission_id) >= (gone.role_id, gone.permission_id) \
                 ORDER BY o.role_id, o.permission_id LIMIT 1) AS old \
             WHERE old.role_id = gone.role_id AND old.permission_id = gone.permission_id) AS gone \
             WHERE b.environment_id IS NOT DISTINCT FROM $1 AND b.ctid = gone.place"
        );
        if pairs.is_empty() {
            return Ok(());
        }
        pairs_of(&DELETE, environment, pairs)
            .execute(self.connection()?)
            .await
            .map(|_| ())
    }
}
