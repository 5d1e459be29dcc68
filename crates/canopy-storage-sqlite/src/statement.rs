//! Statements with their values, and the rows they answer with.
//!
//! A statement is SQL text with numbered parameters (`?1`, `?2`, …); a number may stand in it more than once. The same
//! text is prepared once per connection. Rows are read by position, straight from SQLite's own memory.

use crate::error::{internal, is_unique_violation, translate};
use canopy_domain::Timestamp;
use canopy_domain::port::{StoreError, Unique};
use canopy_storage_sql::rows::FlagRow;
use canopy_storage_sql::{Row as _, Shape, SqlText};
use diesel::connection::{DefaultLoadingMode, LoadConnection};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::row::{Field, Row as _};
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Untyped};
use diesel::sqlite::{Sqlite, SqliteConnection, SqliteValue};
use diesel::{QueryResult, RunQueryDsl};
use uuid::Uuid;

/// A value of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Integer(i64::from(flag))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Integer(at.as_micros())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a [u8; 16]> for Value<'a> {
    fn from(id: &'a [u8; 16]) -> Self {
        Self::Bytes(id)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A statement that is ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Statement<'a> {
    sql: &'a str,
    values: Vec<Value<'a>>,
}

impl<'a> Statement<'a> {
    /// A statement without values.
    pub(crate) fn new(sql: &'static SqlText) -> Self {
        Self::made(sql.text())
    }

    /// A statement whose text was put together for this call. There are few such texts: a connection keeps each prepared.
    pub(crate) const fn made(sql: &'a str) -> Self {
        Self { sql, values: vec![] }
    }

    /// Gives the next parameter its value.
    pub(crate) fn bind(mut self, value: impl Into<Value<'a>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it. The answer is the number of rows it changed.
    pub(crate) fn execute(self, connection: &mut SqliteConnection) -> Result<usize, StoreError> {
        canopy_sqlite_deadline::restart();
        RunQueryDsl::execute(self, connection).map_err(|error| translate(error, None))
    }

    /// Runs it, where it can break one unique rule and no other.
    pub(crate) fn execute_unique(self, connection: &mut SqliteConnection, rule: Unique) -> Result<usize, StoreError> {
        canopy_sqlite_deadline::restart();
        RunQueryDsl::execute(self, connection).map_err(|error| translate(error, Some(rule)))
    }

    /// Runs it, where it can break several unique rules: `None` when it broke one and changed nothing.
    pub(crate) fn attempt(self, connection: &mut SqliteConnection) -> Result<Option<usize>, StoreError> {
        canopy_sqlite_deadline::restart();
        match RunQueryDsl::execute(self, connection) {
            Ok(count) => Ok(Some(count)),
            Err(error) if is_unique_violation(&error) => Ok(None),
            Err(error) => Err(translate(error, None)),
        }
    }

    /// Hands each row of the answer to `each`; `table` is where the rows come from, for reports of damage.
    pub(crate) fn for_each(
        self,
        connection: &mut SqliteConnection,
        table: &'static str,
        mut each: impl FnMut(&Row<'_, '_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        canopy_sqlite_deadline::restart();
        let load = LoadConnection::<DefaultLoadingMode>::load;
        let cursor = load(connection, self).map_err(|error| translate(error, None))?;
        for row in cursor {
            let row = row.map_err(|error| translate(error, None))?;
            each(&Row { row, table })?;
        }
        Ok(())
    }

    /// Hands the value of each row of the answer to `each`, which returns whether there is to be another. The rest is not
    /// read.
    fn visit<S: Shape>(
        self,
        connection: &mut SqliteConnection,
        shape: S,
        mut each: impl FnMut(S::Value) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        canopy_sqlite_deadline::restart();
        let load = LoadConnection::<DefaultLoadingMode>::load;
        let cursor = load(connection, self).map_err(|error| translate(error, None))?;
        let mut is_checked = !cfg!(debug_assertions);
        for row in cursor {
            let row = Row {
                row: row.map_err(|error| translate(error, None))?,
                table: S::TABLE,
            };
            if !is_checked {
                shape.check(&row)?;
                is_checked = true;
            }
            if !each(S::read(&row, 0)?)? {
                break;
            }
        }
        Ok(())
    }

    /// Hands the value of each row of the answer to `each`.
    pub(crate) fn for_each_of<S: Shape>(
        self,
        connection: &mut SqliteConnection,
        shape: S,
        mut each: impl FnMut(S::Value) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.visit(connection, shape, |value| each(value).map(|()| true))
    }

    /// All rows of the answer.
    pub(crate) fn all<S, C>(self, connection: &mut SqliteConnection, shape: S) -> Result<C, StoreError>
    where
        S: Shape,
        C: Default + Extend<S::Value>,
    {
        let mut rows = C::default();
        self.for_each_of(connection, shape, |value| {
            rows.extend([value]);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Rows of the answer up to the first after which there is to be no other. The rest is not read.
    pub(crate) fn all_while<S: Shape>(
        self,
        connection: &mut SqliteConnection,
        shape: S,
        mut goes_on: impl FnMut(&S::Value) -> bool,
    ) -> Result<Vec<S::Value>, StoreError> {
        let mut rows = Vec::new();
        self.visit(connection, shape, |value| {
            let goes_on = goes_on(&value);
            rows.push(value);
            Ok(goes_on)
        })?;
        Ok(rows)
    }

    /// The first row of the answer. A write is carried out to its end.
    pub(crate) fn first<S: Shape>(
        self,
        connection: &mut SqliteConnection,
        shape: S,
    ) -> Result<Option<S::Value>, StoreError> {
        let mut first = None;
        self.for_each_of(connection, shape, |value| {
            first.get_or_insert(value);
            Ok(())
        })?;
        Ok(first)
    }

    /// Whether a statement that answers with one flag says yes.
    pub(crate) fn holds(self, connection: &mut SqliteConnection) -> Result<bool, StoreError> {
        let flag = self.first(connection, FlagRow)?;
        flag.ok_or_else(|| internal("a question had no answer"))
    }
}

impl QueryFragment<Sqlite> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        // Diesel writes `?` where it is given a value, and counts. The numbers that follow each `?` of the text decide
        // which value goes where, so the values only have to be given in order, at some `?` each.
        let mut rest = self.sql;
        for value in &self.values {
            let (before, after) = rest
                .split_once('?')
                .ok_or_else(|| diesel::result::Error::QueryBuilderError("a value too many".into()))?;
            out.push_sql(before);
            match value {
                Value::Null => out.push_bind_param::<Nullable<BigInt>, _>(&None::<i64>)?,
                Value::Integer(number) => out.push_bind_param::<BigInt, _>(number)?,
                Value::Text(text) => out.push_bind_param::<Text, str>(text)?,
                Value::Bytes(bytes) => out.push_bind_param::<Binary, [u8]>(bytes)?,
            }
            rest = after;
        }
        out.push_sql(rest);
        Ok(())
    }
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    // Prepared statements are found by their text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = Untyped;
}

impl RunQueryDsl<SqliteConnection> for Statement<'_> {}

type SqliteRow<'c, 'q> = <SqliteConnection as LoadConnection<DefaultLoadingMode>>::Row<'c, 'q>;

/// A row of an answer. Its first column is the id of what it tells of, where it has one.
pub(crate) struct Row<'c, 'q> {
    row: SqliteRow<'c, 'q>,
    table: &'static str,
}

impl Row<'_, '_> {
    /// Hands the value of a column to `read`; `None` for NULL.
    fn with<T>(
        &self,
        column: usize,
        read: impl FnOnce(&mut SqliteValue<'_, '_, '_>) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let field = self.row.get(column).ok_or_else(|| self.corrupt(column))?;
        match field.value() {
            None => Ok(None),
            Some(mut value) => read(&mut value).map(Some).ok_or_else(|| self.corrupt(column)),
        }
    }
}

impl canopy_storage_sql::Row for Row<'_, '_> {
    fn corrupt(&self, column: usize) -> StoreError {
        let name = self.column_name(column).unwrap_or_else(|| "?".to_owned());
        let id = self.row.get(0).and_then(|field| {
            let mut value = field.value()?;
            Uuid::from_slice(value.read_blob()).ok()
        });
        let id = id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        StoreError::Corrupt(format!("{}.{name} of {id}", self.table))
    }

    fn column_name(&self, column: usize) -> Option<String> {
        let field = self.row.get(column)?;
        field.field_name().map(str::to_owned)
    }

    fn optional_uuid(&self, column: usize) -> Result<Option<Uuid>, StoreError> {
        self.with(column, |value| Uuid::from_slice(value.read_blob()).ok())
    }

    fn optional_number(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.with(column, |value| Some(value.read_long()))
    }

    /// 0 or 1.
    fn optional_flag(&self, column: usize) -> Result<Option<bool>, StoreError> {
        self.with(column, |value| match value.read_long() {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }

    fn optional_at(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        self.with(column, |value| Timestamp::from_micros(value.read_long()).ok())
    }

    fn optional_text<T, E>(
        &self,
        column: usize,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError> {
        self.with(column, |value| parse(value.read_text()).ok())
    }

    fn optional_bytes<T, E>(
        &self,
        column: usize,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError> {
        self.with(column, |value| parse(value.read_blob()).ok())
    }
}
