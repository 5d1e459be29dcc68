//! Clauses on the audit log.

use super::support::{ODD_TEXT, TestStore, acme, acme_and_zeta, micros_after, reading, writing};
use canopy_domain::audit::{
    Actor, ActorType, AuditCategory, AuditEvent, AuditOutcome, AuditSeverity, Detail, StoredAuditEvent,
};
use canopy_domain::port::{CommitRecord, EnvironmentChanges, WriteScope};
use canopy_domain::{Revision, Timestamp};

/// The event as it is to be read back.
fn stored(event: &AuditEvent, revision: Option<Revision>) -> StoredAuditEvent {
    StoredAuditEvent {
        id: event.id,
        account_id: event.account_id,
        application_id: event.application_id,
        environment_id: event.environment_id,
        actor: event.actor.clone(),
        action: event.action.to_owned(),
        category: event.category,
        severity: event.severity,
        outcome: event.outcome,
        resource_type: event.resource_type.to_owned(),
        resource_id: event.resource_id.clone(),
        resource_label: event.resource_label.clone(),
        metadata: event.metadata.to_json(),
        correlation_id: event.correlation_id.clone(),
        revision,
        created_at: event.created_at,
    }
}

pub async fn an_audit_event_reads_back_as_it_was_written(store: TestStore) {
    let world = acme(&store).await;
    let here = world.development.id();
    let mut expected = vec![];
    let mut at = micros_after(world.maker.now(), 1);
    // Every word of every closed set comes up at least once.
    for step in 0..7 {
        let metadata = Detail::Map(vec![
            ("text", Detail::text(format!("{ODD_TEXT} \u{1}\n  "))),
            (
                "list",
                Detail::List(vec![Detail::Null, Detail::Flag(true), Detail::count(step)]),
            ),
        ]);
        let event = AuditEvent {
            application_id: (step % 2 == 0).then_some(world.application.id),
            environment_id: (step % 2 == 0).then_some(here),
            actor: Actor {
                id: format!("{ODD_TEXT} "),
                kind: ActorType::ALL[step % ActorType::ALL.len()],
                label: String::new(),
            },
            action: "role.update \"odd\"",
            category: AuditCategory::ALL[step % AuditCategory::ALL.len()],
            severity: AuditSeverity::ALL[step % AuditSeverity::ALL.len()],
            outcome: AuditOutcome::ALL[step % AuditOutcome::ALL.len()],
            resource_type: "role",
            resource_id: " 1 ".to_owned(),
            resource_label: ODD_TEXT.repeat(10),
            metadata,
            correlation_id: "req\tü".to_owned(),
            created_at: at,
            ..world.maker.audit(world.account.id, None)
        };
        let entry = EnvironmentChanges {
            environment: here,
            changes: vec![],
        };
        let record = CommitRecord {
            at,
            changes: vec![entry],
            audit: event.clone(),
        };
        let tx = writing(&store, WriteScope::Environment(here)).await;
        let taken = tx.commit(record).await.unwrap();
        // An event that names no environment has no revision, whatever the commit touched.
        let revision = event.environment_id.and(Some(taken[0].1));
        expected.insert(0, stored(&event, revision));
        at = micros_after(at, 1);
    }
    let found = reading(&store).await.audit_events(world.account.id, 7).await.unwrap();
    assert_eq!(found, expected);
}

pub async fn an_audit_event_has_the_revision_of_the_environment_it_names(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (world.development.id(), world.production.id());
    let entry = |environment| EnvironmentChanges {
        environment,
        changes: vec![],
    };
    let at = micros_after(world.maker.now(), 1);
    let later = world.maker.at(at);
    let record = CommitRecord {
        at,
        changes: vec![entry(there), entry(here)],
        audit: later.audit(world.account.id, Some(here)),
    };
    let tx = writing(&store, WriteScope::Application(world.application.id)).await;
    let taken = tx.commit(record).await.unwrap();
    let mut tx = reading(&store).await;
    let newest = tx.audit_events(world.account.id, 1).await.unwrap();
    assert_eq!(newest[0].revision, Some(taken[1].1));
    drop(tx);
    let at = micros_after(at, 1);
    let record = CommitRecord {
        at,
        changes: vec![entry(there)],
        audit: world.maker.at(at).audit(world.account.id, Some(here)),
    };
    let tx = writing(&store, WriteScope::Application(world.application.id)).await;
    tx.commit(record).await.unwrap();
    let newest = reading(&store).await.audit_events(world.account.id, 1).await.unwrap();
    assert_eq!(newest[0].revision, None);
}

pub async fn audit_events_are_listed_newest_first_within_their_account(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let later = acme.maker.at(Timestamp::MAX);
    // Stored out of order; two of one instant are ordered by id.
    let events = [
        later.audit(acme.account.id, None),
        acme.maker.at(Timestamp::MIN).audit(acme.account.id, None),
        later.audit(acme.account.id, None),
    ];
    for event in &events {
        let record = CommitRecord {
            at: event.created_at,
            changes: vec![],
            audit: event.clone(),
        };
        let tx = writing(&store, WriteScope::Account(acme.account.id)).await;
        tx.commit(record).await.unwrap();
    }
    let mut tx = reading(&store).await;
    let all = tx.audit_events(acme.account.id, u32::MAX).await.unwrap();
    let (first, last) = (&all[..2], &all[all.len() - 1]);
    assert_eq!(
        (first[0].id, first[1].id, last.id),
        (events[2].id, events[0].id, events[1].id)
    );
    assert!(all.iter().all(|event| event.account_id == acme.account.id));
    assert!(all.is_sorted_by_key(|event| std::cmp::Reverse((event.created_at, event.id))));
    assert_eq!(tx.audit_events(acme.account.id, 2).await.unwrap(), all[..2]);
    assert_eq!(tx.audit_events(acme.account.id, 0).await.unwrap(), []);
    assert_eq!(tx.audit_events(acme.maker.id(), 9).await.unwrap(), []);
    let other = tx.audit_events(zeta.account.id, u32::MAX).await.unwrap();
    assert_eq!(other.len() + events.len(), all.len());
}
