//! Clauses on changing and deleting identities.

use super::identity::{add, everybody, joining, names};
use super::support::{
    ODD_TEXT, TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, reading, search_for, writing, writing_in,
};
use canopy_domain::identity::create::TakenIdentifiers;
use canopy_domain::identity::listing::{IdentityQuery, IdentityStatus};
use canopy_domain::port::{LockScope, Unique};
use canopy_domain::{AvatarUrl, Identity, IdentityId, MembershipStatus, Timestamp};
use canopy_testkit::fixture::{World, email, external_id, json, person};

fn changing(world: &World, id: IdentityId) -> LockScope {
    LockScope::Identities {
        account: world.account.id,
        identities: vec![id],
    }
}

pub async fn updating_an_identity_overwrites_its_row(store: TestStore) {
    let world = acme(&store).await;
    let full = Identity {
        email: email("new_%@müller.example"),
        first_name: person(ODD_TEXT),
        last_name: person("ÄRGER"),
        avatar_url: Some(AvatarUrl::parse("https://x.example/ü").unwrap()),
        external_id: Some(external_id(ODD_TEXT)),
        metadata: Some(json("{ \"a\" : [1, \"ü\"] }")),
        is_active: false,
        created_at: Timestamp::MIN,
        updated_at: Timestamp::MAX,
        ..world.identities[0].clone()
    };
    let bare = Identity {
        email: email("bare@x"),
        ..world.identities[0].clone()
    };
    for changed in [full.clone(), full, bare] {
        let mut tx = writing(&store, changing(&world, world.ada())).await;
        tx.update_identity(&changed).await.unwrap();
        world.commit(tx, &[]).await;
        let mut tx = reading(&store).await;
        let found = tx.identity(world.account.id, world.ada()).await.unwrap();
        assert_eq!(found.as_ref(), Some(&changed));
        drop(tx);
        // Search and sort order use the new name.
        let query = IdentityQuery {
            search: search_for(&changed.name()),
            status: Some(if changed.is_active {
                IdentityStatus::Active
            } else {
                IdentityStatus::Inactive
            }),
            ..everybody()
        };
        assert_eq!(names(&store, world.account.id, &query).await, [changed.name()]);
    }
    let asked = TakenIdentifiers {
        emails: world.identities.iter().map(|one| one.email.clone()).collect(),
        external_ids: [external_id(ODD_TEXT)].into(),
    };
    let taken = reading(&store)
        .await
        .taken_identifiers(world.account.id, &asked)
        .await
        .unwrap();
    assert_eq!(taken.emails.len(), 2, "the first email is free again");
    assert!(taken.external_ids.is_empty());
}

pub async fn changing_an_identity_to_a_taken_identifier_is_a_duplicate(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let held = Identity {
        external_id: Some(external_id("one")),
        ..acme.maker.identity(acme.account.id, "New One")
    };
    add(&store, &acme, std::slice::from_ref(&held)).await;
    let ada = &acme.identities[0];
    let with = |address: &str, id: Option<&str>| Identity {
        email: email(address),
        external_id: id.map(external_id),
        ..ada.clone()
    };
    let mut tx = writing(&store, changing(&acme, ada.id)).await;
    let taken = "alan.turing@example.com";
    for (changed, rule) in [
        (with(taken, None), Unique::IdentityEmail),
        (with("free@x", Some("one")), Unique::IdentityExternalId),
        (with(taken, Some("one")), Unique::IdentityEmail),
    ] {
        assert_duplicate(tx.update_identity(&changed).await, rule);
    }
    let found = tx.identity(acme.account.id, ada.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(ada), "a refused change leaves nothing");
    // Its own are its own, and what another account has is free.
    tx.update_identity(&with(ada.email.as_str(), Some("One")))
        .await
        .unwrap();
    tx.update_identity(&with(ada.email.as_str(), Some("One")))
        .await
        .unwrap();
    let theirs = Identity {
        external_id: Some(external_id("one")),
        ..zeta.identities[1].clone()
    };
    tx.update_identity(&theirs).await.unwrap();
    acme.commit(tx, &[]).await;
    let found = reading(&store).await.identity(acme.account.id, ada.id).await.unwrap();
    assert_eq!(found.unwrap().external_id, Some(external_id("One")));
}

pub async fn changing_an_identity_that_is_not_there_is_refused(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let absent = acme.maker.identity(acme.account.id, "New One");
    let foreign = Identity {
        account_id: acme.account.id,
        email: email("free@x"),
        ..zeta.identities[0].clone()
    };
    for identity in [absent, foreign] {
        let mut tx = writing(&store, changing(&acme, identity.id)).await;
        assert_bug(tx.update_identity(&identity).await);
    }
    let found = reading(&store)
        .await
        .identity(zeta.account.id, zeta.ada())
        .await
        .unwrap();
    assert_eq!(found.as_ref(), zeta.identities.first());
}

pub async fn a_deleted_identity_goes_with_its_memberships_and_frees_its_identifiers(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let maker = &acme.maker;
    let second = maker.application(acme.account.id, "second");
    let gone = Identity {
        external_id: Some(external_id("one")),
        ..maker.identity(acme.account.id, "New One")
    };
    let mut tx = writing(&store, joining(&acme)).await;
    tx.insert_application(&second).await.unwrap();
    tx.insert_identities(std::slice::from_ref(&gone)).await.unwrap();
    for application in [acme.application.id, second.id] {
        let joined = maker.membership(gone.id, application, MembershipStatus::Suspended);
        tx.insert_memberships(&[joined]).await.unwrap();
    }
    acme.commit(tx, &[]).await;

    let mut tx = writing(&store, changing(&acme, gone.id)).await;
    // An unknown id, or one of another account, is skipped.
    tx.delete_identity(acme.account.id, maker.id()).await.unwrap();
    tx.delete_identity(acme.account.id, zeta.ada()).await.unwrap();
    tx.delete_identity(acme.account.id, gone.id).await.unwrap();
    tx.delete_identity(acme.account.id, gone.id).await.unwrap();
    acme.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.identity(acme.account.id, gone.id).await.unwrap(), None);
    assert_eq!(tx.memberships(gone.id).await.unwrap(), []);
    assert_eq!(tx.members(acme.application.id).await.unwrap().len(), 3);
    assert_eq!(tx.members(second.id).await.unwrap(), []);
    assert_eq!(tx.members(zeta.application.id).await.unwrap().len(), 3);
    assert!(tx.identity(zeta.account.id, zeta.ada()).await.unwrap().is_some());
    let snapshot = tx.snapshot(acme.development.id()).await.unwrap().unwrap();
    assert!(snapshot.subjects.iter().all(|subject| subject.id != gone.id));
    drop(tx);
    // Email and external id can be used again, by a new identity as by one there is.
    let again = Identity { id: maker.id(), ..gone };
    add(&store, &acme, &[again]).await;
}

pub async fn an_identity_that_holds_an_assignment_is_not_deleted(store: TestStore) {
    let world = acme(&store).await;
    let there = &world.production;
    let key = canopy_testkit::fixture::assignment_key(world.ada(), there.reader.id, there.eu.id);
    world
        .assign(store.as_ref(), &[world.maker.assignment(there.id(), key)])
        .await;
    let mut tx = writing(&store, changing(&world, world.ada())).await;
    assert_bug(tx.delete_identity(world.account.id, world.ada()).await);
    drop(tx);
    let mut tx = writing_in(&store, there.id()).await;
    assert_eq!(tx.memberships(world.ada()).await.unwrap(), world.memberships[..1]);
    assert_eq!(tx.revoke_all(&[there.id()], world.ada()).await.unwrap().len(), 1);
    tx.delete_identity(world.account.id, world.ada()).await.unwrap();
}
