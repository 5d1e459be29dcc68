//! Audit events.

use crate::rule::ensure;
use crate::unit::Unit;
use async_trait::async_trait;
use canopy_domain::audit::listing::{AuditPosition, AuditQuery};
use canopy_domain::audit::{AuditEvent, AuditEventId, StoredAuditEvent, searched_text};
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::AuditReader;
use canopy_domain::{AccountId, Revision, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The events of all accounts, by account, then by time and id.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditLog {
    events: BTreeMap<(AccountId, Timestamp, AuditEventId), Arc<StoredAuditEvent>>,
    details: BTreeMap<(AccountId, AuditEventId), Arc<[String]>>,
}

impl AuditLog {
    pub fn add(&mut self, mut event: AuditEvent, revision: Option<Revision>) -> Result<(), StoreError> {
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

/// Returns the event in its stored form.
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

fn fits(event: &StoredAuditEvent, query: &AuditQuery) -> bool {
    let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
    let searched = || searched_text(&event.action, &event.actor.label, &event.resource_label);
    query
        .environment
        .is_none_or(|wanted| Some(wanted) == event.environment_id)
        && is(&query.action, &event.action)
        && query.category.is_none_or(|wanted| wanted == event.category)
        && query.severity.is_none_or(|wanted| wanted == event.severity)
        && query.outcome.is_none_or(|wanted| wanted == event.outcome)
        && is(&query.actor_id, &event.actor.id)
        && query.actor_type.is_none_or(|wanted| wanted == event.actor.kind)
        && is(&query.resource_type, &event.resource_type)
        && is(&query.resource_id, &event.resource_id)
        && is(&query.correlation_id, &event.correlation_id)
        && query
            .search
            .as_ref()
            .is_none_or(|words| words.matches([searched().as_str()]))
}

#[async_trait]
impl<Kind: Send> AuditReader for Unit<Kind> {
    async fn audit_events(
        &mut self,
        account: AccountId,
        query: &AuditQuery,
    ) -> Result<Vec<StoredAuditEvent>, StoreError> {
        let (first, end) = (query.first(), query.end());
        let first = (account, first.at, first.id);
        let end = (account, end.at, end.id);
        if end <= first {
            return Ok(vec![]);
        }
        let newest = self.state.audit.events.range(first..end).rev().map(|(_, event)| event);
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let has_room = |event: &&Arc<StoredAuditEvent>| {
            let before = bytes;
            bytes += event.metadata.len();
            before < AuditQuery::MAX_BYTES
        };
        let fitting = newest
            .filter(|event| fits(event, query))
            .take(limit)
            .take_while(has_room);
        Ok(fitting.map(|event| (**event).clone()).collect())
    }

    async fn audit_place(
        &mut self,
        account: AccountId,
        query: &AuditQuery,
        count: u32,
    ) -> Result<Option<AuditPosition>, StoreError> {
        let (first, end) = (query.first(), query.end());
        if end <= first {
            return Ok(None);
        }
        let range = (account, first.at, first.id)..(account, end.at, end.id);
        let others = usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
        let is_within =
            |event: &&Arc<StoredAuditEvent>| query.environment.is_none() || query.environment == event.environment_id;
        let looked_at = self.state.audit.events.range(range).rev().map(|(_, event)| event);
        let last = looked_at.filter(is_within).nth(others);
        Ok(last.map(|event| AuditPosition {
            at: event.created_at,
            id: event.id,
        }))
    }

    async fn audit_event(
        &mut self,
        account: AccountId,
        id: AuditEventId,
    ) -> Result<Option<StoredAuditEvent>, StoreError> {
        let first = (account, Timestamp::MIN, AuditEventId::new(uuid::Uuid::nil()));
        let last = (account, Timestamp::MAX, AuditEventId::new(uuid::Uuid::max()));
        let mut events = self.state.audit.events.range(first..=last).map(|(_, event)| event);
        Ok(events.find(|event| event.id == id).map(|event| (**event).clone()))
    }

    async fn audit_details(
        &mut self,
        account: AccountId,
        event: AuditEventId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let parts = self.state.audit.details.get(&(account, event));
        let parts = parts.into_iter().flat_map(|parts| parts.iter());
        Ok(parts.skip(size(from)).take(size(limit)).cloned().collect())
    }
}
