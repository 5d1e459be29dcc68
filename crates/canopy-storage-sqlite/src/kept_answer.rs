//! Answers of requests that may be repeated.

use crate::error::internal;
use crate::statement::{Row, Statement};
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::port::writer::AnswerWriter;
use canopy_domain::port::{KeptAnswer, RequestIdentity, StoreError};
use diesel::SqliteConnection;

fn kept(request: RequestIdentity) -> impl Fn(&Row<'_, '_>) -> Result<KeptAnswer, StoreError> {
    move |row| {
        Ok(KeptAnswer {
            request,
            body: row.bytes(0, |bytes| <[u8; 32]>::try_from(bytes))?,
            answer: row.bytes(1, |bytes| Ok::<_, StoreError>(bytes.to_vec()))?,
            at: row.at(2)?,
        })
    }
}

impl UnitOfWork {
    /// The answer of a request, where one was kept at or after `since`.
    pub(crate) async fn kept_answer(
        &mut self,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Option<KeptAnswer>, StoreError> {
        const SELECT: &str = "SELECT body, answer, at FROM kept_answers WHERE request = ?1 AND at >= ?2";
        self.run(move |c| {
            let select = Statement::new(SELECT).bind(request.0.as_slice()).bind(since);
            select.first(c, "kept_answers", kept(request))
        })
        .await
    }
}

/// How many outdated answers go at once, at the most.
const BATCH: usize = 100;

/// Removes some of the answers that were kept before `outdated`, the oldest first; answers whether more may be left.
pub(crate) fn forget(c: &mut SqliteConnection, outdated: Timestamp) -> Result<bool, StoreError> {
    const FORGET: &str = "DELETE FROM kept_answers WHERE request IN \
         (SELECT request FROM kept_answers WHERE at < ?1 ORDER BY at LIMIT 100)";
    Ok(Statement::new(FORGET).bind(outdated).execute(c)? >= BATCH)
}

#[async_trait]
impl AnswerWriter for UnitOfWork {
    async fn keep_answer(&mut self, answer: &KeptAnswer, outdated: Timestamp) -> Result<(), StoreError> {
        const KEEP: &str = "INSERT INTO kept_answers (request, body, answer, at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (request) DO UPDATE SET body = excluded.body, answer = excluded.answer, at = excluded.at";
        let answer = answer.clone();
        self.run(move |c| {
            forget(c, outdated)?;
            let keep = Statement::new(KEEP)
                .bind(answer.request.0.as_slice())
                .bind(answer.body.as_slice())
                .bind(answer.answer.as_slice())
                .bind(answer.at);
            match keep.execute(c)? {
                1 => Ok(()),
                _ => Err(internal("an answer was not kept")),
            }
        })
        .await
    }
}
