//! Clauses on units of work: what they see, what they leave behind, and how they wait for each other.

use super::support::{TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, reading, writing, writing_in};
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::port::{LockScope, RowTx, Unique};
use canopy_domain::role::listing::RoleQuery;
use canopy_domain::{
    Account, Assignment, EnvironmentId, JsonObject, MembershipStatus, Permission, Role, Timestamp, Version,
};
use canopy_testkit::fixture::{Maker, World, assignment_key, window};
use core::future::poll_fn;
use core::task::Poll;
use std::collections::VecDeque;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(5);

/// Changes something in every area.
async fn change_everything(tx: &mut dyn RowTx, world: &World) {
    let (here, maker) = (&world.development, &world.maker);
    let id = here.id();
    tx.insert_account(&maker.account("lost")).await.unwrap();
    let application = maker.application(world.account.id, "lost");
    tx.insert_application(&application).await.unwrap();
    let mut changed = world.application.clone();
    changed.settings = JsonObject::parse("{\"lost\":1}").unwrap();
    tx.update_application(&changed).await.unwrap();
    let made = maker.environment(&world.account, application.id, "lost");
    tx.insert_environment(&made.environment, &made.schema).await.unwrap();
    let mut environment = here.environment.clone();
    environment.version = Version::new(99).unwrap();
    tx.update_environment(&environment, &made.schema).await.unwrap();
    let permission = maker.permission(id, "lost.key");
    tx.insert_permissions(std::slice::from_ref(&permission)).await.unwrap();
    let role = maker.role(id, "Lost");
    tx.insert_roles(std::slice::from_ref(&role)).await.unwrap();
    let idle = Role {
        is_active: false,
        ..here.reader.clone()
    };
    tx.update_roles(&[idle]).await.unwrap();
    tx.bind_permissions(id, &[(role.id, permission.id)]).await.unwrap();
    tx.unbind_permissions(id, &[(here.editor.id, here.read.id)])
        .await
        .unwrap();
    let node = maker.node(id, here.us.id, "team", "lost");
    tx.insert_nodes(std::slice::from_ref(&node)).await.unwrap();
    let mut renamed = here.eu.clone();
    renamed.slug = canopy_testkit::fixture::slug("europe");
    tx.update_nodes(&[renamed]).await.unwrap();
    let identity = maker.identity(world.account.id, "Lost One");
    tx.insert_identities(std::slice::from_ref(&identity)).await.unwrap();
    let joined = maker.membership(identity.id, world.application.id, MembershipStatus::Active);
    tx.insert_memberships(&[joined]).await.unwrap();
    let mut suspended = world.memberships[0].clone();
    suspended.status = MembershipStatus::Suspended;
    tx.update_memberships(&[suspended]).await.unwrap();
    let assignment = maker.assignment(id, assignment_key(identity.id, role.id, node.id));
    tx.insert_assignments(std::slice::from_ref(&assignment)).await.unwrap();
    let ended = Assignment {
        window: window(Timestamp::MIN, Timestamp::MAX),
        ..assignment.clone()
    };
    tx.update_assignments(&[ended]).await.unwrap();
}

/// Writes an account at the end of a unit of work, to show that it still works.
async fn still_works(tx: Box<dyn RowTx>, maker: &Maker) -> Account {
    let mut tx = tx;
    let account = maker.account("still-works");
    tx.insert_account(&account).await.unwrap();
    tx.commit(maker.record(account.id, &[])).await.unwrap();
    account
}

pub async fn dropping_a_unit_of_work_leaves_nothing_of_it(store: TestStore) {
    let world = acme(&store).await;
    let held = world.assignment(world.grace(), &world.development.reader, &world.development.paris);
    world.assign(store.as_ref(), std::slice::from_ref(&held)).await;
    let accounts = [world.account.id];
    let before = crate::sequence::dump(store.as_ref(), &accounts).await.unwrap();
    let mut tx = writing(&store, LockScope::Installation).await;
    change_everything(tx.as_mut(), &world).await;
    tx.delete_assignments(world.development.id(), &[held.id]).await.unwrap();
    drop(tx);
    let after = crate::sequence::dump(store.as_ref(), &accounts).await.unwrap();
    assert_eq!(before, after);
    assert_eq!(reading(&store).await.accounts().await.unwrap(), [world.account]);
}

pub async fn dropping_a_unit_of_work_frees_its_lock_at_once(store: TestStore) {
    let world = acme(&store).await;
    for _ in 0..50 {
        let mut tx = tokio::time::timeout(LONG, writing_in(&store, world.development.id()))
            .await
            .expect("the lock is free");
        let role = world.maker.role(world.development.id(), "Lost");
        tx.insert_roles(&[role]).await.unwrap();
        drop(tx);
    }
}

pub async fn a_cancelled_write_leaves_nothing_and_frees_its_lock(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    for delay in [0, 10, 100, 1_000, 5_000] {
        let roles: Vec<Role> = (0..500).map(|n| world.maker.role(id, &format!("Lost {n}"))).collect();
        let store = store.clone();
        let write = async move {
            let mut tx = writing_in(&store, id).await;
            tx.insert_roles(&roles).await.unwrap();
            std::future::pending::<()>().await;
        };
        let cut = tokio::time::timeout(Duration::from_micros(delay), write).await;
        assert!(cut.is_err());
    }
    let mut tx = tokio::time::timeout(LONG, writing_in(&store, id))
        .await
        .expect("the lock is free");
    assert_eq!(tx.catalog(id).await.unwrap().roles.len(), 3);
}

pub async fn a_writer_sees_its_own_writes_and_readers_do_not(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let all = RoleQuery {
        include_inactive: true,
        kind: None,
    };
    let mut tx = writing_in(&store, id).await;
    tx.insert_roles(&[world.maker.role(id, "New")]).await.unwrap();
    assert_eq!(tx.roles(id, &all).await.unwrap().len(), 4);
    let mut early = reading(&store).await;
    assert_eq!(early.roles(id, &all).await.unwrap().len(), 3);
    world.commit(tx, &[id]).await;
    assert_eq!(
        early.roles(id, &all).await.unwrap().len(),
        3,
        "a reader keeps its state"
    );
    assert_eq!(reading(&store).await.roles(id, &all).await.unwrap().len(), 4);
}

pub async fn a_reader_keeps_one_state_through_all_of_its_reads(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let mut early = reading(&store).await;
    // Opened before the commit; its first later read sees the same state as its earlier reads.
    let revision = early.revision(here.id()).await.unwrap();
    world
        .assign(store.as_ref(), &[world.assignment(world.ada(), &here.reader, &here.eu)])
        .await;
    let snapshot = early.snapshot(here.id()).await.unwrap().unwrap();
    assert_eq!(Some(snapshot.revision), revision);
    assert!(snapshot.grants.is_empty());
    let events = early
        .audit_events(world.account.id, &AuditQuery::newest(u32::MAX))
        .await
        .unwrap()
        .len();
    let now = reading(&store)
        .await
        .audit_events(world.account.id, &AuditQuery::newest(u32::MAX))
        .await
        .unwrap()
        .len();
    assert_eq!(events + 1, now);
}

pub async fn several_readers_read_at_the_same_time_as_a_writer(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let mut tx = writing_in(&store, id).await;
    tx.insert_roles(&[world.maker.role(id, "New")]).await.unwrap();
    let readers = async {
        let mut one = reading(&store).await;
        let mut two = reading(&store).await;
        assert_eq!(one.catalog(id).await.unwrap().roles.len(), 3);
        assert_eq!(two.catalog(id).await.unwrap().roles.len(), 3);
    };
    tokio::time::timeout(LONG, readers)
        .await
        .expect("readers do not wait for writers");
    world.commit(tx, &[id]).await;
}

pub async fn writers_of_one_environment_are_serialised(store: TestStore) {
    let world = acme(&store).await;
    let here = world.development.id();
    let before = reading(&store).await.revision(here).await.unwrap().unwrap().get();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (store, world) = (store.clone(), world.clone());
        tasks.spawn(async move {
            for _ in 0..20 {
                // Reads the version, yields to the others, and writes the next one.
                let mut tx = writing_in(&store, here).await;
                let mut role = tx.role(here, world.development.reader.id).await.unwrap().unwrap();
                tokio::task::yield_now().await;
                role.version = role.version.next();
                tx.update_roles(&[role]).await.unwrap();
                world.commit(tx, &[here]).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let mut tx = reading(&store).await;
    let role = tx.role(here, world.development.reader.id).await.unwrap().unwrap();
    assert_eq!(role.version.get(), 41);
    assert_eq!(tx.revision(here).await.unwrap().unwrap().get(), before + 40);
    let feed = tx
        .changes_since(here, canopy_domain::Revision::new(before), u32::MAX)
        .await
        .unwrap();
    let numbers: Vec<u64> = feed.iter().map(|(revision, _)| revision.get()).collect();
    assert_eq!(numbers, (before + 1..=before + 40).collect::<Vec<_>>());
}

pub async fn writers_of_every_scope_get_their_turn(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let identities = vec![acme.grace(), acme.ada(), acme.maker.id()];
    let application = acme.application_ref();
    let scopes = [
        LockScope::Installation,
        LockScope::Account(acme.account.id),
        LockScope::Application(application),
        LockScope::Environment(acme.development.place),
        LockScope::Environment(acme.production.place),
        LockScope::Environment(zeta.production.place),
        LockScope::Memberships {
            application,
            identities: identities.clone(),
        },
        LockScope::Memberships {
            application,
            identities: vec![],
        },
        LockScope::WholeApplication(acme.application_ref()),
        LockScope::Identities {
            account: acme.account.id,
            identities: identities.into_iter().rev().collect(),
        },
        LockScope::Account(acme.maker.id()),
        acme.within(acme.maker.id()),
    ];
    let mut tasks = tokio::task::JoinSet::new();
    for (number, scope) in scopes.iter().cycle().take(48).enumerate() {
        let (store, maker, scope) = (store.clone(), acme.maker.clone(), scope.clone());
        tasks.spawn(async move {
            let mut tx = writing(&store, scope).await;
            let account = maker.account(&format!("n{number}"));
            tx.insert_account(&account).await.unwrap();
            tx.commit(maker.record(account.id, &[])).await.unwrap();
        });
    }
    let all = async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    };
    tokio::time::timeout(4 * LONG, all)
        .await
        .expect("no writers wait for each other for ever");
    assert_eq!(reading(&store).await.accounts().await.unwrap().len(), 2 + 48);
}

pub async fn of_two_racing_writers_of_one_slug_one_wins(store: TestStore) {
    let world = acme(&store).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, maker) = (store.clone(), world.maker.clone());
        tasks.spawn(async move {
            let mut tx = writing(&store, LockScope::Installation).await;
            let account = maker.account("wanted");
            match tx.insert_account(&account).await {
                Ok(()) => {
                    tx.commit(maker.record(account.id, &[])).await.unwrap();
                    1
                }
                lost => {
                    assert_duplicate(lost, Unique::AccountSlug);
                    0
                }
            }
        });
    }
    let mut won = 0;
    while let Some(done) = tasks.join_next().await {
        won += done.unwrap();
    }
    assert_eq!(won, 1);
    assert_eq!(reading(&store).await.accounts().await.unwrap().len(), 2);
}

pub async fn empty_sets_are_no_work(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let (id, nowhere) = (here.id(), world.maker.id::<EnvironmentId>());
    let before = crate::sequence::dump(store.as_ref(), &[world.account.id])
        .await
        .unwrap();
    let mut tx = writing_in(&store, id).await;
    tx.insert_permissions(&[]).await.unwrap();
    tx.insert_roles(&[]).await.unwrap();
    tx.update_roles(&[]).await.unwrap();
    tx.update_permissions(&[]).await.unwrap();
    tx.delete_environments(&[]).await.unwrap();
    for environment in [id, nowhere] {
        tx.bind_permissions(environment, &[]).await.unwrap();
        tx.unbind_permissions(environment, &[]).await.unwrap();
        tx.delete_assignments(environment, &[]).await.unwrap();
        tx.delete_permissions(environment, &[]).await.unwrap();
        tx.delete_roles(environment, &[]).await.unwrap();
        tx.delete_nodes(environment, &[]).await.unwrap();
        assert!(tx.assignments_naming(environment, &[], &[]).await.unwrap().is_empty());
    }
    tx.insert_nodes(&[]).await.unwrap();
    tx.update_nodes(&[]).await.unwrap();
    tx.insert_identities(&[]).await.unwrap();
    tx.insert_memberships(&[]).await.unwrap();
    tx.update_memberships(&[]).await.unwrap();
    tx.insert_assignments(&[]).await.unwrap();
    tx.update_assignments(&[]).await.unwrap();
    assert!(tx.permission_ids(id, &[]).await.unwrap().is_empty());
    let facts = tx.node_facts(id, &[], &[]).await.unwrap();
    assert!(facts.parents.is_empty() && facts.taken.is_empty());
    let facts = tx
        .identity_facts(world.account.id, world.application.id, &[])
        .await
        .unwrap();
    assert!(facts.is_empty());
    assert!(tx.assignments(id, &[]).await.unwrap().is_empty());
    assert!(tx.held(&[], world.ada()).await.unwrap().is_empty());
    assert!(tx.revoke_all(&[], world.ada()).await.unwrap().is_empty());
    let found = tx.environments_with_node(&[], here.root.id).await.unwrap();
    assert!(found.is_empty());
    let account = still_works(tx, &world.maker).await;
    let after = crate::sequence::dump(store.as_ref(), &[world.account.id])
        .await
        .unwrap();
    assert_eq!(before.without_accounts(), after.without_accounts());
    assert_eq!(reading(&store).await.account(account.id).await.unwrap(), Some(account));
}

pub async fn changing_a_row_twice_in_one_call_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let assignment = world.assignment(world.ada(), &here.reader, &here.eu);
    world.assign(store.as_ref(), std::slice::from_ref(&assignment)).await;
    let mut tx = writing_in(&store, here.id()).await;
    assert!(
        tx.update_roles(&[here.reader.clone(), here.reader.clone()])
            .await
            .is_err()
    );
    drop(tx);
    let mut tx = writing_in(&store, here.id()).await;
    assert_bug(tx.update_permissions(&[here.read.clone(), here.read.clone()]).await);
    drop(tx);
    let mut tx = writing_in(&store, here.id()).await;
    assert!(tx.update_nodes(&[here.eu.clone(), here.eu.clone()]).await.is_err());
    drop(tx);
    let mut tx = writing_in(&store, here.id()).await;
    assert_bug(
        tx.update_memberships(&[world.memberships[0].clone(), world.memberships[0].clone()])
            .await,
    );
    drop(tx);
    let mut tx = writing_in(&store, here.id()).await;
    assert!(tx.update_assignments(&[assignment.clone(), assignment]).await.is_err());
}

pub async fn many_refusals_leave_the_unit_of_work_usable(store: TestStore) {
    let world = acme(&store).await;
    let here = world.development.id();
    let mut tx = writing_in(&store, here).await;
    for _ in 0..20 {
        let taken: Vec<Permission> = ["fresh.one", "note.read"]
            .map(|key| world.maker.permission(here, key))
            .into();
        assert_duplicate(tx.insert_permissions(&taken).await, Unique::PermissionKey);
        let taken = [world.maker.role(here, "EDITOR")];
        assert_duplicate(tx.insert_roles(&taken).await, Unique::RoleName);
    }
    tx.insert_permissions(&[world.maker.permission(here, "fresh.one")])
        .await
        .unwrap();
    still_works(tx, &world.maker).await;
    let found = reading(&store).await.catalog(here).await.unwrap();
    assert_eq!((found.permissions.len(), found.roles.len()), (17, 3));
}

pub async fn a_store_that_works_answers_a_ping(store: TestStore) {
    store.ping().await.unwrap();
    let world = acme(&store).await;
    let _tx = writing_in(&store, world.development.id()).await;
    tokio::time::timeout(LONG, store.ping())
        .await
        .expect("a ping does not wait for writers")
        .unwrap();
}

pub async fn an_account_gets_no_more_turns_with_five_environments_than_with_one(store: TestStore) {
    /// Maximum time for getting a free connection.
    const AT_ONCE: Duration = Duration::from_millis(300);
    let (acme, zeta) = acme_and_zeta(&store).await;
    let mut environments = vec![acme.development.id(), acme.production.id()];
    for slug in ["third", "fourth", "fifth"] {
        let made = acme.maker.environment(&acme.account, acme.application.id, slug);
        let mut tx = writing(&store, LockScope::Application(acme.application_ref())).await;
        tx.insert_environment(&made.environment, &made.schema).await.unwrap();
        acme.commit(tx, &[made.environment.id]).await;
        environments.push(made.environment.id);
    }
    let (mut held, mut waiting) = (Vec::new(), VecDeque::new());
    for environment in environments {
        let mut write = Box::pin(store.write(acme.within(environment)));
        // Enters the queue.
        match poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await {
            Poll::Ready(tx) => held.push(tx.unwrap()),
            Poll::Pending => waiting.push_back(write),
        }
    }
    let mut other = Box::pin(store.write(LockScope::Environment(zeta.production.place)));
    let mut ended = 0;
    while tokio::time::timeout(AT_ONCE, &mut other).await.is_err() {
        match held.pop() {
            Some(tx) => drop(tx),
            None => drop(waiting.pop_front().expect("the other account's turn").await.unwrap()),
        }
        ended += 1;
    }
    // The write that ran when the other account called, and one more.
    assert!(
        ended <= 2,
        "{ended} writes of one account came before the first of another"
    );
}
