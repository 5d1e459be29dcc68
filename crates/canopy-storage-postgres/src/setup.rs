//! Reads for bootstrap and resource permissions, and the setup status of environments.

use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::SetupReader;
use canopy_domain::setup::{Catalog, CatalogRole, CatalogSize, SetupSummary};
use canopy_domain::{AccountId, EnvironmentId, RoleId};
use canopy_storage_sql::rows::CountRow;
use canopy_storage_sql::rows::role::RolePermissionRow;
use canopy_storage_sql::rows::setup::{CatalogPermissionRow, CatalogRoleRow, CatalogSizeRow, SetupSummaryRow};
use canopy_storage_sql::{SqlText, sql};
use futures_util::future;
use std::collections::HashMap;

#[async_trait]
impl SetupReader for UnitOfWork {
    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError> {
        static PERMISSIONS: SqlText = sql!("SELECT {CatalogPermissionRow} FROM permissions WHERE environment_id = $1");
        static ROLES: SqlText = sql!("SELECT {CatalogRoleRow} FROM roles WHERE environment_id = $1");
        static BOUND: SqlText = sql!("SELECT role_id, permission_id FROM role_permissions WHERE environment_id = $1");
        let connection = self.connection()?;
        let about = |sql| Statement::new(sql).bind(environment.as_uuid());
        let permissions = about(&PERMISSIONS).all(connection, CatalogPermissionRow);
        let roles = about(&ROLES).all::<_, HashMap<RoleId, CatalogRole>>(connection, CatalogRoleRow);
        let bound = about(&BOUND).all::<_, Vec<_>>(connection, RolePermissionRow);
        let (permissions, mut roles, bound) = future::try_join3(permissions, roles, bound).await?;
        for (role, permission) in bound {
            if let Some(role) = roles.get_mut(&role) {
                role.permissions.insert(permission);
            }
        }
        Ok(Catalog { permissions, roles })
    }

    async fn catalog_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT (coalesce((SELECT sum(octet_length(key) + octet_length(coalesce(description, ''))) FROM permissions \
             WHERE environment_id = $1), 0) + coalesce((SELECT sum(octet_length(name) + octet_length(coalesce(description, ''))) \
             FROM roles WHERE environment_id = $1), 0) + coalesce((SELECT sum(octet_length(p.key)) FROM role_permissions AS b \
             JOIN permissions AS p ON p.environment_id = b.environment_id AND p.id = b.permission_id \
             WHERE b.environment_id = $1), 0))::bigint"
        );
        let select = Statement::new(&SELECT).bind(environment.as_uuid());
        select.one(self.connection()?, CountRow).await
    }

    async fn catalog_size(&mut self, environment: EnvironmentId) -> Result<CatalogSize, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT (SELECT count(*) FROM permissions WHERE environment_id = $1), \
             (SELECT count(*) FROM role_permissions WHERE environment_id = $1)"
        );
        let select = Statement::new(&SELECT).bind(environment.as_uuid());
        let size = select.first(self.connection()?, CatalogSizeRow);
        Ok(size.await?.unwrap_or_default())
    }

    async fn setup_summaries(&mut self, account: AccountId) -> Result<Vec<SetupSummary>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT e.id, a.id, a.slug, e.slug, \
             EXISTS (SELECT FROM permissions AS p WHERE p.environment_id = e.id AND p.source = 'custom'), \
             EXISTS (SELECT FROM roles AS r WHERE r.environment_id = e.id AND r.system_key IS NULL), \
             EXISTS (SELECT FROM roles AS r JOIN role_permissions AS b \
                     ON b.environment_id = r.environment_id AND b.role_id = r.id \
                     WHERE r.environment_id = e.id AND r.system_key IS NULL), \
             (SELECT count(*) FROM memberships AS m WHERE m.application_id = a.id AND m.status = 'active') \
             FROM applications AS a JOIN environments AS e ON e.application_id = a.id \
             WHERE a.account_id = $1 ORDER BY a.slug, e.slug"
        );
        Statement::new(&SELECT)
            .bind(account.as_uuid())
            .all(self.connection()?, SetupSummaryRow)
            .await
    }
}
