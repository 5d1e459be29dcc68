//! State that the processes of an installation share. Each call is a transaction of its own.

use crate::statement::Statement;
use crate::store::PgStore;
use crate::value::to_postgres;
use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::port::{Installation, SigningKey, StoreError};
use canopy_storage_sql::rows::installation::{SecretRow, SigningKeyRow};
use canopy_storage_sql::{SqlText, sql};

#[async_trait]
impl Installation for PgStore {
    async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {SigningKeyRow} FROM signing_keys ORDER BY created_at, kid");
        let unit = self.begin_reading().await?;
        let select = Statement::new(&SELECT);
        select.all(unit.connection()?, SigningKeyRow).await
    }

    async fn register_signing_key(&self, key: &SigningKey) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO signing_keys AS k (kid, public_key, created_at) VALUES ($1, $2, $3) \
            ON CONFLICT (kid) DO UPDATE SET created_at = excluded.created_at WHERE k.created_at < excluded.created_at"
        );
        let unit = self.begin_unlocked().await?;
        let insert = Statement::new(&INSERT)
            .bind(key.kid.as_str())
            .bind(key.public_key.to_vec())
            .bind(to_postgres(key.created_at));
        insert.execute(unit.connection()?).await?;
        unit.end().await
    }

    async fn delete_signing_keys(&self, since: Timestamp, keep: usize) -> Result<usize, StoreError> {
        static DELETE: SqlText = sql!(
            "DELETE FROM signing_keys WHERE created_at < $1 OR kid IN \
            (SELECT kid FROM signing_keys ORDER BY created_at DESC, kid DESC OFFSET $2)"
        );
        let unit = self.begin_unlocked().await?;
        let delete = Statement::new(&DELETE)
            .bind(to_postgres(since))
            .bind(i64::try_from(keep).unwrap_or(i64::MAX));
        let deleted = delete.execute(unit.connection()?).await?;
        unit.end().await?;
        Ok(deleted)
    }

    /// A process that finds another secret there waits for its commit and reads it with the second statement.
    async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        static INSERT: SqlText =
            sql!("INSERT INTO installation_secrets (name, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        static SELECT: SqlText = sql!("SELECT secret FROM installation_secrets WHERE name = $1");
        let unit = self.begin_unlocked().await?;
        let insert = Statement::new(&INSERT).bind(name).bind(fresh.to_vec());
        insert.execute(unit.connection()?).await?;
        let stored = Statement::new(&SELECT)
            .bind(name)
            .one(unit.connection()?, SecretRow)
            .await?;
        unit.end().await?;
        Ok(stored)
    }
}
