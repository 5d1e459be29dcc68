//! State that the processes of an installation share. Each statement commits by itself.

use crate::statement::Statement;
use crate::store::SqliteStore;
use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::port::{Installation, Share, SigningKey, StoreError};
use canopy_storage_sql::rows::installation::{SecretRow, SigningKeyRow};
use canopy_storage_sql::{SqlText, sql};

#[async_trait]
impl Installation for SqliteStore {
    async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {SigningKeyRow} FROM signing_keys ORDER BY created_at, kid");
        let mut unit = self.begin(&self.readers, Share::Installation, |_| Ok(())).await?;
        unit.run(|c| Statement::new(&SELECT).all(c, SigningKeyRow)).await
    }

    async fn register_signing_key(&self, key: &SigningKey) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO signing_keys (kid, public_key, created_at) VALUES (?1, ?2, ?3) \
            ON CONFLICT (kid) DO UPDATE SET created_at = max(created_at, excluded.created_at)"
        );
        let key = key.clone();
        let mut unit = self.begin(&self.writer, Share::Installation, |_| Ok(())).await?;
        unit.run(move |c| {
            let insert = Statement::new(&INSERT)
                .bind(key.kid.as_str())
                .bind(key.public_key.as_slice())
                .bind(key.created_at);
            insert.execute(c).map(|_| ())
        })
        .await
    }

    async fn delete_signing_keys(&self, since: Timestamp, keep: usize) -> Result<usize, StoreError> {
        static DELETE: SqlText = sql!(
            "DELETE FROM signing_keys WHERE created_at < ?1 OR kid IN \
            (SELECT kid FROM signing_keys ORDER BY created_at DESC, kid DESC LIMIT -1 OFFSET ?2)"
        );
        let mut unit = self.begin(&self.writer, Share::Installation, |_| Ok(())).await?;
        unit.run(move |c| {
            let delete = Statement::new(&DELETE)
                .bind(since)
                .bind(i64::try_from(keep).unwrap_or(i64::MAX));
            delete.execute(c)
        })
        .await
    }

    async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        static INSERT: SqlText =
            sql!("INSERT INTO installation_secrets (name, secret) VALUES (?1, ?2) ON CONFLICT DO NOTHING");
        static SELECT: SqlText = sql!("SELECT secret FROM installation_secrets WHERE name = ?1");
        let name = name.to_owned();
        let mut unit = self.begin(&self.writer, Share::Installation, |_| Ok(())).await?;
        unit.run(move |c| {
            let insert = Statement::new(&INSERT).bind(name.as_str()).bind(fresh.as_slice());
            insert.execute(c)?;
            let select = Statement::new(&SELECT).bind(name.as_str());
            let stored = select.first(c, SecretRow)?;
            Ok(stored.unwrap_or(fresh))
        })
        .await
    }
}
