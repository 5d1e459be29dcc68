//! Reads for bootstrap and resource permissions, and the setup status of environments.

use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::SetupReader;
use canopy_domain::setup::{Catalog, CatalogPermission, CatalogRole, CatalogSize, SetupSummary};
use canopy_domain::{AccountId, EnvironmentId, MembershipStatus, PermissionKey, PermissionSource, RoleName, Slug};
use std::collections::BTreeSet;

#[async_trait]
impl SetupReader for UnitOfWork {
    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError> {
        const PERMISSIONS: &str = "SELECT id, key, source FROM permissions WHERE environment_id = ?1";
        const ROLES: &str = "SELECT id, name, system_key FROM roles WHERE environment_id = ?1";
        const BOUND: &str = "SELECT role_id, permission_id FROM role_permissions WHERE environment_id = ?1";
        self.run(move |c| {
            let about = |sql| Statement::new(sql).bind(environment.as_bytes());
            let mut catalog = Catalog {
                permissions: about(PERMISSIONS).all(c, "permissions", |row| {
                    let source = row.word(2, PermissionSource::parse)?;
                    Ok((
                        row.text(1, PermissionKey::parse)?,
                        CatalogPermission { id: row.id(0)?, source },
                    ))
                })?,
                roles: about(ROLES).all(c, "roles", |row| {
                    let role = CatalogRole {
                        name: row.text(1, RoleName::restored)?,
                        kind: row.role_kind(2)?,
                        permissions: BTreeSet::new(),
                    };
                    Ok((row.id(0)?, role))
                })?,
            };
            about(BOUND).for_each(c, "role_permissions", |row| {
                let role = catalog.roles.get_mut(&row.id(0)?).ok_or_else(|| row.corrupt(0))?;
                role.permissions.insert(row.id(1)?);
                Ok(())
            })?;
            Ok(catalog)
        })
        .await
    }

    async fn catalog_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError> {
        const SELECT: &str = "SELECT coalesce((SELECT sum(octet_length(key) + octet_length(coalesce(description, ''))) FROM permissions \
             WHERE environment_id = ?1), 0) + coalesce((SELECT sum(octet_length(name) + octet_length(coalesce(description, ''))) \
             FROM roles WHERE environment_id = ?1), 0) + coalesce((SELECT sum(octet_length(p.key)) FROM role_permissions AS b \
             JOIN permissions AS p ON p.environment_id = b.environment_id AND p.id = b.permission_id \
             WHERE b.environment_id = ?1), 0)";
        self.run(move |c| {
            let statement = Statement::new(SELECT).bind(environment.as_bytes());
            Ok(statement.first(c, "permissions", |row| row.count(0))?.unwrap_or(0))
        })
        .await
    }

    async fn catalog_size(&mut self, environment: EnvironmentId) -> Result<CatalogSize, StoreError> {
        const SELECT: &str = "SELECT (SELECT count(*) FROM permissions WHERE environment_id = ?1), \
             (SELECT count(*) FROM role_permissions WHERE environment_id = ?1)";
        self.run(move |c| {
            let statement = Statement::new(SELECT).bind(environment.as_bytes());
            let size = statement.first(c, "permissions", |row| {
                Ok(CatalogSize {
                    keys: row.count(0)?,
                    pairs: row.count(1)?,
                })
            });
            Ok(size?.unwrap_or_default())
        })
        .await
    }

    async fn setup_summaries(&mut self, account: AccountId) -> Result<Vec<SetupSummary>, StoreError> {
        const SELECT: &str = "SELECT e.id, a.id, a.slug, e.slug, \
             EXISTS (SELECT 1 FROM permissions WHERE environment_id = e.id AND source = ?2), \
             EXISTS (SELECT 1 FROM roles WHERE environment_id = e.id AND system_key IS NULL), \
             EXISTS (SELECT 1 FROM roles AS r JOIN role_permissions AS bound \
                     ON bound.environment_id = r.environment_id AND bound.role_id = r.id \
                     WHERE r.environment_id = e.id AND r.system_key IS NULL), \
             (SELECT count(*) FROM memberships WHERE application_id = a.id AND status = ?3) \
             FROM applications AS a JOIN environments AS e ON e.application_id = a.id \
             WHERE a.account_id = ?1 ORDER BY a.slug, e.slug";
        self.run(move |c| {
            Statement::new(SELECT)
                .bind(account.as_bytes())
                .bind(PermissionSource::Custom.as_str())
                .bind(MembershipStatus::Active.as_str())
                .all(c, "environments", |row| {
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
        })
        .await
    }
}
