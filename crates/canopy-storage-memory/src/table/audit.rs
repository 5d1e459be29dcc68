//! Audit events.

use crate::rule::ensure;
use canopy_domain::audit::{AuditEvent, AuditEventId, StoredAuditEvent};
use canopy_domain::port::StoreError;
use canopy_domain::{AccountId, Revision, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The events of all accounts, each account's by time and id.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditLog {
    pub(crate) events: BTreeMap<(AccountId, Timestamp, AuditEventId), Arc<StoredAuditEvent>>,
    pub(crate) details: BTreeMap<(AccountId, AuditEventId), Arc<[String]>>,
}

impl AuditLog {
    /// Adds an event with its details.
    pub(crate) fn add(&mut self, mut event: AuditEvent, revision: Option<Revision>) -> Result<(), StoreError> {
        let details = core::mem::take(&mut event.details);
        if !details.is_empty() {
            self.details.insert((event.account_id, event.id), details.into());
        }
        let event = stored(event, revision);
        let key = (event.account_id, event.created_at, event.id);
        let old = self.events.insert(key, Arc::new(event));
        ensure(old.is_none(), "an audit event is stored once")
    }
}

/// The event as it is kept.
fn stored(event: AuditEvent, revision: Option<Revision>) -> StoredAuditEvent {
    StoredAuditEvent {
        id: event.id,
        account_id: event.account_id,
        application_id: event.application_id,
        environment_id: event.environment_id,
        actor: event.actor,
        action: event.action.to_owned(),
        category: event.category,
        severity: event.severity,
        outcome: event.outcome,
        resource_type: event.resource_type.to_owned(),
        resource_id: event.resource_id,
        resource_label: event.resource_label,
        metadata: event.metadata.to_json(),
        correlation_id: event.correlation_id,
        revision,
        created_at: event.created_at,
    }
}
