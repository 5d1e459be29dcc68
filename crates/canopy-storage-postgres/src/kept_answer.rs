//! Answers of requests that may be repeated.

use crate::statement::{Connection, Statement};
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::port::writer::AnswerWriter;
use canopy_domain::port::{KeptAnswer, RequestIdentity, StoreError};
use canopy_storage_sql::rows::installation::KeptAnswerRow;
use canopy_storage_sql::rows::{CountRow, FlagRow};
use canopy_storage_sql::{SqlText, sql};
use futures_util::future;
use uuid::Uuid;

/// The stored state of a repeatable request when a write for it begins.
pub(crate) enum Known {
    /// Nobody answers it or has answered it; from here to its end, this transaction does.
    Nothing,
    /// Another transaction answers it.
    Running,
    /// It was answered.
    Answer(KeptAnswer),
}

/// Claims a request by an advisory lock of the transaction, without waiting, and looks for its answer. The two are sent
/// together; the second statement sees what the last holder of the lock has committed.
pub(crate) async fn claim(
    connection: Connection<'_>,
    request: RequestIdentity,
    since: Timestamp,
) -> Result<Known, StoreError> {
    static CLAIM: SqlText = sql!("SELECT pg_try_advisory_xact_lock($1)");
    static SELECT: SqlText = sql!("SELECT {KeptAnswerRow} FROM kept_answers WHERE request = $1 AND at >= $2");
    let claimed = Statement::new(&CLAIM).bind(lock_of(request)).one(connection, FlagRow);
    let select = Statement::new(&SELECT).bind(request.0.to_vec()).bind(since);
    let kept = select.first(connection, KeptAnswerRow);
    let (claimed, kept) = future::try_join(claimed, kept).await?;
    Ok(match (claimed, kept) {
        (false, _) => Known::Running,
        (true, Some(kept)) => Known::Answer(kept.of(request)),
        (true, None) => Known::Nothing,
    })
}

/// Advisory locks below zero belong to requests; that of migrations is above. Two requests of one number are as rare as two
/// equal random numbers of 63 bits; then one of them is told to try again.
fn lock_of(request: RequestIdentity) -> i64 {
    let number = request.0.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    number | i64::MIN
}

/// Maximum number of expired idempotency records that one statement deletes.
pub(crate) const BATCH: usize = 100;

/// Removes some of the answers that were kept before `outdated`, the oldest first; those that another process removes are
/// passed over. Removes some of the sums of earlier hours too.
pub(crate) fn forget(outdated: Timestamp) -> Statement<'static> {
    static FORGET: SqlText = sql!(
        "WITH sums AS (DELETE FROM kept_answer_bytes WHERE (tenant, hour) IN \
             (SELECT tenant, hour FROM kept_answer_bytes WHERE hour < $1 ORDER BY hour LIMIT 100 FOR UPDATE SKIP LOCKED)) \
         DELETE FROM kept_answers WHERE request IN \
         (SELECT request FROM kept_answers WHERE at < $2 ORDER BY at LIMIT 100 FOR UPDATE SKIP LOCKED)"
    );
    Statement::new(&FORGET).bind(KeptAnswer::hour(outdated)).bind(outdated)
}

/// Sums the bytes of a tenant's answers kept since the hour of `since`: a row for each hour.
pub(crate) async fn sum(connection: Connection<'_>, tenant: Uuid, since: Timestamp) -> Result<u64, StoreError> {
    static SUM: SqlText =
        sql!("SELECT coalesce(sum(bytes), 0)::bigint FROM kept_answer_bytes WHERE tenant = $1 AND hour >= $2");
    let sum = Statement::new(&SUM).bind(tenant).bind(KeptAnswer::hour(since));
    sum.one(connection, CountRow).await
}

#[async_trait]
impl AnswerWriter for UnitOfWork {
    async fn keep_answer(&mut self, answer: &KeptAnswer, outdated: Timestamp) -> Result<u64, StoreError> {
        static ADD: SqlText = sql!(
            "INSERT INTO kept_answer_bytes AS known (tenant, hour, bytes) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant, hour) DO UPDATE SET bytes = known.bytes + excluded.bytes"
        );
        static KEEP: SqlText = sql!(
            "INSERT INTO kept_answers (request, body, answer, at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (request) DO UPDATE SET body = excluded.body, answer = excluded.answer, at = excluded.at"
        );
        let tenant = self.tenant();
        self.forget_kept_bytes();
        let connection = self.connection()?;
        let forget = forget(outdated);
        let keep = Statement::new(&KEEP)
            .bind(answer.request.0.to_vec())
            .bind(answer.body.to_vec())
            .bind(answer.answer.clone())
            .bind(answer.at);
        let add = Statement::new(&ADD)
            .bind(tenant)
            .bind(KeptAnswer::hour(answer.at))
            .bind(i64::try_from(answer.bytes()).unwrap_or(i64::MAX));
        // Sent together; the sum has what was added before it.
        let sum = sum(connection, tenant, outdated);
        let (_, _, _, bytes) = future::try_join4(
            forget.execute(connection),
            keep.execute(connection),
            add.execute(connection),
            sum,
        )
        .await?;
        Ok(bytes)
    }

    async fn kept_bytes(&mut self, since: Timestamp) -> Result<u64, StoreError> {
        match self.known_kept_bytes(since) {
            Some(bytes) => Ok(bytes),
            None => sum(self.connection()?, self.tenant(), since).await,
        }
    }
}
