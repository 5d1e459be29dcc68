//! API keys: credentials of a customer's backends, each bound to one environment.
//!
//! The text of a key is shown once, to its creator; the store has its digest. Keys do not change: a key is created,
//! rotated (replaced by another), revoked, and expires.

mod access;
mod secret;

use crate::id::id_type;
use crate::{Description, DisplayName, EnvironmentId, PermissionKey, Timestamp};

pub use access::{AccessMode, AreaScope, KeyAccess, KeyScopes};
pub use secret::{KeyDigest, KeyPreview, KeyText};

id_type!(
    /// The id of an [`ApiKey`].
    ApiKeyId
);

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The environment that it is bound to.
    pub environment_id: EnvironmentId,
    /// The name, for people.
    pub name: DisplayName,
    /// A description, for people.
    pub description: Option<Description>,
    /// The visible part of the key, for people.
    pub preview: KeyPreview,
    /// Its access to the public surface.
    pub access: KeyAccess,
    /// The first instant at which it is refused.
    pub expires_at: Option<Timestamp>,
    /// The last recorded use. Recorded with a delay.
    pub last_used_at: Option<Timestamp>,
    /// The time of its creation.
    pub created_at: Timestamp,
}

impl ApiKey {
    /// Returns whether it is accepted at this instant.
    pub fn is_active(&self, now: Timestamp) -> bool {
        is_open(self.expires_at, now)
    }
}

/// Returns whether a key that ends then is accepted now.
pub(crate) fn is_open(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_none_or(|end| now < end)
}

/// A use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// The environment of the key.
    pub environment: EnvironmentId,
    /// The key.
    pub id: ApiKeyId,
    /// The time of its last use.
    pub at: Timestamp,
}

/// Maximum number of keys of an environment, including expired keys that were not removed.
pub const MAX_KEYS: usize = 1_000;

/// Maximum number of scopes of all keys of an environment together.
pub const MAX_SCOPES: usize = 100_000;

/// The number of keys and scopes of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyTotals {
    /// The number of keys, including expired keys that were not removed.
    pub keys: usize,
    /// The number of scopes of all keys.
    pub scopes: usize,
}

/// Checks that an environment may have one more key.
///
/// # Errors
/// [`ApiKeyError::TooMany`], [`ApiKeyError::TooManyScopes`].
pub fn room_for_one(beside: KeyTotals, access: &KeyAccess) -> Result<(), ApiKeyError> {
    if beside.keys >= MAX_KEYS {
        return Err(ApiKeyError::TooMany);
    }
    // A key without scopes adds none, even to an environment that exceeded the limit before there was one.
    if access.scope_count() > 0 && beside.scopes + access.scope_count() > MAX_SCOPES {
        return Err(ApiKeyError::TooManyScopes);
    }
    Ok(())
}

/// Checks that a key that is created or rotated by another key does not outlive that key.
///
/// # Errors
/// [`ApiKeyError::Escalation`] if the key would outlive its creator.
pub fn must_not_outlive(maker_end: Option<Timestamp>, end: Option<Timestamp>) -> Result<(), ApiKeyError> {
    match (maker_end, end) {
        (None, _) => Ok(()),
        (Some(maker_end), Some(end)) if end <= maker_end => Ok(()),
        (Some(_), _) => Err(ApiKeyError::Escalation),
    }
}

/// Maximum time for which a rotated key stays valid, in seconds.
pub const MAX_OVERLAP_SECONDS: u32 = 86_400;

/// Returns the expiry of a key that is rotated now: the end of the overlap, or its own expiry if that is earlier.
/// `None` without an overlap: the key must be removed, because a process whose clock is behind would accept a key that
/// expires now.
///
/// # Errors
/// [`ApiKeyError::Expired`] for an expired key: its successor would expire at once, or live longer than intended.
pub fn end_of_rotated(key: &ApiKey, now: Timestamp, overlap_seconds: u32) -> Result<Option<Timestamp>, ApiKeyError> {
    if !key.is_active(now) {
        return Err(ApiKeyError::Expired);
    }
    if overlap_seconds == 0 {
        return Ok(None);
    }
    let end = now.plus_seconds(i64::from(overlap_seconds.min(MAX_OVERLAP_SECONDS)));
    Ok(Some(key.expires_at.map_or(end, |own| own.min(end))))
}

/// An error of a change to API keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// No such key in the environment.
    #[error("the environment has no such API key")]
    NotFound,
    /// The key would have more rights, or have them for longer, than the key that creates it.
    #[error(
        "an API key can create and rotate only keys whose mode and scopes lie within its own and that expire no later than it"
    )]
    Escalation,
    /// Scopes that the catalog lacks.
    #[error("scopes are not in the environment's catalog")]
    UnknownScopes {
        /// All of them, sorted.
        keys: Vec<PermissionKey>,
    },
    /// The expiry is in the past.
    #[error("must be in the future")]
    EndsInThePast,
    /// The environment has reached the maximum number of keys.
    #[error("the environment has the maximum of {MAX_KEYS} API keys; revoke some that are not needed")]
    TooMany,
    /// The environment's keys have reached the maximum number of scopes.
    #[error("the environment's API keys would have more than {MAX_SCOPES} scopes in total; use fewer, or full access")]
    TooManyScopes,
    /// The key has expired.
    #[error("the API key has expired; create a new one")]
    Expired,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn nothing_outlives_the_key_it_is_made_with() {
        for (maker_end, end, is_allowed) in [
            (None, None, true),
            (None, Some(9), true),
            (Some(9), None, false),
            (Some(9), Some(10), false),
            (Some(9), Some(9), true),
            (Some(9), Some(8), true),
        ] {
            let judged = must_not_outlive(maker_end.map(at), end.map(at));
            assert_eq!(judged.is_ok(), is_allowed, "{maker_end:?} {end:?}");
        }
    }

    fn ending(expires_at: Option<i64>) -> ApiKey {
        ApiKey {
            id: ApiKeyId::new(Uuid::from_u128(1)),
            environment_id: EnvironmentId::new(Uuid::from_u128(2)),
            name: DisplayName::parse("x").unwrap(),
            description: None,
            preview: KeyText::new([7; 32]).preview(),
            access: KeyAccess::Full,
            expires_at: expires_at.map(at),
            last_used_at: None,
            created_at: at(0),
        }
    }

    #[test]
    fn keys_and_their_scopes_are_bounded_together() {
        let scoped = |count: usize| {
            let key = |number: usize| PermissionKey::parse(&format!("a.p{number}")).unwrap();
            KeyAccess::Scoped(KeyScopes::new((0..count).map(key)))
        };
        let beside = |keys, scopes| KeyTotals { keys, scopes };
        for (beside, access, expected) in [
            (beside(0, 0), scoped(3), Ok(())),
            (beside(MAX_KEYS - 1, MAX_SCOPES - 3), scoped(3), Ok(())),
            (beside(MAX_KEYS, 0), KeyAccess::Full, Err(ApiKeyError::TooMany)),
            (beside(1, MAX_SCOPES - 2), scoped(3), Err(ApiKeyError::TooManyScopes)),
            (beside(1, MAX_SCOPES + 9), KeyAccess::Full, Ok(())),
        ] {
            assert_eq!(room_for_one(beside, &access), expected, "{beside:?}");
        }
    }

    #[test]
    fn a_key_is_refused_from_the_instant_at_which_it_ends() {
        for (end, now, active) in [
            (None, i64::MAX / 100_000, true),
            (Some(5), 4, true),
            (Some(5), 5, false),
            (Some(5), 6, false),
        ] {
            assert_eq!(ending(end).is_active(at(now)), active, "{end:?} {now}");
        }
    }

    #[test]
    fn a_rotated_key_ends_with_the_overlap_or_before() {
        const SECOND: i64 = 1_000;
        for (end, overlap, expected) in [
            (None, 0, Ok(None)),
            (None, 60, Ok(Some(160))),
            (None, MAX_OVERLAP_SECONDS, Ok(Some(86_500))),
            (Some(130), 60, Ok(Some(130))),
            (Some(160), 60, Ok(Some(160))),
            (Some(200), 60, Ok(Some(160))),
            (Some(101), 0, Ok(None)),
            (Some(100), 0, Err(ApiKeyError::Expired)),
            (Some(100), 60, Err(ApiKeyError::Expired)),
            (Some(99), 60, Err(ApiKeyError::Expired)),
        ] {
            let key = ending(end.map(|seconds| seconds * SECOND));
            let end_at = end_of_rotated(&key, at(100 * SECOND), overlap);
            assert_eq!(
                end_at,
                expected.map(|end: Option<i64>| end.map(|seconds| at(seconds * SECOND))),
                "{end:?} {overlap}"
            );
        }
    }
}
