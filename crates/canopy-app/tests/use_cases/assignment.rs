use crate::calls;
use crate::calls::BulkMode;
use crate::world::{World, refused};
use canopy_app::AppError;
use canopy_domain::access::{DenialReason, Target};
use canopy_domain::assignment::bulk_create::NewAssignment;
use canopy_domain::assignment::change::{AssignmentPatch, ChangeRoleError};
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::bulk::Outcome;
use canopy_domain::*;
use uuid::Uuid;

fn nobody() -> Uuid {
    Uuid::from_u128(0xdead)
}

#[tokio::test]
async fn one_bad_item_in_a_thousand_keeps_all_others_out() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let names: Vec<String> = (0..1_001).map(|n| format!("p{n}")).collect();
    let people = world
        .members(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let outsider = world.neighbour().await.members(&["spy"]).await[0];
    let unattached = {
        let items = [crate::world::person("loner")];
        let account = world.place.account;
        let outcomes = calls::create_identities(&world.app, &world.call, account, None, &items, BulkMode::SINGLE)
            .await
            .unwrap();
        crate::world::done(&outcomes)[0].id
    };
    let taken = crate::world::done(&world.assign(&[world.item(people[7], editor)]).await)[0].id;
    world.switch_role_off(world.role("Viewer").await).await;
    let admin = world.role("Environment Admin").await;
    let good: Vec<NewAssignment> = people[..1_000].iter().map(|id| world.item(*id, editor)).collect();
    let at = |mut key: AssignmentKey, change: &dyn Fn(&mut AssignmentKey)| {
        change(&mut key);
        NewAssignment {
            key,
            from: None,
            to: None,
        }
    };
    let key = world.item(people[1_000], editor).key;
    let bad: Vec<(NewAssignment, AssignmentError)> = vec![
        (
            at(key, &|k| k.identity = nobody().into()),
            AssignmentError::IdentityNotFound,
        ),
        (at(key, &|k| k.identity = outsider), AssignmentError::IdentityNotFound),
        (at(key, &|k| k.node = nobody().into()), AssignmentError::NodeNotFound),
        (at(key, &|k| k.role = nobody().into()), AssignmentError::RoleNotFound),
        (at(key, &|k| k.role = admin), AssignmentError::SystemRoleNotAssignable),
        (at(key, &|k| k.role = viewer), AssignmentError::RoleInactive),
        (
            at(key, &|k| k.identity = unattached),
            AssignmentError::MembershipNotActive,
        ),
        (
            NewAssignment {
                key,
                from: None,
                to: Some(world.app.now()),
            },
            AssignmentError::InvalidWindow,
        ),
        (
            world.item(people[7], editor),
            AssignmentError::Conflict {
                existing: Conflicting {
                    id: taken,
                    status: AssignmentStatus::Active,
                    effective_to: None,
                },
            },
        ),
        (
            world.item(people[0], editor),
            AssignmentError::DuplicateInBatch { first: 0 },
        ),
    ];
    let before = world.history().await;
    for (item, error) in bad {
        let mut items = good.clone();
        items[7] = item;
        let outcomes = world.assign(&items).await;
        for (index, outcome) in outcomes.iter().enumerate() {
            let rolled_back = Outcome::RolledBack { caused_by: vec![7] };
            let expected = if index == 7 {
                Outcome::Refused(error.clone())
            } else {
                rolled_back
            };
            assert_eq!(*outcome, expected, "item {index} when item 7 is {error:?}");
        }
        assert_eq!(
            world.history().await,
            before,
            "nothing is written when item 7 is {error:?}"
        );
        assert_eq!(
            world.denial(people[0], "note.read", Target::AppWide).await,
            Some(DenialReason::NoGrant)
        );
    }
}

#[tokio::test]
async fn without_atomic_the_good_items_are_stored_together() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let people = world.members(&["ada", "bob"]).await;
    let items = [
        world.item(people[0], viewer),
        world.item(nobody().into(), viewer),
        world.item(people[1], viewer),
    ];
    let before = world.history().await;
    let mode = BulkMode {
        atomic: false,
        dry_run: false,
    };
    let outcomes = calls::create_assignments(&world.app, &world.call, &world.place, &items, mode)
        .await
        .unwrap();
    assert!(matches!(
        outcomes.as_slice(),
        [
            Outcome::Done(_),
            Outcome::Refused(AssignmentError::IdentityNotFound),
            Outcome::Done(_)
        ]
    ));
    assert_eq!(
        world.history().await,
        (before.0.next(), before.1 + 1),
        "one revision and one event for the call"
    );
    assert_eq!(
        world.denial(people[1], "note.read", Target::Node(world.root)).await,
        None
    );
}

#[tokio::test]
async fn a_dry_run_judges_the_same_and_writes_nothing() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let people = world.members(&["ada"]).await;
    let items = [world.item(people[0], viewer), world.item(nobody().into(), viewer)];
    let before = world.history().await;
    for (atomic, first_is_done) in [(true, false), (false, true)] {
        let mode = BulkMode { atomic, dry_run: true };
        let outcomes = calls::create_assignments(&world.app, &world.call, &world.place, &items, mode)
            .await
            .unwrap();
        assert_eq!(matches!(outcomes[0], Outcome::Done(_)), first_is_done);
        assert_eq!(outcomes[1], Outcome::Refused(AssignmentError::IdentityNotFound));
    }
    assert_eq!(world.history().await, before);
    assert_eq!(
        world.denial(people[0], "note.read", Target::AppWide).await,
        Some(DenialReason::NoGrant)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_identical_batches_at_once_one_wins_and_the_other_conflicts_in_every_item() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let names: Vec<String> = (0..200).map(|n| format!("p{n}")).collect();
    let people = world
        .members(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let items: Vec<NewAssignment> = people.iter().map(|id| world.item(*id, viewer)).collect();
    let run = || {
        let (app, call, place, items) = (world.app.clone(), world.call.clone(), world.place, items.clone());
        tokio::spawn(async move {
            calls::create_assignments(&app, &call, &place, &items, BulkMode::SINGLE)
                .await
                .unwrap()
        })
    };
    let (one, other) = (run(), run());
    let results = [one.await.unwrap(), other.await.unwrap()];
    let done = |outcomes: &[Outcome<Assignment, AssignmentError>]| {
        outcomes.iter().filter(|o| matches!(o, Outcome::Done(_))).count()
    };
    let conflicts = |outcomes: &[Outcome<Assignment, AssignmentError>]| {
        outcomes
            .iter()
            .filter(|o| matches!(o, Outcome::Refused(AssignmentError::Conflict { .. })))
            .count()
    };
    let mut seen: Vec<(usize, usize)> = results.iter().map(|r| (done(r), conflicts(r))).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(0, 200), (200, 0)]);
}

#[tokio::test]
async fn a_batch_leaves_one_event_with_all_ids_and_the_revision() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let people = world.members(&["ada", "bob"]).await;
    let made = crate::world::done(
        &world
            .assign(&[world.item(people[0], viewer), world.item(people[1], viewer)])
            .await,
    );
    let mut tx = world.store.read().await.unwrap();
    let event = tx
        .audit_events(world.place.account, &AuditQuery::newest(1))
        .await
        .unwrap()
        .remove(0);
    let revision = tx.revision(world.place.environment).await.unwrap();
    assert_eq!((event.action.as_str(), event.revision), ("assignment.create", revision));
    assert_eq!(
        (event.correlation_id.as_str(), event.actor.id.as_str()),
        ("request-1", "root")
    );
    for named in ["\"identity\":{\"id\":\"", "\"path\":\"", "\"change\":\"granted\""] {
        let count = event.metadata.matches(named).count();
        assert_eq!(count, made.len(), "{named} of each: {}", event.metadata);
    }
    for assignment in &made {
        assert!(
            event.metadata.contains(&assignment.id.to_string()),
            "{}",
            event.metadata
        );
    }
}

#[tokio::test]
async fn bulk_remove_is_all_or_nothing_and_names_every_unknown_id() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    let made = crate::world::done(&world.assign(&[world.item(ada, viewer), world.item(ada, editor)]).await);
    let ids: Vec<AssignmentId> = made.iter().map(|a| a.id).collect();
    let unknown = [AssignmentId::new(nobody()), AssignmentId::new(Uuid::from_u128(0xbeef))];
    let before = world.history().await;
    let asked = [unknown[0], ids[0], unknown[1], unknown[0]];
    match refused(calls::remove_assignments(&world.app, &world.call, &world.place, &asked).await) {
        AppError::AssignmentsNotFound { ids } => assert_eq!(ids, unknown),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.history().await, before);
    calls::remove_assignments(&world.app, &world.call, &world.place, &[ids[0], ids[1], ids[0]])
        .await
        .unwrap();
    assert_eq!(
        world.denial(ada, "note.read", Target::Node(world.root)).await,
        Some(DenialReason::NoGrant)
    );
    assert_eq!(world.history().await, (before.0.next(), before.1 + 1));
}

#[tokio::test]
async fn changing_roles_clashes_as_a_whole_or_changes_all() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let people = world.members(&["ada", "bob"]).await;
    let items = [
        world.item(people[0], viewer),
        world.item(people[0], editor),
        world.item(people[1], viewer),
    ];
    let made = crate::world::done(&world.assign(&items).await);
    let ids: Vec<AssignmentId> = made.iter().map(|a| a.id).collect();
    let before = world.history().await;
    let clash = calls::change_assignment_roles(&world.app, &world.call, &world.place, &[ids[0], ids[2]], editor).await;
    assert!(
        matches!(refused(clash), AppError::ChangeRole(ChangeRoleError::Clashes { clashes })
        if clashes.len() == 1 && clashes[0].assignment == ids[0] && clashes[0].with.id == ids[1])
    );
    assert_eq!(world.history().await, before);
    let changed = calls::change_assignment_roles(&world.app, &world.call, &world.place, &ids[1..], editor)
        .await
        .unwrap();
    assert_eq!(changed, 1, "the one that has the role already does not count");
    assert_eq!(
        world.denial(people[1], "note.write", Target::Node(world.root)).await,
        None
    );
}

#[tokio::test]
async fn a_patch_moves_the_window_and_the_next_check_sees_it() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    let id = crate::world::done(&world.assign(&[world.item(ada, viewer)]).await)[0].id;
    let now = world.app.now();
    let ends = AssignmentPatch {
        role: None,
        from: Edit::Keep,
        to: Edit::Set(now.plus_seconds(60)),
    };
    calls::change_assignment(&world.app, &world.call, &world.place, id, &ends)
        .await
        .unwrap();
    let scope = Target::Node(world.root);
    world.clock.advance_seconds(59);
    assert_eq!(world.denial(ada, "note.read", scope).await, None);
    world.clock.advance_seconds(1);
    assert_eq!(
        world.denial(ada, "note.read", scope).await,
        Some(DenialReason::AssignmentExpired)
    );
    let renewed = AssignmentPatch {
        role: Some(editor),
        from: Edit::Keep,
        to: Edit::Clear,
    };
    let after = calls::change_assignment(&world.app, &world.call, &world.place, id, &renewed)
        .await
        .unwrap();
    assert_eq!((after.window.from(), after.window.to()), (now, None));
    assert_eq!(world.denial(ada, "note.write", scope).await, None);
    let before = world.history().await;
    calls::change_assignment(&world.app, &world.call, &world.place, id, &renewed)
        .await
        .unwrap();
    assert_eq!(
        world.history().await,
        before,
        "a patch that changes nothing writes nothing"
    );
    calls::remove_assignment(&world.app, &world.call, &world.place, id)
        .await
        .unwrap();
    assert!(matches!(
        refused(calls::change_assignment(&world.app, &world.call, &world.place, id, &renewed).await),
        AppError::Assignment(AssignmentError::NotFound)
    ));
    assert!(matches!(
        refused(calls::remove_assignment(&world.app, &world.call, &world.place, id).await),
        AppError::Assignment(AssignmentError::NotFound)
    ));
}

#[tokio::test]
async fn nothing_of_a_neighbour_can_be_read_changed_or_removed() {
    let world = World::new().await;
    world.bootstrap().await;
    let rival = world.neighbour().await;
    let (viewer, editor) = rival.bootstrap().await;
    let spy = rival.members(&["spy"]).await[0];
    let id = crate::world::done(&rival.assign(&[rival.item(spy, viewer)]).await)[0].id;
    let before = rival.history().await;
    let (app, call, place) = (&world.app, &world.call, &world.place);
    let patch = AssignmentPatch {
        role: Some(editor),
        from: Edit::Keep,
        to: Edit::Keep,
    };
    assert!(canopy_app::assignment::get_assignment(app, place, id).await.is_err());
    assert!(calls::change_assignment(app, call, place, id, &patch).await.is_err());
    assert!(calls::remove_assignment(app, call, place, id).await.is_err());
    assert!(calls::remove_assignments(app, call, place, &[id]).await.is_err());
    assert!(
        calls::change_assignment_roles(app, call, place, &[id], world.role("Editor").await)
            .await
            .is_err()
    );
    let theirs = NewAssignment {
        key: AssignmentKey {
            identity: spy,
            role: viewer,
            node: rival.root,
        },
        from: None,
        to: None,
    };
    assert_eq!(
        world.assign(&[theirs]).await,
        [Outcome::Refused(AssignmentError::IdentityNotFound)]
    );
    assert_eq!(rival.history().await, before);
}
