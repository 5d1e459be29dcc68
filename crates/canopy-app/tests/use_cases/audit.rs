//! The audit log: its parts, who sees what of it, and the queue of refused attempts.

use crate::calls;
use crate::world::{World, operator, tenant};
use canopy_app::audit::refusals::{self, Refusal, Refusals};
use canopy_app::{AppError, Caller};
use canopy_domain::SearchWords;
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::audit::{ActorType, AuditEvent, AuditOutcome, StoredAuditEvent};
use canopy_testkit::fixture::Maker;

fn admin(world: &World) -> Caller {
    Caller::Admin {
        account: world.place.account,
        subject: "ann".into(),
        environment: Some(world.place),
    }
}

fn note(refusals: &Refusals, caller: &Caller, request_id: &str) {
    refusals.note(&Refusal {
        caller,
        operation: "createRole",
        code: "auth.wrong_principal_type",
        request_id,
    });
}

async fn denied(world: &World) -> Vec<StoredAuditEvent> {
    let query = AuditQuery {
        outcome: Some(AuditOutcome::Denied),
        ..AuditQuery::newest(10_000)
    };
    let mut tx = world.store.read().await.unwrap();
    tx.audit_events(world.place.account, &query).await.unwrap()
}

#[tokio::test]
async fn what_waits_is_written_at_the_end_and_what_does_not_fit_is_counted() {
    let world = World::new().await;
    let before = world
        .store
        .read()
        .await
        .unwrap()
        .revision(world.place.environment)
        .await
        .unwrap();
    let (refusals, writing) = refusals::queue(&world.app);
    let caller = admin(&world);
    for number in 0..1_100 {
        note(&refusals, &caller, &format!("request-{number}"));
    }
    assert_eq!(refusals.dropped(), 76);
    assert_eq!(denied(&world).await, []);
    drop(refusals);
    writing.await;
    let written = denied(&world).await;
    assert_eq!(written.len(), 1_024);
    let oldest = &written[1_023];
    assert_eq!(
        (oldest.correlation_id.as_str(), oldest.resource_id.as_str()),
        ("request-0", "createRole")
    );
    assert_eq!((oldest.actor.id.as_str(), oldest.actor.kind), ("ann", ActorType::Admin));
    assert_eq!(
        (oldest.environment_id, oldest.revision),
        (Some(world.place.environment), None)
    );
    assert_eq!(oldest.metadata, r#"{"code":"auth.wrong_principal_type"}"#);
    let after = world
        .store
        .read()
        .await
        .unwrap()
        .revision(world.place.environment)
        .await
        .unwrap();
    assert_eq!(after, before, "a refused attempt changes nothing");
}

#[tokio::test]
async fn an_operator_has_no_account_to_keep_its_attempts_in() {
    let world = World::new().await;
    let (refusals, writing) = refusals::queue(&world.app);
    note(&refusals, &operator().caller, "request-1");
    assert_eq!(refusals.dropped(), 0);
    drop(refusals);
    writing.await;
    assert_eq!(denied(&world).await, []);
}

#[tokio::test]
async fn a_part_of_the_log_says_where_it_goes_on_and_its_last_one_that_it_does_not() {
    let world = World::new().await;
    for slug in ["b", "c", "d"] {
        calls::create_application(&world.app, &world.call, world.place.account, &tenant(slug))
            .await
            .unwrap();
    }
    let part = async |after, limit| {
        let query = AuditQuery {
            after,
            ..AuditQuery::newest(limit)
        };
        canopy_app::audit::list::list_events(&world.app, world.place.account, None, &query)
            .await
            .unwrap()
    };
    let whole = part(None, 4).await;
    assert_eq!((whole.events.len(), whole.next), (4, None));
    let first = part(None, 3).await;
    assert_eq!(first.events, whole.events[..3]);
    let last = part(first.next, 3).await;
    assert_eq!((&last.events[..], last.next), (&whole.events[3..], None));
}

#[tokio::test]
async fn who_is_bound_to_an_environment_sees_nothing_else() {
    let world = World::new().await;
    world.bootstrap().await;
    let (account, own) = (world.place.account, world.place.environment);
    let everything = AuditQuery::newest(99);
    let all = canopy_app::audit::list::list_events(&world.app, account, None, &everything)
        .await
        .unwrap()
        .events;
    let seen = canopy_app::audit::list::list_events(&world.app, account, Some(own), &everything)
        .await
        .unwrap()
        .events;
    assert!(!seen.is_empty() && seen.len() < all.len());
    assert!(seen.iter().all(|event| event.environment_id == Some(own)));
    let elsewhere = AuditQuery {
        environment: Some(canopy_domain::EnvironmentId::new(world.app.mint())),
        ..everything
    };
    assert_eq!(
        canopy_app::audit::list::list_events(&world.app, account, Some(own), &elsewhere)
            .await
            .unwrap()
            .events,
        []
    );
    for event in &all {
        let found = canopy_app::audit::get::get_event(&world.app, account, Some(own), event.id).await;
        if seen.contains(event) {
            assert_eq!(&found.unwrap(), event);
        } else {
            assert!(matches!(found, Err(AppError::AuditEventNotFound)));
        }
    }
}

#[tokio::test]
async fn a_search_that_finds_little_ends_after_so_many_events_and_goes_on() {
    let world = World::new().await;
    let account = world.place.account;
    let number = u64::from(AuditQuery::MAX_EXAMINED) * 2 + 10;
    let at = world.app.now();
    let maker = Maker::default();
    let events: Vec<AuditEvent> = (0..number)
        .map(|n| AuditEvent {
            // The oldest of them alone is found.
            resource_label: if n == 0 { "needle".to_owned() } else { "hay".to_owned() },
            created_at: at.plus_seconds(i64::try_from(n).unwrap()),
            ..maker.audit(account, None)
        })
        .collect();
    world.store.append_audit_events(&events).await.unwrap();
    let search = AuditQuery {
        search: SearchWords::parse("needle").unwrap(),
        ..AuditQuery::newest(50)
    };
    let mut parts = vec![];
    let mut after = None;
    loop {
        let part = canopy_app::audit::list::list_events(
            &world.app,
            account,
            None,
            &AuditQuery {
                after,
                ..search.clone()
            },
        )
        .await
        .unwrap();
        parts.push(part.events.len());
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(parts, [0, 0, 1]);
    // What is not narrowed looks at no more than it lists, and siblings of the search are bounded alike.
    let whole = canopy_app::audit::list::list_events(&world.app, account, None, &AuditQuery::newest(30_000))
        .await
        .unwrap();
    assert!(whole.events.len() as u64 > number && whole.next.is_none());
    for narrow in [
        AuditQuery {
            action: Some("nothing".to_owned()),
            ..AuditQuery::newest(50)
        },
        AuditQuery {
            outcome: Some(AuditOutcome::Denied),
            ..AuditQuery::newest(50)
        },
        AuditQuery {
            correlation_id: Some("nothing".to_owned()),
            ..AuditQuery::newest(50)
        },
    ] {
        let part = canopy_app::audit::list::list_events(&world.app, account, None, &narrow)
            .await
            .unwrap();
        let last = &whole.events[9_999];
        assert_eq!(part.events, []);
        assert_eq!(
            part.next.map(|next| (next.at, next.id)),
            Some((last.created_at, last.id))
        );
    }
}
