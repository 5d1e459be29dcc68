//! API keys, and whose key each digest is.

use crate::error::ensure;
use crate::packed::{Cell, Layout, Packed};
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::access::KeyFact;
use canopy_domain::api_key::{ApiKey, ApiKeyId, KeyDigest, KeyTotals, KeyUse};
use canopy_domain::port::reader::ApiKeyReader;
use canopy_domain::port::writer::ApiKeyWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{Description, EnvironmentId, EnvironmentRef, Timestamp};
use canopy_storage_sql::rows::api_key::{ApiKeyRow, KeyFactRow, KeyPlaceRow, KeyTotalsRow};
use canopy_storage_sql::{SqlText, sql};
use diesel::SqliteConnection;
use std::collections::HashMap;

/// A set of digests.
const DIGESTS: Layout = Layout(&[("digest", Cell::Bytes)]);

/// The keys that open an environment.
pub(crate) fn facts(c: &mut SqliteConnection, environment: EnvironmentId) -> Result<Vec<KeyFact>, StoreError> {
    static SELECT: SqlText = sql!("SELECT {KeyFactRow} FROM api_keys WHERE environment_id = ?1");
    let statement = Statement::new(&SELECT).bind(environment.as_bytes());
    statement.all(c, KeyFactRow)
}

#[async_trait]
impl ApiKeyReader for UnitOfWork {
    async fn api_keys(&mut self, environment: EnvironmentId) -> Result<Vec<ApiKey>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText =
                sql!("SELECT {ApiKeyRow} FROM api_keys WHERE environment_id = ?1 ORDER BY created_at DESC, id DESC");
            Statement::new(&SELECT).bind(environment.as_bytes()).all(c, ApiKeyRow)
        })
        .await
    }

    async fn key_totals(&mut self, environment: EnvironmentId) -> Result<KeyTotals, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT count(*), \
             coalesce(sum(length(scopes) - length(replace(scopes, ' ', '')) + (scopes <> '')), 0) \
             FROM api_keys WHERE environment_id = ?1"
        );
        self.run(move |c| {
            let statement = Statement::new(&SELECT).bind(environment.as_bytes());
            let totals = statement.first(c, KeyTotalsRow);
            Ok(totals?.unwrap_or_default())
        })
        .await
    }

    async fn api_key(&mut self, environment: EnvironmentId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText = sql!("SELECT {ApiKeyRow} FROM api_keys WHERE environment_id = ?1 AND id = ?2");
            let statement = Statement::new(&SELECT).bind(environment.as_bytes()).bind(id.as_bytes());
            statement.first(c, ApiKeyRow)
        })
        .await
    }

    async fn api_key_places(
        &mut self,
        digests: &[KeyDigest],
    ) -> Result<HashMap<KeyDigest, (EnvironmentRef, ApiKeyId)>, StoreError> {
        static SELECT: SqlText = sql!(
            "{} SELECT d.digest, d.key_id, a.account_id, a.id, e.id FROM given \
                 CROSS JOIN api_key_digests AS d ON d.digest = given.digest \
                 CROSS JOIN environments AS e ON e.id = d.environment_id \
                 CROSS JOIN applications AS a ON a.id = e.application_id",
            DIGESTS.given()
        );
        if digests.is_empty() {
            return Ok(HashMap::new());
        }
        let digests = Packed::new(DIGESTS, digests, |row, digest| row.bytes(&digest.0));
        self.run(move |c| digests.statement(&SELECT).all(c, KeyPlaceRow)).await
    }
}

#[async_trait]
impl ApiKeyWriter for UnitOfWork {
    async fn insert_api_key(&mut self, key: &ApiKey, digest: &KeyDigest) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO api_keys (environment_id, id, name, description, preview, access_mode, \
             scopes, expires_at, last_used_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        );
        static DIGEST: SqlText =
            sql!("INSERT INTO api_key_digests (digest, environment_id, key_id) VALUES (?1, ?2, ?3)");
        let (key, digest) = (key.clone(), *digest);
        self.run(move |c| {
            Statement::new(&INSERT)
                .bind(key.environment_id.as_bytes())
                .bind(key.id.as_bytes())
                .bind(key.name.as_str())
                .bind(key.description.as_ref().map(Description::as_str))
                .bind(key.preview.as_str())
                .bind(key.access.mode().as_str())
                .bind(key.access.scopes().join(" ").as_str())
                .bind(key.expires_at)
                .bind(key.last_used_at)
                .bind(key.created_at)
                .execute_unique(c, Unique::Id)?;
            Statement::new(&DIGEST)
                .bind(digest.0.as_slice())
                .bind(key.environment_id.as_bytes())
                .bind(key.id.as_bytes())
                .execute(c)
                .map(|_| ())
        })
        .await
    }

    async fn expire_api_key(
        &mut self,
        environment: EnvironmentId,
        id: ApiKeyId,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!("UPDATE api_keys SET expires_at = ?3 WHERE environment_id = ?1 AND id = ?2");
        self.run(move |c| {
            let statement = Statement::new(&UPDATE).bind(environment.as_bytes()).bind(id.as_bytes());
            let updated = statement.bind(expires_at).execute(c)?;
            ensure(updated == 1, "the key is not there")
        })
        .await
    }

    async fn delete_api_key(&mut self, environment: EnvironmentId, id: ApiKeyId) -> Result<(), StoreError> {
        static DIGEST: SqlText = sql!("DELETE FROM api_key_digests WHERE environment_id = ?1 AND key_id = ?2");
        static KEY: SqlText = sql!("DELETE FROM api_keys WHERE environment_id = ?1 AND id = ?2");
        self.run(move |c| {
            for sql in [&DIGEST, &KEY] {
                let statement = Statement::new(sql).bind(environment.as_bytes()).bind(id.as_bytes());
                statement.execute(c)?;
            }
            Ok(())
        })
        .await
    }
}

const USES: Layout = Layout(&[("environment_id", Cell::Id), ("id", Cell::Id), ("at", Cell::Number)]);

/// Keys and when they were last at work.
pub(crate) fn pack_uses(uses: &[KeyUse]) -> Packed {
    Packed::new(USES, uses, |row, one| {
        row.id(one.environment.as_bytes());
        row.id(one.id.as_bytes());
        row.at(one.at);
    })
}

/// Notes when keys were last at work.
pub(crate) fn note_uses(c: &mut SqliteConnection, uses: &Packed) -> Result<(), StoreError> {
    static UPDATE: SqlText = sql!(
        "{} UPDATE api_keys AS k SET last_used_at = max(coalesce(k.last_used_at, given.at), given.at) \
             FROM given WHERE k.environment_id = given.environment_id AND k.id = given.id",
        USES.given()
    );
    uses.statement(&UPDATE).execute(c).map(|_| ())
}
