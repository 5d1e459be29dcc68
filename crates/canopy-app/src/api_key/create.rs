//! Make an API key.

use super::{MadeKey, audit_entry, described, may_hand_out, must_lie_ahead};
use crate::session::digest;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::{ApiKey, ApiKeyId, AreaScope, KeyAccess, KeyText, room_for_one};
use canopy_domain::changeset::{ChangeSet, NewApiKey, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{ApiKeyError, Description, DisplayName, EnvironmentRef, PermissionKey, Timestamp};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A key that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The name.
    pub name: DisplayName,
    /// Its description.
    pub description: Option<Description>,
    /// Its access to the public surface.
    pub access: KeyAccess,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Makes a key of the environment.
///
/// Fails with [`ApiKeyError::Escalation`] before anything but the caller's own key is looked up, with
/// [`ApiKeyError::EndsInThePast`], [`ApiKeyError::UnknownScopes`], [`ApiKeyError::TooMany`],
/// [`ApiKeyError::TooManyScopes`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct CreateApiKey {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The key.
    pub new: NewKey,
}

#[async_trait]
impl Write for CreateApiKey {
    type Outcome = MadeKey;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::ApiKeyManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<MadeKey>, AppError> {
        let Self { environment, new } = self;
        may_hand_out(facts, at.caller(), &new.access, new.expires_at).await?;
        must_lie_ahead(new.expires_at, at.now())?;
        known_scopes(facts, environment, &new.access).await?;
        room_for_one(facts.key_totals(environment.environment).await?, &new.access)?;
        let text = KeyText::new(at.secret());
        let key = ApiKey {
            id: ApiKeyId::new(at.mint()),
            environment_id: environment.environment,
            name: new.name.clone(),
            description: new.description.clone(),
            preview: text.preview(),
            access: new.access.clone(),
            expires_at: new.expires_at,
            last_used_at: None,
            created_at: at.now(),
        };
        let entry = audit_entry(environment, "api_key.create", &key).detail(described(&key));
        let made = NewApiKey {
            key: key.clone(),
            digest: digest(&text),
        };
        let changes = ChangeSet {
            api_keys: Rows::added(vec![made]),
            ..ChangeSet::default()
        };
        let text = Some(text);
        Ok(Plan::new(changes, MadeKey { key, text }, entry))
    }

    fn kept(outcome: &MadeKey) -> Cow<'_, MadeKey> {
        Cow::Owned(outcome.without_text())
    }
}

/// Makes sure that the catalog has every scope.
async fn known_scopes(tx: &mut dyn ReadTx, place: &EnvironmentRef, access: &KeyAccess) -> Result<(), AppError> {
    let asked: Vec<PermissionKey> = access
        .scopes()
        .into_iter()
        .filter_map(|scope| PermissionKey::parse(scope).ok())
        .collect();
    let known = tx.permission_ids(place.environment, &asked).await?;
    let unknown: BTreeSet<PermissionKey> = asked.into_iter().filter(|key| !known.contains_key(key)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(ApiKeyError::UnknownScopes {
        keys: unknown.into_iter().collect(),
    }
    .into())
}
