//! Reads for the decision index: snapshots and change records.

use crate::api_key;
use crate::assignment::{key, window};
use crate::identity::subject;
use crate::statement::{Row, Statement};
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::access::{Change, GrantFact, IndexSize, NodeFact, PermissionFact, RoleFact, Snapshot};
use canopy_domain::port::reader::{AccessReader, CHANGE_BYTES};
use canopy_domain::port::{CommitTag, StoreError};
use canopy_domain::{
    EnvironmentId, NodeStatus, NodeType, PermissionId, PermissionKey, Revision, RoleId, RoleName, Slug, Timestamp,
};
use canopy_store_kit::change_codec;
use core::convert::Infallible;
use futures_util::future::{self, Either};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn node(row: &Row) -> Result<NodeFact, StoreError> {
    Ok(NodeFact {
        id: row.id(0)?,
        parent: row.optional_id(1)?,
        node_type: row.text(2, NodeType::parse)?,
        slug: row.text(3, Slug::parse)?,
        is_active: row.word(4, NodeStatus::parse)? == NodeStatus::Active,
    })
}

fn grant(row: &Row) -> Result<GrantFact, StoreError> {
    Ok(GrantFact {
        id: row.id(0)?,
        key: key(row, 1)?,
        window: window(row, 4)?,
    })
}

#[async_trait]
impl AccessReader for UnitOfWork {
    async fn snapshot(&mut self, environment: EnvironmentId) -> Result<Option<Snapshot>, StoreError> {
        const PERMISSIONS: &str = "SELECT id, key FROM permissions WHERE environment_id = $1";
        const ROLES: &str = "SELECT id, name, is_active FROM roles WHERE environment_id = $1";
        const BOUND: &str = "SELECT role_id, permission_id FROM role_permissions WHERE environment_id = $1";
        const NODES: &str = "SELECT id, parent_id, node_type, slug, status FROM nodes WHERE environment_id = $1";
        const SUBJECTS: &str = "SELECT i.id, i.is_active, m.status FROM environments AS e \
             JOIN memberships AS m ON m.application_id = e.application_id \
             JOIN identities AS i ON i.account_id = m.account_id AND i.id = m.identity_id WHERE e.id = $1";
        const GRANTS: &str = "SELECT id, identity_id, role_id, node_id, effective_from, effective_to \
             FROM assignments WHERE environment_id = $1";
        const KEYS: &str = "SELECT id, access_mode, scopes, expires_at FROM api_keys WHERE environment_id = $1";
        let Some(revision) = self.revision(environment).await? else {
            return Ok(None);
        };
        let connection = self.connection()?.with_deadline(self.deadlines().load);
        let read = AtomicU64::new(0);
        let load = connection.answered(async {
            connection.command("SET LOCAL statement_timeout = 0").await?;
            let count = || {
                read.fetch_add(1, Ordering::Relaxed);
            };
            let about = |sql| Statement::new(sql).bind(environment.as_uuid()).for_these_values();
            let permissions = about(PERMISSIONS).all(connection, "permissions", |row| {
                Ok(PermissionFact {
                    id: row.id(0)?,
                    key: row.text(1, PermissionKey::parse)?,
                })
            });
            let roles = about(ROLES).all::<_, Vec<RoleFact>>(connection, "roles", |row| {
                Ok(RoleFact {
                    id: row.id(0)?,
                    name: row.text(1, RoleName::restored)?,
                    is_active: row.flag(2)?,
                    permissions: vec![],
                })
            });
            let bound = about(BOUND).all::<(RoleId, PermissionId), Vec<_>>(connection, "role_permissions", |row| {
                count();
                Ok((row.id(0)?, row.id(1)?))
            });
            let (permissions, mut roles, bound) = future::try_join3(permissions, roles, bound).await?;
            let nodes = about(NODES).all(connection, "nodes", |row| {
                count();
                node(row)
            });
            let subjects = about(SUBJECTS).all(connection, "memberships", |row| {
                count();
                subject(row)
            });
            let grants = about(GRANTS).all(connection, "assignments", |row| {
                count();
                grant(row)
            });
            let keys = about(KEYS).all(connection, "api_keys", api_key::fact);
            let (nodes, subjects, grants, keys) = future::try_join4(nodes, subjects, grants, keys).await?;
            let mut bundles: HashMap<RoleId, Vec<PermissionId>> = HashMap::new();
            for (role, permission) in bound {
                bundles.entry(role).or_default().push(permission);
            }
            for role in &mut roles {
                role.permissions = bundles.remove(&role.id).unwrap_or_default();
            }
            Ok(Some(Snapshot {
                environment,
                revision,
                permissions,
                roles,
                nodes,
                subjects,
                grants,
                keys,
            }))
        });
        match future::select(pin!(load), pin!(report_progress(environment, &read))).await {
            Either::Left((loaded, _)) => loaded,
            Either::Right((never, _)) => match never {},
        }
    }

    async fn index_size(&mut self, environment: EnvironmentId) -> Result<IndexSize, StoreError> {
        const SELECT: &str = "SELECT p.keys, p.bytes, r.roles, r.bytes, \
             (SELECT count(*) FROM role_permissions WHERE environment_id = $1), \
             (SELECT count(*) FROM nodes WHERE environment_id = $1), \
             (SELECT count(*) FROM memberships WHERE application_id = \
                 (SELECT application_id FROM environments WHERE id = $1)), \
             (SELECT count(*) FROM assignments WHERE environment_id = $1), k.keys, k.scopes \
             FROM (SELECT count(*) AS keys, coalesce(sum(octet_length(key)), 0) AS bytes FROM permissions \
                 WHERE environment_id = $1) AS p, \
             (SELECT count(*) AS roles, coalesce(sum(octet_length(name)), 0) AS bytes FROM roles WHERE environment_id = $1) AS r, \
             (SELECT count(*) AS keys, coalesce(sum(length(scopes) - length(replace(scopes, ' ', '')) + (scopes <> '')::int), 0) AS scopes FROM api_keys WHERE environment_id = $1) AS k";
        let select = Statement::new(SELECT).bind(environment.as_uuid());
        let size = select.first(self.connection()?, "environments", |row| {
            Ok(IndexSize {
                permissions: row.count(0)?,
                permission_key_bytes: row.count(1)?,
                roles: row.count(2)?,
                role_name_bytes: row.count(3)?,
                pairs: row.count(4)?,
                nodes: row.count(5)?,
                subjects: row.count(6)?,
                assignments: row.count(7)?,
                api_keys: row.count(8)?,
                scopes: row.count(9)?,
            })
        });
        Ok(size.await?.unwrap_or_default())
    }

    async fn revision(&mut self, environment: EnvironmentId) -> Result<Option<Revision>, StoreError> {
        const SELECT: &str = "SELECT id, revision FROM environments WHERE id = $1";
        let select = Statement::new(SELECT).bind(environment.as_uuid());
        select
            .first(self.connection()?, "environments", |row| {
                Ok(Revision::new(row.count(1)?))
            })
            .await
    }

    async fn changes_since(
        &mut self,
        environment: EnvironmentId,
        after: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, Vec<Change>)>, StoreError> {
        const SELECT: &str = "SELECT environment_id, revision, changes FROM (SELECT page.*, \
             sum(octet_length(changes)) OVER (ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) \
             AS bytes_before FROM (SELECT environment_id, revision, changes FROM change_records \
             WHERE environment_id = $1 AND revision > $2 ORDER BY revision LIMIT $3) AS page) AS sized \
             WHERE bytes_before IS NULL OR bytes_before < $4 ORDER BY revision";
        Statement::new(SELECT)
            .bind(environment.as_uuid())
            .bind(i64::try_from(after.get()).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .bind(i64::try_from(CHANGE_BYTES).unwrap_or(i64::MAX))
            .all(self.connection()?, "change_records", |row| {
                Ok((Revision::new(row.count(1)?), row.bytes(2, change_codec::decode)?))
            })
            .await
    }

    async fn commit_tags(
        &mut self,
        environment: EnvironmentId,
        from: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, CommitTag)>, StoreError> {
        // The newest tag stands in the environment too, so it is known when its record was removed.
        const SELECT: &str = "SELECT environment_id, revision, tag FROM change_records \
             WHERE environment_id = $1 AND revision >= $2 \
             UNION SELECT id, revision, tag FROM environments WHERE id = $1 ORDER BY revision LIMIT $3";
        Statement::new(SELECT)
            .bind(environment.as_uuid())
            .bind(i64::try_from(from.get()).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .all(self.connection()?, "change_records", |row| {
                Ok((Revision::new(row.count(1)?), CommitTag::from_stored(row.number(2)?)))
            })
            .await
    }
}

/// The interval at which the progress of a load is logged.
const PROGRESS: Duration = Duration::from_secs(5);

/// Logs how far the load of an environment is.
async fn report_progress(environment: EnvironmentId, read: &AtomicU64) -> Infallible {
    loop {
        tokio::time::sleep(PROGRESS).await;
        tracing::info!(%environment, rows = read.load(Ordering::Relaxed), "index load in progress");
    }
}

/// Deletes the oldest change records of some environments that have any from before `outdated`: at most a hundred of each.
pub(crate) fn prune(outdated: Timestamp) -> Statement<'static> {
    const PRUNE: &str = "WITH due AS (SELECT e.id, e.revision FROM environments AS e WHERE (SELECT r.at FROM change_records AS r \
         WHERE r.environment_id = e.id AND r.revision < e.revision ORDER BY r.revision LIMIT 1) < $1 LIMIT 10), \
         old AS (SELECT o.environment_id, o.revision FROM due CROSS JOIN LATERAL (SELECT r.environment_id, r.revision \
         FROM change_records AS r WHERE r.environment_id = due.id AND r.at < $1 AND r.revision < due.revision \
         ORDER BY r.revision LIMIT 100) AS o) \
         DELETE FROM change_records AS r USING old WHERE r.environment_id = old.environment_id AND r.revision = old.revision";
    Statement::new(PRUNE).bind(outdated)
}
