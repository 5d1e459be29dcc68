//! Audit events.

use crate::rule::must;
use crate::unit::Unit;
use async_trait::async_trait;
use canopy_domain::audit::{AuditEvent, AuditEventId, StoredAuditEvent};
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::AuditReader;
use canopy_domain::{AccountId, Revision, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The events of all accounts, each account's by time and id.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditLog(BTreeMap<(AccountId, Timestamp, AuditEventId), Arc<StoredAuditEvent>>);

impl AuditLog {
    pub fn add(&mut self, event: StoredAuditEvent) -> Result<(), StoreError> {
        let key = (event.account_id, event.created_at, event.id);
        let old = self.0.insert(key, Arc::new(event));
        must(old.is_none(), "an audit event is stored once")
    }
}

/// The event as it is kept.
pub(crate) fn stored(event: AuditEvent, revision: Option<Revision>) -> StoredAuditEvent {
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

#[async_trait]
impl<Kind: Send> AuditReader for Unit<Kind> {
    async fn audit_events(&mut self, account: AccountId, limit: u32) -> Result<Vec<StoredAuditEvent>, StoreError> {
        let first = (account, Timestamp::MIN, AuditEventId::new(uuid::Uuid::nil()));
        let last = (account, Timestamp::MAX, AuditEventId::new(uuid::Uuid::max()));
        let newest = self.state.audit.0.range(first..=last).rev();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(newest.take(limit).map(|(_, event)| (**event).clone()).collect())
    }
}
