//! Clauses on listing and counting assignments.

use super::support::{TestStore, acme, millis_after, page, reading, search_for, sorted, writing};
use canopy_domain::assignment::listing::{
    AssignmentQuery, AssignmentSort, AssignmentSummary, AssignmentView, IdentitySummary,
};
use canopy_domain::port::LockScope;
use canopy_domain::{
    AccessType, Assignment, AssignmentId, AssignmentStatus, AvatarUrl, EXPIRING_SOON_SECONDS, EnvironmentId, Identity,
    MembershipStatus, Node, PageRequest, Role, SortOrder, Timestamp, Window,
};
use canopy_testkit::fixture::{email, external_id, name, person, role_name, window, window_from};

/// Returns a query for all, oldest first, on one page.
pub(super) fn all() -> AssignmentQuery {
    AssignmentQuery {
        held_at: None,
        role: None,
        status: None,
        source_node: None,
        search: None,
        sort: AssignmentSort::CreatedAt,
        order: SortOrder::Ascending,
        page: page(1, PageRequest::MAX_TAKE),
    }
}

pub(super) async fn listed(
    store: &TestStore,
    environment: EnvironmentId,
    query: &AssignmentQuery,
    now: Timestamp,
) -> Vec<AssignmentId> {
    let found = reading(store)
        .await
        .assignment_views(environment, query, now)
        .await
        .unwrap();
    assert_eq!(found.item_count, u64::try_from(found.items.len()).unwrap());
    found.items.iter().map(|view| view.assignment.id).collect()
}

pub(super) fn ids(assignments: &[&Assignment]) -> Vec<AssignmentId> {
    assignments.iter().map(|assignment| assignment.id).collect()
}

pub async fn a_listed_assignment_shows_whom_what_and_where(store: TestStore) {
    let world = acme(&store).await;
    let development = &world.development;
    let pictured = Identity {
        avatar_url: Some(AvatarUrl::parse("https://x.example/ü.png").unwrap()),
        ..world.maker.identity(world.account.id, "Pic Tured")
    };
    let joined = world
        .maker
        .membership(pictured.id, world.application.id, MembershipStatus::Suspended);
    let scope = LockScope::Memberships {
        application: world.application_ref(),
        identities: vec![],
    };
    let mut tx = writing(&store, scope).await;
    tx.insert_identities(std::slice::from_ref(&pictured)).await.unwrap();
    tx.insert_memberships(&[joined]).await.unwrap();
    world.commit(tx, &[development.id()]).await;
    let made = [
        world.assignment(world.ada(), &development.editor, &development.berlin),
        world.assignment(pictured.id, &development.reader, &development.root),
    ];
    world.assign(store.as_ref(), &made).await;
    let view = |assignment: &Assignment, identity: &Identity, role: &Role, node: &Node| AssignmentView {
        assignment: assignment.clone(),
        identity: IdentitySummary {
            id: identity.id,
            first_name: identity.first_name.clone(),
            last_name: identity.last_name.clone(),
            email: identity.email.clone(),
            avatar_url: identity.avatar_url.clone(),
        },
        role_name: role.name.clone(),
        node_name: node.name.clone(),
        access_type: AccessType::Direct,
    };
    let mut tx = reading(&store).await;
    let page = tx
        .assignment_views(development.id(), &all(), world.maker.now())
        .await
        .unwrap();
    let expected = [
        view(&made[0], &world.identities[0], &development.editor, &development.berlin),
        view(&made[1], &pictured, &development.reader, &development.root),
    ];
    assert_eq!(page.items, expected);
}

pub async fn state_changes_at_the_borders_to_the_millisecond(store: TestStore) {
    let world = acme(&store).await;
    let (id, reader, eu) = (world.development.id(), &world.development.reader, &world.development.eu);
    let now = world.maker.now();
    let made = Assignment {
        window: window(now, millis_after(now, 2)),
        ..world.assignment(world.ada(), reader, eu)
    };
    world.assign(store.as_ref(), std::slice::from_ref(&made)).await;
    for (micros, state) in [
        (-1, AssignmentStatus::Scheduled),
        (0, AssignmentStatus::Active),
        (1, AssignmentStatus::Active),
        (2, AssignmentStatus::Expired),
        (3, AssignmentStatus::Expired),
    ] {
        let at = millis_after(now, micros);
        for status in [
            AssignmentStatus::Scheduled,
            AssignmentStatus::Active,
            AssignmentStatus::Expired,
        ] {
            let query = AssignmentQuery {
                status: Some(status),
                ..all()
            };
            let expected = if status == state { vec![made.id] } else { vec![] };
            assert_eq!(listed(&store, id, &query, at).await, expected, "{micros} {status}");
        }
        let summary = reading(&store).await.assignment_summary(id, at).await.unwrap();
        let expected = AssignmentSummary {
            active: u64::from(state == AssignmentStatus::Active),
            scheduled: u64::from(state == AssignmentStatus::Scheduled),
            expired: u64::from(state == AssignmentStatus::Expired),
            expiring_soon: u64::from(state == AssignmentStatus::Active),
            distinct_roles: 1,
        };
        assert_eq!(summary, expected, "{micros}");
    }
}

pub async fn a_window_without_an_end_never_expires(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let made = Assignment {
        window: window_from(Timestamp::MIN),
        ..world.assignment(world.ada(), &world.development.reader, &world.development.eu)
    };
    world.assign(store.as_ref(), &[made]).await;
    for now in [Timestamp::MIN, Timestamp::MAX] {
        let summary = reading(&store).await.assignment_summary(id, now).await.unwrap();
        let expected = AssignmentSummary {
            active: 1,
            distinct_roles: 1,
            ..AssignmentSummary::default()
        };
        assert_eq!(summary, expected);
    }
}

pub async fn expiring_soon_means_exactly_seven_days(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let now = world.maker.now();
    let week = EXPIRING_SOON_SECONDS * 1_000;
    let windows: [(Window, bool); 6] = [
        (window(now, millis_after(now, week - 1)), true),
        (window(now, millis_after(now, week)), true),
        (window(now, millis_after(now, week + 1)), false),
        (window(millis_after(now, 1), millis_after(now, 2)), false),
        (window(millis_after(now, -1), now), false),
        (window_from(now), false),
    ];
    let nodes = [&here.root, &here.eu, &here.us, &here.berlin, &here.paris];
    let made: Vec<Assignment> = windows
        .iter()
        .zip(nodes.iter().cycle())
        .enumerate()
        .map(|(index, ((window, _), node))| Assignment {
            window: *window,
            ..world.assignment(
                world.identities[index % 3].id,
                [&here.reader, &here.editor][index / 3],
                node,
            )
        })
        .collect();
    world.assign(store.as_ref(), &made).await;
    let summary = reading(&store).await.assignment_summary(here.id(), now).await.unwrap();
    let soon = windows.iter().filter(|(_, soon)| *soon).count();
    let expected = AssignmentSummary {
        active: 4,
        scheduled: 1,
        expired: 1,
        expiring_soon: u64::try_from(soon).unwrap(),
        distinct_roles: 2,
    };
    assert_eq!(summary, expected);
    // At the end of time, "within seven days" is held at the last instant there is.
    let last = Assignment {
        window: window(now, Timestamp::MAX),
        ..world.assignment(world.ada(), &here.editor, &here.us)
    };
    world.assign(store.as_ref(), &[last]).await;
    let almost = millis_after(Timestamp::MAX, -1);
    let summary = reading(&store)
        .await
        .assignment_summary(here.id(), almost)
        .await
        .unwrap();
    assert_eq!((summary.active, summary.expiring_soon), (2, 1));
}

pub async fn assignment_filters_narrow_the_listing(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let now = world.maker.now();
    let [a, b, c] = [
        world.assignment(world.ada(), &here.reader, &here.eu),
        world.assignment(world.ada(), &here.editor, &here.berlin),
        Assignment {
            window: window_from(millis_after(now, 1)),
            ..world.assignment(world.alan(), &here.reader, &here.berlin)
        },
    ];
    world.assign(store.as_ref(), &[a.clone(), b.clone(), c.clone()]).await;
    let ask = |role, status, source_node| AssignmentQuery {
        role,
        status,
        source_node,
        ..all()
    };
    let (reader, berlin) = (Some(here.reader.id), Some(here.berlin.id));
    let scheduled = Some(AssignmentStatus::Scheduled);
    for (query, expected) in [
        (ask(None, None, None), ids(&[&a, &b, &c])),
        (ask(reader, None, None), ids(&[&a, &c])),
        (ask(None, None, berlin), ids(&[&b, &c])),
        (ask(reader, None, berlin), ids(&[&c])),
        (ask(None, scheduled, None), ids(&[&c])),
        (ask(Some(here.editor.id), scheduled, None), vec![]),
        (ask(Some(world.production.reader.id), None, None), vec![]),
        (ask(None, None, Some(world.maker.id())), vec![]),
    ] {
        assert_eq!(listed(&store, here.id(), &query, now).await, expected, "{query:?}");
    }
}

pub async fn assignment_search_looks_at_identity_role_and_node(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let odd = Identity {
        email: email("100%_sure\\@x.example"),
        first_name: person("ÄRGER"),
        last_name: person("ΣΑΣ, \"so\" 🌳"),
        external_id: Some(external_id("Emp-4711")),
        ..world.maker.identity(world.account.id, "New One")
    };
    let joined = world
        .maker
        .membership(odd.id, world.application.id, MembershipStatus::Active);
    let role = Role {
        name: role_name("Prüfer 50%"),
        ..world.maker.role(here.id(), "New")
    };
    let node = Node {
        name: name("Zürich_West \\ 東京"),
        ..world.maker.node(here.id(), here.us.id, "team", "unlisted")
    };
    let scope = LockScope::Memberships {
        application: world.application_ref(),
        identities: vec![],
    };
    let mut tx = writing(&store, scope).await;
    tx.insert_identities(std::slice::from_ref(&odd)).await.unwrap();
    tx.insert_memberships(&[joined]).await.unwrap();
    tx.insert_roles(std::slice::from_ref(&role)).await.unwrap();
    tx.insert_nodes(std::slice::from_ref(&node)).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let [who, what, place] = [
        world.assignment(odd.id, &here.reader, &here.eu),
        world.assignment(world.ada(), &role, &here.us),
        world.assignment(world.alan(), &here.editor, &node),
    ];
    world
        .assign(store.as_ref(), &[who.clone(), what.clone(), place.clone()])
        .await;
    for (search, expected) in [
        ("ärger σας", ids(&[&who])),
        ("σασ, ärger", ids(&[&who])),
        ("paris alan", ids(&[])),
        ("ÄRGER σασ, \"", ids(&[&who])),
        ("🌳", ids(&[&who])),
        ("emp-4711", ids(&[&who])),
        ("ada lovelace", ids(&[&what])),
        ("Lovelace Ada prüfer", ids(&[&what])),
        ("lovelace reader", ids(&[])),
        ("ALAN.turing@", ids(&[&place])),
        ("%", ids(&[&who, &what])),
        ("0%_S", ids(&[&who])),
        ("\\", ids(&[&who, &place])),
        ("PRÜFER 50%", ids(&[&what])),
        ("reader", ids(&[&who])),
        ("h_w", ids(&[&place])),
        ("東京", ids(&[&place])),
        ("unlisted", vec![]),
        ("", ids(&[&who, &what, &place])),
        ("nothing like it", vec![]),
    ] {
        let query = AssignmentQuery {
            search: search_for(search),
            ..all()
        };
        assert_eq!(
            listed(&store, here.id(), &query, world.maker.now()).await,
            expected,
            "{search}"
        );
    }
}

pub async fn assignments_are_sorted_both_ways_with_ties_broken_by_id(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let at = |micros| millis_after(world.maker.now(), micros);
    // Ids rise in the order in which these are made.
    let made = [
        (world.grace(), &here.reader, &here.eu, at(3)),
        (world.ada(), &here.editor, &here.us, at(2)),
        (world.ada(), &here.reader, &here.us, at(3)),
        (world.alan(), &here.editor, &here.eu, at(1)),
    ];
    let made = made.map(|(identity, role, node, created_at)| Assignment {
        created_at,
        ..world.assignment(identity, role, node)
    });
    world.assign(store.as_ref(), &made).await;
    for (sort, expected) in [
        (AssignmentSort::Name, [1, 2, 3, 0]),
        (AssignmentSort::Role, [1, 3, 0, 2]),
        (AssignmentSort::AccessType, [0, 1, 2, 3]),
        (AssignmentSort::CreatedAt, [3, 1, 0, 2]),
    ] {
        let mut expected = expected.map(|index: usize| made[index].id);
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let query = AssignmentQuery { sort, order, ..all() };
            let found = listed(&store, here.id(), &query, world.maker.now()).await;
            assert_eq!(found, expected, "{sort} {order}");
            expected.reverse();
        }
    }
}

pub async fn pages_of_assignments_are_disjoint_and_complete(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let mut made = vec![];
    for role in [&here.reader, &here.editor] {
        for node in [&here.root, &here.eu, &here.us, &here.berlin, &here.paris] {
            made.push(world.assignment(world.ada(), role, node));
        }
    }
    world.assign(store.as_ref(), &made).await;
    let mut tx = reading(&store).await;
    for sort in AssignmentSort::ALL {
        let mut seen = vec![];
        for (number, size) in [(1, 4), (2, 4), (3, 2), (4, 0), (u32::MAX, 0)] {
            let query = AssignmentQuery {
                sort: *sort,
                page: page(number, 4),
                ..all()
            };
            let found = tx.assignment_views(here.id(), &query, world.maker.now()).await.unwrap();
            assert_eq!((found.items.len(), found.item_count), (size, 10), "page {number}");
            seen.extend(found.items.into_iter().map(|view| view.assignment.id));
        }
        assert_eq!(
            sorted(seen),
            made.iter().map(|assignment| assignment.id).collect::<Vec<_>>()
        );
    }
}

pub async fn the_number_of_assignments_is_exact_after_every_change(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (&world.development, &world.production);
    let number = async |environment| {
        let mut tx = reading(&store).await;
        let found = tx
            .assignment_views(environment, &all(), world.maker.now())
            .await
            .unwrap();
        assert_eq!(found.items.len() as u64, found.item_count);
        found.item_count
    };
    assert_eq!(number(here.id()).await, 0);
    let made = [
        world.assignment(world.ada(), &here.reader, &here.eu),
        world.assignment(world.ada(), &here.editor, &here.eu),
        world.assignment(world.alan(), &here.reader, &here.us),
    ];
    world.assign(store.as_ref(), &made).await;
    assert_eq!(number(here.id()).await, 3);
    assert_eq!(number(there.id()).await, 0);
    // A refused insert, an update and an unknown id do not change the counts.
    let mut tx = writing(&store, LockScope::Environment(here.place)).await;
    let again = Assignment {
        id: world.maker.id(),
        ..made[0].clone()
    };
    tx.insert_assignments(&[again]).await.unwrap_err();
    tx.update_assignments(&made[..2]).await.unwrap();
    tx.delete_assignments(here.id(), &[made[2].id, world.maker.id()])
        .await
        .unwrap();
    world.commit(tx, &[here.id()]).await;
    assert_eq!(number(here.id()).await, 2);
    let mut tx = writing(&store, LockScope::Environment(here.place)).await;
    tx.delete_assignments(here.id(), &[made[0].id]).await.unwrap();
    drop(tx);
    assert_eq!(number(here.id()).await, 2, "what was rolled back");
    let scope = LockScope::Memberships {
        application: world.application_ref(),
        identities: vec![world.ada()],
    };
    let mut tx = writing(&store, scope).await;
    tx.revoke_all(&[here.id(), there.id()], world.ada()).await.unwrap();
    world.commit(tx, &[here.id(), there.id()]).await;
    assert_eq!(number(here.id()).await, 0);
    // A commit that does not name the environment still leaves the right count, and creates no revision there.
    let before = reading(&store).await.revision(here.id()).await.unwrap();
    let mut tx = writing(&store, LockScope::Environment(here.place)).await;
    tx.insert_assignments(&made[2..]).await.unwrap();
    world.commit(tx, &[]).await;
    assert_eq!(number(here.id()).await, 1);
    let mut tx = writing(&store, LockScope::Environment(here.place)).await;
    tx.delete_assignments(here.id(), &[made[2].id]).await.unwrap();
    world.commit(tx, &[]).await;
    assert_eq!(number(here.id()).await, 0);
    assert_eq!(reading(&store).await.revision(here.id()).await.unwrap(), before);
}
