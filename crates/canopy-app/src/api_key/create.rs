//! Make an API key.

use super::{MadeKey, audit_entry, described, digest, may_hand_out, must_lie_ahead};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::{Change, KeyFact};
use canopy_domain::api_key::{ApiKey, ApiKeyId, KeyAccess, KeyText, room_for_one};
use canopy_domain::port::{ReadTx, WriteScope};
use canopy_domain::{ApiKeyError, Description, DisplayName, EnvironmentPlace, PermissionKey, Timestamp};
use std::collections::BTreeSet;

/// A key that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it is called.
    pub name: DisplayName,
    /// What it is for.
    pub description: Option<Description>,
    /// What it may do.
    pub access: KeyAccess,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Makes a key of the environment.
///
/// # Errors
/// [`ApiKeyError::Escalation`] before anything but the caller's own key is looked up, [`ApiKeyError::EndsInThePast`],
/// [`ApiKeyError::UnknownScopes`], [`ApiKeyError::TooMany`], [`ApiKeyError::TooManyScopes`]; [`AppError::Store`].
pub async fn run(app: &App, call: &Call, place: &EnvironmentPlace, new: &NewKey) -> Result<MadeKey, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        may_hand_out(tx.as_mut(), call, &new.access, new.expires_at).await?;
        must_lie_ahead(new.expires_at, now)?;
        known_scopes(tx.as_mut(), place, &new.access).await?;
        room_for_one(tx.key_totals(place.environment).await?, &new.access)?;
        let text = KeyText::new(app.secret());
        let key = ApiKey {
            id: ApiKeyId::new(app.mint()),
            environment_id: place.environment,
            name: new.name.clone(),
            description: new.description.clone(),
            preview: text.preview(),
            access: new.access.clone(),
            expires_at: new.expires_at,
            last_used_at: None,
            created_at: now,
        };
        tx.insert_api_key(&key, &digest(&text)).await?;
        let entry = audit_entry(place, "api_key.create", &key).saying(described(&key));
        let changes = vec![Change::KeyPut(KeyFact::from(&key))];
        let kept = MadeKey { key, text: None };
        app.commit_within(tx, call, place, now, changes, entry, &kept).await?;
        Ok(MadeKey {
            text: Some(text),
            ..kept
        })
    })
    .await
}

/// Makes sure that the catalog has every scope.
async fn known_scopes(tx: &mut dyn ReadTx, place: &EnvironmentPlace, access: &KeyAccess) -> Result<(), AppError> {
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
