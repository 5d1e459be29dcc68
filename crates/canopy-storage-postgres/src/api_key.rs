//! API keys, and whose key each digest is.

use crate::error::ensure;
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use crate::value::{column, instants};
use async_trait::async_trait;
use canopy_domain::api_key::{ApiKey, ApiKeyId, KeyDigest, KeyTotals, KeyUse};
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::ApiKeyReader;
use canopy_domain::port::writer::ApiKeyWriter;
use canopy_domain::{Description, EnvironmentId, EnvironmentRef, Timestamp};
use canopy_storage_sql::rows::api_key::{ApiKeyRow, KeyPlaceRow, KeyTotalsRow};
use canopy_storage_sql::{SqlText, sql};
use std::collections::HashMap;

#[async_trait]
impl ApiKeyReader for UnitOfWork {
    async fn api_keys(&mut self, environment: EnvironmentId) -> Result<Vec<ApiKey>, StoreError> {
        static SELECT: SqlText =
            sql!("SELECT {ApiKeyRow} FROM api_keys WHERE environment_id = $1 ORDER BY created_at DESC, id DESC");
        let select = Statement::new(&SELECT).bind(environment.as_uuid());
        select.all(self.connection()?, ApiKeyRow).await
    }

    async fn key_totals(&mut self, environment: EnvironmentId) -> Result<KeyTotals, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT count(*), \
             coalesce(sum(length(scopes) - length(replace(scopes, ' ', '')) + (scopes <> '')::int), 0) \
             FROM api_keys WHERE environment_id = $1"
        );
        let select = Statement::new(&SELECT).bind(environment.as_uuid());
        let totals = select.first(self.connection()?, KeyTotalsRow);
        Ok(totals.await?.unwrap_or_default())
    }

    async fn api_key(&mut self, environment: EnvironmentId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {ApiKeyRow} FROM api_keys WHERE environment_id = $1 AND id = $2");
        let select = Statement::new(&SELECT).bind(environment.as_uuid()).bind(id.as_uuid());
        select.first(self.connection()?, ApiKeyRow).await
    }

    async fn api_key_places(
        &mut self,
        digests: &[KeyDigest],
    ) -> Result<HashMap<KeyDigest, (EnvironmentRef, ApiKeyId)>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT asked.digest, k.key_id, k.account_id, k.application_id, k.environment_id \
             FROM unnest($1) AS asked (digest) CROSS JOIN LATERAL ( \
                 SELECT d.key_id, a.account_id, a.id AS application_id, e.id AS environment_id FROM api_key_digests AS d \
                 JOIN environments AS e ON e.id = d.environment_id \
                 JOIN applications AS a ON a.id = e.application_id WHERE d.digest = asked.digest OFFSET 0) AS k"
        );
        if digests.is_empty() {
            return Ok(HashMap::new());
        }
        Statement::new(&SELECT)
            .bind(column(digests, |digest| digest.0.to_vec()))
            .all(self.connection()?, KeyPlaceRow)
            .await
    }
}

#[async_trait]
impl ApiKeyWriter for UnitOfWork {
    async fn insert_api_key(&mut self, key: &ApiKey, digest: &KeyDigest) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "WITH known AS (INSERT INTO api_key_digests (digest, environment_id, key_id) \
                 SELECT $1, $2, n.id FROM unnest($3) AS n (id)) \
             INSERT INTO api_keys (environment_id, id, name, description, preview, access_mode, scopes, expires_at, \
                 last_used_at, created_at) SELECT $2, n.id, $4, $5, $6, $7, $8, $9, $10, $11 FROM unnest($3) AS n (id)"
        );
        let scopes = key.access.scopes().join(" ");
        self.insert(vec![key.id.as_uuid()], |ids| {
            Statement::new(&INSERT)
                .bind(digest.0.to_vec())
                .bind(key.environment_id.as_uuid())
                .bind(ids)
                .bind(key.name.as_str())
                .bind(key.description.as_ref().map(Description::as_str))
                .bind(key.preview.as_str())
                .bind(key.access.mode().as_str())
                .bind(scopes.as_str())
                .bind(key.expires_at)
                .bind(key.last_used_at)
                .bind(key.created_at)
        })
        .await
    }

    async fn expire_api_key(
        &mut self,
        environment: EnvironmentId,
        id: ApiKeyId,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!("UPDATE api_keys SET expires_at = $1 WHERE environment_id = $2 AND id = $3");
        let update = Statement::new(&UPDATE)
            .bind(expires_at)
            .bind(environment.as_uuid())
            .bind(id.as_uuid());
        let updated = update.execute(self.connection()?).await?;
        ensure(updated == 1, "the key is not there")
    }

    async fn delete_api_key(&mut self, environment: EnvironmentId, id: ApiKeyId) -> Result<(), StoreError> {
        static DELETE: SqlText = sql!(
            "WITH known AS (DELETE FROM api_key_digests WHERE environment_id = $1 AND key_id = $2) \
             DELETE FROM api_keys WHERE environment_id = $1 AND id = $2"
        );
        let delete = Statement::new(&DELETE).bind(environment.as_uuid()).bind(id.as_uuid());
        delete.execute(self.connection()?).await.map(|_| ())
    }
}

/// Notes when keys were last at work. They are taken in one order, so that two instances do not wait for each other.
pub(crate) fn note_uses(uses: &[KeyUse]) -> Statement<'static> {
    static UPDATE: SqlText = sql!(
        "WITH used AS (SELECT n.* FROM unnest($1, $2, $3) AS n (environment_id, id, at) \
             CROSS JOIN LATERAL (SELECT FROM api_keys AS o WHERE o.environment_id = n.environment_id AND o.id = n.id \
             FOR NO KEY UPDATE) AS k) \
         UPDATE api_keys AS k SET last_used_at = greatest(k.last_used_at, used.at) FROM used \
             WHERE k.environment_id = used.environment_id AND k.id = used.id"
    );
    let mut uses = uses.to_vec();
    uses.sort_unstable_by_key(|one| (one.environment, one.id));
    Statement::new(&UPDATE)
        .bind(column(&uses, |one| one.environment.as_uuid()))
        .bind(column(&uses, |one| one.id.as_uuid()))
        .bind(instants(&uses, |one| one.at))
}
