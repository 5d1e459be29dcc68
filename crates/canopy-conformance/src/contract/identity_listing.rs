//! Clauses on listing identities.

use super::identity::{add, everybody, names};
use super::support::{TestStore, acme, acme_and_zeta, page, reading, search_for, writing};
use canopy_domain::identity::listing::{IdentityCounts, IdentityQuery, IdentitySort, IdentityStatus};
use canopy_domain::port::LockScope;
use canopy_domain::{ApplicationId, Identity, IdentityId, MembershipStatus, SortOrder, Timestamp};
use canopy_testkit::fixture::{email, external_id, person};

pub async fn identity_filters_narrow_the_listing(store: TestStore) {
    let (acme, _zeta) = acme_and_zeta(&store).await;
    let maker = &acme.maker;
    let second = maker.application(acme.account.id, "second");
    let off = Identity {
        is_active: false,
        ..maker.identity(acme.account.id, "Off Line")
    };
    let mut tx = writing(&store, LockScope::Account(acme.account.id)).await;
    tx.insert_application(&second).await.unwrap();
    tx.insert_identities(std::slice::from_ref(&off)).await.unwrap();
    let joined = maker.membership(acme.ada(), second.id, MembershipStatus::Invited);
    tx.insert_memberships(&[joined]).await.unwrap();
    acme.commit(tx, &[]).await;
    acme.assign(
        store.as_ref(),
        &[acme.assignment(acme.alan(), &acme.development.reader, &acme.development.eu)],
    )
    .await;
    let (ada, alan, grace, line) = ("Ada Lovelace", "Alan Turing", "Grace Hopper", "Off Line");
    let (notes, second) = (Some(acme.application.id), Some(second.id));
    let ask = |member_of, not_member_of, status, has_any_assignment| IdentityQuery {
        member_of,
        not_member_of,
        status,
        has_any_assignment,
        ..everybody()
    };
    let nowhere = Some(maker.id::<ApplicationId>());
    let on = Some(IdentityStatus::Active);
    for (query, expected) in [
        (ask(None, None, None, None), vec![ada, alan, grace, line]),
        (ask(notes, None, None, None), vec![ada, alan, grace]),
        (ask(second, None, None, None), vec![ada]),
        (ask(nowhere, None, None, None), vec![]),
        (ask(None, notes, None, None), vec![line]),
        (ask(None, nowhere, None, None), vec![ada, alan, grace, line]),
        (ask(notes, second, None, None), vec![alan, grace]),
        (ask(notes, notes, None, None), vec![]),
        (ask(None, None, on, None), vec![ada, alan, grace]),
        (ask(None, None, Some(IdentityStatus::Inactive), None), vec![line]),
        (ask(None, None, None, Some(true)), vec![alan]),
        (ask(None, None, None, Some(false)), vec![ada, grace, line]),
        (ask(notes, None, None, Some(true)), vec![alan]),
        (ask(notes, None, on, Some(false)), vec![ada, grace]),
        (ask(second, None, None, Some(true)), vec![]),
        (ask(second, None, None, Some(false)), vec![ada]),
    ] {
        assert_eq!(names(&store, acme.account.id, &query).await, expected, "{query:?}");
    }
    // Assignments may be counted in one environment only; the environment has no effect if they are not counted.
    let assigned = |member_of, environment, has_any_assignment| IdentityQuery {
        assigned_in: Some(environment),
        ..ask(member_of, None, None, has_any_assignment)
    };
    let (here, there) = (acme.development.id(), acme.production.id());
    for (query, expected) in [
        (assigned(None, here, Some(true)), vec![alan]),
        (assigned(None, there, Some(true)), vec![]),
        (assigned(notes, here, Some(false)), vec![ada, grace]),
        (assigned(notes, there, Some(false)), vec![ada, alan, grace]),
        (assigned(second, here, Some(true)), vec![]),
        (assigned(notes, there, None), vec![ada, alan, grace]),
        (assigned(None, maker.id(), Some(true)), vec![]),
    ] {
        assert_eq!(names(&store, acme.account.id, &query).await, expected, "{query:?}");
    }
}

pub async fn identity_search_takes_every_character_as_it_is_and_folds_case(store: TestStore) {
    let world = acme(&store).await;
    let odd = Identity {
        email: email("100%_sure\\@x.example"),
        first_name: person("ÄRGER İ"),
        last_name: person("ΣΑΣ, \"so\" 🌳"),
        external_id: Some(external_id("Emp-4711")),
        ..world.maker.identity(world.account.id, "New One")
    };
    let name = odd.name();
    add(&store, &world, &[odd]).await;
    let found = name.as_str();
    for (search, expected) in [
        ("emp-4711", vec![found]),
        ("EMP-47 σασ", vec![found]),
        ("emp-4711 lovelace", vec![]),
        ("ada l", vec!["Ada Lovelace"]),
        ("Lovelace, Ada", vec!["Ada Lovelace"]),
        ("lovelace example turing", vec![]),
        ("LOVELACE", vec!["Ada Lovelace"]),
        ("adalovelace", vec![]),
        ("ada.love", vec!["Ada Lovelace"]),
        ("%", vec![found]),
        ("0%_S", vec![found]),
        ("_", vec![found]),
        ("\\", vec![found]),
        ("ärger i\u{307} σας", vec![found]),
        ("ärger İ σασ", vec![found]),
        ("s\u{200b}", vec![found]),
        ("🌳", vec![found]),
        (", \"SO\"", vec![found]),
        ("@EXAMPLE.com", vec!["Ada Lovelace", "Alan Turing", "Grace Hopper"]),
    ] {
        let query = IdentityQuery {
            search: search_for(search),
            ..everybody()
        };
        assert_eq!(names(&store, world.account.id, &query).await, expected, "{search}");
    }
}

pub async fn identities_are_sorted_both_ways_with_ties_broken_by_id(store: TestStore) {
    let world = acme(&store).await;
    let at = |millis: i64| Timestamp::from_millis(millis).unwrap();
    // The same name in another case is a tie; a name is ordered as a whole, not part by part.
    let people = [
        ("a", "B c", "z@x", 5),
        ("A", "b C", "y@x", 5),
        ("a b", "B", "b@x", 7),
        ("a B", "a", "a@x", 5),
        ("Ä", "a", "-@x", 1),
    ];
    let made = people.map(|(first, last, address, millis)| Identity {
        first_name: person(first),
        last_name: person(last),
        email: email(address),
        created_at: at(millis),
        ..world.maker.identity(world.account.id, "New One")
    });
    let account = world.maker.account("sorted");
    let made = made.map(|identity| Identity {
        account_id: account.id,
        ..identity
    });
    let mut tx = writing(&store, LockScope::Installation).await;
    tx.insert_account(&account).await.unwrap();
    tx.insert_identities(&made).await.unwrap();
    tx.commit(world.maker.record(account.id, &[])).await.unwrap();
    for (sort, expected) in [
        (IdentitySort::Name, [3, 2, 0, 1, 4]),
        (IdentitySort::Email, [4, 3, 2, 1, 0]),
        (IdentitySort::CreatedAt, [4, 0, 1, 3, 2]),
    ] {
        let mut expected: Vec<IdentityId> = expected.iter().map(|index| made[*index].id).collect();
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let query = IdentityQuery {
                sort,
                order,
                ..everybody()
            };
            let found = reading(&store).await.identities(account.id, &query).await.unwrap();
            let found: Vec<IdentityId> = found.items.iter().map(|identity| identity.id).collect();
            assert_eq!(found, expected, "{sort:?} {order:?}");
            expected.reverse();
        }
    }
}

pub async fn pages_of_identities_are_disjoint_and_complete(store: TestStore) {
    let world = acme(&store).await;
    // All have the same name, so only the id orders them.
    let made: Vec<Identity> = (0..10)
        .map(|number| Identity {
            email: email(&format!("{number}@x")),
            ..world.maker.identity(world.account.id, "Same Name")
        })
        .collect();
    add(&store, &world, &made).await;
    let query = |number| IdentityQuery {
        search: search_for("same"),
        page: page(number, 4),
        ..everybody()
    };
    let mut tx = reading(&store).await;
    let mut seen = vec![];
    for (number, size) in [(1, 4), (2, 4), (3, 2), (4, 0), (u32::MAX, 0)] {
        let found = tx.identities(world.account.id, &query(number)).await.unwrap();
        assert_eq!((found.items.len(), found.item_count), (size, 10), "page {number}");
        seen.extend(found.items.into_iter().map(|identity| identity.id));
    }
    assert_eq!(seen, made.iter().map(|identity| identity.id).collect::<Vec<_>>());
}

pub async fn identities_are_counted_by_switch_membership_and_what_they_hold(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let maker = &acme.maker;
    let made: Vec<(MembershipStatus, Identity)> = MembershipStatus::ALL
        .iter()
        .map(|status| (*status, maker.identity(acme.account.id, &format!("Is {status}"))))
        .collect();
    let off = Identity {
        is_active: false,
        ..maker.identity(acme.account.id, "Off Line")
    };
    let mut tx = writing(&store, super::identity::joining(&acme)).await;
    let identities: Vec<Identity> = made.iter().map(|(_, one)| one.clone()).chain([off.clone()]).collect();
    tx.insert_identities(&identities).await.unwrap();
    let joined = made.iter().map(|(status, one)| (one.id, *status));
    let memberships: Vec<_> = joined
        .chain([(off.id, MembershipStatus::Active)])
        .map(|(id, status)| maker.membership(id, acme.application.id, status))
        .collect();
    tx.insert_memberships(&memberships).await.unwrap();
    tx.insert_identities(&[maker.identity(acme.account.id, "Out Sider")])
        .await
        .unwrap();
    acme.commit(tx, &[]).await;
    let here = &acme.development;
    let held = [&here.eu, &here.us].map(|node| acme.assignment(acme.alan(), &here.reader, node));
    acme.assign(store.as_ref(), &held).await;

    let mut tx = reading(&store).await;
    let mut count = async |member_of, assigned_in| {
        let counts = tx.identity_counts(acme.account.id, member_of, assigned_in).await;
        counts.unwrap()
    };
    let whole = IdentityCounts {
        total: 9,
        active: 8,
        assigned: 1,
        ..IdentityCounts::default()
    };
    assert_eq!(count(None, None).await, whole);
    let notes = IdentityCounts {
        total: 8,
        active: 4,
        assigned: 1,
        invited: 1,
        deactivated: 1,
        suspended: 1,
    };
    let application = Some(acme.application.id);
    assert_eq!(count(application, None).await, notes);
    assert_eq!(count(application, Some(here.id())).await, notes);
    let elsewhere = IdentityCounts { assigned: 0, ..notes };
    assert_eq!(count(application, Some(acme.production.id())).await, elsewhere);
    assert_eq!(count(Some(zeta.application.id), None).await, IdentityCounts::default());
    let nobody = tx.identity_counts(maker.id(), None, None).await.unwrap();
    assert_eq!(nobody, IdentityCounts::default());
}
