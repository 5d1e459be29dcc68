//! Servers that do not answer, and standbys that answer: an error within the deadline, and then all is well again.

use canopy_domain::port::{LockScope, SharedStore as _, Store, StoreError};
use canopy_domain::{EnvironmentId, Revision};
use canopy_storage_postgres::{OpenError, PgOptions, PgStore};
use canopy_testkit::fixture::{Maker, World};
use canopy_testkit::postgres::{Line, Server, store_with};
use std::time::{Duration, Instant};

/// The time that a server may be silent in these tests.
const ANSWER: Duration = Duration::from_secs(2);

/// The time that a refusal may take on a slow machine. Without deadlines, it takes for ever.
const BOUND: Duration = Duration::from_secs(20);

async fn start() -> Server {
    tokio::task::spawn_blocking(Server::start).await.unwrap()
}

async fn blocking<T: Send + 'static>(server: T, work: impl FnOnce(&T) + Send + 'static) -> T {
    let run = move || {
        work(&server);
        server
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn follow(primary: Server) -> (Server, Server) {
    let run = move || {
        let standby = primary.follow();
        (primary, standby)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn options(ports: &[u16]) -> PgOptions {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    PgOptions {
        answer_timeout: ANSWER,
        connect_timeout: Duration::from_secs(2),
        ..PgOptions::new(format!("postgres://canopy@{}/postgres", hosts.join(",")))
    }
}

async fn is_unavailable<T>(what: &str, call: impl Future<Output = Result<T, StoreError>>) {
    let begun = Instant::now();
    let answer = tokio::time::timeout(BOUND, call).await;
    let refused = matches!(answer, Ok(Err(StoreError::Unavailable(_))));
    assert!(refused, "{what}: {:?} after {:?}", answer.map(drop_ok), begun.elapsed());
}

fn drop_ok<T>(answer: Result<T, StoreError>) -> Option<StoreError> {
    answer.err()
}

/// Asks again until the store answers.
async fn recovered(store: &PgStore) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while store.ping().await.is_err() {
        assert!(Instant::now() < deadline, "the store does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_unavailable_in_time_and_back_by_itself() {
    let server = start().await;
    let store = PgStore::open(&options(&[server.port()])).await.unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let id = world.development.environment.id;
    let mut reading = store.read().await.unwrap();
    let writing = store.write(world.within(id)).await.unwrap();
    let server = blocking(server, Server::freeze).await;

    let ids = [id];
    // What is under way ends, also what waits for nothing but its own statement.
    let record = world.maker.record(world.account.id, &[id]);
    tokio::join!(
        is_unavailable("read", reading.nodes(id)),
        is_unavailable("commit", writing.commit(record)),
        is_unavailable("fence", store.heads(&ids)),
        is_unavailable("ready", store.ping()),
    );
    // What comes later is refused at once.
    let begun = Instant::now();
    is_unavailable("later read", store.read()).await;
    is_unavailable("later write", store.write(world.within(id))).await;
    is_unavailable("later fence", store.heads(&[id])).await;
    is_unavailable("later ready", store.ping()).await;
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());

    let _server = blocking(server, Server::thaw).await;
    recovered(&store).await;
    let tx = store.write(world.within(id)).await.unwrap();
    world.commit(tx, &[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_goes_dead_is_noticed_and_a_silent_host_is_passed_over() {
    let server = start().await;
    let (dying, good) = (Line::to(server.port()).await, Line::to(server.port()).await);
    let store = PgStore::open(&options(&[dying.port(), good.port()])).await.unwrap();
    dying.go_dead();
    // The other host is there, so the store recovers although the first stays silent.
    let begun = Instant::now();
    recovered(&store).await;
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    drop(store.read().await.unwrap());
    drop(store.write(LockScope::Installation).await.unwrap());
    // A store that starts finds it too, within the deadline of one host.
    let begun = Instant::now();
    let fresh = PgStore::open(&options(&[dying.port(), good.port()])).await.unwrap();
    fresh.ping().await.unwrap();
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    good.go_dead();
    let refused = PgStore::open(&options(&[dying.port(), good.port()])).await;
    assert!(matches!(refused, Err(OpenError::Store(StoreError::Unavailable(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_refused_whatever_the_url_says() {
    let (primary, standby) = follow(start().await).await;
    let both = options(&[standby.port(), primary.port()]);
    let store = PgStore::open(&both).await.unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    for attributes in ["", "?target_session_attrs=any"] {
        let mut alone = options(&[standby.port()]);
        alone.url.push_str(attributes);
        alone.migrate = false;
        let refused = PgStore::open(&alone).await;
        assert!(
            matches!(refused, Err(OpenError::Store(StoreError::Unavailable(_)))),
            "{attributes}"
        );
    }
    // When the primary is gone, the standby answers nothing.
    let primary = blocking(primary, Server::stop_at_once).await;
    is_unavailable("fence", store.heads(&[world.development.environment.id])).await;
    is_unavailable("read", store.read()).await;
    primary.resume();
    recovered(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_server_is_another_epoch_and_the_old_one_is_refused() {
    let (primary, standby) = follow(start().await).await;
    let store = PgStore::open(&options(&[primary.port(), standby.port()]))
        .await
        .unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let id = world.development.environment.id;
    let shared = "SELECT 1 FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()";
    while primary.ask(shared).await.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The standby gets nothing from here on, and the primary acknowledges all the same.
    standby.execute("ALTER SYSTEM SET primary_conninfo = ''").await;
    standby.execute("SELECT pg_reload_conf()").await;
    while primary.ask("SELECT 1 FROM pg_stat_replication").await.is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lost = store.write(world.within(id)).await.unwrap();
    world.commit(lost, &[id]).await;
    let before = store.heads(&[id]).await.unwrap();
    assert_eq!(store.epoch(), 0);

    // The old primary does not know that it was replaced.
    let primary = blocking(primary, Server::freeze).await;
    let _standby = blocking(standby, Server::promote).await;
    recovered(&store).await;
    assert_eq!(store.epoch(), 1);
    let tx = store.write(world.within(id)).await.unwrap();
    world.commit(tx, &[id]).await;
    let after = store.heads(&[id]).await.unwrap();
    let (before, after) = (before.first().unwrap(), after.first().unwrap());
    assert_eq!(before.revision, after.revision, "the number is used again");
    assert_ne!(before.tag, after.tag);
    let mut tx = store.read().await.unwrap();
    let tags = tx.commit_tags(id, Revision::ZERO, 100).await.unwrap();
    assert_eq!(
        tags.last().map(|(revision, tag)| (*revision, Some(*tag))),
        Some((after.revision, after.tag))
    );
    drop(tx);

    // It comes back and takes writes; this process knows better.
    let primary = blocking(primary, Server::thaw).await;
    let alone = PgStore::open(&options(&[primary.port()])).await.unwrap();
    assert_eq!(alone.heads(&[id]).await.unwrap().first().unwrap().tag, before.tag);
    for _ in 0..20 {
        assert_eq!(store.heads(&[id]).await.unwrap().first().unwrap().tag, after.tag);
        let mut tx = store.read().await.unwrap();
        assert_eq!(
            tx.commit_tags(id, after.revision, 1).await.unwrap(),
            [(after.revision, after.tag.unwrap())]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_wait_for_a_standby_for_ever_end_with_their_deadline_and_hold_no_fence() {
    let server = start().await;
    let mut options = options(&[server.port()]);
    options.pool_size = 4;
    options.commit_timeout = Duration::from_secs(2);
    let store = PgStore::open(&options).await.unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let ids = [world.development.environment.id, world.production.environment.id];
    let before = store.heads(&ids).await.unwrap();
    server
        .execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        .await;
    server.execute("SELECT pg_reload_conf()").await;
    while server.ask("SHOW synchronous_standby_names").await.as_deref() != Some("nobody") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let commits: Vec<_> = ids
        .map(|id| {
            let (store, record) = (store.clone(), world.maker.record(world.account.id, &[id]));
            let scope = world.within(id);
            tokio::spawn(async move {
                let tx = store.write(scope).await.unwrap();
                tx.commit(record).await
            })
        })
        .into();
    let hanging = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' HAVING count(*) = 2";
    while server.ask(hanging).await.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Fences and reads go on, at the state before.
    assert_eq!(store.heads(&ids).await.unwrap(), before);
    store.ping().await.unwrap();
    store.read().await.unwrap().nodes(ids[0]).await.unwrap();
    for commit in commits {
        is_unavailable("commit", async { commit.await.unwrap() }).await;
    }
    // Nobody asked the server to stop waiting: then the commits would have taken place on the primary alone.
    assert_eq!(store.heads(&ids).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_have_a_deadline_of_their_own() {
    let lock = "BEGIN; LOCK TABLE assignments IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1); COMMIT";
    for (load_timeout, is_loaded) in [(Duration::from_secs(60), true), (Duration::from_millis(300), false)] {
        let store = store_with(|options| {
            options.statement_timeout = Duration::from_millis(100);
            options.load_timeout = load_timeout;
        })
        .await;
        let world = World::build(&store, &Maker::default(), "acme").await;
        let mut tx = store.read().await.unwrap();
        let load = async {
            let held =
                "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'assignments'::regclass";
            while store.database().query(held).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tx.snapshot(world.development.environment.id).await
        };
        let (loaded, ()) = tokio::join!(load, store.database().execute(lock));
        match loaded {
            Ok(snapshot) => assert!(is_loaded && snapshot.is_some()),
            Err(error) => assert!(!is_loaded && matches!(error, StoreError::Unavailable(_)), "{error:?}"),
        }
    }
}

/// Forty writers of one environment leave room for a reader and for a writer of another one.
#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_environment_do_not_take_the_pool() {
    let store = store_with(|options| {
        options.pool_size = 8;
        options.wait_timeout = Duration::from_millis(500);
        options.lock_timeout = Duration::from_secs(60);
    })
    .await;
    let world = World::build(&store, &Maker::default(), "acme").await;
    let (crowded, other) = (world.development.environment.id, world.production.environment.id);
    let held = store.write(world.within(crowded)).await.unwrap();
    let writers: Vec<_> = (0..40)
        .map(|_| {
            let (store, record) = (store.inner().clone(), world.maker.record(world.account.id, &[crowded]));
            let scope = world.within(crowded);
            tokio::spawn(async move {
                let tx = store.write(scope).await?;
                tx.commit(record).await
            })
        })
        .collect();
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while store.database().query(waiting).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let others = world.within(other);
    world.commit(store.write(others).await.unwrap(), &[other]).await;
    store.read().await.unwrap().nodes(crowded).await.unwrap();
    assert_eq!(store.shared().unwrap().heads(&[crowded, other]).await.unwrap().len(), 2);
    drop(held);
    let mut taken = Vec::new();
    for writer in writers {
        let committed: Vec<(EnvironmentId, Revision)> = writer.await.unwrap().unwrap();
        taken.extend(committed.into_iter().map(|(_, revision)| revision.get()));
    }
    taken.sort_unstable();
    let first = *taken.first().unwrap();
    assert_eq!(taken, (first..first + 40).collect::<Vec<_>>());
}
