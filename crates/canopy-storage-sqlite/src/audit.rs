//! The audit log.

use crate::statement::{Row, Statement};
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::audit::{
    Actor, ActorType, AuditCategory, AuditEvent, AuditOutcome, AuditSeverity, StoredAuditEvent,
};
use canopy_domain::port::StoreError;
use canopy_domain::port::reader::AuditReader;
use canopy_domain::{AccountId, ApplicationId, EnvironmentId, Revision};
use diesel::SqliteConnection;

fn event(row: &Row<'_, '_>) -> Result<StoredAuditEvent, StoreError> {
    Ok(StoredAuditEvent {
        id: row.id(0)?,
        account_id: row.id(1)?,
        application_id: row.optional_id(2)?,
        environment_id: row.optional_id(3)?,
        actor: Actor {
            id: row.string(4)?,
            kind: row.word(5, ActorType::parse)?,
            label: row.string(6)?,
        },
        action: row.string(7)?,
        category: row.word(8, AuditCategory::parse)?,
        severity: row.word(9, AuditSeverity::parse)?,
        outcome: row.word(10, AuditOutcome::parse)?,
        resource_type: row.string(11)?,
        resource_id: row.string(12)?,
        resource_label: row.string(13)?,
        metadata: row.string(14)?,
        correlation_id: row.string(15)?,
        revision: row.optional_revision(16)?,
        created_at: row.at(17)?,
    })
}

/// Stores an event, with the revision that the environment it names took.
pub(crate) fn insert(
    c: &mut SqliteConnection,
    event: &AuditEvent,
    revision: Option<Revision>,
) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO audit_events (id, account_id, application_id, environment_id, actor_id, actor_type, \
         actor_label, action, category, severity, outcome, resource_type, resource_id, resource_label, metadata, \
         correlation_id, revision, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
    let metadata = event.metadata.to_json();
    let revision = revision.map(|revision| i64::try_from(revision.get()).unwrap_or(i64::MAX));
    Statement::new(INSERT)
        .bind(event.id.as_bytes())
        .bind(event.account_id.as_bytes())
        .bind(event.application_id.as_ref().map(ApplicationId::as_bytes))
        .bind(event.environment_id.as_ref().map(EnvironmentId::as_bytes))
        .bind(event.actor.id.as_str())
        .bind(event.actor.kind.as_str())
        .bind(event.actor.label.as_str())
        .bind(event.action)
        .bind(event.category.as_str())
        .bind(event.severity.as_str())
        .bind(event.outcome.as_str())
        .bind(event.resource_type)
        .bind(event.resource_id.as_str())
        .bind(event.resource_label.as_str())
        .bind(metadata.as_str())
        .bind(event.correlation_id.as_str())
        .bind(revision)
        .bind(event.created_at)
        .execute_unique(c, canopy_domain::port::Unique::Id)
        .map(|_| ())
}

#[async_trait]
impl AuditReader for UnitOfWork {
    async fn audit_events(&mut self, account: AccountId, limit: u32) -> Result<Vec<StoredAuditEvent>, StoreError> {
        const SELECT: &str = "SELECT id, account_id, application_id, environment_id, actor_id, actor_type, actor_label, \
             action, category, severity, outcome, resource_type, resource_id, resource_label, metadata, correlation_id, \
             revision, created_at FROM audit_events WHERE account_id = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2";
        self.run(move |c| {
            let statement = Statement::new(SELECT).bind(account.as_bytes()).bind(limit);
            statement.all(c, "audit_events", event)
        })
        .await
    }
}
