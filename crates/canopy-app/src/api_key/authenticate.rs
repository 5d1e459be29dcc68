//! Letting a caller in by an API key.
//!
//! A key is looked at twice. When a request begins, [`authenticate_key`] turns a caller away whose key is known here to be no good, and
//! waits for the store only where it is not known here to be good. Before a request is answered, [`confirm`] makes sure
//! that the key is good as of a moment after the request had come in whole, in whatever process it was revoked; questions
//! do that themselves, at the very revision at which they are judged. So no answer is given to a key whose revocation
//! was answered before, and a call costs one fence at the most.

use super::digest;
use super::known::KnownKey;
use crate::decisions::Consistency;
use crate::{App, AppError, Caller};
use canopy_domain::access::KeyRing;
use canopy_domain::api_key::{ApiKeyId, KeyAccess, KeyDigest, KeyText};
use canopy_domain::port::{Share, TokenError};
use canopy_domain::{EnvironmentRef, TenancyError, Tenant, Timestamp};
use std::sync::Arc;

/// Turns the text of a key into a caller.
///
/// # Errors
/// [`AppError::InvalidApiKey`] for what is no key, for one that nobody made and for one that is revoked or has ended: all
/// alike; [`AppError::Store`].
pub async fn authenticate_key(app: &App, text: &str) -> Result<Caller, AppError> {
    if let Some(caller) = authenticate_key_now(app, text) {
        return Ok(caller);
    }
    let known = find(app, text).await?;
    if let Some(caller) = authenticate_key_now(app, text) {
        return Ok(caller);
    }
    let (place, id) = (known.place, known.id);
    let access = good(app, &place, id).await?;
    known.see(app.now());
    Ok(Caller::ApiKey { place, id, access })
}

/// As [`authenticate_key`] without a look into the store; `None` where that takes one.
pub fn authenticate_key_now(app: &App, text: &str) -> Option<Caller> {
    let known = app.known_keys().get(&digest(&KeyText::parse(text)?))?;
    let (place, id, now) = (known.place, known.id, app.now());
    let access = app
        .decisions()
        .peek(place.environment, |state| state.keys.find(id, now).cloned())??;
    known.see(now);
    Some(Caller::ApiKey { place, id, access })
}

/// Makes sure that the caller's key is still good. Everybody else passes.
///
/// # Errors
/// As [`authenticate_key`].
pub async fn confirm(app: &App, caller: &Caller) -> Result<(), AppError> {
    if let Caller::ApiKey { place, id, .. } = caller {
        good(app, place, *id).await?;
    }
    Ok(())
}

/// As [`confirm`], at the revision of these keys.
pub(crate) fn confirm_at(caller: &Caller, keys: &KeyRing, now: Timestamp) -> Result<(), AppError> {
    match caller {
        Caller::ApiKey { id, .. } if keys.find(*id, now).is_none() => Err(AppError::InvalidApiKey),
        Caller::Operator { .. } | Caller::Admin { .. } | Caller::Identity { .. } | Caller::ApiKey { .. } => Ok(()),
    }
}

/// What an environment that is not there (any more) means to whoever came with a credential of it.
pub(crate) fn without_environment(caller: &Caller, error: AppError) -> AppError {
    match (caller, error) {
        (Caller::ApiKey { .. }, AppError::Tenancy(TenancyError::NotFound(Tenant::Environment))) => {
            AppError::InvalidApiKey
        }
        (
            Caller::Admin {
                environment: Some(_), ..
            }
            | Caller::Identity {
                environment: Some(_), ..
            },
            AppError::Tenancy(TenancyError::NotFound(Tenant::Environment)),
        ) => TokenError::UnknownEnvironment.into(),
        (_, error) => error,
    }
}

/// The key with this text. Its environment never changes, so the store is asked once, together with all other keys that
/// this process has not seen before.
async fn find(app: &App, text: &str) -> Result<Arc<KnownKey>, AppError> {
    let text = KeyText::parse(text).ok_or(AppError::InvalidApiKey)?;
    let digest = digest(&text);
    if let Some(known) = app.known_keys().get(&digest) {
        return Ok(known);
    }
    let asking = app.clone();
    let ask = move |digests: Vec<KeyDigest>| async move {
        let mut tx = asking.read(Share::Installation).await?;
        tx.api_key_places(&digests).await
    };
    let found = app.key_lookups().find(digest, ask).await?;
    Ok(app.known_keys().remember(digest, found.ok_or(AppError::InvalidApiKey)?))
}

/// What a key may do, if it is good as of a moment after this call. Where the environment is in memory its ring is asked,
/// behind a fence; else the row is read, because the index of an environment is much to load for one key.
async fn good(app: &App, place: &EnvironmentRef, id: ApiKeyId) -> Result<Arc<KeyAccess>, AppError> {
    let environment = place.environment;
    let found = if app.decisions().peek(environment, |_| ()).is_some() {
        let ask = app.decisions().ask(place, Consistency::Strong, |state| {
            state.keys.find(id, app.now()).cloned()
        });
        match ask.await {
            Err(AppError::Tenancy(TenancyError::NotFound(_))) => None,
            asked => asked?,
        }
    } else {
        let key = app.read(place).await?.api_key(environment, id).await?;
        key.filter(|key| key.is_active(app.now()))
            .map(|key| Arc::new(key.access))
    };
    found.ok_or(AppError::InvalidApiKey)
}
