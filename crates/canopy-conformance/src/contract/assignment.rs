//! Clauses on assignments.

use super::assignment_listing::{all, ids, listed};
use super::support::{
    TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, millis_after, reading, sorted, writing, writing_in,
    writing_in_any,
};
use canopy_domain::access::GrantFact;
use canopy_domain::assignment::bulk_create::{AssignableRole, AssignmentFacts};
use canopy_domain::assignment::listing::AssignmentSummary;
use canopy_domain::port::{LockScope, Unique};
use canopy_domain::{
    Assignment, AssignmentId, AssignmentKey, EnvironmentId, EnvironmentRef, MembershipStatus, Node, Role, RoleKind,
    Timestamp,
};
use canopy_testkit::fixture::{assignment_key, role_name, slug, window, window_from};

pub async fn an_assignment_reads_back_as_it_was_written(store: TestStore) {
    let world = acme(&store).await;
    let development = &world.development;
    let with = |identity, window| Assignment {
        window,
        created_at: Timestamp::MIN,
        updated_at: Timestamp::MAX,
        ..world.assignment(identity, &development.reader, &development.paris)
    };
    let now = world.maker.now();
    let made = [
        with(world.ada(), window(Timestamp::MIN, Timestamp::MAX)),
        with(world.alan(), window(now, millis_after(now, 1))),
        with(world.grace(), window_from(Timestamp::MAX)),
    ];
    world.assign(store.as_ref(), &made).await;
    let mut tx = reading(&store).await;
    let reversed: Vec<AssignmentId> = made.iter().rev().map(|assignment| assignment.id).collect();
    assert_eq!(tx.assignments(development.id(), &reversed).await.unwrap(), made);
    let page = tx.assignment_views(development.id(), &all(), now).await.unwrap();
    assert_eq!(
        page.items.into_iter().map(|view| view.assignment).collect::<Vec<_>>(),
        made
    );
}

pub async fn a_taken_triple_is_a_duplicate_and_the_unit_of_work_goes_on(store: TestStore) {
    let world = acme(&store).await;
    let development = &world.development;
    let assign = |identity, role| world.assignment(identity, role, &development.eu);
    let (reader, editor) = (&development.reader, &development.editor);
    let held = Assignment {
        window: window(Timestamp::MIN, millis_after(Timestamp::MIN, 1)),
        ..assign(world.ada(), reader)
    };
    world.assign(store.as_ref(), std::slice::from_ref(&held)).await;
    let mut tx = writing_in(&store, development.id()).await;
    let with_taken = [assign(world.alan(), reader), assign(world.ada(), reader)];
    assert_duplicate(tx.insert_assignments(&with_taken).await, Unique::AssignmentKey);
    let twins = [assign(world.alan(), editor), assign(world.alan(), editor)];
    assert_duplicate(tx.insert_assignments(&twins).await, Unique::AssignmentKey);
    let again = Assignment {
        id: held.id,
        ..assign(world.grace(), reader)
    };
    assert_duplicate(tx.insert_assignments(&[again]).await, Unique::Id);
    // The refused calls stored nothing; a triple that differs in one part is another one.
    let free = [
        assign(world.alan(), reader),
        assign(world.ada(), editor),
        world.assignment(world.ada(), reader, &development.us),
    ];
    tx.insert_assignments(&free).await.unwrap();
    world.commit(tx, &[development.id()]).await;
    assert_eq!(
        listed(&store, development.id(), &all(), world.maker.now()).await.len(),
        4
    );
}

pub async fn an_assignment_names_a_role_and_a_node_of_its_environment(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (&world.development, &world.production);
    let joins = [
        assignment_key(world.ada(), there.reader.id, here.eu.id),
        assignment_key(world.ada(), here.reader.id, there.eu.id),
        assignment_key(world.ada(), world.maker.id(), here.eu.id),
        assignment_key(world.ada(), here.reader.id, world.maker.id()),
    ];
    for key in joins {
        let mut tx = writing_in(&store, here.id()).await;
        let good = world.assignment(world.alan(), &here.reader, &here.eu);
        let bad = world.maker.assignment(here.id(), key);
        assert_bug(tx.insert_assignments(&[good, bad]).await);
    }
    let nowhere = world.maker.id::<EnvironmentId>();
    let key = assignment_key(world.ada(), here.reader.id, here.eu.id);
    let mut tx = writing_in_any(&store, &world, nowhere).await;
    assert_bug(tx.insert_assignments(&[world.maker.assignment(nowhere, key)]).await);
}

pub async fn an_identity_of_another_account_is_never_assigned(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let here = &acme.development;
    // Zeta's Ada is a member of an application, but of none of Acme's.
    let mut tx = writing_in(&store, here.id()).await;
    let good = acme.assignment(acme.ada(), &here.reader, &here.eu);
    let bad = acme.assignment(zeta.ada(), &here.reader, &here.eu);
    assert_bug(tx.insert_assignments(&[good, bad]).await);
    drop(tx);
    assert_eq!(listed(&store, here.id(), &all(), acme.maker.now()).await, []);
    let snapshot = reading(&store).await.snapshot(here.id()).await.unwrap().unwrap();
    assert!(snapshot.grants.is_empty());
}

pub async fn an_identity_without_a_membership_is_never_assigned(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let outsider = world.maker.identity(world.account.id, "Out Sider");
    let elsewhere = world.maker.application(world.account.id, "elsewhere");
    let joined = world
        .maker
        .membership(outsider.id, elsewhere.id, MembershipStatus::Active);
    let mut tx = writing(&store, LockScope::Account(world.account.id)).await;
    tx.insert_application(&elsewhere).await.unwrap();
    tx.insert_identities(std::slice::from_ref(&outsider)).await.unwrap();
    tx.insert_memberships(&[joined]).await.unwrap();
    world.commit(tx, &[]).await;
    for nobody in [outsider.id, world.maker.id()] {
        let mut tx = writing_in(&store, here.id()).await;
        let good = world.assignment(world.ada(), &here.reader, &here.eu);
        let bad = world.assignment(nobody, &here.reader, &here.eu);
        assert_bug(tx.insert_assignments(&[good, bad]).await);
    }
    assert_eq!(listed(&store, here.id(), &all(), world.maker.now()).await, []);
}

pub async fn assignment_facts_tell_only_what_the_place_has(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let (here, there) = (&acme.development, &acme.production);
    let outsider = acme.maker.identity(acme.account.id, "Out Sider");
    let off = Role {
        is_active: false,
        ..acme.maker.role(here.id(), "Off")
    };
    let mut tx = writing(&store, LockScope::Account(acme.account.id)).await;
    tx.insert_identities(std::slice::from_ref(&outsider)).await.unwrap();
    tx.insert_roles(std::slice::from_ref(&off)).await.unwrap();
    acme.commit(tx, &[here.id()]).await;
    let held = acme.assignment(acme.ada(), &here.reader, &here.eu);
    acme.assign(store.as_ref(), std::slice::from_ref(&held)).await;

    let key = assignment_key;
    let asked = [
        held.key,
        held.key,
        key(acme.alan(), here.reader.id, here.eu.id),
        key(outsider.id, off.id, here.us.id),
        key(zeta.ada(), there.reader.id, there.eu.id),
        key(acme.maker.id(), zeta.development.reader.id, zeta.development.eu.id),
        key(acme.ada(), here.admin_role.id, acme.maker.id()),
        key(acme.ada(), acme.maker.id(), here.eu.id),
    ];
    let role = |kind, is_active| AssignableRole { kind, is_active };
    let expected = AssignmentFacts {
        identities: [
            (acme.ada(), Some(MembershipStatus::Active)),
            (acme.alan(), Some(MembershipStatus::Active)),
            (outsider.id, None),
        ]
        .into(),
        nodes: [here.eu.id, here.us.id].into(),
        roles: [
            (here.reader.id, role(RoleKind::Custom, true)),
            (off.id, role(RoleKind::Custom, false)),
            (here.admin_role.id, role(RoleKind::EnvironmentAdmin, true)),
        ]
        .into(),
        existing: [(held.key, (&held).into())].into(),
    };
    let mut tx = reading(&store).await;
    assert_eq!(tx.assignment_facts(&here.place, &asked).await.unwrap(), expected);
    let elsewhere = tx.assignment_facts(&there.place, &asked).await.unwrap();
    assert_eq!(elsewhere.existing, [].into());
    assert_eq!(elsewhere.nodes, [there.eu.id].into());
    let nothing = tx.assignment_facts(&here.place, &[]).await.unwrap();
    assert_eq!(nothing, AssignmentFacts::default());
    let nowhere = EnvironmentRef {
        account: acme.maker.id(),
        application: acme.maker.id(),
        environment: acme.maker.id(),
    };
    let nothing = tx.assignment_facts(&nowhere, &asked).await.unwrap();
    assert_eq!(nothing, AssignmentFacts::default());
}

pub async fn assignments_are_found_by_id_in_their_environment_alone(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let here = &acme.development;
    let made = [acme.ada(), acme.alan(), acme.grace()].map(|one| acme.assignment(one, &here.reader, &here.eu));
    acme.assign(store.as_ref(), &made).await;
    let mut tx = reading(&store).await;
    let asked = [made[2].id, acme.maker.id(), made[0].id, made[2].id];
    let found = tx.assignments(here.id(), &asked).await.unwrap();
    assert_eq!(found, [made[0].clone(), made[2].clone()]);
    let nowhere = acme.maker.id::<EnvironmentId>();
    for other in [acme.production.id(), zeta.development.id(), nowhere] {
        assert_eq!(tx.assignments(other, &asked).await.unwrap(), []);
        let page = tx.assignment_views(other, &all(), acme.maker.now()).await.unwrap();
        assert_eq!((page.items.len(), page.item_count), (0, 0));
        let summary = tx.assignment_summary(other, acme.maker.now()).await.unwrap();
        assert_eq!(summary, AssignmentSummary::default());
    }
    assert_eq!(tx.assignments(here.id(), &[]).await.unwrap(), []);
}

pub async fn updating_assignments_overwrites_their_rows(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let made = world.assignment(world.ada(), &here.reader, &here.eu);
    world.assign(store.as_ref(), std::slice::from_ref(&made)).await;
    let changed = Assignment {
        key: assignment_key(world.ada(), here.editor.id, here.us.id),
        window: window(Timestamp::MIN, Timestamp::MAX),
        updated_at: Timestamp::MAX,
        ..made.clone()
    };
    let endless = Assignment {
        window: window_from(Timestamp::MAX),
        ..changed.clone()
    };
    for version in [changed, endless] {
        let mut tx = writing_in(&store, here.id()).await;
        tx.update_assignments(std::slice::from_ref(&version)).await.unwrap();
        world.commit(tx, &[here.id()]).await;
        let mut tx = reading(&store).await;
        let found = tx.assignments(here.id(), &[made.id]).await.unwrap();
        assert_eq!(found, std::slice::from_ref(&version));
        let facts = tx
            .assignment_facts(&here.place, &[made.key, version.key])
            .await
            .unwrap();
        assert_eq!(facts.existing, [(version.key, (&version).into())].into());
    }
}

pub async fn renaming_what_an_assignment_joins_keeps_it(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let made = world.assignment(world.ada(), &here.reader, &here.eu);
    world.assign(store.as_ref(), std::slice::from_ref(&made)).await;
    let role = Role {
        name: role_name("Leser"),
        updated_at: Timestamp::MAX,
        ..here.reader.clone()
    };
    let node = Node {
        slug: slug("europa"),
        updated_at: Timestamp::MAX,
        ..here.eu.clone()
    };
    let mut tx = writing_in(&store, here.id()).await;
    tx.update_roles(&[role]).await.unwrap();
    tx.update_nodes(&[node]).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let mut tx = reading(&store).await;
    let found = tx.assignments(here.id(), &[made.id]).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&made));
    let facts = tx.assignment_facts(&here.place, &[made.key]).await.unwrap();
    assert_eq!(facts.existing, [(made.key, (&made).into())].into());
    let snapshot = tx.snapshot(here.id()).await.unwrap().unwrap();
    assert_eq!(snapshot.grants, [GrantFact::from(&made)]);
}

pub async fn two_assignments_may_swap_what_they_join(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let old = [
        world.assignment(world.ada(), &here.reader, &here.eu),
        world.assignment(world.ada(), &here.editor, &here.eu),
        world.assignment(world.ada(), &here.reader, &here.us),
    ];
    world.assign(store.as_ref(), &old).await;
    let mut tx = writing_in(&store, here.id()).await;
    let with_key = |assignment: &Assignment, key: AssignmentKey| Assignment {
        key,
        ..assignment.clone()
    };
    // Two swap their roles, then all three move round.
    let swapped = [with_key(&old[0], old[1].key), with_key(&old[1], old[0].key)];
    tx.update_assignments(&swapped).await.unwrap();
    let round = [
        with_key(&old[0], old[2].key),
        with_key(&old[1], old[1].key),
        with_key(&old[2], old[0].key),
    ];
    tx.update_assignments(&round).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let mut tx = reading(&store).await;
    let found = tx.assignments(here.id(), &old.each_ref().map(|a| a.id)).await.unwrap();
    assert_eq!(found, round);
}

pub async fn moving_an_assignment_onto_another_is_a_duplicate_and_changes_nothing(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let made = [
        world.assignment(world.ada(), &here.reader, &here.eu),
        world.assignment(world.alan(), &here.reader, &here.eu),
        world.assignment(world.ada(), &here.editor, &here.eu),
    ];
    world.assign(store.as_ref(), &made).await;
    let with_role = |assignment: &Assignment, role: &Role| Assignment {
        key: AssignmentKey {
            role: role.id,
            ..assignment.key
        },
        ..assignment.clone()
    };
    let mut tx = writing_in(&store, here.id()).await;
    // The second could go, but the first cannot: neither does.
    let clash = [with_role(&made[0], &here.editor), with_role(&made[1], &here.editor)];
    assert_duplicate(tx.update_assignments(&clash).await, Unique::AssignmentKey);
    assert_eq!(
        tx.assignments(here.id(), &made.each_ref().map(|a| a.id)).await.unwrap(),
        made
    );
    tx.update_assignments(&clash[1..]).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let mut tx = reading(&store).await;
    let found = tx.assignments(here.id(), &made.each_ref().map(|a| a.id)).await.unwrap();
    assert_eq!(found, [made[0].clone(), clash[1].clone(), made[2].clone()]);
}

pub async fn changing_an_assignment_that_is_not_there_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let absent = world.assignment(world.ada(), &here.reader, &here.eu);
    let mut tx = writing_in(&store, here.id()).await;
    assert_bug(tx.update_assignments(&[absent]).await);
}

pub async fn deleting_passes_over_assignments_that_are_not_there(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (&world.development, &world.production);
    let made = [world.ada(), world.alan()].map(|one| world.assignment(one, &here.reader, &here.eu));
    world.assign(store.as_ref(), &made).await;
    let mut tx = writing_in(&store, here.id()).await;
    tx.delete_assignments(there.id(), &[made[0].id]).await.unwrap();
    tx.delete_assignments(world.maker.id(), &[made[0].id]).await.unwrap();
    assert_eq!(tx.assignments(here.id(), &[made[0].id]).await.unwrap().len(), 1);
    tx.delete_assignments(here.id(), &[world.maker.id(), made[0].id, made[0].id])
        .await
        .unwrap();
    // The triple is free at once.
    let again = world.assignment(world.ada(), &here.reader, &here.eu);
    tx.insert_assignments(std::slice::from_ref(&again)).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let left = listed(&store, here.id(), &all(), world.maker.now()).await;
    assert_eq!(left, ids(&[&made[1], &again]));
}

pub async fn forty_thousand_assignments_are_stored_changed_and_deleted_in_one_call(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let nodes: Vec<Node> = (0..40_000 / 6)
        .map(|number| world.maker.node(here.id(), here.us.id, "team", &format!("n{number}")))
        .collect();
    let mut tx = writing_in(&store, here.id()).await;
    tx.insert_nodes(&nodes).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let mut made = vec![];
    for identity in &world.identities {
        for role in [&here.reader, &here.editor] {
            made.extend(nodes.iter().map(|node| world.assignment(identity.id, role, node)));
        }
    }
    world.assign(store.as_ref(), &made).await;
    let keys: Vec<AssignmentKey> = made.iter().map(|assignment| assignment.key).collect();
    let ids: Vec<AssignmentId> = made.iter().map(|assignment| assignment.id).collect();
    let mut tx = writing_in(&store, here.id()).await;
    for size in [5_000, made.len()] {
        let facts = tx.assignment_facts(&here.place, &keys[..size]).await.unwrap();
        assert_eq!(facts.existing.len(), size);
        assert_eq!(tx.assignments(here.id(), &ids[..size]).await.unwrap(), made[..size]);
    }
    let ended: Vec<Assignment> = made
        .iter()
        .map(|assignment| Assignment {
            window: window(Timestamp::MIN, world.maker.now()),
            ..assignment.clone()
        })
        .collect();
    tx.update_assignments(&ended).await.unwrap();
    let summary = tx.assignment_summary(here.id(), world.maker.now()).await.unwrap();
    assert_eq!(summary.expired, u64::try_from(made.len()).unwrap());
    tx.delete_assignments(here.id(), &ids[1..]).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let left = listed(&store, here.id(), &all(), world.maker.now()).await;
    assert_eq!(left, ids[..1]);
}

pub async fn assignments_are_found_by_the_roles_and_nodes_they_name(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let here = &acme.development;
    let made = [
        acme.assignment(acme.ada(), &here.reader, &here.eu),
        acme.assignment(acme.ada(), &here.editor, &here.eu),
        acme.assignment(acme.alan(), &here.editor, &here.us),
    ];
    acme.assign(store.as_ref(), &made).await;
    let [first, second, third] = made.each_ref().map(|one| one.id);
    let mut tx = reading(&store).await;
    let nobody = || (acme.maker.id(), acme.maker.id());
    for (roles, nodes, expected) in [
        (vec![here.reader.id], vec![], vec![first]),
        (vec![here.editor.id, here.editor.id], vec![], vec![second, third]),
        (vec![], vec![here.eu.id], vec![first, second]),
        (
            vec![here.editor.id],
            vec![here.eu.id, here.us.id],
            vec![first, second, third],
        ),
        (vec![nobody().0], vec![nobody().1], vec![]),
        (vec![], vec![], vec![]),
    ] {
        let found = tx.assignments_naming(here.id(), &roles, &nodes).await.unwrap();
        assert_eq!(found, sorted(expected));
    }
    for other in [acme.production.id(), zeta.development.id(), acme.maker.id()] {
        let found = tx.assignments_naming(other, &[here.reader.id], &[here.eu.id]).await;
        assert_eq!(found.unwrap(), []);
    }
}
