//! The unit of work: one connection with an open transaction.
//!
//! Every call carries the connection to a thread that may wait for the disk, and back. A call that its caller gives up
//! runs to its end over there; the connection is then rolled back and put on its pool by whoever holds it last, so
//! neither a hung-up client nor a shutdown can leave a transaction open.

use crate::connection::PooledConnection;
use crate::error::internal;
use canopy_domain::port::{LockScope, StoreError};
use canopy_storage_sql::listing::Effort;
use diesel::SqliteConnection;
use std::time::Duration;
use uuid::Uuid;

/// An open transaction, for reading or for writing: that is decided where it is opened, and the port's types keep to it.
#[derive(Debug)]
pub(crate) struct UnitOfWork {
    pooled: Option<PooledConnection>,
    failed: bool,
    effort: Effort,
    /// The id that answers which are kept count to.
    tenant: Uuid,
}

impl UnitOfWork {
    pub(crate) fn new(pooled: PooledConnection) -> Self {
        Self {
            effort: pooled.effort(),
            pooled: Some(pooled),
            failed: false,
            tenant: Uuid::nil(),
        }
    }

    /// Counts answers that are kept to what a scope names.
    pub(crate) fn within(self, scope: &LockScope) -> Self {
        Self {
            tenant: scope.id(),
            ..self
        }
    }

    /// The id that answers which are kept count to.
    pub(crate) const fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// When the rows of a list are few.
    pub(crate) const fn effort(&self) -> Effort {
        self.effort
    }

    /// Does some work on the connection.
    pub(crate) async fn run<T, F>(&mut self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let limit = self.pooled.as_ref().map(PooledConnection::statement_timeout);
        self.run_within(limit.unwrap_or_default(), work).await
    }

    /// Does some work that reads an environment into memory, which may take longer.
    pub(crate) async fn load<T, F>(&mut self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let limit = self.pooled.as_ref().map(PooledConnection::load_timeout);
        self.run_within(limit.unwrap_or_default(), work).await
    }

    async fn run_within<T, F>(&mut self, limit: Duration, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let mut pooled = self.take()?;
        let (pooled, result) = blocking(move || {
            let result = pooled.within(limit, work);
            (pooled, result)
        })
        .await?;
        self.pooled = Some(pooled);
        // SQLite ends the transaction by itself after some errors. What followed would be committed statement by
        // statement, so after anything but a broken unique rule nothing follows.
        self.failed = !matches!(result, Ok(_) | Err(StoreError::Duplicate(_)));
        result
    }

    /// The connection, for the last piece of work.
    pub(crate) fn take(&mut self) -> Result<PooledConnection, StoreError> {
        if self.failed {
            return Err(internal("the unit of work has failed before"));
        }
        self.pooled
            .take()
            .ok_or_else(|| internal("the unit of work was given up in the middle of a call"))
    }
}

/// Runs something that may wait for the disk on a thread that is there for it.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let runtime = tokio::runtime::Handle::try_current().map_err(|error| StoreError::Internal(Box::new(error)))?;
    runtime.spawn_blocking(work).await.map_err(|error| {
        if error.is_panic() {
            StoreError::Internal(Box::new(error))
        } else {
            StoreError::Unavailable(Box::new(error))
        }
    })
}
