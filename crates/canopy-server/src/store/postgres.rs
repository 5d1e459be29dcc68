//! Opens a database of PostgreSQL.

use super::{OpenStore, StoreOpenError};
use crate::config::{PostgresConfig, PostgresUrl};
use async_trait::async_trait;
use canopy_domain::port::Store;
use canopy_storage_postgres::{PgOptions, PgStore};

/// Opens a database that other instances may serve too.
#[derive(Debug)]
pub(super) struct PostgresOpener(PgOptions);

impl PostgresOpener {
    pub(super) fn new(url: &PostgresUrl, config: &PostgresConfig) -> Self {
        Self(PgOptions {
            pool_size: config.pool_size.get().into(),
            wait_timeout: config.wait_timeout,
            connect_timeout: config.connect_timeout,
            lock_timeout: config.lock_timeout,
            statement_timeout: config.statement_timeout,
            answer_timeout: config.answer_timeout,
            commit_timeout: config.commit_timeout,
            load_timeout: config.load_timeout,
            ..PgOptions::new(url.expose())
        })
    }
}

#[async_trait]
impl OpenStore for PostgresOpener {
    fn is_shared(&self) -> bool {
        true
    }

    fn require_installation(&self) -> Result<(), StoreOpenError> {
        Ok(())
    }

    async fn open(&self) -> Result<Box<dyn Store>, StoreOpenError> {
        Ok(Box::new(PgStore::open(&self.0).await?))
    }

    async fn open_existing(&self) -> Result<Box<dyn Store>, StoreOpenError> {
        let options = PgOptions {
            migrate: false,
            ..self.0.clone()
        };
        Ok(Box::new(PgStore::open(&options).await?))
    }

    async fn migrate(&self) -> Result<(), StoreOpenError> {
        Ok(PgStore::migrate(&self.0).await?)
    }
}
