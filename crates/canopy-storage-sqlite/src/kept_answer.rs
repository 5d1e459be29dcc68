//! Answers of requests that may be repeated.

use crate::error::internal;
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::port::writer::AnswerWriter;
use canopy_domain::port::{KeptAnswer, RequestIdentity, StoreError};
use canopy_storage_sql::rows::CountRow;
use canopy_storage_sql::rows::installation::KeptAnswerRow;
use canopy_storage_sql::{SqlText, sql};
use diesel::SqliteConnection;
use uuid::Uuid;

impl UnitOfWork {
    /// The answer of a request, where one was kept at or after `since`.
    pub(crate) async fn kept_answer(
        &mut self,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Option<KeptAnswer>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {KeptAnswerRow} FROM kept_answers WHERE request = ?1 AND at >= ?2");
        self.run(move |c| {
            let select = Statement::new(&SELECT).bind(request.0.as_slice()).bind(since);
            let kept = select.first(c, KeptAnswerRow)?;
            Ok(kept.map(|kept| kept.of(request)))
        })
        .await
    }
}

/// Maximum number of expired idempotency records that one statement deletes.
const BATCH: usize = 100;

/// Removes some of the answers that were kept before `outdated`, the oldest first, and some of the sums of earlier hours;
/// returns whether more answers may be left.
pub(crate) fn forget(c: &mut SqliteConnection, outdated: Timestamp) -> Result<bool, StoreError> {
    static FORGET: SqlText = sql!(
        "DELETE FROM kept_answers WHERE request IN \
         (SELECT request FROM kept_answers WHERE at < ?1 ORDER BY at LIMIT 100)"
    );
    static FORGET_SUMS: SqlText = sql!(
        "DELETE FROM kept_answer_bytes WHERE (tenant, hour) IN \
         (SELECT tenant, hour FROM kept_answer_bytes WHERE hour < ?1 ORDER BY hour LIMIT 100)"
    );
    Statement::new(&FORGET_SUMS)
        .bind(KeptAnswer::hour(outdated))
        .execute(c)?;
    Ok(Statement::new(&FORGET).bind(outdated).execute(c)? >= BATCH)
}

/// Adds to the bytes that a tenant's kept answers of one hour take.
fn add(c: &mut SqliteConnection, tenant: Uuid, hour: i64, bytes: u64) -> Result<(), StoreError> {
    static ADD: SqlText = sql!(
        "INSERT INTO kept_answer_bytes (tenant, hour, bytes) VALUES (?1, ?2, ?3) \
         ON CONFLICT (tenant, hour) DO UPDATE SET bytes = bytes + excluded.bytes"
    );
    let add = Statement::new(&ADD)
        .bind(tenant.as_bytes())
        .bind(hour)
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX));
    match add.execute(c)? {
        1 => Ok(()),
        _ => Err(internal("the bytes of an answer were not counted")),
    }
}

/// Sums the bytes of a tenant's answers kept since an hour: a row for each hour.
fn sum(c: &mut SqliteConnection, tenant: Uuid, since: i64) -> Result<u64, StoreError> {
    static SUM: SqlText =
        sql!("SELECT coalesce(sum(bytes), 0) FROM kept_answer_bytes WHERE tenant = ?1 AND hour >= ?2");
    let select = Statement::new(&SUM).bind(tenant.as_bytes()).bind(since);
    let bytes = select.first(c, CountRow)?;
    bytes.ok_or_else(|| internal("a sum was not answered"))
}

#[async_trait]
impl AnswerWriter for UnitOfWork {
    async fn keep_answer(&mut self, answer: &KeptAnswer, outdated: Timestamp) -> Result<u64, StoreError> {
        static KEEP: SqlText = sql!(
            "INSERT INTO kept_answers (request, body, answer, at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (request) DO UPDATE SET body = excluded.body, answer = excluded.answer, at = excluded.at"
        );
        let (answer, tenant) = (answer.clone(), self.tenant());
        self.run(move |c| {
            forget(c, outdated)?;
            let keep = Statement::new(&KEEP)
                .bind(answer.request.0.as_slice())
                .bind(answer.body.as_slice())
                .bind(answer.answer.as_slice())
                .bind(answer.at);
            if keep.execute(c)? != 1 {
                return Err(internal("an answer was not kept"));
            }
            add(c, tenant, KeptAnswer::hour(answer.at), answer.bytes())?;
            sum(c, tenant, KeptAnswer::hour(outdated))
        })
        .await
    }

    async fn kept_bytes(&mut self, since: Timestamp) -> Result<u64, StoreError> {
        let tenant = self.tenant();
        self.run(move |c| sum(c, tenant, KeptAnswer::hour(since))).await
    }
}
