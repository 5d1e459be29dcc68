//! Reads for the decision index: snapshots and change records.

use crate::statement::{Connection, Statement};
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::access::{Change, IndexSize, RoleFact, Snapshot};
use canopy_domain::port::reader::{AccessReader, CHANGE_BYTES};
use canopy_domain::port::{CommitTag, StoreError};
use canopy_domain::{EnvironmentId, Revision, Timestamp};
use canopy_storage_sql::rows::access::{
    ChangeRecordRow, CommitTagRow, GrantRow, IndexSizeRow, NodeFactRow, PermissionFactRow, RevisionRow, RoleFactRow,
    bundle,
};
use canopy_storage_sql::rows::api_key::KeyFactRow;
use canopy_storage_sql::rows::identity::SubjectRow;
use canopy_storage_sql::rows::role::RolePermissionRow;
use canopy_storage_sql::{Shape, SqlText, sql};
use core::convert::Infallible;
use futures_util::future::{self, Either};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[async_trait]
impl AccessReader for UnitOfWork {
    async fn snapshot(&mut self, environment: EnvironmentId) -> Result<Option<Snapshot>, StoreError> {
        static PERMISSIONS: SqlText = sql!("SELECT {PermissionFactRow} FROM permissions WHERE environment_id = $1");
        static ROLES: SqlText = sql!("SELECT {RoleFactRow} FROM roles WHERE environment_id = $1");
        static BOUND: SqlText = sql!("SELECT role_id, permission_id FROM role_permissions WHERE environment_id = $1");
        static NODES: SqlText = sql!("SELECT {NodeFactRow} FROM nodes WHERE environment_id = $1");
        static SUBJECTS: SqlText = sql!(
            "SELECT i.id, i.is_active, m.status FROM environments AS e \
             JOIN memberships AS m ON m.application_id = e.application_id \
             JOIN identities AS i ON i.account_id = m.account_id AND i.id = m.identity_id WHERE e.id = $1"
        );
        static GRANTS: SqlText = sql!(
            "SELECT {GrantRow} \
             FROM assignments WHERE environment_id = $1"
        );
        static KEYS: SqlText = sql!("SELECT {KeyFactRow} FROM api_keys WHERE environment_id = $1");
        let Some(revision) = self.revision(environment).await? else {
            return Ok(None);
        };
        let connection = self.connection()?.with_deadline(self.deadlines().load);
        let read = AtomicU64::new(0);
        let load = connection.answered(async {
            connection.command("SET LOCAL statement_timeout = 0").await?;
            let about = |sql| Statement::new(sql).bind(environment.as_uuid()).for_these_values();
            let permissions = about(&PERMISSIONS).all(connection, PermissionFactRow);
            let roles = about(&ROLES).all::<_, Vec<RoleFact>>(connection, RoleFactRow);
            let bound = counted(about(&BOUND), connection, RolePermissionRow, &read);
            let (permissions, mut roles, bound) = future::try_join3(permissions, roles, bound).await?;
            let nodes = counted(about(&NODES), connection, NodeFactRow, &read);
            let subjects = counted(about(&SUBJECTS), connection, SubjectRow, &read);
            let grants = counted(about(&GRANTS), connection, GrantRow, &read);
            let keys = about(&KEYS).all(connection, KeyFactRow);
            let (nodes, subjects, grants, keys) = future::try_join4(nodes, subjects, grants, keys).await?;
            bundle(&mut roles, bound);
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
        static SELECT: SqlText = sql!(
            "SELECT p.keys, p.bytes, r.roles, r.bytes, \
             (SELECT count(*) FROM role_permissions WHERE environment_id = $1), \
             (SELECT count(*) FROM nodes WHERE environment_id = $1), \
             (SELECT count(*) FROM memberships WHERE application_id = \
                 (SELECT application_id FROM environments WHERE id = $1)), \
             (SELECT count(*) FROM assignments WHERE environment_id = $1), k.keys, k.scopes \
             FROM (SELECT count(*) AS keys, coalesce(sum(octet_length(key)), 0) AS bytes FROM permissions \
                 WHERE environment_id = $1) AS p, \
             (SELECT count(*) AS roles, coalesce(sum(octet_length(name)), 0) AS bytes FROM roles WHERE environment_id = $1) AS r, \
             (SELECT count(*) AS keys, coalesce(sum(length(scopes) - length(replace(scopes, ' ', '')) + (scopes <> '')::int), 0) AS scopes FROM api_keys WHERE environment_id = $1) AS k"
        );
        let select = Statement::new(&SELECT).bind(environment.as_uuid());
        let size = select.first(self.connection()?, IndexSizeRow);
        Ok(size.await?.unwrap_or_default())
    }

    async fn revision(&mut self, environment: EnvironmentId) -> Result<Option<Revision>, StoreError> {
        static SELECT: SqlText = sql!("SELECT id, revision FROM environments WHERE id = $1");
        let select = Statement::new(&SELECT).bind(environment.as_uuid());
        select
            .first(self.connection()?, RevisionRow)
            .await
            .map(|found| found.map(|(_, revision)| revision))
    }

    async fn changes_since(
        &mut self,
        environment: EnvironmentId,
        after: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, Vec<Change>)>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT {ChangeRecordRow} FROM (SELECT page.*, \
             sum(octet_length(changes)) OVER (ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) \
             AS bytes_before FROM (SELECT {ChangeRecordRow} FROM change_records \
             WHERE environment_id = $1 AND revision > $2 ORDER BY revision LIMIT $3) AS page) AS sized \
             WHERE bytes_before IS NULL OR bytes_before < $4 ORDER BY revision"
        );
        Statement::new(&SELECT)
            .bind(environment.as_uuid())
            .bind(i64::try_from(after.get()).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .bind(i64::try_from(CHANGE_BYTES).unwrap_or(i64::MAX))
            .all::<_, Vec<_>>(self.connection()?, ChangeRecordRow)
            .await
            .map(|records| {
                records
                    .into_iter()
                    .map(|record| (record.revision, record.changes))
                    .collect()
            })
    }

    async fn commit_tags(
        &mut self,
        environment: EnvironmentId,
        from: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, CommitTag)>, StoreError> {
        // The newest tag stands in the environment too, so it is known when its record was removed.
        static SELECT: SqlText = sql!(
            "SELECT {CommitTagRow} FROM change_records \
             WHERE environment_id = $1 AND revision >= $2 \
             UNION SELECT id, revision, tag FROM environments WHERE id = $1 ORDER BY revision LIMIT $3"
        );
        Statement::new(&SELECT)
            .bind(environment.as_uuid())
            .bind(i64::try_from(from.get()).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .all(self.connection()?, CommitTagRow)
            .await
    }
}

/// All rows of the answer, each counted as it is read.
async fn counted<S: Shape>(
    statement: Statement<'_>,
    connection: Connection<'_>,
    shape: S,
    read: &AtomicU64,
) -> Result<Vec<S::Value>, StoreError>
where
    S::Value: Send,
{
    let mut rows = Vec::new();
    let each = |value| {
        read.fetch_add(1, Ordering::Relaxed);
        rows.push(value);
        Ok(())
    };
    statement.for_each_of(connection, shape, each).await?;
    Ok(rows)
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
    static PRUNE: SqlText = sql!(
        "WITH due AS (SELECT e.id, e.revision FROM environments AS e WHERE (SELECT r.at FROM change_records AS r \
         WHERE r.environment_id = e.id AND r.revision < e.revision ORDER BY r.revision LIMIT 1) < $1 LIMIT 10), \
         old AS (SELECT o.environment_id, o.revision FROM due CROSS JOIN LATERAL (SELECT r.environment_id, r.revision \
         FROM change_records AS r WHERE r.environment_id = due.id AND r.at < $1 AND r.revision < due.revision \
         ORDER BY r.revision LIMIT 100) AS o) \
         DELETE FROM change_records AS r USING old WHERE r.environment_id = old.environment_id AND r.revision = old.revision"
    );
    Statement::new(&PRUNE).bind(outdated)
}
