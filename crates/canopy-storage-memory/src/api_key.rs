//! API keys, and the key of each digest.

use crate::rule::{bug, ensure};
use crate::state::State;
use crate::unit::{Unit, Writing};
use async_trait::async_trait;
use canopy_domain::api_key::{ApiKey, ApiKeyId, KeyDigest, KeyTotals, KeyUse};
use canopy_domain::port::reader::ApiKeyReader;
use canopy_domain::port::writer::ApiKeyWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{EnvironmentId, EnvironmentRef, Timestamp};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

#[async_trait]
impl<Kind: Send> ApiKeyReader for Unit<Kind> {
    async fn api_keys(&mut self, environment: EnvironmentId) -> Result<Vec<ApiKey>, StoreError> {
        let contents = self.state.contents(environment).into_iter();
        let mut keys: Vec<ApiKey> = contents
            .flat_map(|contents| contents.api_keys.values())
            .cloned()
            .collect();
        keys.sort_by_key(|key| Reverse((key.created_at, key.id)));
        Ok(keys)
    }

    async fn key_totals(&mut self, environment: EnvironmentId) -> Result<KeyTotals, StoreError> {
        let keys = self.state.contents(environment).map(|contents| &contents.api_keys);
        Ok(KeyTotals {
            keys: keys.map_or(0, |keys| keys.len()),
            scopes: keys.map_or(0, |keys| keys.values().map(|key| key.access.scope_count()).sum()),
        })
    }

    async fn api_key(&mut self, environment: EnvironmentId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let contents = self.state.contents(environment);
        Ok(contents.and_then(|contents| contents.api_keys.get(&id)).cloned())
    }

    async fn api_key_places(
        &mut self,
        digests: &[KeyDigest],
    ) -> Result<HashMap<KeyDigest, (EnvironmentRef, ApiKeyId)>, StoreError> {
        let place_of = |digest: &KeyDigest| {
            let (environment, id) = self.state.key_digests.get(digest)?;
            Some((*digest, (self.state.tenancy.place(*environment)?, *id)))
        };
        Ok(digests.iter().filter_map(place_of).collect())
    }
}

#[async_trait]
impl ApiKeyWriter for Unit<Writing> {
    async fn insert_api_key(&mut self, key: &ApiKey, digest: &KeyDigest) -> Result<(), StoreError> {
        ensure(
            !self.state.key_digests.contains_key(digest),
            "no two keys have one digest",
        )?;
        let keys = &mut self.state.contents_mut(key.environment_id)?.api_keys;
        if keys.contains_key(&key.id) {
            return Err(StoreError::Duplicate(Unique::Id));
        }
        Arc::make_mut(keys).insert(key.id, key.clone());
        Arc::make_mut(&mut self.state.key_digests).insert(*digest, (key.environment_id, key.id));
        Ok(())
    }

    async fn expire_api_key(
        &mut self,
        environment: EnvironmentId,
        id: ApiKeyId,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let keys = &mut self.state.contents_mut(environment)?.api_keys;
        let key = Arc::make_mut(keys).get_mut(&id);
        key.ok_or_else(|| bug("the key is not there"))?.expires_at = Some(expires_at);
        Ok(())
    }

    async fn delete_api_key(&mut self, environment: EnvironmentId, id: ApiKeyId) -> Result<(), StoreError> {
        if self
            .state
            .contents(environment)
            .is_none_or(|contents| !contents.api_keys.contains_key(&id))
        {
            return Ok(());
        }
        Arc::make_mut(&mut self.state.contents_mut(environment)?.api_keys).remove(&id);
        Arc::make_mut(&mut self.state.key_digests).retain(|_, key| *key != (environment, id));
        Ok(())
    }
}

/// Stores the last use of keys.
pub(crate) fn note_uses(state: &mut State, uses: &[KeyUse]) {
    for one in uses {
        let Ok(contents) = state.contents_mut(one.environment) else {
            continue;
        };
        if let Some(key) = Arc::make_mut(&mut contents.api_keys).get_mut(&one.id) {
            key.last_used_at = key.last_used_at.max(Some(one.at));
        }
    }
}
