//! Replace an API key by another one.

use super::{MadeKey, audit_entry, described, digest, may_hand_out};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::{Change, KeyFact};
use canopy_domain::api_key::{ApiKey, ApiKeyId, KeyText, end_of_rotated, room_for_one};
use canopy_domain::audit::Detail;
use canopy_domain::port::WriteScope;
use canopy_domain::{ApiKeyError, EnvironmentPlace};

/// Makes a key like this one, with the same scopes and end. The old one goes on working for `overlap_seconds`, but not
/// beyond its own end; without an overlap it is revoked.
///
/// # Errors
/// [`ApiKeyError::NotFound`], [`ApiKeyError::Escalation`], [`ApiKeyError::Expired`], [`ApiKeyError::TooMany`],
/// [`ApiKeyError::TooManyScopes`];
/// [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    id: ApiKeyId,
    overlap_seconds: u32,
) -> Result<MadeKey, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let mut old = tx.api_key(place.environment, id).await?.ok_or(ApiKeyError::NotFound)?;
        may_hand_out(tx.as_mut(), call, &old.access, old.expires_at).await?;
        let end = end_of_rotated(&old, now, overlap_seconds)?;
        let text = KeyText::new(app.secret());
        let key = ApiKey {
            id: ApiKeyId::new(app.mint()),
            preview: text.preview(),
            last_used_at: None,
            created_at: now,
            ..old.clone()
        };
        let replaced = if let Some(end) = end {
            room_for_one(tx.key_totals(place.environment).await?, &key.access)?;
            tx.expire_api_key(place.environment, id, end).await?;
            old.expires_at = Some(end);
            Change::KeyPut(KeyFact::from(&old))
        } else {
            tx.delete_api_key(place.environment, id).await?;
            Change::KeyRemoved(id)
        };
        tx.insert_api_key(&key, &digest(&text)).await?;
        let mut more = described(&key);
        more.push(("replaces", Detail::text(id)));
        more.push(("replaced_until", Detail::text(end.unwrap_or(now))));
        let entry = audit_entry(place, "api_key.rotate", &key).saying(more);
        let changes = vec![replaced, Change::KeyPut(KeyFact::from(&key))];
        let kept = MadeKey { key, text: None };
        app.commit_within(tx, call, place, now, changes, entry, &kept).await?;
        Ok(MadeKey {
            text: Some(text),
            ..kept
        })
    })
    .await
}
