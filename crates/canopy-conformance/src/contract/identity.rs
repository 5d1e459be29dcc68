//! Clauses on identities.

use super::support::{ODD_TEXT, TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, page, reading, writing};
use canopy_domain::identity::create::{IdentityFact, TakenIdentifiers};
use canopy_domain::identity::listing::{IdentityQuery, IdentitySort};
use canopy_domain::port::{LockScope, Unique};
use canopy_domain::{
    AccountId, AvatarUrl, Email, Identity, IdentityId, Membership, MembershipStatus, PageRequest, SortOrder, Timestamp,
};
use canopy_testkit::fixture::{World, email, external_id, json, person};

/// Returns a query for all identities, by name, on one page.
pub(super) fn everybody() -> IdentityQuery {
    IdentityQuery {
        member_of: None,
        not_member_of: None,
        status: None,
        has_any_assignment: None,
        assigned_in: None,
        search: None,
        sort: IdentitySort::Name,
        order: SortOrder::Ascending,
        page: page(1, PageRequest::MAX_TAKE),
    }
}

pub(super) async fn names(store: &TestStore, account: AccountId, query: &IdentityQuery) -> Vec<String> {
    let found = reading(store).await.identities(account, query).await.unwrap();
    let names: Vec<String> = found.items.iter().map(Identity::name).collect();
    assert_eq!(found.item_count, u64::try_from(names.len()).unwrap());
    names
}

/// Stores identities of the world's account.
pub(super) async fn add(store: &TestStore, world: &World, identities: &[Identity]) {
    let mut tx = writing(store, LockScope::Account(world.account.id)).await;
    tx.insert_identities(identities).await.unwrap();
    world.commit(tx, &[]).await;
}

pub(super) fn joining(world: &World) -> LockScope {
    LockScope::Memberships {
        application: world.application_ref(),
        identities: world.identities.iter().map(|identity| identity.id).collect(),
    }
}

pub async fn an_identity_reads_back_as_it_was_written(store: TestStore) {
    let world = acme(&store).await;
    let mut full = world.maker.identity(world.account.id, "Full Example");
    full.email = email("ü'%_\\\"+tag@müller.example");
    full.first_name = person(ODD_TEXT);
    full.last_name = person("O'Brien, \u{1F333}");
    full.avatar_url = Some(AvatarUrl::parse(&format!("https://x.example/{}", "ü".repeat(2_000))).unwrap());
    full.external_id = Some(external_id(ODD_TEXT));
    full.metadata = Some(json("{ \"a\" : [1, \"ü\\u0000\"] }"));
    full.is_active = false;
    (full.created_at, full.updated_at) = (Timestamp::MIN, Timestamp::MAX);
    let bare = world.maker.identity(world.account.id, "Bare Example");
    add(&store, &world, &[full.clone(), bare.clone()]).await;
    let mut tx = reading(&store).await;
    let listed = tx.identities(world.account.id, &everybody()).await.unwrap();
    assert_eq!(listed.item_count, 5);
    let asked = [full.id, bare.id, world.maker.id()];
    let labels = tx.identity_labels(world.account.id, &asked).await.unwrap();
    assert_eq!(
        labels,
        [&full, &bare].map(|identity| (identity.id, identity.name())).into()
    );
    for identity in [full, bare] {
        let found = tx.identity(world.account.id, identity.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&identity));
        assert!(listed.items.contains(&identity));
    }
}

pub async fn a_taken_email_is_a_duplicate_and_the_unit_of_work_goes_on(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let named = |world: &World, address: &str| Identity {
        email: email(address),
        ..world.maker.identity(world.account.id, "New One")
    };
    let mut tx = writing(&store, LockScope::Account(acme.account.id)).await;
    let with_taken = [
        named(&acme, "a@x"),
        named(&acme, "ADA.Lovelace@example.com"),
        named(&acme, "b@x"),
    ];
    assert_duplicate(tx.insert_identities(&with_taken).await, Unique::IdentityEmail);
    let twins = [named(&acme, "c@x"), named(&acme, "C@X")];
    assert_duplicate(tx.insert_identities(&twins).await, Unique::IdentityEmail);
    let free = ["a@x", "b@x", "c@x"].map(|address| named(&acme, address));
    tx.insert_identities(&free).await.unwrap();
    tx.insert_identities(&[named(&zeta, "a@x")]).await.unwrap();
    acme.commit(tx, &[]).await;
    assert_eq!(names(&store, acme.account.id, &everybody()).await.len(), 6);
    assert_eq!(names(&store, zeta.account.id, &everybody()).await.len(), 4);
}

pub async fn a_taken_external_id_is_a_duplicate_byte_for_byte(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let with_id = |world: &World, number: u32, text: &str| Identity {
        email: email(&format!("n{number}@x")),
        external_id: Some(external_id(text)),
        ..world.maker.identity(world.account.id, "New One")
    };
    let mut tx = writing(&store, LockScope::Account(acme.account.id)).await;
    tx.insert_identities(&[with_id(&acme, 1, "one")]).await.unwrap();
    let again = [with_id(&acme, 2, "two"), with_id(&acme, 3, "one")];
    assert_duplicate(tx.insert_identities(&again).await, Unique::IdentityExternalId);
    let twins = [with_id(&acme, 2, "two"), with_id(&acme, 3, "two")];
    assert_duplicate(tx.insert_identities(&twins).await, Unique::IdentityExternalId);
    let both = Identity {
        email: email("n1@x"),
        ..with_id(&acme, 4, "one")
    };
    assert_duplicate(tx.insert_identities(&[both]).await, Unique::IdentityEmail);
    let free = [
        with_id(&acme, 2, "two"),
        with_id(&acme, 3, "One"),
        with_id(&acme, 4, "\u{3bf}ne"),
        with_id(&acme, 5, "é"),
        with_id(&acme, 6, "e\u{301}"),
    ];
    tx.insert_identities(&free).await.unwrap();
    tx.insert_identities(&[with_id(&zeta, 1, "one")]).await.unwrap();
    acme.commit(tx, &[]).await;
    assert_eq!(names(&store, acme.account.id, &everybody()).await.len(), 3 + 6);
}

pub async fn an_identity_id_minted_twice_is_a_duplicate_id(store: TestStore) {
    let world = acme(&store).await;
    let mut again = world.maker.identity(world.account.id, "New One");
    again.id = world.ada();
    let mut tx = writing(&store, LockScope::Account(world.account.id)).await;
    assert_duplicate(tx.insert_identities(&[again]).await, Unique::Id);
    world.commit(tx, &[]).await;
}

pub async fn an_identity_of_no_account_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let nowhere = world.maker.id::<AccountId>();
    let mut tx = writing(&store, LockScope::Account(nowhere)).await;
    assert_bug(tx.insert_identities(&[world.maker.identity(nowhere, "No Body")]).await);
}

pub async fn taken_identifiers_are_those_of_the_account_alone(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let known = Identity {
        external_id: Some(external_id("X-1")),
        ..acme.maker.identity(acme.account.id, "New One")
    };
    let foreign = Identity {
        email: email("foreign@x"),
        external_id: Some(external_id("Z-1")),
        ..zeta.maker.identity(zeta.account.id, "Zeta One")
    };
    add(&store, &acme, std::slice::from_ref(&known)).await;
    add(&store, &zeta, std::slice::from_ref(&foreign)).await;
    let asked = TakenIdentifiers {
        emails: [
            "new.one@example.com",
            "ada.lovelace@example.com",
            "foreign@x",
            "nobody@x",
        ]
        .map(email)
        .into(),
        external_ids: ["X-1", "x-1", "Z-1"].map(external_id).into(),
    };
    let mut tx = reading(&store).await;
    let taken = tx.taken_identifiers(acme.account.id, &asked).await.unwrap();
    let expected = TakenIdentifiers {
        emails: ["new.one@example.com", "ada.lovelace@example.com"].map(email).into(),
        external_ids: ["X-1"].map(external_id).into(),
    };
    assert_eq!(taken, expected);
    let nothing = tx
        .taken_identifiers(acme.account.id, &TakenIdentifiers::default())
        .await
        .unwrap();
    assert_eq!(nothing, TakenIdentifiers::default());
    let nothing = tx.taken_identifiers(acme.maker.id(), &asked).await.unwrap();
    assert_eq!(nothing, TakenIdentifiers::default());
}

pub async fn forty_thousand_identities_are_stored_and_found_in_one_call(store: TestStore) {
    let world = acme(&store).await;
    let made: Vec<Identity> = (0..40_000)
        .map(|number| Identity {
            external_id: Some(external_id(&format!("ext-{number}"))),
            ..world.maker.identity(world.account.id, &format!("Number {number}"))
        })
        .collect();
    let memberships: Vec<Membership> = made
        .iter()
        .map(|one| {
            world
                .maker
                .membership(one.id, world.application.id, MembershipStatus::Active)
        })
        .collect();
    let mut tx = writing(&store, joining(&world)).await;
    tx.insert_identities(&made).await.unwrap();
    tx.insert_memberships(&memberships).await.unwrap();
    tx.update_memberships(&memberships).await.unwrap();
    world.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    for size in [5_000, 40_000] {
        let emails: std::collections::HashSet<Email> = made[..size].iter().map(|one| one.email.clone()).collect();
        let asked = TakenIdentifiers {
            emails,
            external_ids: made[..size].iter().filter_map(|one| one.external_id.clone()).collect(),
        };
        assert_eq!(tx.taken_identifiers(world.account.id, &asked).await.unwrap(), asked);
        let ids: Vec<IdentityId> = made[..size].iter().map(|one| one.id).collect();
        let facts = tx
            .identity_facts(world.account.id, world.application.id, &ids)
            .await
            .unwrap();
        assert_eq!(facts.len(), size);
        assert!(facts.values().all(|fact| fact.membership.is_some()));
    }
    assert_eq!(tx.members(world.application.id).await.unwrap().len(), 40_003);
}

pub async fn identity_facts_tell_switch_and_membership_of_those_the_account_has(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let off = Identity {
        is_active: false,
        ..acme.maker.identity(acme.account.id, "Off Line")
    };
    add(&store, &acme, std::slice::from_ref(&off)).await;
    let asked = [acme.ada(), off.id, acme.ada(), zeta.ada(), acme.maker.id()];
    let mut tx = reading(&store).await;
    let found = tx
        .identity_facts(acme.account.id, acme.application.id, &asked)
        .await
        .unwrap();
    let ada = IdentityFact {
        is_active: true,
        membership: Some(acme.memberships[0].clone()),
    };
    let outsider = |is_active| IdentityFact {
        is_active,
        membership: None,
    };
    assert_eq!(found, [(acme.ada(), ada), (off.id, outsider(false))].into());
    let elsewhere = tx
        .identity_facts(acme.account.id, zeta.application.id, &asked)
        .await
        .unwrap();
    assert_eq!(
        elsewhere,
        [(acme.ada(), outsider(true)), (off.id, outsider(false))].into()
    );
    let nobody = tx
        .identity_facts(acme.maker.id(), acme.application.id, &asked)
        .await
        .unwrap();
    assert!(nobody.is_empty());
}

pub async fn identities_of_one_account_are_nothing_to_another(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.identity(zeta.account.id, acme.ada()).await.unwrap(), None);
    assert_eq!(tx.identity(acme.account.id, acme.maker.id()).await.unwrap(), None);
    let listed = tx.identities(zeta.account.id, &everybody()).await.unwrap();
    assert!(
        listed
            .items
            .iter()
            .all(|identity| identity.account_id == zeta.account.id)
    );
    let foreign = IdentityQuery {
        member_of: Some(acme.application.id),
        ..everybody()
    };
    assert_eq!(tx.identities(zeta.account.id, &foreign).await.unwrap().item_count, 0);
    let nobody = tx.identities(acme.maker.id(), &everybody()).await.unwrap();
    assert_eq!((nobody.items.len(), nobody.item_count), (0, 0));
}
