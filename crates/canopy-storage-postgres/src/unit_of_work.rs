//! The unit of work: one connection with an open transaction.

use crate::error::ensure;
use crate::pool::PooledConnection;
use crate::statement::{Connection, Statement};
use crate::store::Deadlines;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{EnvironmentId, Timestamp};
use canopy_storage_sql::SqlText;
use canopy_storage_sql::listing::Effort;
use canopy_storage_sql::rows::FlagRow;
use futures_util::future;
use std::collections::BTreeMap;
use uuid::Uuid;

/// An open transaction, for reading or for writing: that is decided where it is opened, and the port's types keep to it.
#[derive(Debug)]
pub(crate) struct UnitOfWork {
    lease: PooledConnection,
    deadlines: Deadlines,
    /// A statement stored less than it should have. PostgreSQL does not know that this is an error.
    failed: bool,
    effort: Effort,
    /// By how much the numbers of assignments have changed, which are kept with the environments.
    counted: BTreeMap<Uuid, i64>,
    /// The id that answers which are kept count to.
    tenant: Uuid,
    /// The bytes of kept answers since an instant, as they were read with the locks.
    kept_bytes: Option<(Timestamp, u64)>,
}

impl UnitOfWork {
    pub(crate) const fn new(lease: PooledConnection, deadlines: Deadlines, effort: Effort, tenant: Uuid) -> Self {
        Self {
            lease,
            deadlines,
            failed: false,
            effort,
            counted: BTreeMap::new(),
            tenant,
            kept_bytes: None,
        }
    }

    /// Remembers the bytes of the answers that are kept since an instant.
    pub(crate) const fn know_kept_bytes(&mut self, since: Timestamp, bytes: u64) {
        self.kept_bytes = Some((since, bytes));
    }

    /// Forgets them, because an answer is kept.
    pub(crate) const fn forget_kept_bytes(&mut self) {
        self.kept_bytes = None;
    }

    /// The bytes of the answers that are kept since an instant, where they were read with the locks.
    pub(crate) fn known_kept_bytes(&self, since: Timestamp) -> Option<u64> {
        self.kept_bytes.filter(|(at, _)| *at == since).map(|(_, bytes)| bytes)
    }

    /// The id that answers which are kept count to.
    pub(crate) const fn tenant(&self) -> Uuid {
        self.tenant
    }

    pub(crate) const fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// When the rows of a list are few.
    pub(crate) const fn effort(&self) -> Effort {
        self.effort
    }

    /// Adds to the number of an environment's assignments, which the commit stores.
    pub(crate) fn count_assignments(&mut self, environment: Uuid, by: i64) {
        *self.counted.entry(environment).or_default() += by;
    }

    /// By how much the numbers of assignments have changed.
    pub(crate) const fn counted(&self) -> &BTreeMap<Uuid, i64> {
        &self.counted
    }

    /// The way to the database.
    pub(crate) fn connection(&self) -> Result<Connection<'_>, StoreError> {
        ensure(!self.failed, "the unit of work has failed before")?;
        self.lease.connection()
    }

    /// Makes permanent what leaves no history.
    pub(crate) async fn end(self) -> Result<(), StoreError> {
        let connection = self.connection()?.with_deadline(self.deadlines.commit);
        connection.command("COMMIT").await?;
        self.lease.give_back();
        Ok(())
    }

    pub(crate) fn into_lease(self) -> PooledConnection {
        self.lease
    }

    /// Stores new rows, all or none. `statement` makes the statement that inserts them under these ids.
    ///
    /// A broken unique rule undoes the statement and leaves the transaction usable. Where an id is taken, the statement is
    /// tried with other ids, to find out whether a rule of the fields is broken too.
    pub(crate) async fn insert<'a>(
        &mut self,
        ids: Vec<Uuid>,
        statement: impl Fn(Vec<Uuid>) -> Statement<'a> + Send + Sync,
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let expected = ids.len();
        let connection = self.connection()?;
        let (opened, stored) =
            future::join(connection.command("SAVEPOINT call"), statement(ids).execute(connection)).await;
        opened?;
        match stored {
            Err(StoreError::Duplicate(Unique::Id)) => {
                connection.command("ROLLBACK TO SAVEPOINT call").await?;
                let others = (0..expected).map(other_id).collect();
                let again = statement(others).execute(connection).await;
                connection.command("ROLLBACK TO SAVEPOINT call").await?;
                match again {
                    Err(StoreError::Duplicate(rule)) => Err(StoreError::Duplicate(rule)),
                    _ => Err(StoreError::Duplicate(Unique::Id)),
                }
            }
            Err(StoreError::Duplicate(rule)) => {
                connection.command("ROLLBACK TO SAVEPOINT call").await?;
                Err(StoreError::Duplicate(rule))
            }
            stored => self.stored(expected, stored).await,
        }
    }

    /// Overwrites rows, all or none. The statement finds them one by one by their keys (`OFFSET 0` sees to that) and then
    /// goes to the place of each (`ctid`), which stays the same under the lock. The environment is compared in a way that no
    /// index serves (`IS NOT DISTINCT FROM`), so that the place is the only way to the row.
    pub(crate) async fn update(&mut self, rows: usize, statement: Statement<'_>) -> Result<(), StoreError> {
        if rows == 0 {
            return Ok(());
        }
        let connection = self.connection()?;
        let (opened, stored) = future::join(connection.command("SAVEPOINT call"), statement.execute(connection)).await;
        opened?;
        match stored {
            Err(StoreError::Duplicate(rule)) => {
                connection.command("ROLLBACK TO SAVEPOINT call").await?;
                Err(StoreError::Duplicate(rule))
            }
            stored => self.stored(rows, stored).await,
        }
    }

    /// Removes rows of one environment, by statements that run one after the other: what names others first.
    pub(crate) async fn delete_within(
        &mut self,
        environment: EnvironmentId,
        ids: &[Uuid],
        statements: &[&'static SqlText],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let connection = self.connection()?;
        let runs = statements.iter().map(|sql| {
            let delete = Statement::new(sql).bind(ids.to_vec()).bind(environment.as_uuid());
            delete.execute(connection)
        });
        future::try_join_all(runs).await.map(|_| ())
    }

    /// What became of a statement under a savepoint. Where it broke a rule that is none of the port's, the statement is
    /// undone, so that it can be asked why.
    async fn stored(&mut self, expected: usize, stored: Result<usize, StoreError>) -> Result<(), StoreError> {
        match stored {
            Ok(stored) => {
                self.failed |= stored != expected;
                ensure(!self.failed, "a row names something that is not there")
            }
            Err(error) => {
                self.failed = true;
                if matches!(error, StoreError::Internal(_)) {
                    self.lease.connection()?.command("ROLLBACK TO SAVEPOINT call").await?;
                }
                Err(error)
            }
        }
    }

    /// Looks closer at a refusal: where `is_taken` finds a broken unique rule, it is that rule that was broken.
    pub(crate) async fn rather(
        &mut self,
        refused: Result<(), StoreError>,
        rule: Unique,
        is_taken: Statement<'_>,
    ) -> Result<(), StoreError> {
        match refused {
            Err(StoreError::Duplicate(broken)) if broken == rule => refused,
            Err(StoreError::Duplicate(_) | StoreError::Internal(_)) => {
                let taken = is_taken.one(self.lease.connection()?, FlagRow).await?;
                if taken {
                    self.failed = false;
                    return Err(StoreError::Duplicate(rule));
                }
                refused
            }
            other => other,
        }
    }
}

/// Ids that nobody has: UUIDs of version 8 (of one's own making), counted.
fn other_id(index: usize) -> Uuid {
    const VERSION_8: u128 = 0x0000_0000_0000_8000_8000_0000_0000_0000;
    Uuid::from_u128(VERSION_8 | u128::try_from(index).unwrap_or_default())
}

/// What a text that is searched for can be found in: PostgreSQL keeps no text with a NUL in it, nor takes one.
pub(crate) fn findable(search: Option<&String>) -> Result<Option<&str>, Nowhere> {
    match search {
        Some(text) if text.contains('\0') => Err(Nowhere),
        Some(text) => Ok(Some(text)),
        None => Ok(None),
    }
}

/// Nothing can contain the text.
#[derive(Debug)]
pub(crate) struct Nowhere;

/// A text that nothing has checked, without what PostgreSQL cannot keep.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
