//! Who waits for whom, and what is left when a unit of work is given up.

use canopy_domain::port::{LockScope, RowStore, Store, StoreError};
use canopy_testkit::fixture::{Maker, World};
use canopy_testkit::postgres::{PostgresStore, store, store_with};
use std::time::Duration;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);
const A_WHILE: Duration = Duration::from_millis(150);

async fn world(store: &PostgresStore) -> World {
    World::build(store, &Maker::default(), "acme").await
}

/// Transactions that are open on the server, apart from the one that asks.
async fn open_transactions(store: &PostgresStore) -> usize {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL \
        AND pid <> pg_backend_pid()";
    store.database().query(sql).await.len()
}

/// The connections of the pool, as the server knows them.
async fn backends(store: &PostgresStore) -> Vec<Vec<Option<String>>> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'canopy' AND datname = current_database()";
    store.database().query(sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_different_environments_do_not_wait_for_each_other() {
    let store = store().await;
    let world = world(&store).await;
    let one = store
        .write(LockScope::Environment(world.development.environment.id))
        .await
        .unwrap();
    let two = LockScope::Environment(world.production.environment.id);
    let two = timeout(SOON, store.write(two)).await.expect("no waiting").unwrap();
    world.commit(two, &[world.production.environment.id]).await;
    world.commit(one, &[world.development.environment.id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_environment_wait_and_so_does_whoever_locks_it_from_above() {
    let store = store().await;
    let world = world(&store).await;
    let id = world.development.environment.id;
    let application = world.application.id;
    let scopes = [
        LockScope::Environment(id),
        LockScope::Memberships {
            application,
            identities: vec![world.ada()],
        },
        LockScope::Identities {
            account: world.account.id,
            identities: vec![world.ada()],
        },
    ];
    for scope in scopes {
        let one = store.write(LockScope::Environment(id)).await.unwrap();
        let mut two = Box::pin(store.write(scope.clone()));
        assert!(timeout(A_WHILE, &mut two).await.is_err(), "{scope:?} did not wait");
        world.commit(one, &[id]).await;
        let mut two = timeout(SOON, two).await.expect("its turn").unwrap();
        // What the first has left is what the second sees.
        let revision = two.revision(id).await.unwrap().unwrap();
        let taken = two.commit(world.maker.record(world.account.id, &[id])).await.unwrap();
        assert_eq!(taken, [(id, revision.next())]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_made_while_its_application_is_locked_is_locked_too() {
    let store = store().await;
    let world = world(&store).await;
    let application = world.application.id;
    let mut making = store.write_rows(LockScope::Application(application)).await.unwrap();
    let members = LockScope::Memberships {
        application,
        identities: vec![],
    };
    let mut attaching = Box::pin(store.write(members));
    assert!(timeout(A_WHILE, &mut attaching).await.is_err());
    let fresh = world
        .maker
        .environment(&world.account, application, "fresh")
        .environment;
    let schema = canopy_domain::HierarchySchema::default();
    making.insert_environment(&fresh, &schema).await.unwrap();
    world.commit(making, &[fresh.id]).await;
    let attaching = timeout(SOON, attaching).await.expect("its turn").unwrap();
    let mut other = Box::pin(store.write(LockScope::Environment(fresh.id)));
    assert!(
        timeout(A_WHILE, &mut other).await.is_err(),
        "the new environment is not locked"
    );
    drop(attaching);
    timeout(SOON, other).await.expect("its turn").unwrap();
}

/// Ids are checked before they are locked: a caller cannot hold up another account by naming its identities.
#[tokio::test(flavor = "multi_thread")]
async fn identities_of_another_account_are_never_locked() {
    let store = store().await;
    let maker = Maker::default();
    let acme = World::build(&store, &maker, "acme").await;
    let zeta = World::build(&store, &maker, "zeta").await;
    let stranger = vec![zeta.ada()];
    let foreign = [
        LockScope::Memberships {
            application: acme.application.id,
            identities: stranger.clone(),
        },
        LockScope::Identities {
            account: acme.account.id,
            identities: stranger.clone(),
        },
    ];
    for scope in foreign {
        let held = store.write(scope.clone()).await.unwrap();
        let theirs = LockScope::Identities {
            account: zeta.account.id,
            identities: stranger.clone(),
        };
        let tx = timeout(SOON, store.write(theirs)).await;
        drop(
            tx.unwrap_or_else(|_| panic!("{scope:?} holds up another account"))
                .unwrap(),
        );
        drop(held);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_to_be_had_is_busy() {
    let store = store_with(|options| options.lock_timeout = Duration::from_millis(100)).await;
    let world = world(&store).await;
    let scope = LockScope::Environment(world.development.environment.id);
    let held = store.write(scope.clone()).await.unwrap();
    let refused = store.write(scope.clone()).await;
    assert!(matches!(refused, Err(StoreError::Busy(_))));
    drop(held);
    drop(store.write(scope).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_used_up_is_busy() {
    let change = |options: &mut canopy_storage_postgres::PgOptions| {
        options.pool_size = 4;
        options.wait_timeout = Duration::from_millis(100);
    };
    let store = store_with(change).await;
    let held = [
        store.read().await.unwrap(),
        store.read().await.unwrap(),
        store.read().await.unwrap(),
    ];
    assert!(matches!(store.read().await, Err(StoreError::Busy(_))));
    // One connection is left to writers, and fences have their own.
    drop(store.write(LockScope::Installation).await.unwrap());
    store.ping().await.unwrap();
    drop(held);
    timeout(SOON, store.read()).await.expect("a free connection").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_work_that_are_given_up_leave_no_transaction_and_keep_the_connection() {
    let store = store_with(|options| options.pool_size = 1).await;
    let world = world(&store).await;
    let scope = LockScope::Environment(world.development.environment.id);
    store.ping().await.unwrap();
    let before = backends(&store).await;
    for _ in 0..20 {
        drop(store.read().await.unwrap());
        let mut tx = store.write_rows(scope.clone()).await.unwrap();
        tx.insert_roles(&[world.maker.role(world.development.environment.id, "Left behind")])
            .await
            .unwrap();
        drop(tx);
    }
    // A statement that is on its way when its unit of work is given up.
    let mut tx = store.write(scope.clone()).await.unwrap();
    let all = tx.assignment_facts(&world.development.place, &[]);
    drop(all);
    let slow = tx.nodes(world.development.environment.id);
    drop(timeout(Duration::ZERO, slow).await);
    drop(tx);
    let mut tx = store.read().await.unwrap();
    let all = canopy_domain::role::listing::RoleQuery {
        include_inactive: true,
        kind: None,
    };
    let roles = tx.roles(world.development.environment.id, &all).await.unwrap();
    assert!(roles.iter().all(|view| view.role.name.as_str() != "Left behind"));
    drop(tx);
    store.ping().await.unwrap();
    assert_eq!(open_transactions(&store).await, 0);
    assert_eq!(backends(&store).await, before, "the connection was thrown away");
}

/// A runtime that ends in the middle takes its connections with it, and with them their transactions.
#[test]
fn a_store_outlived_by_its_unit_of_work_leaves_no_transaction() {
    let outer = tokio::runtime::Runtime::new().unwrap();
    let store = outer.block_on(store());
    let url = store.database().url();
    let inner = tokio::runtime::Runtime::new().unwrap();
    let tx = inner.block_on(async {
        let options = canopy_storage_postgres::PgOptions::new(url);
        let short = canopy_storage_postgres::PgStore::open(&options).await.unwrap();
        short.write(LockScope::Installation).await.unwrap()
    });
    inner.shutdown_background();
    drop(tx);
    outer.block_on(async {
        for _ in 0..50 {
            if open_transactions(&store).await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("a transaction is left");
    });
}

/// A worker that is busy does not hold up the connections it has used: they are driven elsewhere.
#[test]
fn connections_are_driven_by_the_runtime_of_the_store() {
    let shared = tokio::runtime::Runtime::new().unwrap();
    let store = shared.block_on(store_with(|options| options.pool_size = 1));
    let worker = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // The worker is the first to ask, so it is for the worker that the connection is opened.
    worker.block_on(async { drop(store.read().await.unwrap()) });
    // Now the worker runs nothing, and the connection still works.
    shared.block_on(async { timeout(SOON, store.ping()).await.expect("an answer").unwrap() });
    drop(worker);
    shared.block_on(async { timeout(SOON, store.ping()).await.expect("an answer").unwrap() });
}
