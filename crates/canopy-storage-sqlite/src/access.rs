//! Reads for the decision index: snapshots, change records, and the commit that writes them.

use crate::error::{ensure, internal, translate};
use crate::identity::subject;
use crate::packed::{Cell, IDS, Layout, Packed, Slot};
use crate::statement::{Row, Statement};
use crate::unit_of_work::{UnitOfWork, blocking};
use crate::{api_key, audit};
use async_trait::async_trait;
use canopy_domain::access::{Change, GrantFact, IndexSize, NodeFact, PermissionFact, RoleFact, Snapshot};
use canopy_domain::changeset::ChangeSet;
use canopy_domain::port::reader::{AccessReader, CHANGE_BYTES};
use canopy_domain::port::{CommitRecord, EnvironmentChanges, StoreError, WriteTx, apply_rows};
use canopy_domain::{
    EnvironmentId, NodeStatus, NodeType, PermissionId, PermissionKey, Revision, RoleId, RoleName, Slug, Timestamp,
};
use canopy_store_kit::change_codec::{decode, encode_shared};
use diesel::SqliteConnection;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use std::collections::HashMap;
use std::sync::LazyLock;

impl Row<'_, '_> {
    /// A revision, or NULL.
    pub(crate) fn optional_revision(&self, column: usize) -> Result<Option<Revision>, StoreError> {
        if self.is_null(column)? {
            Ok(None)
        } else {
            self.revision(column).map(Some)
        }
    }

    fn revision(&self, column: usize) -> Result<Revision, StoreError> {
        self.count(column).map(Revision::new)
    }
}

fn revision(c: &mut SqliteConnection, environment: EnvironmentId) -> Result<Option<Revision>, StoreError> {
    const SELECT: &str = "SELECT revision FROM environments WHERE id = ?1";
    let statement = Statement::new(SELECT).bind(environment.as_bytes());
    statement.first(c, "environments", |row| row.revision(0))
}

fn snapshot(c: &mut SqliteConnection, environment: EnvironmentId) -> Result<Option<Snapshot>, StoreError> {
    const PERMISSIONS: &str = "SELECT id, key FROM permissions WHERE environment_id = ?1";
    const ROLES: &str = "SELECT id, name, is_active FROM roles WHERE environment_id = ?1";
    const BOUND: &str = "SELECT role_id, permission_id FROM role_permissions WHERE environment_id = ?1";
    const NODES: &str = "SELECT id, parent_id, node_type, slug, status FROM nodes WHERE environment_id = ?1";
    const SUBJECTS: &str = "SELECT i.id, i.is_active, m.status FROM environments AS e \
         CROSS JOIN memberships AS m ON m.application_id = e.application_id \
         CROSS JOIN identities AS i ON i.account_id = m.account_id AND i.id = m.identity_id WHERE e.id = ?1";
    const GRANTS: &str = "SELECT id, identity_id, role_id, node_id, effective_from, effective_to FROM assignments \
         WHERE environment_id = ?1";
    let Some(revision) = revision(c, environment)? else {
        return Ok(None);
    };
    let about = |sql| Statement::new(sql).bind(environment.as_bytes());
    let mut bound: HashMap<RoleId, Vec<PermissionId>> = HashMap::new();
    about(BOUND).for_each(c, "role_permissions", |row| {
        bound.entry(row.id(0)?).or_default().push(row.id(1)?);
        Ok(())
    })?;
    Ok(Some(Snapshot {
        environment,
        revision,
        permissions: about(PERMISSIONS).all(c, "permissions", |row| {
            Ok(PermissionFact {
                id: row.id(0)?,
                key: row.text(1, PermissionKey::parse)?,
            })
        })?,
        roles: about(ROLES).all(c, "roles", |row| {
            let id = row.id(0)?;
            Ok(RoleFact {
                id,
                name: row.text(1, RoleName::restored)?,
                is_active: row.flag(2)?,
                permissions: bound.remove(&id).unwrap_or_default(),
            })
        })?,
        nodes: about(NODES).all(c, "nodes", |row| {
            Ok(NodeFact {
                id: row.id(0)?,
                parent: row.optional_id(1)?,
                node_type: row.text(2, NodeType::parse)?,
                slug: row.text(3, Slug::parse)?,
                is_active: row.word(4, NodeStatus::parse)? == NodeStatus::Active,
            })
        })?,
        subjects: about(SUBJECTS).all(c, "memberships", subject)?,
        grants: about(GRANTS).all(c, "assignments", |row| {
            Ok(GrantFact {
                id: row.id(0)?,
                key: row.assignment_key(1)?,
                window: row.window(4)?,
            })
        })?,
        keys: api_key::facts(c, environment)?,
    }))
}

#[async_trait]
impl AccessReader for UnitOfWork {
    async fn snapshot(&mut self, environment: EnvironmentId) -> Result<Option<Snapshot>, StoreError> {
        self.load(move |c| snapshot(c, environment)).await
    }

    async fn index_size(&mut self, environment: EnvironmentId) -> Result<IndexSize, StoreError> {
        const SELECT: &str = "SELECT p.keys, p.bytes, r.roles, r.bytes, \
             (SELECT count(*) FROM role_permissions WHERE environment_id = ?1), \
             (SELECT count(*) FROM nodes WHERE environment_id = ?1), \
             (SELECT count(*) FROM memberships WHERE application_id = \
                 (SELECT application_id FROM environments WHERE id = ?1)), \
             (SELECT count(*) FROM assignments WHERE environment_id = ?1), k.keys, k.scopes \
             FROM (SELECT count(*) AS keys, coalesce(sum(octet_length(key)), 0) AS bytes FROM permissions \
                 WHERE environment_id = ?1) AS p, \
             (SELECT count(*) AS roles, coalesce(sum(octet_length(name)), 0) AS bytes FROM roles WHERE environment_id = ?1) AS r, \
             (SELECT count(*) AS keys, coalesce(sum(length(scopes) - length(replace(scopes, ' ', '')) + (scopes <> '')), 0) AS scopes FROM api_keys WHERE environment_id = ?1) AS k";
        self.run(move |c| {
            let statement = Statement::new(SELECT).bind(environment.as_bytes());
            let size = statement.first(c, "environments", |row| {
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
        const SELECT: &str = "SELECT environment_id, revision, changes FROM change_records \
             WHERE environment_id = ?1 AND revision > ?2 ORDER BY revision LIMIT ?3";
        // No environment gets that far.
        let Ok(after) = i64::try_from(after.get()) else {
            return Ok(vec![]);
        };
        self.run(move |c| {
            let statement = Statement::new(SELECT)
                .bind(environment.as_bytes())
                .bind(after)
                .bind(limit);
            let mut bytes = 0;
            let read = |row: &Row<'_, '_>| {
                let (changes, length) = row.bytes(2, |bytes| decode(bytes).map(|changes| (changes, bytes.len())))?;
                Ok((row.revision(1)?, changes, length))
            };
            let records = statement.all_while(c, "change_records", read, |(_, _, length)| {
                bytes += length;
                bytes < CHANGE_BYTES
            })?;
            Ok(records.into_iter().map(|(at, changes, _)| (at, changes)).collect())
        })
        .await
    }
}

/// Gives each environment its next revision.
fn take_revisions(
    c: &mut SqliteConnection,
    changes: &[EnvironmentChanges],
) -> Result<HashMap<EnvironmentId, Revision>, StoreError> {
    static UPDATE: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{} UPDATE environments SET revision = revision + 1 WHERE id IN (SELECT id FROM given) \
             RETURNING id, revision",
            IDS.given()
        )
    });
    let ids = Packed::ids(changes.iter().map(|one| one.environment.as_bytes()));
    let taken: HashMap<EnvironmentId, Revision> = ids
        .statement(&UPDATE)
        .all(c, "environments", |row| Ok((row.id(0)?, row.revision(1)?)))?;
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
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{} INSERT INTO change_records (environment_id, revision, at, changes) \
             SELECT environment_id, revision, ?3, changes FROM given",
            RECORDS.given()
        )
    });
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
    const DUE: &str = "SELECT e.id FROM environments AS e WHERE (SELECT r.at FROM change_records AS r \
         WHERE r.environment_id = e.id AND r.revision < e.revision ORDER BY r.revision LIMIT 1) < ?1 LIMIT 1";
    const PRUNE: &str = "DELETE FROM change_records WHERE environment_id = ?1 AND revision IN \
         (SELECT r.revision FROM change_records AS r WHERE r.environment_id = ?1 AND r.at < ?2 \
         AND r.revision < (SELECT e.revision FROM environments AS e WHERE e.id = ?1) ORDER BY r.revision LIMIT 100)";
    let due = Statement::new(DUE).bind(outdated);
    let Some(environment) = due.first(c, "environments", |row| row.id::<EnvironmentId>(0))? else {
        return Ok(false);
    };
    let pruned = Statement::new(PRUNE)
        .bind(environment.as_bytes())
        .bind(outdated)
        .execute(c)?;
    Ok(pruned > 0)
}
