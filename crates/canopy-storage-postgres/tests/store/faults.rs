//! Connections that are cut and servers that are gone: an error that says so, and then all is well again.

use canopy_domain::port::{LockScope, RowStore, Store, StoreError};
use canopy_storage_postgres::{OpenError, PgOptions, PgStore};
use canopy_testkit::fixture::{Maker, World};
use canopy_testkit::postgres::{Server, store};
use std::time::Duration;

const KILL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE application_name = 'canopy' AND datname = current_database()";

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_unavailable_and_the_next_unit_of_work_gets_another() {
    let store = store().await;
    let world = World::build(&store, &Maker::default(), "acme").await;
    let id = world.development.environment.id;
    let mut tx = store.write_rows(LockScope::Environment(id)).await.unwrap();
    tx.insert_roles(&[world.maker.role(id, "Cut off")]).await.unwrap();
    store.database().query(KILL).await;
    let refused = tx.nodes(id).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let record = world.maker.record(world.account.id, &[id]);
    let refused = tx.commit(record).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");

    let mut tx = store.write(LockScope::Environment(id)).await.unwrap();
    let roles = tx.catalog(id).await.unwrap().roles;
    assert!(roles.values().all(|role| role.name.as_str() != "Cut off"));
    world.commit(tx, &[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_record_of_an_unknown_format_and_a_damaged_one_are_told_as_corrupt() {
    let store = store().await;
    let world = World::build(&store, &Maker::default(), "acme").await;
    let id = world.development.environment.id;
    for bytes in ["0200000000", "", "01ffffffff", "010100000063"] {
        let damage = format!("UPDATE change_records SET changes = decode('{bytes}', 'hex')");
        store.database().query(&damage).await;
        let mut tx = store.read().await.unwrap();
        let read = tx.changes_since(id, canopy_domain::Revision::ZERO, 9).await;
        assert!(matches!(read, Err(StoreError::Corrupt(_))), "{bytes}: {read:?}");
        assert!(
            !tx.snapshot(id).await.unwrap().unwrap().nodes.is_empty(),
            "what it says does not depend on them"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_cut_while_nobody_used_them_are_not_noticed() {
    let store = store().await;
    for _ in 0..5 {
        // Several connections wait in the pool, all of them dead.
        let held = (
            store.read().await.unwrap(),
            store.read().await.unwrap(),
            store.read().await.unwrap(),
        );
        drop(held);
        store.ping().await.unwrap();
        store.database().query(KILL).await;
        store.ping().await.unwrap();
        store.database().query(KILL).await;
        store.read().await.unwrap().accounts().await.unwrap();
        store.database().query(KILL).await;
        drop(store.write(LockScope::Installation).await.unwrap());
        store.database().query(KILL).await;
        assert!(store.shared().unwrap().heads(&[]).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_and_comes_back_is_survived() {
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let store = PgStore::open(&PgOptions::new(server.url("postgres"))).await.unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let id = world.development.environment.id;
    let tx = store.write(LockScope::Environment(id)).await.unwrap();
    server.stop_at_once();
    let refused = tx.commit(world.maker.record(world.account.id, &[id])).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(store.read().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(
        store.write(LockScope::Installation).await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    let refused = PgStore::open(&PgOptions::new(server.url("postgres"))).await;
    assert!(matches!(refused, Err(OpenError::Store(StoreError::Unavailable(_)))));
    server.resume();
    store.ping().await.unwrap();
    let mut tx = store.read().await.unwrap();
    assert_eq!(
        tx.environment(id).await.unwrap(),
        Some(world.development.environment.clone())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_busy() {
    let store =
        canopy_testkit::postgres::store_with(|options| options.statement_timeout = Duration::from_millis(50)).await;
    let sql = "BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1); COMMIT";
    let blocker = store.database().execute(sql);
    let asker = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        store.read().await.unwrap().accounts().await
    };
    let ((), refused) = tokio::join!(blocker, asker);
    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    assert_eq!(store.read().await.unwrap().accounts().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_value_that_breaks_a_rule_is_reported_as_damage() {
    let store = store().await;
    let world = World::build(&store, &Maker::default(), "acme").await;
    store.database().execute("UPDATE accounts SET slug = 'No Slug'").await;
    let refused = store.read().await.unwrap().account(world.account.id).await;
    let Err(StoreError::Corrupt(what)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(what, format!("accounts.slug of {}", world.account.id));
    store
        .database()
        .execute("UPDATE accounts SET slug = 'acme', created_at = 'infinity'")
        .await;
    let refused = store.read().await.unwrap().accounts().await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
}
