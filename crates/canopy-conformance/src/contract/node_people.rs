//! Clauses on the assignments that hold at a node, direct and inherited.

use super::assignment_listing::{all, ids, listed};
use super::support::{TestStore, acme, acme_and_zeta, millis_after, page, reading, search_for, writing};
use canopy_domain::assignment::listing::{
    AssignmentQuery, AssignmentSort, AssignmentSummary, HeldAt, IdentitySummary, NodeAssignmentSummary,
};
use canopy_domain::port::LockScope;
use canopy_domain::{
    AccessType, Assignment, AssignmentStatus, EnvironmentId, Identity, MembershipStatus, Node, SortOrder,
};
use canopy_testkit::fixture::{World, window_from};

fn at(node: &Node, access_type: Option<AccessType>) -> AssignmentQuery {
    let held_at = Some(HeldAt {
        node: node.id,
        access_type,
    });
    AssignmentQuery { held_at, ..all() }
}

/// Ada reads at the root, edits in the EU and in Berlin, Alan reads in Berlin from tomorrow on, and Grace in Paris.
async fn some(store: &TestStore, world: &World) -> [Assignment; 5] {
    let here = &world.development;
    let later = window_from(millis_after(world.maker.now(), 1));
    let made = [
        world.assignment(world.ada(), &here.reader, &here.root),
        world.assignment(world.ada(), &here.editor, &here.eu),
        world.assignment(world.ada(), &here.editor, &here.berlin),
        Assignment {
            window: later,
            ..world.assignment(world.alan(), &here.reader, &here.berlin)
        },
        world.assignment(world.grace(), &here.reader, &here.paris),
    ];
    world.assign(store.as_ref(), &made).await;
    made
}

pub async fn an_assignment_holds_at_its_node_and_below_and_says_which_it_is(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let [root, eu, berlin, later, paris] = some(&store, &world).await;
    let (direct, inherited) = (AccessType::Direct, AccessType::Inherited);
    for (node, expected) in [
        (&here.root, vec![(&root, direct)]),
        (&here.us, vec![(&root, inherited)]),
        (&here.eu, vec![(&root, inherited), (&eu, direct)]),
        (
            &here.berlin,
            vec![
                (&root, inherited),
                (&eu, inherited),
                (&berlin, direct),
                (&later, direct),
            ],
        ),
        (
            &here.paris,
            vec![(&root, inherited), (&eu, inherited), (&paris, direct)],
        ),
    ] {
        let mut tx = reading(&store).await;
        let found = tx
            .assignment_views(here.id(), &at(node, None), world.maker.now())
            .await
            .unwrap();
        let shown: Vec<_> = found
            .items
            .iter()
            .map(|view| (&view.assignment, view.access_type))
            .collect();
        assert_eq!(shown, expected, "{}", node.slug);
        assert_eq!(found.item_count, u64::try_from(expected.len()).unwrap());
        let source = found.items.iter().find(|view| view.assignment.id == root.id).unwrap();
        assert_eq!(source.node_name, here.root.name, "where it was made");
    }
}

pub async fn held_assignments_are_filtered_searched_sorted_and_paged(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let [root, eu, berlin, later, _] = some(&store, &world).await;
    let plain = at(&here.berlin, None);
    let search = |text: &str| AssignmentQuery {
        search: search_for(text),
        ..plain.clone()
    };
    let with = |change: fn(&mut AssignmentQuery, &World)| {
        let mut query = plain.clone();
        change(&mut query, &world);
        query
    };
    for (query, expected) in [
        (at(&here.berlin, Some(AccessType::Direct)), ids(&[&berlin, &later])),
        (at(&here.berlin, Some(AccessType::Inherited)), ids(&[&root, &eu])),
        (
            with(|q, w| q.role = Some(w.development.editor.id)),
            ids(&[&eu, &berlin]),
        ),
        (with(|q, w| q.source_node = Some(w.development.eu.id)), ids(&[&eu])),
        (with(|q, w| q.source_node = Some(w.development.paris.id)), vec![]),
        (
            with(|q, _| q.status = Some(AssignmentStatus::Scheduled)),
            ids(&[&later]),
        ),
        (search("alan"), ids(&[&later])),
        (search("editor"), ids(&[&eu, &berlin])),
        (search("grace"), vec![]),
        (search("paris"), vec![]),
    ] {
        let found = listed(&store, here.id(), &query, world.maker.now()).await;
        assert_eq!(found, expected, "{query:?}");
    }
    for (sort, expected) in [
        (AssignmentSort::Name, [&root, &eu, &berlin, &later]),
        (AssignmentSort::Role, [&eu, &berlin, &root, &later]),
        (AssignmentSort::AccessType, [&berlin, &later, &root, &eu]),
        (AssignmentSort::CreatedAt, [&root, &eu, &berlin, &later]),
    ] {
        let mut expected = ids(&expected);
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let query = AssignmentQuery {
                sort,
                order,
                ..plain.clone()
            };
            let found = listed(&store, here.id(), &query, world.maker.now()).await;
            assert_eq!(found, expected, "{sort} {order}");
            let mut paged = vec![];
            for number in 1..=3 {
                let query = AssignmentQuery {
                    page: page(number, 2),
                    ..query.clone()
                };
                let mut tx = reading(&store).await;
                let found = tx.assignment_views(here.id(), &query, world.maker.now()).await.unwrap();
                assert_eq!(found.item_count, 4);
                paged.extend(found.items.into_iter().map(|view| view.assignment.id));
            }
            assert_eq!(paged, expected, "{sort} {order}, by pages");
            expected.reverse();
        }
    }
}

pub async fn assignments_at_nodes_are_those_made_there(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let [_, eu, berlin, later, _] = some(&store, &world).await;
    let asked = [
        here.berlin.id,
        here.eu.id,
        here.us.id,
        here.berlin.id,
        world.maker.id(),
        world.production.eu.id,
    ];
    let mut tx = reading(&store).await;
    assert_eq!(
        tx.assignments_at(here.id(), &asked).await.unwrap(),
        [eu, berlin, later],
        "by id, each once"
    );
    assert_eq!(tx.assignments_at(here.id(), &[]).await.unwrap(), []);
}

fn summary_of(identity: &Identity) -> IdentitySummary {
    IdentitySummary {
        id: identity.id,
        first_name: identity.first_name.clone(),
        last_name: identity.last_name.clone(),
        email: identity.email.clone(),
        avatar_url: identity.avatar_url.clone(),
    }
}

pub async fn a_node_counts_what_holds_at_it_and_names_the_newest(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let made = some(&store, &world).await;
    let now = world.maker.now();
    let mut tx = reading(&store).await;
    let summary = |counts, direct, inherited, recent: &[usize]| NodeAssignmentSummary {
        counts,
        direct,
        inherited,
        recent: recent
            .iter()
            .map(|index| summary_of(&world.identities[*index]))
            .collect(),
    };
    let counts = AssignmentSummary {
        active: 3,
        scheduled: 1,
        expired: 0,
        expiring_soon: 0,
        distinct_roles: 2,
    };
    assert_eq!(
        tx.node_assignment_summary(here.id(), here.berlin.id, now)
            .await
            .unwrap(),
        summary(counts, 2, 2, &[0, 1])
    );
    let counts = AssignmentSummary {
        active: 1,
        distinct_roles: 1,
        ..AssignmentSummary::default()
    };
    assert_eq!(
        tx.node_assignment_summary(here.id(), here.us.id, now).await.unwrap(),
        summary(counts, 0, 1, &[0])
    );
    drop(tx);

    // Five more people, each a little later than the one before, and Ada last of all once more.
    let more: Vec<Identity> = ["A A", "B B", "C C", "D D", "E E"]
        .map(|name| world.maker.identity(world.account.id, name))
        .into();
    let joined: Vec<_> = more
        .iter()
        .map(|one| {
            world
                .maker
                .membership(one.id, world.application.id, MembershipStatus::Active)
        })
        .collect();
    let scope = LockScope::Memberships {
        application: world.application_ref(),
        identities: vec![],
    };
    let mut tx = writing(&store, scope).await;
    tx.insert_identities(&more).await.unwrap();
    tx.insert_memberships(&joined).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let late = |micros, assignment: Assignment| Assignment {
        created_at: millis_after(now, micros),
        ..assignment
    };
    let mut held: Vec<Assignment> = (1..)
        .zip(&more)
        .map(|(micros, one)| late(micros, world.assignment(one.id, &here.reader, &here.us)))
        .collect();
    held.push(late(6, world.assignment(world.ada(), &here.editor, &here.us)));
    world.assign(store.as_ref(), &held).await;
    let mut tx = reading(&store).await;
    let found = tx.node_assignment_summary(here.id(), here.us.id, now).await.unwrap();
    let newest = [&world.identities[0], &more[4], &more[3], &more[2], &more[1]];
    assert_eq!(found.recent, newest.map(summary_of));
    assert_eq!((found.direct, found.inherited), (6, 1));
    assert_eq!(made.len(), 5);
}

pub async fn what_holds_at_a_node_is_nothing_to_another_environment(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    some(&store, &acme).await;
    let berlin = &acme.development.berlin;
    let nowhere = acme.maker.id::<EnvironmentId>();
    for other in [acme.production.id(), zeta.development.id(), nowhere] {
        let now = acme.maker.now();
        assert_eq!(listed(&store, other, &at(berlin, None), now).await, []);
        let mut tx = reading(&store).await;
        assert_eq!(tx.assignments_at(other, &[berlin.id]).await.unwrap(), []);
        let summary = tx.node_assignment_summary(other, berlin.id, now).await.unwrap();
        assert_eq!(summary, NodeAssignmentSummary::default());
    }
}
