//! Clauses on the audit log.

use super::support::{ODD_TEXT, TestStore, acme, acme_and_zeta, millis_after, reading, search_for, writing};
use canopy_domain::audit::listing::{AuditPosition, AuditQuery};
use canopy_domain::audit::{
    Actor, ActorType, AuditCategory, AuditEvent, AuditOutcome, AuditSeverity, Detail, StoredAuditEvent,
};
use canopy_domain::port::{CommitRecord, EnvironmentChanges, LockScope};
use canopy_domain::{EnvironmentId, Revision, Timestamp};
use canopy_testkit::fixture::World;

/// Returns the event as it should be read back.
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
    let mut at = millis_after(world.maker.now(), 1);
    // Every value of every enumeration occurs at least once.
    for step in 0..8 {
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
            changes: [].into(),
        };
        let record = CommitRecord {
            at,
            changes: vec![entry],
            audit: event.clone(),
        };
        let tx = writing(&store, world.within(here)).await;
        let taken = tx.commit(record).await.unwrap();
        // An event without an environment has no revision, whatever environments the commit changed.
        let revision = event.environment_id.and(Some(taken[0].1));
        expected.insert(0, stored(&event, revision));
        at = millis_after(at, 1);
    }
    let found = reading(&store)
        .await
        .audit_events(world.account.id, &AuditQuery::newest(8))
        .await
        .unwrap();
    assert_eq!(found, expected);
}

pub async fn an_audit_event_has_the_revision_of_the_environment_it_names(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (world.development.id(), world.production.id());
    let entry = |environment| EnvironmentChanges {
        environment,
        changes: [].into(),
    };
    let at = millis_after(world.maker.now(), 1);
    let later = world.maker.at(at);
    let record = CommitRecord {
        at,
        changes: vec![entry(there), entry(here)],
        audit: later.audit(world.account.id, Some(here)),
    };
    let tx = writing(&store, LockScope::Application(world.application_ref())).await;
    let taken = tx.commit(record).await.unwrap();
    let mut tx = reading(&store).await;
    let newest = tx.audit_events(world.account.id, &AuditQuery::newest(1)).await.unwrap();
    assert_eq!(newest[0].revision, Some(taken[1].1));
    drop(tx);
    let at = millis_after(at, 1);
    let record = CommitRecord {
        at,
        changes: vec![entry(there)],
        audit: world.maker.at(at).audit(world.account.id, Some(here)),
    };
    let tx = writing(&store, LockScope::Application(world.application_ref())).await;
    tx.commit(record).await.unwrap();
    let newest = reading(&store)
        .await
        .audit_events(world.account.id, &AuditQuery::newest(1))
        .await
        .unwrap();
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
        let tx = writing(&store, LockScope::Account(acme.account.id)).await;
        tx.commit(record).await.unwrap();
    }
    let mut tx = reading(&store).await;
    let all = tx
        .audit_events(acme.account.id, &AuditQuery::newest(u32::MAX))
        .await
        .unwrap();
    let (first, last) = (&all[..2], &all[all.len() - 1]);
    assert_eq!(
        (first[0].id, first[1].id, last.id),
        (events[2].id, events[0].id, events[1].id)
    );
    assert!(all.iter().all(|event| event.account_id == acme.account.id));
    assert!(all.is_sorted_by_key(|event| std::cmp::Reverse((event.created_at, event.id))));
    assert_eq!(
        tx.audit_events(acme.account.id, &AuditQuery::newest(2)).await.unwrap(),
        all[..2]
    );
    assert_eq!(
        tx.audit_events(acme.account.id, &AuditQuery::newest(0)).await.unwrap(),
        []
    );
    assert_eq!(
        tx.audit_events(acme.maker.id(), &AuditQuery::newest(9)).await.unwrap(),
        []
    );
    let other = tx
        .audit_events(zeta.account.id, &AuditQuery::newest(u32::MAX))
        .await
        .unwrap();
    assert_eq!(other.len() + events.len(), all.len());
}

/// Stores events that differ in every filter, and returns them newest first.
async fn various(store: &TestStore, world: &World) -> Vec<AuditEvent> {
    let environments = [None, Some(world.development.id()), Some(world.production.id())];
    let mut events: Vec<AuditEvent> = (0..24_usize)
        .map(|step| {
            let at = millis_after(world.maker.now(), i64::try_from(1 + step / 2).unwrap());
            let environment: Option<EnvironmentId> = environments[step % 3];
            AuditEvent {
                environment_id: environment,
                actor: Actor {
                    id: format!("actor-{}", step % 2),
                    kind: ActorType::ALL[step % ActorType::ALL.len()],
                    label: format!("Ördög {}", step % 4),
                },
                action: ["role.create", "role.CREATE", "note.share"][step % 3],
                category: AuditCategory::ALL[step % AuditCategory::ALL.len()],
                severity: AuditSeverity::ALL[step % AuditSeverity::ALL.len()],
                outcome: AuditOutcome::ALL[step % AuditOutcome::ALL.len()],
                resource_type: ["role", "node"][step % 2],
                resource_id: format!("thing-{}", step % 5),
                resource_label: ["50%_a", "ÉDITOR", "x"][step % 3].to_owned(),
                correlation_id: format!("request-{}", step % 7),
                created_at: at,
                ..world.maker.audit(world.account.id, None)
            }
        })
        .collect();
    store.append_audit_events(&events).await.unwrap();
    events.sort_by_key(|event| std::cmp::Reverse((event.created_at, event.id)));
    events
}

pub async fn appended_audit_events_read_back_without_a_revision(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let before = reading(&store)
        .await
        .audit_events(zeta.account.id, &AuditQuery::newest(99))
        .await
        .unwrap();
    let mut events = various(&store, &acme).await;
    let odd = AuditEvent {
        resource_label: ODD_TEXT.to_owned(),
        application_id: Some(acme.application.id),
        created_at: Timestamp::MAX,
        ..acme.maker.audit(acme.account.id, Some(acme.development.id()))
    };
    let other = acme.maker.audit(zeta.account.id, None);
    store.append_audit_events(&[odd.clone(), other.clone()]).await.unwrap();
    store.append_audit_events(&[]).await.unwrap();
    events.insert(0, odd);
    let expected: Vec<_> = events.iter().map(|event| stored(event, None)).collect();
    let mut tx = reading(&store).await;
    let found = tx.audit_events(acme.account.id, &AuditQuery::newest(25)).await.unwrap();
    assert_eq!(found, expected);
    let found = tx.audit_events(zeta.account.id, &AuditQuery::newest(99)).await.unwrap();
    assert_eq!(found.len(), before.len() + 1);
    assert!(found.contains(&stored(&other, None)));
}

pub async fn audit_events_are_appended_all_or_none(store: TestStore) {
    let world = acme(&store).await;
    let count = async || {
        let all = AuditQuery::newest(99);
        let mut tx = reading(&store).await;
        tx.audit_events(world.account.id, &all).await.unwrap().len()
    };
    let before = count().await;
    let (good, twice) = (
        world.maker.audit(world.account.id, None),
        world.maker.audit(world.account.id, None),
    );
    let events = [good, twice.clone(), twice];
    assert!(store.append_audit_events(&events).await.is_err());
    assert_eq!(count().await, before);
    store.append_audit_events(&events[..2]).await.unwrap();
    assert_eq!(count().await, before + 2);
}

pub async fn an_audit_event_is_found_by_id_in_its_account_alone(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let events = various(&store, &acme).await;
    let mut tx = reading(&store).await;
    for event in &events {
        let found = tx.audit_event(acme.account.id, event.id).await.unwrap();
        assert_eq!(found, Some(stored(event, None)));
        assert_eq!(tx.audit_event(zeta.account.id, event.id).await.unwrap(), None);
    }
    assert_eq!(tx.audit_event(acme.account.id, acme.maker.id()).await.unwrap(), None);
}

type Fits = Box<dyn Fn(&AuditEvent) -> bool>;

#[expect(clippy::too_many_lines, reason = "a table: one line for each filter")]
pub async fn audit_filters_narrow_the_listing(store: TestStore) {
    let world = acme(&store).await;
    let events = various(&store, &world).await;
    let at = |step| Some(millis_after(world.maker.now(), step));
    let all = AuditQuery {
        from: at(1),
        ..AuditQuery::newest(99)
    };
    let asked = |change: fn(&mut AuditQuery), fits: fn(&AuditEvent) -> bool| {
        let mut query = all.clone();
        change(&mut query);
        (query, Box::new(fits) as Fits)
    };
    let (development, from, to) = (world.development.id(), at(4), at(9));
    let mut cases = vec![
        asked(|_| (), |_| true),
        asked(
            |q| q.action = Some("role.create".to_owned()),
            |e| e.action == "role.create",
        ),
        asked(
            |q| q.category = Some(AuditCategory::Access),
            |e| e.category == AuditCategory::Access,
        ),
        asked(
            |q| q.severity = Some(AuditSeverity::Critical),
            |e| e.severity == AuditSeverity::Critical,
        ),
        asked(
            |q| q.outcome = Some(AuditOutcome::Denied),
            |e| e.outcome == AuditOutcome::Denied,
        ),
        asked(|q| q.actor_id = Some("actor-1".to_owned()), |e| e.actor.id == "actor-1"),
        asked(
            |q| q.actor_type = Some(ActorType::ApiKey),
            |e| e.actor.kind == ActorType::ApiKey,
        ),
        asked(
            |q| q.resource_type = Some("node".to_owned()),
            |e| e.resource_type == "node",
        ),
        asked(
            |q| q.resource_id = Some("thing-3".to_owned()),
            |e| e.resource_id == "thing-3",
        ),
        asked(
            |q| q.correlation_id = Some("request-6".to_owned()),
            |e| e.correlation_id == "request-6",
        ),
        // Everything at once.
        asked(
            |q| {
                q.outcome = Some(AuditOutcome::Success);
                q.actor_id = Some("actor-0".to_owned());
                q.resource_type = Some("role".to_owned());
            },
            |e| e.outcome == AuditOutcome::Success && e.actor.id == "actor-0" && e.resource_type == "role",
        ),
        // Texts are compared whole and byte for byte.
        asked(|q| q.resource_id = Some("thing".to_owned()), |_| false),
        asked(|q| q.action = Some("Role.create".to_owned()), |_| false),
        asked(|q| q.actor_id = Some("actor-1\0".to_owned()), |_| false),
    ];
    let environment = AuditQuery {
        environment: Some(development),
        ..all.clone()
    };
    cases.push((environment, Box::new(move |e| e.environment_id == Some(development))));
    let window = AuditQuery {
        from,
        to,
        ..all.clone()
    };
    let in_window = move |e: &AuditEvent| Some(e.created_at) >= from && Some(e.created_at) < to;
    cases.push((window.clone(), Box::new(in_window)));
    let narrow = AuditQuery {
        environment: Some(development),
        ..window
    };
    let in_both = move |e: &AuditEvent| in_window(e) && e.environment_id == Some(development);
    cases.push((narrow, Box::new(in_both)));
    let empty = AuditQuery {
        from: to,
        to: from,
        ..all.clone()
    };
    cases.push((empty, Box::new(|_| false)));
    // The search matches the action, the actor's label or the resource's label, ignoring case, and every character is
    // literal.
    for (search, found) in [
        ("role.create", vec!["role.create", "role.CREATE"]),
        ("note.share", vec!["note.share"]),
        ("%", vec!["role.create"]),
        ("_a", vec!["role.create"]),
        ("éditor", vec!["role.CREATE"]),
        ("ördög", vec!["role.create", "role.CREATE", "note.share"]),
        ("actor-1", vec![]),
        ("a\0", vec![]),
    ] {
        let query = AuditQuery {
            search: search_for(search),
            ..all.clone()
        };
        cases.push((query, Box::new(move |e| found.contains(&e.action))));
    }
    let mut tx = reading(&store).await;
    for (query, fits) in cases {
        let expected: Vec<_> = events
            .iter()
            .filter(|event| fits(event))
            .map(|event| event.id)
            .collect();
        let found = tx.audit_events(world.account.id, &query).await.unwrap();
        let found: Vec<_> = found.iter().map(|event| event.id).collect();
        assert_eq!(found, expected, "{query:?}");
    }
}

pub async fn the_parts_of_a_listing_of_audit_events_are_disjoint_and_complete(store: TestStore) {
    let world = acme(&store).await;
    various(&store, &world).await;
    let mut tx = reading(&store).await;
    for environment in [None, Some(world.production.id())] {
        let query = AuditQuery {
            environment,
            to: Some(millis_after(world.maker.now(), 11)),
            ..AuditQuery::newest(99)
        };
        let whole = tx.audit_events(world.account.id, &query).await.unwrap();
        assert!(whole.len() >= 6);
        // Events of one instant are on both sides of a page border.
        for limit in 1..=3 {
            let mut parts = vec![];
            let mut part = AuditQuery { limit, ..query.clone() };
            loop {
                let found = tx.audit_events(world.account.id, &part).await.unwrap();
                assert!(found.len() <= usize::try_from(limit).unwrap());
                let Some(last) = found.last() else { break };
                part.after = Some(AuditPosition {
                    at: last.created_at,
                    id: last.id,
                });
                parts.extend(found);
            }
            assert_eq!(parts, whole, "{limit} {environment:?}");
        }
    }
}

pub async fn details_of_an_audit_event_are_read_part_by_part_in_their_account_alone(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let parts = |name: &str| {
        (0..5)
            .map(|part| format!("[\"{name} {part} {ODD_TEXT}\"]"))
            .collect::<Vec<_>>()
    };
    let here = acme.development.id();
    let mut record = acme.maker.record(acme.account.id, &[here]);
    record.audit.details = parts("committed");
    let committed = record.audit.id;
    let tx = store.write(acme.within(here)).await.unwrap();
    tx.commit(record).await.unwrap();
    let mut appended = acme.maker.audit(acme.account.id, None);
    appended.details = parts("appended");
    let bare = acme.maker.audit(acme.account.id, None);
    store
        .append_audit_events(&[appended.clone(), bare.clone()])
        .await
        .unwrap();
    let mut tx = reading(&store).await;
    for (event, all) in [(committed, parts("committed")), (appended.id, parts("appended"))] {
        for (from, limit) in [(0, 9), (0, 2), (2, 2), (4, 2), (5, 2), (0, 0)] {
            let expected: Vec<&String> = all.iter().skip(from).take(limit).collect();
            let (from, limit) = (u32::try_from(from).unwrap(), u32::try_from(limit).unwrap());
            let found = tx.audit_details(acme.account.id, event, from, limit).await.unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{from} {limit}");
        }
        let foreign = tx.audit_details(zeta.account.id, event, 0, 9).await.unwrap();
        assert_eq!(foreign, [""; 0]);
    }
    assert_eq!(tx.audit_details(acme.account.id, bare.id, 0, 9).await.unwrap(), [""; 0]);
}

pub async fn a_listing_of_audit_events_ends_where_they_are_large(store: TestStore) {
    let world = acme(&store).await;
    let large = AuditQuery::MAX_BYTES / 5 * 2;
    let mut at = millis_after(world.maker.now(), 1);
    let mut events = vec![];
    for size in [large, large, 10, large, AuditQuery::MAX_BYTES * 2, large] {
        events.push(AuditEvent {
            metadata: Detail::Map(vec![("text", Detail::text("x".repeat(size)))]),
            created_at: at,
            ..world.maker.at(at).audit(world.account.id, None)
        });
        at = millis_after(at, 1);
    }
    store.append_audit_events(&events).await.unwrap();
    events.reverse();
    // Each page ends with the event that fills it; a huge one is still listed.
    let mut tx = reading(&store).await;
    let mut query = AuditQuery::newest(100);
    let mut parts = vec![];
    let mut listed = vec![];
    while listed.len() < events.len() {
        let part = tx.audit_events(world.account.id, &query).await.unwrap();
        let last = part.last().unwrap();
        query.after = Some(AuditPosition {
            at: last.created_at,
            id: last.id,
        });
        parts.push(part.len());
        listed.extend(part.into_iter().map(|event| event.id));
    }
    assert_eq!(parts, [2, 4]);
    assert_eq!(listed, events.iter().map(|event| event.id).collect::<Vec<_>>());
}

pub async fn a_listing_of_audit_events_looks_at_no_more_than_it_is_told(store: TestStore) {
    let world = acme(&store).await;
    let events = various(&store, &world).await;
    let mut tx = reading(&store).await;
    let place = |event: &AuditEvent| AuditPosition {
        at: event.created_at,
        id: event.id,
    };
    let window = AuditQuery {
        from: Some(millis_after(world.maker.now(), 1)),
        // No event has it, and the position does not depend on it.
        action: Some("role.none".to_owned()),
        ..AuditQuery::newest(99)
    };
    for environment in [None, Some(world.development.id())] {
        let within: Vec<&AuditEvent> = events
            .iter()
            .filter(|event| environment.is_none() || event.environment_id == environment)
            .collect();
        assert!(within.len() >= 8);
        let query = AuditQuery {
            environment,
            ..window.clone()
        };
        for (count, expected) in (1_u32..).zip(within.iter().map(Some).chain([None, None])) {
            let found = tx.audit_place(world.account.id, &query, count).await.unwrap();
            assert_eq!(found, expected.map(|event| place(event)), "{count} {environment:?}");
        }
        // Two events of one instant are distinct, and positions count from the begin of the list.
        for (number, event) in within.iter().enumerate() {
            let part = AuditQuery {
                action: None,
                down_to: Some(place(event)),
                ..query.clone()
            };
            let found = tx.audit_events(world.account.id, &part).await.unwrap();
            let found: Vec<_> = found.into_iter().map(|event| event.id).collect();
            let expected: Vec<_> = within[..=number].iter().map(|event| event.id).collect();
            assert_eq!(found, expected, "{number} {environment:?}");
            let rest = AuditQuery {
                after: Some(place(event)),
                ..query.clone()
            };
            let next = tx.audit_place(world.account.id, &rest, 1).await.unwrap();
            assert_eq!(next, within.get(number + 1).map(|event| place(event)));
            let nothing = AuditQuery {
                after: Some(place(event)),
                ..part
            };
            assert_eq!(tx.audit_events(world.account.id, &nothing).await.unwrap(), []);
            assert_eq!(tx.audit_place(world.account.id, &nothing, 1).await.unwrap(), None);
        }
    }
    assert_eq!(tx.audit_place(world.maker.id(), &window, 1).await.unwrap(), None);
}
