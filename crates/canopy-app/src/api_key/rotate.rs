//! Replace an API key by another one.

use super::{MadeKey, audit_entry, described, may_hand_out};
use crate::session::digest;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::{ApiKey, ApiKeyId, AreaScope, KeyText, end_of_rotated, room_for_one};
use canopy_domain::audit::Detail;
use canopy_domain::changeset::{ChangeSet, NewApiKey, Rows, Updated};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{ApiKeyError, EnvironmentRef};
use std::borrow::Cow;

/// Makes a key like this one, with the same scopes and end. The old one goes on working for `overlap_seconds`, but not
/// beyond its own end; without an overlap it is revoked.
///
/// Fails with [`ApiKeyError::NotFound`], [`ApiKeyError::Escalation`], [`ApiKeyError::Expired`],
/// [`ApiKeyError::TooMany`], [`ApiKeyError::TooManyScopes`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct RotateApiKey {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The key.
    pub id: ApiKeyId,
    /// Number of seconds for which the old key stays valid.
    pub overlap_seconds: u32,
}

#[async_trait]
impl Write for RotateApiKey {
    type Outcome = MadeKey;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::ApiKeyManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<MadeKey>, AppError> {
        let Self { environment, id, .. } = self;
        let (within, now) = (environment.environment, at.now());
        let old = facts.api_key(within, *id).await?.ok_or(ApiKeyError::NotFound)?;
        may_hand_out(facts, at.caller(), &old.access, old.expires_at).await?;
        let end = end_of_rotated(&old, now, self.overlap_seconds)?;
        let text = KeyText::new(at.secret());
        let key = ApiKey {
            id: ApiKeyId::new(at.mint()),
            preview: text.preview(),
            last_used_at: None,
            created_at: now,
            ..old.clone()
        };
        let mut rows = Rows::added(vec![NewApiKey {
            key: key.clone(),
            digest: digest(&text),
        }]);
        if let Some(end) = end {
            room_for_one(facts.key_totals(within).await?, &key.access)?;
            let ending = ApiKey {
                expires_at: Some(end),
                ..old.clone()
            };
            rows.updated.push(Updated {
                before: old,
                after: ending,
            });
        } else {
            rows.removed.push(old);
        }
        let mut more = described(&key);
        more.push(("replaces", Detail::text(id)));
        more.push(("replaced_until", Detail::text(end.unwrap_or(now))));
        let entry = audit_entry(environment, "api_key.rotate", &key).detail(more);
        let changes = ChangeSet {
            api_keys: rows,
            ..ChangeSet::default()
        };
        let text = Some(text);
        Ok(Plan::new(changes, MadeKey { key, text }, entry))
    }

    fn kept(outcome: &MadeKey) -> Cow<'_, MadeKey> {
        Cow::Owned(outcome.without_text())
    }
}
