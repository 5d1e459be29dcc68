//! Reads for bootstrap and resource permissions, and the setup status of environments.

use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::SetupReader;
use canopy_domain::setup::{Catalog, CatalogSize, SetupSummary};
use canopy_domain::{AccountId, EnvironmentId, MembershipStatus, PermissionSource};
use canopy_storage_sql::rows::CountRow;
use canopy_storage_sql::rows::role::RolePermissionRow;
use canopy_storage_sql::rows::setup::{CatalogPermissionRow, CatalogRoleRow, CatalogSizeRow, SetupSummaryRow};
use canopy_storage_sql::{SqlText, sql};

#[async_trait]
impl SetupReader for UnitOfWork {
    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError> {
        static PERMISSIONS: SqlText = sql!("SELECT {CatalogPermissionRow} FROM permissions WHERE environment_id = ?1");
        static ROLES: SqlText = sql!("SELECT {CatalogRoleRow} FROM roles WHERE environment_id = ?1");
        static BOUND: SqlText = sql!("SELECT role_id, permission_id FROM role_permissions WHERE environment_id = ?1");
        self.run(move |c| {
            let about = |sql| Statement::new(sql).bind(environment.as_bytes());
            let mut catalog = Catalog {
                permissions: about(&PERMISSIONS).all(c, CatalogPermissionRow)?,
                roles: about(&ROLES).all(c, CatalogRoleRow)?,
            };
            let bound: Vec<_> = about(&BOUND).all(c, RolePermissionRow)?;
            for (role, permission) in bound {
                let unknown = || StoreError::Corrupt(format!("role_permissions.role_id of {role}"));
                let found = catalog.roles.get_mut(&role).ok_or_else(unknown)?;
                found.permissions.insert(permission);
            }
            Ok(catalog)
        })
        .await
    }

    async fn catalog_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT coalesce((SELECT sum(octet_length(key) + octet_length(coalesce(description, ''))) FROM permissions \
             WHERE environment_id = ?1), 0) + coalesce((SELECT sum(octet_length(name) + octet_length(coalesce(description, ''))) \
             FROM roles WHERE environment_id = ?1), 0) + coalesce((SELECT sum(octet_length(p.key)) FROM role_permissions AS b \
             JOIN permissions AS p ON p.environment_id = b.environment_id AND p.id = b.permission_id \
             WHERE b.environment_id = ?1), 0)"
        );
        self.run(move |c| {
            let statement = Statement::new(&SELECT).bind(environment.as_bytes());
            Ok(statement.first(c, CountRow)?.unwrap_or(0))
        })
        .await
    }

    async fn catalog_size(&mut self, environment: EnvironmentId) -> Result<CatalogSize, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT (SELECT count(*) FROM permissions WHERE environment_id = ?1), \
             (SELECT count(*) FROM role_permissions WHERE environment_id = ?1)"
        );
        self.run(move |c| {
            let statement = Statement::new(&SELECT).bind(environment.as_bytes());
            let size = statement.first(c, CatalogSizeRow);
            Ok(size?.unwrap_or_default())
        })
        .await
    }

    async fn setup_summaries(&mut self, account: AccountId) -> Result<Vec<SetupSummary>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT e.id, a.id, a.slug, e.slug, \
             EXISTS (SELECT 1 FROM permissions WHERE environment_id = e.id AND source = ?2), \
             EXISTS (SELECT 1 FROM roles WHERE environment_id = e.id AND system_key IS NULL), \
             EXISTS (SELECT 1 FROM roles AS r JOIN role_permissions AS bound \
                     ON bound.environment_id = r.environment_id AND bound.role_id = r.id \
                     WHERE r.environment_id = e.id AND r.system_key IS NULL), \
             (SELECT count(*) FROM memberships WHERE application_id = a.id AND status = ?3) \
             FROM applications AS a JOIN environments AS e ON e.application_id = a.id \
             WHERE a.account_id = ?1 ORDER BY a.slug, e.slug"
        );
        self.run(move |c| {
            Statement::new(&SELECT)
                .bind(account.as_bytes())
                .bind(PermissionSource::Custom.as_str())
                .bind(MembershipStatus::Active.as_str())
                .all(c, SetupSummaryRow)
        })
        .await
    }
}
