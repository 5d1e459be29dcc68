//! The catalog of permissions.

use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use crate::value::{column, distinct, instants};
use async_trait::async_trait;
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::PermissionReader;
use canopy_domain::port::writer::PermissionWriter;
use canopy_domain::{
    Category, Description, EnvironmentId, Permission, PermissionId, PermissionKey, PermissionSource, SearchWords,
};
use canopy_storage_sql::rows::role::{PermissionIdRow, PermissionRow};
use canopy_storage_sql::write::one_environment;
use canopy_storage_sql::{SqlText, sql};
use std::collections::HashMap;

/// A catalog is small and listed whole, so its texts are folded here rather than stored a second time.
fn is_found(permission: &Permission, search: Option<&SearchWords>) -> bool {
    search.is_none_or(|search| search.matches([permission.searched_text().as_str()]))
}

#[async_trait]
impl PermissionReader for UnitOfWork {
    async fn permissions(
        &mut self,
        environment: EnvironmentId,
        query: &PermissionQuery,
    ) -> Result<Vec<Permission>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT {PermissionRow} \
             FROM permissions WHERE environment_id = $1 \
             AND ($2::text IS NULL OR category = $2) AND ($3::text IS NULL OR source = $3) ORDER BY key"
        );
        let select = Statement::new(&SELECT)
            .bind(environment.as_uuid())
            .bind(query.category.as_ref().map(Category::as_str))
            .bind(query.source.map(PermissionSource::as_str));
        let mut permissions: Vec<Permission> = select.all(self.connection()?, PermissionRow).await?;
        permissions.retain(|permission| is_found(permission, query.search.as_ref()));
        Ok(permissions)
    }

    async fn permission(
        &mut self,
        environment: EnvironmentId,
        id: PermissionId,
    ) -> Result<Option<Permission>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT {PermissionRow} \
             FROM permissions WHERE environment_id = $1 AND id = $2"
        );
        let select = Statement::new(&SELECT).bind(environment.as_uuid()).bind(id.as_uuid());
        select.first(self.connection()?, PermissionRow).await
    }

    async fn permission_ids(
        &mut self,
        environment: EnvironmentId,
        keys: &[PermissionKey],
    ) -> Result<HashMap<PermissionKey, PermissionId>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT p.id, p.key FROM unnest($1) AS asked (key) CROSS JOIN LATERAL (SELECT o.id, o.key \
             FROM permissions AS o WHERE o.environment_id = $2 AND o.key = asked.key OFFSET 0) AS p"
        );
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        Statement::new(&SELECT)
            .bind(column(keys, PermissionKey::as_str))
            .bind(environment.as_uuid())
            .all(self.connection()?, PermissionIdRow)
            .await
    }
}

#[async_trait]
impl PermissionWriter for UnitOfWork {
    async fn insert_permissions(&mut self, permissions: &[Permission]) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO permissions \
             (environment_id, id, key, description, category, source, version, created_at) \
             SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8) AS n"
        );
        let Some(environment) = one_environment(permissions.iter().map(|p| p.environment_id))?.map(|id| id.as_uuid())
        else {
            return Ok(());
        };
        self.insert(column(permissions, |p| p.id.as_uuid()), |ids| {
            Statement::new(&INSERT)
                .bind(environment)
                .bind(ids)
                .bind(column(permissions, |p| p.key.as_str()))
                .bind(column(permissions, |p| p.description.as_ref().map(Description::as_str)))
                .bind(column(permissions, |p| p.category.as_ref().map(Category::as_str)))
                .bind(column(permissions, |p| p.source.as_str()))
                .bind(column(permissions, |p| i64::from(p.version.get())))
                .bind(instants(permissions, |p| p.created_at))
        })
        .await
    }

    async fn update_permissions(&mut self, permissions: &[Permission]) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "UPDATE permissions AS p SET description = n.description, category = n.category, \
             version = n.version \
             FROM (SELECT old.*, new.* FROM (SELECT $1 AS id) AS scope \
                 CROSS JOIN unnest($2, $3, $4, $5) AS new (id, description, category, version) \
                 CROSS JOIN LATERAL (SELECT o.environment_id, o.ctid AS place FROM permissions AS o \
                 WHERE o.environment_id = scope.id AND o.id = new.id OFFSET 0) AS old) AS n \
             WHERE p.environment_id IS NOT DISTINCT FROM n.environment_id AND p.ctid = n.place"
        );
        let Some(environment) = one_environment(permissions.iter().map(|p| p.environment_id))?.map(|id| id.as_uuid())
        else {
            return Ok(());
        };
        let update = Statement::new(&UPDATE)
            .bind(environment)
            .bind(column(permissions, |p| p.id.as_uuid()))
            .bind(column(permissions, |p| p.description.as_ref().map(Description::as_str)))
            .bind(column(permissions, |p| p.category.as_ref().map(Category::as_str)))
            .bind(column(permissions, |p| i64::from(p.version.get())));
        self.update(permissions.len(), update).await
    }

    async fn delete_permissions(&mut self, environment: EnvironmentId, ids: &[PermissionId]) -> Result<(), StoreError> {
        static UNBIND: SqlText = sql!(
            "DELETE FROM role_permissions AS b USING (SELECT old.place FROM unnest($1) AS gone (id) \
             CROSS JOIN LATERAL (SELECT o.ctid AS place FROM role_permissions AS o \
             WHERE o.environment_id = $2 AND o.permission_id = gone.id OFFSET 0) AS old) AS gone \
             WHERE b.environment_id IS NOT DISTINCT FROM $2 AND b.ctid = gone.place"
        );
        static DELETE: SqlText = sql!(
            "DELETE FROM permissions AS p USING (SELECT old.place FROM unnest($1) AS gone (id) \
             CROSS JOIN LATERAL (SELECT o.ctid AS place FROM permissions AS o \
             WHERE o.environment_id = $2 AND o.id = gone.id OFFSET 0) AS old) AS gone \
             WHERE p.environment_id IS NOT DISTINCT FROM $2 AND p.ctid = gone.place"
        );
        let ids = distinct(ids.iter().map(PermissionId::as_uuid));
        self.delete_within(environment, &ids, &[&UNBIND, &DELETE]).await
    }
}
