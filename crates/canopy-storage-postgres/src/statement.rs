//! Statements with their values, and the rows they answer with.
//!
//! A statement is SQL text with numbered parameters (`$1`, `$2`, …), which first appear in that order; a number may stand
//! in it again later. Whole sets go in as arrays for `unnest`, so the text is the same for any number of rows, and a
//! connection prepares each text once. (`diesel::sql_query` would prepare it anew each time.)

use crate::error::{Fault, internal, translate};
use crate::health::Health;
use crate::value::{Value, from_postgres};
use canopy_domain::Timestamp;
use canopy_domain::port::StoreError;
use canopy_domain::port::store::BoxError;
use canopy_storage_sql::{Row as _, Shape, SqlText};
use diesel::QueryResult;
use diesel::data_types::PgTimestamp;
use diesel::deserialize::FromSql;
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error;
use diesel::row::{Field, Row as _};
use diesel::sql_types::{BigInt, Bool, Timestamptz, Untyped, Uuid as SqlUuid};
use diesel_async::{AsyncConnectionCore, AsyncPgConnection};
use futures_util::future::Either;
use futures_util::{StreamExt, future};
use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A statement that is ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Statement<'a> {
    sql: Cow<'static, str>,
    values: Vec<Value<'a>>,
    /// True if it is planned for the values it has.
    for_these_values: bool,
}

/// The bounds that every statement on a connection is held to.
#[derive(Debug)]
pub(crate) struct Guard {
    health: Arc<Health>,
    generation: u64,
    /// The time that a statement may go unanswered.
    deadline: Duration,
    /// A statement was given up, so the connection is of no more use.
    is_broken: AtomicBool,
}

impl Guard {
    pub(crate) const fn new(health: Arc<Health>, generation: u64, deadline: Duration) -> Self {
        Self {
            health,
            generation,
            deadline,
            is_broken: AtomicBool::new(false),
        }
    }

    pub(crate) const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    fn give_up(&self, cause: impl Into<BoxError>) -> StoreError {
        self.is_broken.store(true, Ordering::Relaxed);
        StoreError::Unavailable(cause.into())
    }
}

/// A connection as a unit of work sees it. Several statements may be on their way at once: they are sent together and
/// run in the order in which they were first polled.
#[derive(Clone, Copy)]
pub(crate) struct Connection<'c> {
    raw: &'c AsyncPgConnection,
    /// Maximum wait of a statement for a lock in the server.
    lock_timeout: Duration,
    /// The time that a statement may go unanswered.
    deadline: Duration,
    /// Whether statements of this transaction are planned for their values.
    planned: &'c AtomicBool,
    guard: &'c Guard,
}

impl<'c> Connection<'c> {
    pub(crate) const fn new(
        raw: &'c AsyncPgConnection,
        lock_timeout: Duration,
        planned: &'c AtomicBool,
        guard: &'c Guard,
    ) -> Self {
        Self {
            raw,
            lock_timeout,
            deadline: guard.deadline,
            planned,
            guard,
        }
    }

    /// The same connection, whose statements may go unanswered for so long.
    pub(crate) const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Gives a statement up. The connection is of no more use: the answer may still come.
    pub(crate) fn give_up(self, cause: impl Into<BoxError>) -> StoreError {
        self.guard.give_up(cause)
    }

    /// Waits for an answer of the server, until the deadline has passed or the server is given up. From then on the
    /// connection is of no more use: the answer may still come.
    pub(crate) async fn answered<T>(
        self,
        run: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let run = pin!(tokio::time::timeout(self.deadline, run));
        let cut = pin!(self.guard.health.cut(self.guard.generation));
        match future::select(run, cut).await {
            Either::Left((Ok(answer), _)) => answer,
            Either::Left((Err(elapsed), _)) => Err(self.guard.give_up(elapsed)),
            Either::Right(_) => Err(self.guard.give_up(Fault("the server does not answer or was replaced"))),
        }
    }

    /// Runs SQL without values and without an answer.
    pub(crate) async fn command(self, sql: &str) -> Result<(), StoreError> {
        self.answered(self.send(sql)).await
    }

    async fn send(self, sql: &str) -> Result<(), StoreError> {
        diesel_async::SimpleAsyncConnection::batch_execute(&mut &*self.raw, sql)
            .await
            .map_err(translate)
    }

    /// Sees to it that the next statement is planned as it asks to be: once, for any values, with the look-ups by key that
    /// its text prescribes; or for the values it has, as listings are, whose filters are mostly not asked for.
    async fn plan(self, for_these_values: bool) -> Result<(), StoreError> {
        const FOR_ANY: &str = "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off";
        const FOR_THESE: &str = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = on";
        if self.planned.swap(for_these_values, Ordering::Relaxed) == for_these_values {
            return Ok(());
        }
        self.send(if for_these_values { FOR_THESE } else { FOR_ANY }).await
    }

    fn failed(self, error: Error, began: Instant) -> StoreError {
        match translate(error) {
            // A server that speaks another language than English: what took that long was a timeout.
            StoreError::Internal(cause) if began.elapsed() >= self.lock_timeout => StoreError::Busy(cause),
            other => other,
        }
    }
}

impl<'a> Statement<'a> {
    /// A statement without values.
    pub(crate) fn new(sql: &'static SqlText) -> Self {
        Self {
            sql: Cow::Borrowed(sql.text()),
            values: vec![],
            for_these_values: false,
        }
    }

    /// A statement of a listing, whose text was put together, planned for the values it has. There are few such texts: a
    /// connection keeps each prepared.
    pub(crate) const fn made(sql: String) -> Self {
        Self {
            sql: Cow::Owned(sql),
            values: vec![],
            for_these_values: true,
        }
    }

    /// Planned anew, for the values it has: for listings, within a transaction.
    pub(crate) const fn for_these_values(mut self) -> Self {
        self.for_these_values = true;
        self
    }

    /// Gives the next parameter its value.
    pub(crate) fn bind(mut self, value: impl Into<Value<'a>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it. The answer is the number of rows it changed.
    pub(crate) async fn execute(self, connection: Connection<'_>) -> Result<usize, StoreError> {
        let began = Instant::now();
        let mut raw = connection.raw;
        let plan = connection.plan(self.for_these_values);
        let run = AsyncConnectionCore::execute_returning_count(&mut raw, self);
        connection
            .answered(async {
                let (planned, ran) = future::join(plan, run).await;
                planned?;
                ran.map_err(|error| connection.failed(error, began))
            })
            .await
    }

    /// Hands each row of the answer to `each`; `table` is where the rows come from, for reports of damage.
    pub(crate) async fn for_each(
        self,
        connection: Connection<'_>,
        table: &'static str,
        mut each: impl FnMut(&Row) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError> {
        let began = Instant::now();
        let mut raw = connection.raw;
        let plan = connection.plan(self.for_these_values);
        let run = AsyncConnectionCore::load(&mut raw, self);
        connection
            .answered(async {
                let (planned, rows) = future::join(plan, run).await;
                planned?;
                let mut rows = rows.map_err(|error| connection.failed(error, began))?;
                while let Some(row) = rows.next().await {
                    let row = row.map_err(|error| connection.failed(error, began))?;
                    each(&Row { row, table })?;
                }
                Ok(())
            })
            .await
    }

    /// Hands the value of each row of the answer to `each`.
    pub(crate) async fn for_each_of<S: Shape>(
        self,
        connection: Connection<'_>,
        shape: S,
        mut each: impl FnMut(S::Value) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError> {
        let mut is_checked = !cfg!(debug_assertions);
        self.for_each(connection, S::TABLE, |row| {
            if !is_checked {
                shape.check(row)?;
                is_checked = true;
            }
            each(S::read(row, 0)?)
        })
        .await
    }

    /// All rows of the answer.
    pub(crate) async fn all<S, C>(self, connection: Connection<'_>, shape: S) -> Result<C, StoreError>
    where
        S: Shape,
        C: Default + Extend<S::Value> + Send,
    {
        let mut rows = C::default();
        self.for_each_of(connection, shape, |value| {
            rows.extend([value]);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// The first row of the answer.
    pub(crate) async fn first<S>(self, connection: Connection<'_>, shape: S) -> Result<Option<S::Value>, StoreError>
    where
        S: Shape,
        S::Value: Send,
    {
        let mut first = None;
        self.for_each_of(connection, shape, |value| {
            first.get_or_insert(value);
            Ok(())
        })
        .await?;
        Ok(first)
    }

    /// The one row that a statement always answers with.
    pub(crate) async fn one<S>(self, connection: Connection<'_>, shape: S) -> Result<S::Value, StoreError>
    where
        S: Shape,
        S::Value: Send,
    {
        let first = self.first(connection, shape).await?;
        first.ok_or_else(|| internal("a statement that always answers did not"))
    }
}

impl QueryFragment<Pg> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut waiting = (1_usize..).zip(&self.values).peekable();
        let mut parts = self.sql.split('$');
        out.push_sql(parts.next().unwrap_or_default());
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let (digits, rest) = part.split_at_checked(end).unwrap_or((part, ""));
            match waiting.peek() {
                Some((number, value)) if digits.parse() == Ok(*number) => {
                    value.push(&mut out)?;
                    waiting.next();
                }
                _ => {
                    out.push_sql("$");
                    out.push_sql(digits);
                }
            }
            out.push_sql(rest);
        }
        match waiting.next() {
            None => Ok(()),
            Some((number, _)) => Err(Error::QueryBuilderError(
                format!("value {number} has no place in: {}", self.sql).into(),
            )),
        }
    }
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    /// Prepared statements are told apart by their text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = Untyped;
}

type PgRow = <AsyncPgConnection as AsyncConnectionCore>::Row<'static, 'static>;

/// A row of an answer. Its first column is the id of what it tells of, where it has one.
pub(crate) struct Row {
    row: PgRow,
    table: &'static str,
}

impl Row {
    /// Hands the value of a column to `read`; `None` for NULL.
    fn with<T>(&self, column: usize, read: impl FnOnce(PgValue<'_>) -> Option<T>) -> Result<Option<T>, StoreError> {
        let field = self.row.get(column).ok_or_else(|| self.corrupt(column))?;
        match field.value() {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.corrupt(column)),
        }
    }
}

impl canopy_storage_sql::Row for Row {
    fn corrupt(&self, column: usize) -> StoreError {
        let field = self.row.get(column);
        let name = field.as_ref().and_then(Field::field_name).unwrap_or("?");
        let id = self.row.get(0).and_then(|field| {
            let id = <Uuid as FromSql<SqlUuid, Pg>>::from_sql(field.value()?);
            id.ok()
        });
        let id = id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        StoreError::Corrupt(format!("{}.{name} of {id}", self.table))
    }

    fn column_name(&self, column: usize) -> Option<String> {
        let field = self.row.get(column)?;
        field.field_name().map(str::to_owned)
    }

    fn optional_uuid(&self, column: usize) -> Result<Option<Uuid>, StoreError> {
        self.with(column, |value| <Uuid as FromSql<SqlUuid, Pg>>::from_sql(value).ok())
    }

    fn optional_number(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.with(column, |value| <i64 as FromSql<BigInt, Pg>>::from_sql(value).ok())
    }

    fn optional_flag(&self, column: usize) -> Result<Option<bool>, StoreError> {
        self.with(column, |value| <bool as FromSql<Bool, Pg>>::from_sql(value).ok())
    }

    fn optional_at(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        self.with(column, |value| {
            let at = <PgTimestamp as FromSql<Timestamptz, Pg>>::from_sql(value).ok()?;
            from_postgres(at)
        })
    }

    fn optional_text<T, E>(
        &self,
        column: usize,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError> {
        self.with(column, |value| {
            let text = core::str::from_utf8(value.as_bytes()).ok()?;
            parse(text).ok()
        })
    }

    fn optional_bytes<T, E>(
        &self,
        column: usize,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError> {
        self.with(column, |value| parse(value.as_bytes()).ok())
    }
}
