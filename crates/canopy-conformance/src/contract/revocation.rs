//! Clauses on the assignments of an identity across environments, and on deleting all of them.

use super::assignment_listing::{all, listed};
use super::support::{TestStore, acme, acme_and_zeta, reading, sorted, writing, writing_in};
use canopy_domain::assignment::listing::AssignmentView;
use canopy_domain::port::{LockScope, StoreError, Unique};
use canopy_domain::{AssignmentId, EnvironmentId, IdentityId, Membership, MembershipStatus, Timestamp};
use canopy_testkit::fixture::{World, assignment_key};
use std::sync::Arc;
use tokio::sync::Barrier;

fn ending(world: &World, id: IdentityId) -> LockScope {
    LockScope::Memberships {
        application: world.application_ref(),
        identities: vec![id],
    }
}

/// Ada holds two roles in `development` and one in `production`, Alan one in each.
async fn some_held(store: &TestStore, world: &World) {
    let (here, there) = (&world.development, &world.production);
    let held = |environment: &canopy_testkit::fixture::EnvironmentWorld, identity, role: &canopy_domain::Role| {
        let key = assignment_key(identity, role.id, environment.eu.id);
        world.maker.assignment(environment.id(), key)
    };
    let (ada, alan) = (world.ada(), world.alan());
    let first = [
        held(here, ada, &here.reader),
        held(here, ada, &here.editor),
        held(here, alan, &here.reader),
    ];
    world.assign(store.as_ref(), &first).await;
    let second = [held(there, ada, &there.reader), held(there, alan, &there.reader)];
    world.assign(store.as_ref(), &second).await;
}

fn placed(views: &[AssignmentView]) -> Vec<(EnvironmentId, &str)> {
    let rows = views.iter();
    rows.map(|view| (view.assignment.environment_id, view.role_name.as_str()))
        .collect()
}

pub async fn what_an_identity_holds_is_listed_by_role_in_the_asked_environments_alone(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    some_held(&store, &acme).await;
    let (here, there) = (acme.development.id(), acme.production.id());
    let mut tx = reading(&store).await;
    let both = tx.held(&[there, here, there], acme.ada()).await.unwrap();
    assert_eq!(placed(&both), [(here, "Editor"), (here, "Reader"), (there, "Reader")]);
    let view = both.first().unwrap();
    assert_eq!(view.identity.email, acme.identities[0].email);
    assert_eq!(view.node_name, acme.development.eu.name);
    let alone = tx.held(&[there], acme.ada()).await.unwrap();
    assert_eq!(placed(&alone), [(there, "Reader")]);
    for (environments, identity) in [
        (vec![], acme.ada()),
        (vec![here, there], acme.grace()),
        (vec![zeta.development.id(), acme.maker.id()], acme.ada()),
    ] {
        assert_eq!(tx.held(&environments, identity).await.unwrap(), []);
    }
}

pub async fn revoking_takes_all_that_one_identity_holds_in_the_asked_environments(store: TestStore) {
    let world = acme(&store).await;
    some_held(&store, &world).await;
    let (here, there) = (world.development.id(), world.production.id());
    let mut tx = writing(&store, ending(&world, world.ada())).await;
    let held = tx.held(&[here, there], world.ada()).await.unwrap();
    let expected = |wanted: &[EnvironmentId]| {
        let held = held
            .iter()
            .map(|view| (view.assignment.environment_id, view.assignment.id));
        sorted(held.filter(|(environment, _)| wanted.contains(environment)))
    };
    assert_eq!(tx.revoke_all(&[], world.ada()).await.unwrap(), []);
    assert_eq!(tx.revoke_all(&[world.maker.id()], world.ada()).await.unwrap(), []);
    assert_eq!(tx.revoke_all(&[there], world.ada()).await.unwrap(), expected(&[there]));
    let rest: Vec<(EnvironmentId, AssignmentId)> = tx.revoke_all(&[here, there], world.ada()).await.unwrap();
    assert_eq!(rest, expected(&[here]));
    world.commit(tx, &[here, there]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.held(&[here, there], world.ada()).await.unwrap(), []);
    assert_eq!(tx.held(&[here, there], world.alan()).await.unwrap().len(), 2);
    drop(tx);
    for environment in [here, there] {
        assert_eq!(listed(&store, environment, &all(), Timestamp::MAX).await.len(), 1);
    }
}

pub async fn standings_name_every_environment_of_the_applications_that_were_joined(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let maker = &acme.maker;
    let second = maker.application(acme.account.id, "second");
    let third = maker.environment(&acme.account, second.id, "third");
    let mut tx = writing(&store, LockScope::Account(acme.account.id)).await;
    tx.insert_application(&second).await.unwrap();
    tx.insert_environment(&third.environment, &third.schema).await.unwrap();
    tx.insert_memberships(&[maker.membership(acme.ada(), second.id, MembershipStatus::Invited)])
        .await
        .unwrap();
    acme.commit(tx, &[]).await;
    let mut tx = reading(&store).await;
    let active = |id| (id, MembershipStatus::Active);
    let own = [active(acme.development.id()), active(acme.production.id())];
    let invited = (third.environment.id, MembershipStatus::Invited);
    assert_eq!(
        tx.standings(acme.account.id, acme.ada()).await.unwrap(),
        sorted(own.into_iter().chain([invited]))
    );
    assert_eq!(tx.standings(acme.account.id, acme.alan()).await.unwrap(), sorted(own));
    assert_eq!(tx.standings(acme.account.id, zeta.ada()).await.unwrap(), []);
    assert_eq!(tx.standings(acme.account.id, maker.id()).await.unwrap(), []);
}

pub async fn the_environments_that_have_a_node_are_found_among_those_asked_about(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let (here, there) = (&acme.development, &acme.production);
    let mut tx = reading(&store).await;
    let mut find = async |environments: &[EnvironmentId], node| {
        let found = tx.environments_with_node(environments, node).await;
        found.unwrap()
    };
    let both = [there.id(), here.id(), here.id()];
    assert_eq!(find(&both, here.eu.id).await, [here.id()]);
    assert_eq!(find(&both, there.root.id).await, [there.id()]);
    assert_eq!(find(&both, zeta.development.eu.id).await, []);
    assert_eq!(find(&[there.id()], here.eu.id).await, []);
    assert_eq!(find(&[], here.eu.id).await, []);
}

/// Number of repetitions of a race.
const ROUNDS: usize = 12;

/// Judges and stores an assignment, like a use case.
async fn assign(store: TestStore, world: World, start: Arc<Barrier>) {
    let here = &world.development;
    start.wait().await;
    let mut tx = writing_in(&store, here.id()).await;
    let wanted = world.assignment(world.ada(), &here.reader, &here.eu);
    let facts = tx.assignment_facts(&here.place, &[wanted.key]).await.unwrap();
    if facts.identities.get(&world.ada()) == Some(&Some(MembershipStatus::Active)) && facts.existing.is_empty() {
        tokio::task::yield_now().await;
        tx.insert_assignments(&[wanted]).await.unwrap();
        world.commit(tx, &[here.id()]).await;
    }
}

pub async fn ending_a_membership_never_leaves_an_assignment_that_is_made_beside_it(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (world.development.id(), world.production.id());
    for _ in 0..ROUNDS {
        let start = Arc::new(Barrier::new(2));
        let one = tokio::spawn(assign(store.clone(), world.clone(), Arc::clone(&start)));
        let (end, ada) = (store.clone(), world.clone());
        let two = tokio::spawn(async move {
            start.wait().await;
            let mut tx = writing(&end, ending(&ada, ada.ada())).await;
            let ended = Membership {
                status: MembershipStatus::Deactivated,
                ..ada.memberships[0].clone()
            };
            tx.revoke_all(&[here, there], ada.ada()).await.unwrap();
            tokio::task::yield_now().await;
            tx.update_memberships(&[ended]).await.unwrap();
            ada.commit(tx, &[here, there]).await;
        });
        one.await.unwrap();
        two.await.unwrap();
        let mut tx = writing(&store, ending(&world, world.ada())).await;
        assert_eq!(tx.held(&[here, there], world.ada()).await.unwrap(), []);
        tx.update_memberships(&world.memberships[..1]).await.unwrap();
        world.commit(tx, &[here, there]).await;
    }
}

pub async fn deleting_an_identity_leaves_nothing_of_what_is_made_beside_it(store: TestStore) {
    let world = acme(&store).await;
    let account = world.account.id;
    let (here, there) = (world.development.id(), world.production.id());
    for _ in 0..ROUNDS {
        let start = Arc::new(Barrier::new(3));
        let one = tokio::spawn(assign(store.clone(), world.clone(), Arc::clone(&start)));
        // Another identity takes the email as soon as it is free, or finds it taken.
        let (new, maker) = (store.clone(), world.maker.clone());
        let mut heir = maker.identity(account, "New One");
        heir.email = world.identities[0].email.clone();
        let (wanted, waiting) = (heir.clone(), Arc::clone(&start));
        let record = maker.record(account, &[]);
        let two = tokio::spawn(async move {
            waiting.wait().await;
            let mut tx = writing(&new, LockScope::Account(account)).await;
            match tx.insert_identities(&[wanted]).await {
                Ok(()) => {
                    tx.commit(record).await.unwrap();
                    true
                }
                Err(StoreError::Duplicate(Unique::IdentityEmail)) => false,
                Err(other) => panic!("{other:?}"),
            }
        });
        let (end, ada) = (store.clone(), world.clone());
        let three = tokio::spawn(async move {
            start.wait().await;
            let scope = LockScope::Identities {
                account,
                identities: vec![ada.ada()],
            };
            let mut tx = writing(&end, scope).await;
            tx.revoke_all(&[here, there], ada.ada()).await.unwrap();
            tx.delete_identity(account, ada.ada()).await.unwrap();
            ada.commit(tx, &[here, there]).await;
        });
        one.await.unwrap();
        let inherited = two.await.unwrap();
        three.await.unwrap();
        let mut tx = reading(&store).await;
        assert_eq!(tx.memberships(world.ada()).await.unwrap(), []);
        let snapshot = tx.snapshot(here).await.unwrap().unwrap();
        assert_eq!(snapshot.grants, [], "no assignment without an identity");
        assert_eq!(tx.identity(account, heir.id).await.unwrap().is_some(), inherited);
        drop(tx);
        let mut tx = writing(&store, ending(&world, heir.id)).await;
        tx.delete_identity(account, heir.id).await.unwrap();
        tx.insert_identities(&world.identities[..1]).await.unwrap();
        tx.insert_memberships(&world.memberships[..1]).await.unwrap();
        world.commit(tx, &[here, there]).await;
    }
}
