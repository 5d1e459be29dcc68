//! How units of work begin, wait, are given up and end.

#![expect(clippy::unwrap_used, reason = "what tests share is a test too")]

use canopy_domain::port::{LockScope, RowStore, Share, Store, StoreError};
use canopy_storage_sqlite::{OpenError, SqliteOptions, SqliteStore, Synchronous};
use canopy_testkit::fixture::{Maker, World};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

fn quick() -> SqliteOptions {
    SqliteOptions {
        synchronous: Synchronous::Off,
        deadline: Duration::from_millis(100),
        readers: 2,
        ..SqliteOptions::default()
    }
}

#[tokio::test]
async fn who_waits_too_long_for_the_writer_is_told_that_the_store_is_busy() {
    let store = SqliteStore::temporary_with(quick()).unwrap();
    let first = store.write(LockScope::Installation).await.unwrap();
    let begun = Instant::now();
    let second = store.write(LockScope::Installation).await.err();
    assert!(matches!(second, Some(StoreError::Busy(_))), "{second:?}");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    let (third, ()) = tokio::join!(store.write(LockScope::Installation), async move {
        tokio::task::yield_now().await;
        drop(first);
    });
    assert!(third.is_ok(), "the lock goes to who waits when it is freed");
}

#[tokio::test]
async fn readers_are_as_many_as_the_options_say_and_never_wait_for_the_writer() {
    let store = SqliteStore::temporary_with(quick()).unwrap();
    let _writer = store.write(LockScope::Installation).await.unwrap();
    let first = store.read().await.unwrap();
    let _second = store.read().await.unwrap();
    let third = store.read().await.err();
    assert!(matches!(third, Some(StoreError::Busy(_))), "{third:?}");
    drop(first);
    assert!(store.read().await.is_ok());
}

#[tokio::test]
async fn a_unit_of_work_may_be_dropped_on_a_thread_without_a_runtime() {
    let store = SqliteStore::temporary_with(quick()).unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let mut tx = store.write_rows(LockScope::Account(world.account.id)).await.unwrap();
    let identity = world.maker.identity(world.account.id, "Katherine Johnson");
    tx.insert_identities(std::slice::from_ref(&identity)).await.unwrap();
    std::thread::spawn(move || drop(tx)).join().unwrap();
    let mut tx = store.write_rows(LockScope::Account(world.account.id)).await.unwrap();
    assert_eq!(tx.identity(world.account.id, identity.id).await.unwrap(), None);
}

/// Gives a call up after it has begun, on a runtime of either kind, and looks at what is left of it.
async fn give_up_in_mid_statement() {
    let options = SqliteOptions {
        deadline: Duration::from_secs(30),
        ..quick()
    };
    let store = SqliteStore::temporary_with(options).unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let identities: Vec<_> = (0..20_000)
        .map(|n| world.maker.identity(world.account.id, &format!("Number{n} Example")))
        .collect();
    let mut tx = store.write_rows(LockScope::Account(world.account.id)).await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(5), tx.insert_identities(&identities)).await;
    assert!(given_up.is_err(), "20,000 identities are stored in more than 5 ms");
    let after = tx.account(world.account.id).await;
    assert!(
        matches!(after, Err(StoreError::Internal(_))),
        "the unit of work is of no more use: {after:?}"
    );
    drop(tx);
    let mut tx = store.write_rows(LockScope::Account(world.account.id)).await.unwrap();
    let last = identities.last().unwrap();
    assert_eq!(tx.identity(world.account.id, last.id).await.unwrap(), None);
    tx.insert_identities(std::slice::from_ref(last)).await.unwrap();
    world.commit(tx, &[]).await;
}

#[tokio::test]
async fn a_call_given_up_in_mid_statement_leaves_nothing_behind() {
    give_up_in_mid_statement().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_given_up_in_mid_statement_leaves_nothing_behind_on_several_threads() {
    give_up_in_mid_statement().await;
}

#[test]
fn a_unit_of_work_outlives_its_runtime_and_still_lets_go() {
    let store = SqliteStore::temporary_with(quick()).unwrap();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let tx = runtime().block_on(store.write(LockScope::Installation)).unwrap();
    drop(tx);
    assert!(runtime().block_on(store.write(LockScope::Installation)).is_ok());
}

#[tokio::test]
async fn two_stores_on_one_file_see_each_others_commits_and_take_turns() {
    let first = SqliteStore::temporary_with(quick()).unwrap();
    let second = SqliteStore::open(first.path().to_str().unwrap(), quick()).unwrap();
    let world = World::build(&first, &Maker::default(), "acme").await;
    let id = world.development.environment.id;
    let mut seen = second.read().await.unwrap();
    let before = seen.revision(id).await.unwrap().unwrap();

    let tx = first.write(LockScope::Environment(id)).await.unwrap();
    let busy = second.write(LockScope::Environment(id)).await.err();
    assert!(matches!(busy, Some(StoreError::Busy(_))), "{busy:?}");
    world.commit(tx, &[id]).await;

    assert_eq!(
        seen.revision(id).await.unwrap(),
        Some(before),
        "a reader keeps the state that it began with"
    );
    drop(seen);
    let mut tx = second.write(LockScope::Environment(id)).await.unwrap();
    assert_eq!(tx.revision(id).await.unwrap(), Some(before.next()));
    world.commit(tx, &[id]).await;
    assert_eq!(
        first.read().await.unwrap().revision(id).await.unwrap(),
        Some(before.next().next())
    );
}

#[tokio::test]
async fn a_temporary_store_goes_with_its_last_unit_of_work() {
    let store = SqliteStore::temporary().unwrap();
    let path = store.path().to_owned();
    let tx = store.read().await.unwrap();
    drop(store);
    assert!(path.exists());
    drop(tx);
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn a_location_is_a_path_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/canopy.sqlite");
    let path = path.to_str().unwrap();
    for good in [path.to_owned(), format!("sqlite://{path}"), format!("sqlite:{path}")] {
        assert_eq!(
            SqliteStore::open(&good, quick()).unwrap().path().to_str().unwrap(),
            path
        );
    }
    for bad in [
        "",
        "sqlite://",
        ":memory:",
        "sqlite::memory:",
        "file:x.db",
        "postgres://host/db",
        "sqlite://a?mode=ro",
    ] {
        let refused = SqliteStore::open(bad, quick()).unwrap_err();
        assert!(matches!(refused, OpenError::Location(_)), "{bad}: {refused:?}");
    }
    let no_folder = format!("{path}/canopy.sqlite");
    assert!(matches!(SqliteStore::open(&no_folder, quick()), Err(OpenError::Io(_))));
    let no_database = folder.path().join("text");
    std::fs::write(
        &no_database,
        "a text that is long enough to be looked at as if it were the head of a database file",
    )
    .unwrap();
    assert!(SqliteStore::open(no_database.to_str().unwrap(), quick()).is_err());
}

/// Takes a place in the queue, behind all that have one.
async fn queue<F: Future>(mut waiting: Pin<&mut F>) {
    let polled = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_pending()));
    assert!(polled.await, "the writer is taken");
}

#[tokio::test]
async fn a_write_of_another_tenant_waits_for_one_write_of_a_busy_one_and_not_for_all() {
    let store = SqliteStore::temporary_with(SqliteOptions {
        deadline: Duration::from_secs(60),
        ..quick()
    })
    .unwrap();
    let maker = Maker::default();
    let [busy, other] = [maker.id(), maker.id()].map(LockScope::Environment);
    let held = store.write(busy.clone()).await.unwrap();
    let [mut first, mut second] = [busy.clone(), busy].map(|scope| Box::pin(store.write(scope)));
    queue(first.as_mut()).await;
    queue(second.as_mut()).await;
    let mut single = Box::pin(store.write(other));
    queue(single.as_mut()).await;
    drop(held);
    drop(first.await.unwrap());
    // The turn is the other tenant's now, though the busy one asked earlier.
    let single = single.await.unwrap();
    queue(second.as_mut()).await;
    drop(single);
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn one_tenant_leaves_half_of_the_readers_to_the_others() {
    let store = SqliteStore::temporary_with(SqliteOptions { readers: 4, ..quick() }).unwrap();
    let maker = Maker::default();
    let [busy, other] = [maker.id(), maker.id()].map(|id: canopy_domain::EnvironmentId| Share::from(id));
    let _held = (store.read_for(busy).await.unwrap(), store.read_for(busy).await.unwrap());
    let third = store.read_for(busy).await.err();
    assert!(matches!(third, Some(StoreError::Busy(_))), "{third:?}");
    let others = (store.read_for(other).await, store.read_for(other).await);
    assert!(others.0.is_ok() && others.1.is_ok());
}
