//! API keys: creating, listing, rotating and revoking them.

mod create;
mod list;
mod revoke;
mod rotate;

pub use create::{CreateApiKey, NewKey};
pub use list::list_api_keys;
pub use revoke::RevokeApiKey;
pub use rotate::RotateApiKey;

use crate::audit_entry::AuditEntry;
use crate::{AppError, Caller};
use canopy_domain::api_key::{ApiKey, KeyAccess, KeyText, must_not_outlive};
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::port::ReadTx;
use canopy_domain::{ApiKeyError, EnvironmentRef, Timestamp};

/// A key as it is shown to whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeKey {
    /// The key.
    pub key: ApiKey,
    /// Its text: told once, and never in an answer that is kept.
    pub text: Option<KeyText>,
}

impl MadeKey {
    /// The key as it may be told again.
    fn without_text(&self) -> Self {
        Self {
            key: self.key.clone(),
            text: None,
        }
    }
}

/// Makes sure that the caller may hand out a key that may do this until then. Only a key is held to its own scopes and end:
/// admins manage all of their account.
///
/// # Errors
/// [`ApiKeyError::Escalation`]; [`AppError::InvalidApiKey`] for a caller whose key is gone; [`AppError::Store`].
async fn may_hand_out(
    facts: &mut dyn ReadTx,
    caller: &Caller,
    access: &KeyAccess,
    end: Option<Timestamp>,
) -> Result<(), AppError> {
    let Caller::ApiKey { access: own, place, id } = caller else {
        return Ok(());
    };
    if !own.covers(access) {
        return Err(ApiKeyError::Escalation.into());
    }
    let maker = facts
        .api_key(place.environment, *id)
        .await?
        .ok_or(AppError::InvalidApiKey)?;
    Ok(must_not_outlive(maker.expires_at, end)?)
}

fn audit_entry(place: &EnvironmentRef, action: &'static str, key: &ApiKey) -> AuditEntry {
    AuditEntry::within(place, action, AuditCategory::ApiKey).resource("api_key", key.id, &key.name)
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
