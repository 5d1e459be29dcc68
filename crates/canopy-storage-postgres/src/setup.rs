//! Reads for bootstrap and resource permissions, and the setup status of environments.

use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::SetupReader;
use canopy_domain::setup::{Catalog, CatalogPermission, CatalogRole, CatalogSize, SetupSummary};
use canopy_domain::{AccountId, EnvironmentId, PermissionId, PermissionKey, PermissionSource, RoleId, RoleName, Slug};
use futures_util::future;
use std::collections::{BTreeSet, HashMap};

#[async_trait]
impl SetupReader for UnitOfWork {
    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError> {
        const PERMISSIONS: &str = "SELECT id, key, source FROM permissions WHERE environment_id = $1";
        const ROLES: &str = "SELECT id, name, system_key FROM roles WHERE environment_id = $1";
        const BOUND: &str = "SELECT role_id, permission_id FROM role_permissions WHERE environment_id = $1";
        let connection = self.connection()?;
        let about = |sql| Statement::new(sql).bind(environment.as_uuid());
        let permissions = about(PERMISSIONS).all(connection, "permissions", |row| {
            let permission = CatalogPermission {
                id: row.id(0)?,
                source: row.word(2, PermissionSource::parse)?,
            };
            Ok((row.text(1, PermissionKey::parse)?, permission))
        });
        let roles = about(ROLES).all::<_, HashMap<RoleId, CatalogRole>>(connection, "roles", |row| {
            let role = CatalogRole {
                name: row.text(1, RoleName::restored)?,
                kind: row.role_kind(2)?,
                permissions: BTreeSet::new(),
            };
            Ok((row.id(0)?, role))
        });
        let bound = about(BOUND)
            .all::<(RoleId, PermissionId), Vec<_>>(connection, "role_permissions", |row| Ok((row.id(0)?, row.id(1)?)));
        let (permissions, mut roles, bound) = future::try_join3(permissions, roles, bound).await?;
        for (role, permission) in bound {
            if let Some(role) = roles.get_mut(&role) {
                role.permissions.insert(permission);
            }
        }
        Ok(Catalog { permissions, roles })
    }

    async fn catalog_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError> {
        const SELECT: &str = "SELECT (coalesce((SELECT sum(octet_length(key) + octet_length(coalesce(description, ''))) FROM permissions \
             WHERE environment_id = $1), 0) + coalesce((SELECT sum(octet_length(name) + octet_length(coalesce(description, ''))) \
             FROM roles WHERE environment_id = $1), 0) + coalesce((SELECT sum(octet_length(p.key)) FROM role_permissions AS b \
             JOIN permissions AS p ON p.environment_id = b.environment_id AND p.id = b.permission_id \
             WHERE b.environment_id = $1), 0))::bigint";
        let select = Statement::new(SELECT).bind(environment.as_uuid());
        select.one(self.connection()?, "permissions", |row| row.count(0)).await
    }

    async fn catalog_size(&mut self, environment: EnvironmentId) -> Result<CatalogSize, StoreError> {
        const SELECT: &str = "SELECT (SELECT count(*) FROM permissions WHERE environment_id = $1), \
             (SELECT count(*) FROM role_permissions WHERE environment_id = $1)";
        let select = Statement::new(SELECT).bind(environment.as_uuid());
        let size = select.first(self.connection()?, "permissions", |row| {
            Ok(CatalogSize {
                keys: row.count(0)?,
                pairs: row.count(1)?,
            })
        });
        Ok(size.await?.unwrap_or_default())
    }

    async fn setup_summaries(&mut self, account: AccountId) -> Result<Vec<SetupSummary>, StoreError> {
        const SELECT: &str = "SELECT e.id, a.id, a.slug, e.slug, \
             EXISTS (SELECT FROM permissions AS p WHERE p.environment_id = e.id AND p.source = 'custom'), \
             EXISTS (SELECT FROM roles AS r WHERE r.environment_id = e.id AND r.system_key IS NULL), \
             EXISTS (SELECT FROM roles AS r JOIN role_permissions AS b \
                     ON b.environment_id = r.environment_id AND b.role_id = r.id \
                     WHERE r.environment_id = e.id AND r.system_key IS NULL), \
             (SELECT count(*) FROM memberships AS m WHERE m.application_id = a.id AND m.status = 'active') \
             FROM applications AS a JOIN environments AS e ON e.application_id = a.id \
             WHERE a.account_id = $1 ORDER BY a.slug, e.slug";
        Statement::new(SELECT)
            .bind(account.as_uuid())
            .all(self.connection()?, "environments", |row| {
                Ok(SetupSummary {
                    environment_id: row.id(0)?,
                    application_id: row.id(1)?,
                    application_slug: row.text(2, Slug::parse)?,
                    environment_slug: row.text(3, Slug::parse)?,
                    has_permissions: row.flag(4)?,
                    has_roles: row.flag(5)?,
                    has_role_permissions: row.flag(6)?,
                    identities: row.count(7)?,
                })
            })
            .await
    }
}
