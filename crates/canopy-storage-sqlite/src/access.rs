//! Reads for the decision index: snapshots, change records, and the commit that writes them.

use crate::error::{ensure, internal, translate};
use crate::packed::{Cell, IDS, Layout, Packed, Slot};
use crate::statement::Statement;
use crate::unit_of_work::{UnitOfWork, blocking};
use crate::{api_key, audit};
use async_trait::async_trait;
use canopy_domain::access::{Change, IndexSize, RoleFact, Snapshot};
use canopy_domain::changeset::ChangeSet;
use canopy_domain::port::reader::{AccessReader, CHANGE_BYTES};
use canopy_domain::port::{CommitRecord, EnvironmentChanges, StoreError, WriteTx, apply_rows};
use canopy_domain::{EnvironmentId, Revision, Timestamp};
use canopy_storage_sql::rows::access::{
    ChangeRecordRow, GrantRow, IndexSizeRow, NodeFactRow, PermissionFactRow, RevisionRow, RoleFactRow, bundle,
};
use canopy_storage_sql::rows::identity::SubjectRow;
use canopy_storage_sql::rows::role::RolePermissionRow;
use canopy_storage_sql::rows::tenancy::EnvironmentIdRow;
use canopy_storage_sql::{SqlText, sql};
use canopy_store_kit::change_codec::encode_shared;
use diesel::SqliteConnection;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use std::collections::HashMap;

fn revision(c: &mut SqliteConnection, environment: EnvironmentId) -> Result<Option<Revision>, StoreError> {
    static SELECT: SqlText = sql!("SELECT {RevisionRow} FROM environments WHERE id = ?1");
    let statement = Statement::new(&SELECT).bind(environment.as_bytes());
    let found = statement.first(c, RevisionRow)?;
    Ok(found.map(|(_, revision)| revision))
}

fn snapshot(c: &mut SqliteConnection, environment: EnvironmentId) -> Result<Option<Snapshot>, StoreError> {
    static PERMISSIONS: SqlText = sql!("SELECT {PermissionFactRow} FROM permissions WHERE environment_id = ?1");
    static ROLES: SqlText = sql!("SELECT {RoleFactRow} FROM roles WHERE environment_id = ?1");
    static BOUND: SqlText = sql!("SELECT role_id, permission_id FROM role_permissions WHERE environment_id = ?1");
    static NODES: SqlText = sql!("SELECT {NodeFactRow} FROM nodes WHERE environment_id = ?1");
    static SUBJECTS: SqlText = sql!(
        "SELECT i.id, i.is_active, m.status FROM environments AS e \
         CROSS JOIN memberships AS m ON m.application_id = e.application_id \
         CROSS JOIN identities AS i ON i.account_id = m.account_id AND i.id = m.identity_id WHERE e.id = ?1"
    );
    static GRANTS: SqlText = sql!(
        "SELECT {GrantRow} FROM assignments \
         WHERE environment_id = ?1"
    );
    let Some(revision) = revision(c, environment)? else {
        return Ok(None);
    };
    let about = |sql| Statement::new(sql).bind(environment.as_bytes());
    let bound: Vec<_> = about(&BOUND).all(c, RolePermissionRow)?;
    let permissions = about(&PERMISSIONS).all(c, PermissionFactRow)?;
    let mut roles: Vec<RoleFact> = about(&ROLES).all(c, RoleFactRow)?;
    bundle(&mut roles, bound);
    Ok(Some(Snapshot {
        environment,
        revision,
        permissions,
        roles,
        nodes: about(&NODES).all(c, NodeFactRow)?,
        subjects: about(&SUBJECTS).all(c, SubjectRow)?,
        grants: about(&GRANTS).all(c, GrantRow)?,
        keys: api_key::facts(c, environment)?,
    }))
}

#[async_trait]
impl AccessReader for UnitOfWork {
    async fn snapshot(&mut self, environment: EnvironmentId) -> Result<Option<Snapshot>, StoreError> {
        self.load(move |c| snapshot(c, environment)).await
    }

    async fn index_size(&mut self, environment: EnvironmentId) -> Result<IndexSize, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT p.keys, p.bytes, r.roles, r.bytes, \
             (SELECT count(*) FROM role_permissions WHERE environment_id = ?1), \
             (SELECT count(*) FROM nodes WHERE environment_id = ?1), \
             (SELECT count(*) FROM memberships WHERE application_id = \
                 (SELECT application_id FROM environments WHERE id = ?1)), \
             (SELECT count(*) FROM assignments WHERE environment_id = ?1), k.keys, k.scopes \
             FROM (SELECT count(*) AS keys, coalesce(sum(octet_length(key)), 0) AS bytes FROM permissions \
                 WHERE environment_id = ?1) AS p, \
             (SELECT count(*) AS roles, coalesce(sum(octet_length(name)), 0) AS bytes FROM roles WHERE environment_id = ?1) AS r, \
             (SELECT count(*) AS keys, coalesce(sum(length(scopes) - length(replace(scopes, ' ', '')) + (scopes <> '')), 0) AS scopes FROM api_keys WHERE environment_id = ?1) AS k"
        );
        self.run(move |c| {
            let statement = Statement::new(&SELECT).bind(environment.as_bytes());
            let size = statement.first(c, IndexSizeRow);
            Ok(size?.unwrap_or_default())
        })
        .await
    }

    async fn revision(&mut self, environment: EnvironmentId) -> Result<Option<Revision>, StoreError> {
        self.run(move |c| revision(c, environment)).await
    }

    async fn changes_since(
        &mut self,
        environment: EnvironmentId,
        after: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, Vec<Change>)>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT {ChangeRecordRow} FROM change_records \
             WHERE environment_id = ?1 AND revision > ?2 ORDER BY revision LIMIT ?3"
        );
        // No environment gets that far.
        let Ok(after) = i64::try_from(after.get()) else {
            return Ok(vec![]);
        };
        self.run(move |c| {
            let statement = Statement::new(&SELECT)
                .bind(environment.as_bytes())
                .bind(after)
                .bind(limit);
            let mut bytes = 0;
            let records = statement.all_while(c, ChangeRecordRow, |record| {
                bytes += record.bytes;
                bytes < CHANGE_BYTES
            })?;
            Ok(records
                .into_iter()
                .map(|record| (record.revision, record.changes))
                .collect())
        })
        .await
    }
}

/// Gives each environment its next revision.
fn take_revisions(
    c: &mut SqliteConnection,
    changes: &[EnvironmentChanges],
) -> Result<HashMap<EnvironmentId, Revision>, StoreError> {
    static UPDATE: SqlText = sql!(
        "{} UPDATE environments SET revision = revision + 1 WHERE id IN (SELECT id FROM given) \
             RETURNING id, revision",
        IDS.given()
    );
    let ids = Packed::ids(changes.iter().map(|one| one.environment.as_bytes()));
    let taken: HashMap<EnvironmentId, Revision> = ids.statement(&UPDATE).all(c, RevisionRow)?;
    ensure(
        taken.len() == changes.len(),
        "a changed environment is not there, or given twice",
    )?;
    Ok(taken)
}

const RECORDS: Layout = Layout(&[
    ("environment_id", Cell::Id),
    ("revision", Cell::Number),
    ("changes", Cell::Bytes),
]);

/// Writes the history: one change record for each environment, and the audit event.
fn write_history(
    c: &mut SqliteConnection,
    record: &CommitRecord,
) -> Result<Vec<(EnvironmentId, Revision)>, StoreError> {
    static INSERT: SqlText = sql!(
        "{} INSERT INTO change_records (environment_id, revision, at, changes) \
             SELECT environment_id, revision, ?3, changes FROM given",
        RECORDS.given()
    );
    let CommitRecord {
        at,
        changes,
        audit: event,
    } = record;
    let mut revisions = Vec::with_capacity(changes.len());
    if !changes.is_empty() {
        let taken = take_revisions(c, changes)?;
        for one in changes {
            let revision = taken
                .get(&one.environment)
                .ok_or_else(|| internal("an environment took no revision"))?;
            revisions.push((one.environment, *revision));
        }
        let (payloads, places) = encode_shared(&record.changes);
        let rows: Vec<_> = places.into_iter().zip(&revisions).collect();
        // What environments share is packed once.
        let mut packed: HashMap<usize, Slot> = HashMap::new();
        let rows = Packed::new(RECORDS, &rows, |row, (place, (environment, revision))| {
            row.id(environment.as_bytes());
            row.number(i64::try_from(revision.get()).unwrap_or(i64::MAX));
            let payload = payloads.get(*place).map_or(&[][..], Vec::as_slice);
            let slot = *packed.entry(*place).or_insert_with(|| row.keep(payload));
            row.kept(slot);
        });
        rows.statement(&INSERT).bind(*at).execute(c)?;
    }
    let named = revisions
        .iter()
        .find(|(environment, _)| Some(*environment) == event.environment_id);
    let revision = named.map(|(_, revision)| *revision);
    audit::insert(c, core::slice::from_ref(event), revision)?;
    Ok(revisions)
}

#[async_trait]
impl WriteTx for UnitOfWork {
    async fn apply(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        apply_rows(self, changes).await
    }

    async fn commit(mut self: Box<Self>, record: CommitRecord) -> Result<Vec<(EnvironmentId, Revision)>, StoreError> {
        let mut pooled = self.take()?;
        // The connection is back on its pool, or closed, before the answer is there.
        blocking(move || {
            pooled.within(pooled.statement_timeout(), |c| {
                let revisions = write_history(c, &record)?;
                AnsiTransactionManager::commit_transaction(c).map_err(|error| translate(error, None))?;
                Ok(revisions)
            })
        })
        .await?
    }
}

/// Deletes the oldest change records of an environment that has some from before `outdated`, at most a hundred. Returns whether
/// there was such an environment.
pub(crate) fn prune(c: &mut SqliteConnection, outdated: Timestamp) -> Result<bool, StoreError> {
    static DUE: SqlText = sql!(
        "SELECT e.id FROM environments AS e WHERE (SELECT r.at FROM change_records AS r \
         WHERE r.environment_id = e.id AND r.revision < e.revision ORDER BY r.revision LIMIT 1) < ?1 LIMIT 1"
    );
    static PRUNE: SqlText = sql!(
        "DELETE FROM change_records WHERE environment_id = ?1 AND revision IN \
         (SELECT r.revision FROM change_records AS r WHERE r.environment_id = ?1 AND r.at < ?2 \
         AND r.revision < (SELECT e.revision FROM environments AS e WHERE e.id = ?1) ORDER BY r.revision LIMIT 100)"
    );
    let due = Statement::new(&DUE).bind(outdated);
    let Some(environment) = due.first(c, EnvironmentIdRow)? else {
        return Ok(false);
    };
    let pruned = Statement::new(&PRUNE)
        .bind(environment.as_bytes())
        .bind(outdated)
        .execute(c)?;
    Ok(pruned > 0)
}
