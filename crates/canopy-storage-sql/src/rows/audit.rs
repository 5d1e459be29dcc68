//! Rows of the audit log.

use crate::shape::shape;
use canopy_domain::audit::listing::AuditPosition;
use canopy_domain::audit::{Actor, ActorType, AuditCategory, AuditOutcome, AuditSeverity, StoredAuditEvent};

shape! {
    /// An event.
    AuditEventRow in "audit_events" reads (StoredAuditEvent) {
        id: "id" as id,
        account_id: "account_id" as id,
        application_id: "application_id" as optional_id,
        environment_id: "environment_id" as optional_id,
        actor_id: "actor_id" as string,
        actor_type: "actor_type" as word(ActorType::parse),
        actor_label: "actor_label" as string,
        action: "action" as string,
        category: "category" as word(AuditCategory::parse),
        severity: "severity" as word(AuditSeverity::parse),
        outcome: "outcome" as word(AuditOutcome::parse),
        resource_type: "resource_type" as string,
        resource_id: "resource_id" as string,
        resource_label: "resource_label" as string,
        metadata: "metadata" as string,
        correlation_id: "correlation_id" as string,
        revision: "revision" as optional_revision,
        created_at: "created_at" as at,
    } => StoredAuditEvent {
        id,
        account_id,
        application_id,
        environment_id,
        actor: Actor { id: actor_id, kind: actor_type, label: actor_label },
        action,
        category,
        severity,
        outcome,
        resource_type,
        resource_id,
        resource_label,
        metadata,
        correlation_id,
        revision,
        created_at,
    }
}

shape! {
    /// The position of an event in a listing.
    AuditPositionRow in "audit_events" reads AuditPosition { at: "created_at" as at, id: "id" as id, }
}

shape! {
    /// A part of an event's details.
    DetailRow in "audit_details" reads (String) { entries: "entries" as string, } => entries
}
