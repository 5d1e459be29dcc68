use crate::calls;
use crate::world::{World, refused};
use canopy_app::access::part::{Bookmark, CursorPage};
use canopy_app::access::{Asker, OwnedQuestion, explain, nodes, who_can};
use canopy_app::api_key::NewKey;
use canopy_app::decisions::Consistency;
use canopy_app::{AppError, Caller};
use canopy_domain::access::{Decision, DenialReason, Target};
use canopy_domain::api_key::{AccessMode, KeyAccess};
use canopy_domain::assignment::bulk_create::NewAssignment;
use canopy_domain::identity::membership::MembershipChange;
use canopy_domain::port::Clock as _;
use canopy_domain::*;
use std::sync::Arc;

type Begun = Option<Bookmark<IdentityId>>;

/// Returns the identities that may read notes at the root.
async fn readers(world: &World, begun: Begun, limit: usize) -> CursorPage<IdentityId, IdentityId> {
    let show = |holder: canopy_domain::access::PermissionHolder<'_>| holder.identity;
    who_can::find_holders(&world.app, world.asker(), world.root, "note.read", (begun, limit), show)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_list_goes_on_by_id_and_owns_up_to_a_revision_that_moved() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let mut people = world.members(&["a", "b", "c", "d", "e"]).await;
    people.sort_unstable();
    let some = [0, 2, 3].map(|place| world.item(people[place], viewer));
    world.assign(&some).await;
    let whole = readers(&world, None, 50).await;
    assert_eq!(whole.items, [people[0], people[2], people[3]]);
    assert_eq!((whole.next, whole.is_complete), (None, true));

    let first = readers(&world, None, 2).await;
    assert_eq!(first.items, [people[0], people[2]]);
    assert!(!first.is_complete);
    let begun = first.next.unwrap();
    assert_eq!((begun.after, begun.revision), (people[2], first.revision));
    let last = readers(&world, Some(begun), 2).await;
    assert_eq!((last.items, last.next, last.is_complete), (vec![people[3]], None, true));

    // One who comes later by id is told, one who comes earlier is not, and the list says that it may lack somebody.
    world
        .assign(&[1, 4].map(|place| world.item(people[place], viewer)))
        .await;
    let second = readers(&world, Some(begun), 1).await;
    assert_eq!((&second.items, second.is_complete), (&vec![people[3]], false));
    assert!(second.revision > first.revision);
    let carried_on = second.next.unwrap();
    assert_eq!(carried_on.revision, first.revision);
    let last = readers(&world, Some(carried_on), 1).await;
    assert_eq!(
        (last.items, last.next, last.is_complete),
        (vec![people[4]], None, false)
    );
}

#[tokio::test]
async fn windows_are_judged_at_the_instant_at_which_the_list_began() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let people = world.members(&["a", "b"]).await;
    let soon = world.clock.now().plus_seconds(60);
    let items = people.iter().map(|identity| NewAssignment {
        to: Some(soon),
        ..world.item(*identity, viewer)
    });
    world.assign(&items.collect::<Vec<_>>()).await;
    let first = readers(&world, None, 1).await;
    world.clock.set(soon);
    assert_eq!(readers(&world, None, 2).await.items, []);
    let last = readers(&world, first.next, 1).await;
    assert_eq!((last.items.len(), last.is_complete), (1, true));
}

#[tokio::test]
async fn an_explanation_follows_every_change_and_any_instant() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    let later = world.clock.now().plus_seconds(60);
    let scheduled = NewAssignment {
        from: Some(later),
        ..world.item(ada, editor)
    };
    world.assign(&[world.item(ada, viewer), scheduled]).await;
    let told = async |permission: &str, at: Option<Timestamp>| {
        let question = OwnedQuestion {
            identity: ada,
            permission: permission.to_owned(),
            target: Target::Node(world.root),
        };
        let strong = Consistency::Strong;
        explain::explain_decision(
            &world.app,
            world.asker(),
            question,
            (at, 100),
            strong,
            |_, found, revision| {
                let grants: Vec<String> = found.grants.iter().map(|grant| grant.role_name.to_string()).collect();
                let near: Vec<&'static str> = found.near_misses.iter().map(|(_, why)| why.as_str()).collect();
                (found.decision, grants, near, revision)
            },
        )
        .await
        .unwrap()
    };
    let (decision, grants, near, revision) = told("note.write", None).await;
    assert_eq!(decision, Decision::Denied(DenialReason::AssignmentScheduled));
    assert_eq!((grants.len(), near), (0, vec!["assignment_scheduled"]));
    assert_eq!(revision, world.history().await.0);
    let (decision, grants, near, _) = told("note.read", Some(later)).await;
    assert_eq!((decision, near.len()), (Decision::Allowed, 0));
    assert_eq!(grants, ["Viewer", "Editor"]);
    world.switch_role_off(viewer).await;
    let (decision, _, near, moved) = told("note.read", None).await;
    assert_eq!(decision, Decision::Denied(DenialReason::AssignmentScheduled));
    assert_eq!(near, ["role_inactive", "assignment_scheduled"]);
    assert_eq!(moved, revision.next());
}

#[tokio::test]
async fn what_is_unknown_or_of_others_is_held_by_nobody_and_nowhere() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let rival = world.neighbour().await;
    let (rival_viewer, _) = rival.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    let eve = rival.members(&["eve"]).await[0];
    world.assign(&[world.item(ada, viewer)]).await;
    rival.assign(&[rival.item(eve, rival_viewer)]).await;
    let nobody = IdentityId::new(uuid::Uuid::nil());
    for (identity, permission, expected) in [
        (ada, "note.read", vec![world.root]),
        (ada, "note.write", vec![]),
        (ada, "no.such", vec![]),
        (eve, "note.read", vec![]),
        (nobody, "note.read", vec![]),
    ] {
        let told = nodes::find_nodes(&world.app, world.asker(), identity, permission, (None, 50)).await;
        let told = told.unwrap();
        assert_eq!((told.items, told.is_complete), (expected, true), "{permission}");
    }
    for node in [rival.root, NodeId::new(uuid::Uuid::nil())] {
        let told = who_can::find_holders(&world.app, world.asker(), node, "note.read", (None, 50), |_| ()).await;
        let told = told.unwrap();
        assert_eq!((told.items.len(), told.is_complete), (0, true));
    }
    // A membership that ends takes what it gave along.
    let place = world.place.application_ref();
    calls::change_membership(&world.app, &world.call, place, ada, MembershipChange::End)
        .await
        .unwrap();
    assert_eq!(readers(&world, None, 50).await.items, []);
}

#[tokio::test]
async fn a_key_lists_and_explains_what_it_may_check() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    world.assign(&[world.item(ada, viewer)]).await;
    let scoped = KeyAccess::new(AccessMode::Scoped, [crate::world::key("note.read")]).unwrap();
    let new = NewKey {
        name: crate::world::name("Reader"),
        description: None,
        access: scoped.clone(),
        expires_at: None,
    };
    let made = calls::create_api_key(&world.app, &world.call, &world.place, &new)
        .await
        .unwrap();
    let caller = Caller::ApiKey {
        place: world.place,
        id: made.key.id,
        access: Arc::new(scoped),
    };
    let asker = Asker {
        caller: &caller,
        environment: &world.asked,
    };
    let ask = async |permission: &str| {
        let question = OwnedQuestion {
            identity: ada,
            permission: permission.to_owned(),
            target: Target::AppWide,
        };
        let strong = Consistency::Strong;
        let explained = explain::explain_decision(&world.app, asker, question, (None, 100), strong, |_, found, _| {
            found.grants.len()
        })
        .await;
        let nodes = nodes::find_nodes(&world.app, asker, ada, permission, (None, 50)).await;
        let people = who_can::find_holders(&world.app, asker, world.root, permission, (None, 50), |_| ()).await;
        (
            explained,
            nodes.map(|part| part.items.len()),
            people.map(|part| part.items.len()),
        )
    };
    assert!(matches!(ask("note.read").await, (Ok(1), Ok(1), Ok(1))));
    for other in ["note.write", "role.read", "no.such"] {
        let (explained, nodes, people) = ask(other).await;
        for error in [refused(explained), refused(nodes), refused(people)] {
            assert!(matches!(error, AppError::ScopeMissing), "{error:?}");
        }
    }
    calls::revoke_api_key(&world.app, &world.call, &world.place, made.key.id)
        .await
        .unwrap();
    for permission in ["note.read", "note.write"] {
        let (explained, nodes, people) = ask(permission).await;
        for error in [refused(explained), refused(nodes), refused(people)] {
            assert!(matches!(error, AppError::InvalidApiKey), "{error:?}");
        }
    }
}
