//! API keys: making, listing, rotating and revoking them, and letting callers in by them.

pub mod authenticate;
pub mod create;
mod known;
pub mod list;
pub mod revoke;
pub mod rotate;

use crate::app::AuditEntry;
use crate::{AppError, Call, Caller};
use canopy_domain::api_key::{ApiKey, KeyAccess, KeyDigest, KeyText};
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::{ApiKeyError, EnvironmentPlace, Timestamp};
use sha2::{Digest as _, Sha256};

pub(crate) use known::KnownKeys;

/// A key as it is shown to whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeKey {
    /// The key.
    pub key: ApiKey,
    /// Its text: told once, and never in an answer that is kept.
    pub text: Option<KeyText>,
}

/// What is kept of a key's text.
fn digest(text: &KeyText) -> KeyDigest {
    KeyDigest(Sha256::digest(text.expose().as_bytes()).into())
}

/// Whether the caller may hand out a key that may do this. Only a key is held to its own scopes: admins manage all of their
/// account.
fn may_hand_out(call: &Call, access: &KeyAccess) -> Result<(), ApiKeyError> {
    match &call.caller {
        Caller::ApiKey { access: own, .. } if !own.covers(access) => Err(ApiKeyError::Escalation),
        Caller::Operator { .. } | Caller::Admin { .. } | Caller::Identity { .. } | Caller::ApiKey { .. } => Ok(()),
    }
}

fn audit_entry(place: &EnvironmentPlace, action: &'static str, key: &ApiKey) -> AuditEntry {
    AuditEntry::within(place, action, AuditCategory::ApiKey).on("api_key", key.id, &key.name)
}

/// What an audit event says of a key: not a character of its text.
fn described(key: &ApiKey) -> Vec<(&'static str, Detail)> {
    vec![
        ("access_mode", Detail::text(key.access.mode())),
        ("scopes", Detail::texts(key.access.scopes())),
        ("expires_at", Detail::optional(key.expires_at)),
    ]
}

fn must_lie_ahead(end: Option<Timestamp>, now: Timestamp) -> Result<(), AppError> {
    match end {
        Some(end) if end <= now => Err(ApiKeyError::EndsInThePast.into()),
        _ => Ok(()),
    }
}
