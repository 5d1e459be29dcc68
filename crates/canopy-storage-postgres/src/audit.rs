//! The history: what a commit leaves behind, and reading the audit log.

use crate::error::{Fault, ensure, internal};
use crate::search::patterns;
use crate::statement::Statement;
use crate::unit_of_work::{UnitOfWork, findable, storable};
use crate::value::{column, instants};
use async_trait::async_trait;
use canopy_domain::audit::listing::{AuditPosition, AuditQuery};
use canopy_domain::audit::{
    ActorType, AuditCategory, AuditEvent, AuditEventId, AuditOutcome, AuditSeverity, StoredAuditEvent,
};
use canopy_domain::changeset::ChangeSet;
use canopy_domain::port::reader::AuditReader;
use canopy_domain::port::{CommitRecord, CommitTag, StoreError, WriteTx, apply_rows};
use canopy_domain::{AccountId, EnvironmentId, Revision};
use canopy_storage_sql::rows::access::RevisionRow;
use canopy_storage_sql::rows::audit::{AuditEventRow, AuditPositionRow, DetailRow};
use canopy_storage_sql::write::details;
use canopy_storage_sql::{SqlText, sql};
use canopy_store_kit::change_codec::encode_shared;
use futures_util::future::{self, Either};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::Notify;
use uuid::Uuid;

/// Events as [`event`] reads them.
macro_rules! events {
    ($source:literal) => {
        concat!(
            "SELECT id, account_id, application_id, environment_id, actor_id, actor_type, actor_label, action, \
             category, severity, outcome, resource_type, resource_id, resource_label, metadata, correlation_id, \
             revision, created_at FROM ",
            $source
        )
    };
}

#[async_trait]
impl AuditReader for UnitOfWork {
    async fn audit_events(
        &mut self,
        account: AccountId,
        query: &AuditQuery,
    ) -> Result<Vec<StoredAuditEvent>, StoreError> {
        static SELECT: SqlText = sql!(events!(
            // Sizes are known without the metadata, which is read of those events alone that are listed.
            "(SELECT page.*, sum(octet_length(metadata)) OVER (ORDER BY created_at DESC, id DESC \
             ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before FROM (SELECT * FROM audit_events \
             WHERE account_id = $1 AND (created_at, id) < ($2, $3) AND created_at >= $4 \
             AND ($5::uuid IS NULL OR environment_id = $5) AND ($6::text IS NULL OR action = $6) \
             AND ($7::text IS NULL OR category = $7) AND ($8::text IS NULL OR severity = $8) \
             AND ($9::text IS NULL OR outcome = $9) AND ($10::text IS NULL OR actor_id = $10) \
             AND ($11::text IS NULL OR actor_type = $11) AND ($12::text IS NULL OR resource_type = $12) \
             AND ($13::text IS NULL OR resource_id = $13) AND ($14::text IS NULL OR correlation_id = $14) \
             AND searched LIKE ALL ($15) AND (created_at, id) >= ($4, $16) \
             ORDER BY created_at DESC, id DESC LIMIT $17) AS page) AS sized \
             WHERE bytes_before IS NULL OR bytes_before < $18 ORDER BY created_at DESC, id DESC"
        ));
        let texts = [
            &query.action,
            &query.actor_id,
            &query.resource_type,
            &query.resource_id,
            &query.correlation_id,
        ];
        let [Ok(action), Ok(actor), Ok(resource_type), Ok(resource), Ok(correlation)] =
            texts.map(|text| findable(text.as_ref()))
        else {
            return Ok(vec![]);
        };
        let Some(patterns) = patterns(query.search.as_ref()) else {
            return Ok(vec![]);
        };
        let (first, end) = (query.first(), query.end());
        let connection = self.connection()?;
        Statement::new(&SELECT)
            .for_these_values()
            .bind(account.as_uuid())
            .bind(end.at)
            .bind(end.id.as_uuid())
            .bind(first.at)
            .bind(query.environment.map(|id| id.as_uuid()))
            .bind(action)
            .bind(query.category.map(AuditCategory::as_str))
            .bind(query.severity.map(AuditSeverity::as_str))
            .bind(query.outcome.map(AuditOutcome::as_str))
            .bind(actor)
            .bind(query.actor_type.map(ActorType::as_str))
            .bind(resource_type)
            .bind(resource)
            .bind(correlation)
            .bind(patterns)
            .bind(first.id.as_uuid())
            .bind(i64::from(query.limit))
            .bind(i64::try_from(AuditQuery::MAX_BYTES).unwrap_or(i64::MAX))
            .all(connection, AuditEventRow)
            .await
    }

    async fn audit_place(
        &mut self,
        account: AccountId,
        query: &AuditQuery,
        count: u32,
    ) -> Result<Option<AuditPosition>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT created_at, id FROM audit_events WHERE account_id = $1 \
             AND (created_at, id) < ($2, $3) AND created_at >= $4 AND (created_at, id) >= ($4, $5) \
             AND ($6::uuid IS NULL OR environment_id = $6) ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET $7"
        );
        let (first, end) = (query.first(), query.end());
        let select = Statement::new(&SELECT)
            .for_these_values()
            .bind(account.as_uuid())
            .bind(end.at)
            .bind(end.id.as_uuid())
            .bind(first.at)
            .bind(first.id.as_uuid())
            .bind(query.environment.map(|id| id.as_uuid()))
            .bind(i64::from(count.saturating_sub(1)));
        select.first(self.connection()?, AuditPositionRow).await
    }

    async fn audit_event(
        &mut self,
        account: AccountId,
        id: AuditEventId,
    ) -> Result<Option<StoredAuditEvent>, StoreError> {
        static SELECT: SqlText = sql!(events!("audit_events WHERE account_id = $1 AND id = $2"));
        let select = Statement::new(&SELECT).bind(account.as_uuid()).bind(id.as_uuid());
        select.first(self.connection()?, AuditEventRow).await
    }

    async fn audit_details(
        &mut self,
        account: AccountId,
        event: AuditEventId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT entries FROM audit_details WHERE account_id = $1 AND event_id = $2 AND part >= $3 \
             ORDER BY part LIMIT $4"
        );
        let select = Statement::new(&SELECT).bind(account.as_uuid()).bind(event.as_uuid());
        let select = select.bind(i64::from(from)).bind(i64::from(limit));
        select.all(self.connection()?, DetailRow).await
    }
}

/// Stores events that take no revision.
pub(crate) fn append(events: &[AuditEvent]) -> Statement<'_> {
    static INSERT: SqlText = sql!(
        "WITH logged AS (INSERT INTO audit_events (id, account_id, application_id, environment_id, \
         actor_id, actor_type, actor_label, action, category, severity, outcome, resource_type, resource_id, \
         resource_label, metadata, correlation_id, created_at, searched) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)) \
         INSERT INTO audit_details (account_id, event_id, part, entries) SELECT * FROM unnest($19, $20, $21, $22)"
    );
    let parts = details(events);
    Statement::new(&INSERT)
        .bind(column(events, |event| event.id.as_uuid()))
        .bind(column(events, |event| event.account_id.as_uuid()))
        .bind(column(events, |event| event.application_id.map(|id| id.as_uuid())))
        .bind(column(events, |event| event.environment_id.map(|id| id.as_uuid())))
        .bind(column(events, |event| storable(&event.actor.id)))
        .bind(column(events, |event| event.actor.kind.as_str()))
        .bind(column(events, |event| storable(&event.actor.label)))
        .bind(column(events, |event| event.action))
        .bind(column(events, |event| event.category.as_str()))
        .bind(column(events, |event| event.severity.as_str()))
        .bind(column(events, |event| event.outcome.as_str()))
        .bind(column(events, |event| event.resource_type))
        .bind(column(events, |event| storable(&event.resource_id)))
        .bind(column(events, |event| storable(&event.resource_label)))
        .bind(column(events, |event| event.metadata.to_json()))
        .bind(column(events, |event| storable(&event.correlation_id)))
        .bind(instants(events, |event| event.created_at))
        .bind(column(events, |event| storable(&event.searched_text())))
        .bind(column(&parts, |(event, _, _)| event.account_id.as_uuid()))
        .bind(column(&parts, |(event, _, _)| event.id.as_uuid()))
        .bind(column(&parts, |(_, part, _)| *part))
        .bind(column(&parts, |(_, _, entries)| *entries))
}

/// Adds to the kept counts of assignments.
static COUNTS: SqlText = sql!(
    "UPDATE environments AS e SET assignment_count = e.assignment_count + c.counted \
     FROM unnest($1, $2) AS c (environment_id, counted) WHERE e.id = c.environment_id"
);

/// The whole history of a commit in one statement. An environment that is not there has no revision to record, which the
/// table refuses.
static HISTORY: SqlText = sql!(
    "WITH changed AS (SELECT * FROM unnest($1, $2, $3) AS c (environment_id, payload, counted)), \
     moved AS (UPDATE environments AS e SET revision = e.revision + 1, \
         assignment_count = e.assignment_count + c.counted, \
         tag = ((e.tag << 1) | ((e.tag >> 63) & 1)) # $4 FROM changed AS c \
         WHERE e.id = c.environment_id RETURNING e.id, e.revision, e.tag), \
     recorded AS (INSERT INTO change_records (environment_id, revision, tag, at, changes) \
         SELECT c.environment_id, m.revision, m.tag, $5, ($6)[c.payload::int] \
         FROM changed AS c LEFT JOIN moved AS m ON m.id = c.environment_id), \
     logged AS (INSERT INTO audit_events (id, account_id, application_id, environment_id, actor_id, actor_type, \
         actor_label, action, category, severity, outcome, resource_type, resource_id, resource_label, metadata, \
         correlation_id, created_at, searched, revision) \
         SELECT $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, \
         (SELECT m.revision FROM moved AS m WHERE m.id = $10)), \
     detailed AS (INSERT INTO audit_details (account_id, event_id, part, entries) \
         SELECT $8, $7, d.part - 1, d.entries FROM unnest($25) WITH ORDINALITY AS d (entries, part)) \
     SELECT id, revision FROM moved"
);

fn history<'a>(record: &'a CommitRecord, counted: &BTreeMap<Uuid, i64>) -> Statement<'a> {
    let audit = &record.audit;
    // What environments share is sent once. Arrays are counted from one.
    let (payloads, places) = encode_shared(&record.changes);
    Statement::new(&HISTORY)
        .bind(column(&record.changes, |one| one.environment.as_uuid()))
        .bind(column(&places, |place| i64::try_from(place + 1).unwrap_or(i64::MAX)))
        .bind(column(&record.changes, |one| {
            counted.get(&one.environment.as_uuid()).copied().unwrap_or_default()
        }))
        .bind(CommitTag::step(record.audit.id))
        .bind(record.at)
        .bind(payloads)
        .bind(audit.id.as_uuid())
        .bind(audit.account_id.as_uuid())
        .bind(audit.application_id.map(|id| id.as_uuid()))
        .bind(audit.environment_id.map(|id| id.as_uuid()))
        .bind(storable(&audit.actor.id))
        .bind(audit.actor.kind.as_str())
        .bind(storable(&audit.actor.label))
        .bind(audit.action)
        .bind(audit.category.as_str())
        .bind(audit.severity.as_str())
        .bind(audit.outcome.as_str())
        .bind(audit.resource_type)
        .bind(storable(&audit.resource_id))
        .bind(storable(&audit.resource_label))
        .bind(audit.metadata.to_json())
        .bind(storable(&audit.correlation_id))
        .bind(audit.created_at)
        .bind(storable(&audit.searched_text()))
        .bind(column(&audit.details, String::as_str))
}

#[async_trait]
impl WriteTx for UnitOfWork {
    async fn apply(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        apply_rows(self, changes).await
    }

    async fn commit(self: Box<Self>, record: CommitRecord) -> Result<Vec<(EnvironmentId, Revision)>, StoreError> {
        static COMMIT: SqlText = sql!("COMMIT");
        let touched: HashSet<EnvironmentId> = record.changes.iter().map(|change| change.environment).collect();
        ensure(
            touched.len() == record.changes.len(),
            "a commit names each environment once",
        )?;
        let connection = self.connection()?;
        // No use case leaves out an environment whose assignments have changed; the count stays right all the same.
        let unnamed = self
            .counted()
            .iter()
            .filter(|(environment, by)| **by != 0 && !touched.iter().any(|one| one.as_uuid() == **environment));
        let (unnamed, by): (Vec<Uuid>, Vec<i64>) = unnamed.map(|(environment, by)| (*environment, *by)).unzip();
        if !unnamed.is_empty() {
            Statement::new(&COUNTS)
                .bind(unnamed)
                .bind(by)
                .execute(connection)
                .await?;
        }
        // Sent together: where the history cannot be written, the transaction is broken, and the server turns the commit
        // into a rollback. The commit has a deadline of its own, from when the history is written: it may wait for a standby.
        // Whether it took place is open when the deadline has passed, and the connection is closed without asking the
        // server to stop: that would make it take effect on the primary alone.
        let is_written = Notify::new();
        let written = async {
            let written = history(&record, self.counted()).all::<_, HashMap<_, _>>(connection, RevisionRow);
            let written = written.await;
            is_written.notify_one();
            written
        };
        let committed = async {
            let commit = pin!(Statement::new(&COMMIT).execute(connection.with_deadline(Duration::MAX)));
            let deadline = pin!(async {
                is_written.notified().await;
                tokio::time::sleep(self.deadlines().commit).await;
            });
            match future::select(commit, deadline).await {
                Either::Left((committed, _)) => committed,
                Either::Right(_) => Err(connection.give_up(Fault("the commit was not confirmed in time"))),
            }
        };
        let (written, committed) = future::join(written, committed).await;
        let revisions = written?;
        committed?;
        let taken: Option<Vec<(EnvironmentId, Revision)>> = record
            .changes
            .iter()
            .map(|change| Some((change.environment, *revisions.get(&change.environment)?)))
            .collect();
        let taken = taken.ok_or_else(|| internal("a commit has answered without a revision"))?;
        self.into_lease().give_back();
        Ok(taken)
    }
}
