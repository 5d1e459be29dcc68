//! Servers and their PostgreSQL database, with one of them absent: acknowledged writes are stored, no write is partial, no response
//! is wrong, and the service recovers by itself.

use crate::faults::{admin, compare, in_the_middle, interrupted};
use crate::mixed_load::Stage;
use crate::process::{Client, Home};
use crate::recorder::{ENVIRONMENT, Recorder, id};
use crate::several_servers::Instance;
use canopy_domain::EnvironmentRef;
use canopy_domain::port::{LockScope, Store as _, WriteTx};
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_testkit::postgres::{Database, Server as Cluster};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A cluster that a test may crash.
async fn cluster() -> Arc<Cluster> {
    Arc::new(tokio::task::spawn_blocking(Cluster::start).await.unwrap())
}

/// Asks again and again, until the answer is as wanted.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: never")
}

async fn ready(client: &Client) {
    until("ready", async || {
        (client.get("/health/ready").await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_leaves_whole_batches_in_the_database() {
    let database = Database::bare().await;
    let home = Home::on_postgres(database.url());
    let server = home.serve(&["--demo"]);
    let fates = interrupted(&admin(&home, &server), || server.kill()).await;
    in_the_middle(&fates);
    let server = home.serve(&[]);
    compare(&admin(&home, &server), &fates).await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_database_has_whole_batches_when_it_is_back() {
    let cluster = cluster().await;
    let home = Home::on_postgres(cluster.url("postgres"));
    let server = home.serve(&["--demo"]);
    let client = admin(&home, &server);
    let crashing = Arc::clone(&cluster);
    let fates = interrupted(&client, move || crashing.stop_at_once()).await;
    in_the_middle(&fates);
    cluster.resume();
    ready(&client).await;
    compare(&client, &fates).await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_one_server_is_killed_the_other_goes_on() {
    let database = Database::bare().await;
    let [first, second] = Instance::pair(&database.url());
    let stage = Stage::set(&first.client()).await;
    let recorder = Recorder::new();
    let load = stage.load(&[first.clerk(&recorder), second.clerk(&recorder)], 6, 30);
    recorder.reach(60).await;
    first.server.kill();
    load.join_all().await;
    let third = Instance::start(&database.url(), &[]);
    stage.survey(&[second.clerk(&recorder), third.clerk(&recorder)]).await;
    recorder.check(&stage.start);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_outlive_a_crash_of_their_database() {
    let cluster = cluster().await;
    let pair = Instance::pair(&cluster.url("postgres"));
    let stage = Stage::set(&pair[0].client()).await;
    let recorder = Recorder::new();
    let clerks = pair.each_ref().map(|one| one.clerk(&recorder));
    let load = stage.load(&clerks, 6, 30);
    recorder.reach(60).await;
    let crashing = Arc::clone(&cluster);
    let crash = move || {
        crashing.stop_at_once();
        crashing.resume();
    };
    tokio::task::spawn_blocking(crash).await.unwrap();
    load.join_all().await;
    stage.survey(&clerks).await;
    recorder.check(&stage.start);
}

/// The servers' connections to this database.
fn connections(database: &str) -> String {
    format!("FROM pg_stat_activity WHERE application_name = 'canopy' AND datname = '{database}'")
}

/// Returns a query for the connections that listen: they ran only empty statements since.
fn lines(database: &str) -> String {
    format!("{} AND query IN ('', 'LISTEN canopy_revisions')", connections(database))
}

fn name(database: &Database) -> String {
    database.url().rsplit('/').next().unwrap().to_owned()
}

/// Cuts connections, as seen from some database, and says how many.
async fn cut(seen_from: &Database, which: &str) -> usize {
    seen_from
        .query(&format!("SELECT pg_terminate_backend(pid) {which}"))
        .await
        .len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fences_hold_while_the_lines_that_tell_of_changes_are_cut() {
    let database = Database::bare().await;
    let pair = Instance::pair(&database.url());
    let stage = Stage::set(&pair[0].client()).await;
    let recorder = Recorder::new();
    let clerks = pair.each_ref().map(|one| one.clerk(&recorder));
    let load = stage.load(&clerks, 6, 30);
    for calls in [30, 60, 90, 120] {
        let lines = lines(&name(&database));
        let count = format!("SELECT 1 {lines}");
        until("both listen", async || {
            (database.query(&count).await.len() == 2).then_some(())
        })
        .await;
        cut(&database, &lines).await;
        recorder.reach(calls).await;
    }
    load.join_all().await;
    stage.survey(&clerks).await;
    recorder.check(&stage.start);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_may_be_cut_in_the_middle_of_anything() {
    let database = Database::bare().await;
    let pair = Instance::pair(&database.url());
    let stage = Stage::set(&pair[0].client()).await;
    let recorder = Recorder::new();
    let clerks = pair.each_ref().map(|one| one.clerk(&recorder));
    let load = stage.load(&clerks, 6, 30);
    for calls in [30, 60, 90, 120] {
        recorder.reach(calls).await;
        cut(&database, &connections(&name(&database))).await;
    }
    load.join_all().await;
    stage.survey(&clerks).await;
    recorder.check(&stage.start);
}

/// A server with the demo on a small pool, whose people and roles are known.
struct Small {
    database: Database,
    instance: Instance,
    client: Client,
    person: Value,
    root: Value,
    environment: Value,
}

impl Small {
    async fn start(settings: &str) -> Self {
        let database = Database::bare().await;
        let home = Home::on_postgres(database.url());
        fs::write(home.path().join("canopy.toml"), format!("[postgres]\n{settings}")).unwrap();
        let instance = Instance::start_in(home, &["--demo"]);
        let client = instance.bound_client();
        let (_, people) = client.get("/portal/v1/accounts/acme/identities?take=1").await;
        let (_, tree) = client.get(&format!("{ENVIRONMENT}/nodes")).await;
        let (_, environment) = client.get(ENVIRONMENT).await;
        Self {
            person: people["items"][0]["id"].clone(),
            root: tree["tree"][0]["id"].clone(),
            environment: environment["id"].clone(),
            database,
            instance,
            client,
        }
    }

    async fn ask(&self, consistency: &str) -> reqwest::Response {
        let body = json!({"identity_id": self.person, "permission": "node.read", "scope": "node", "node_id": self.root,
            "consistency": consistency});
        // The public surface: on the portal, the names in the path are looked up for each call.
        self.client
            .send(Method::POST, "/api/v1/permissions/evaluate", Some(&body))
            .await
    }

    /// A new role of this name.
    async fn write(&self, name: &str) -> reqwest::Response {
        write(&self.client, name).await
    }

    /// The same, which may wait.
    fn start_write(&self, name: &'static str) -> JoinHandle<reqwest::Response> {
        let client = self.client.clone();
        tokio::spawn(async move { write(&client, name).await })
    }

    async fn list_roles(&self) -> reqwest::Response {
        list_roles(&self.client).await
    }

    /// Waits until so many calls wait for locks in the database.
    async fn waiting_for_locks(&self, count: usize) {
        const WAITING: &str =
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("waiting for locks", async || {
            (self.database.query(WAITING).await.len() == count).then_some(())
        })
        .await;
    }

    /// Holds what a write of the environment needs, as another instance would. The account it is charged to is of no matter.
    async fn hold(&self) -> Box<dyn WriteTx> {
        const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
        let options = PgOptions {
            application_name: "another".to_owned(),
            ..PgOptions::new(self.database.url())
        };
        let store = PgStore::open(&options).await.unwrap();
        store
            .write(LockScope::Environment(EnvironmentRef {
                account: id(&json!(NOBODY)),
                application: id(&json!(NOBODY)),
                environment: id(&self.environment),
            }))
            .await
            .unwrap()
    }
}

async fn write(client: &Client, name: &str) -> reqwest::Response {
    let body = json!({"name": name, "permission_keys": []});
    client
        .send(Method::POST, &format!("{ENVIRONMENT}/roles"), Some(&body))
        .await
}

async fn list_roles(client: &Client) -> reqwest::Response {
    client.send(Method::GET, &format!("{ENVIRONMENT}/roles"), None).await
}

/// 503, when to come back, and why.
pub async fn is_refused(response: reqwest::Response, code: &str) {
    let (status, retry_after) = (response.status(), response.headers().get("retry-after").cloned());
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!((status.as_u16(), &body["error"]["code"]), (503, &json!(code)), "{body}");
    assert_eq!(retry_after.unwrap(), "1");
}

/// Of two connections, one is for writers and one for readers; fences have their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_connections_are_taken_calls_are_told_to_come_back() {
    // Three seconds for the turn, three for the lock; the rest is for a slow machine.
    const BOUND: Duration = Duration::from_secs(20);
    let small = Small::start("pool_size = 2\nwait_timeout = '200ms'\nlock_timeout = '3s'").await;
    assert_eq!(small.ask("eventual").await.status(), 200);
    let held = small.hold().await;
    let mut writing = vec![small.start_write("One")];
    small.waiting_for_locks(1).await;
    writing.extend(["Two", "Three"].map(|name| small.start_write(name)));

    // Writers leave readers a connection.
    assert_eq!(small.list_roles().await.status(), 200);
    let table = small.database.hold("LOCK TABLE roles IN ACCESS EXCLUSIVE MODE").await;
    let client = small.client.clone();
    let reading = tokio::spawn(async move { list_roles(&client).await });
    small.waiting_for_locks(2).await;
    // Now both are taken.
    is_refused(small.list_roles().await, "server.busy").await;
    assert_eq!(small.ask("strong").await.status(), 200);
    assert_eq!(small.ask("eventual").await.status(), 200);
    let ready = small.client.send(Method::GET, "/health/ready", None).await;
    assert_eq!(ready.status(), 200);

    for call in writing.into_iter().chain([reading]) {
        let answer = tokio::time::timeout(BOUND, call).await.expect("a bounded time");
        is_refused(answer.unwrap(), "server.busy").await;
    }
    // Nothing of them is left behind, and who waits in time is served.
    drop((table, held));
    assert_eq!(small.write("One").await.status(), 201);
    let held = small.hold().await;
    let first = small.start_write("Two");
    small.waiting_for_locks(1).await;
    let second = small.start_write("Three");
    drop(held);
    for write in [first, second] {
        assert_eq!(write.await.unwrap().status(), 201);
    }
    assert_eq!(small.list_roles().await.status(), 200);
    assert_eq!(small.ask("strong").await.status(), 200);
    small.instance.server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waits_too_long_for_another_one_is_told_to_come_back() {
    let small = Small::start("lock_timeout = '200ms'").await;
    let held = small.hold().await;
    is_refused(small.write("Late").await, "server.busy").await;
    // Others need not wait for it, and checks do not either.
    let (status, made) = small
        .client
        .post("/portal/v1/accounts/acme/applications", &json!({"name": "Other"}))
        .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(small.ask("strong").await.status(), 200);
    drop(held);
    assert_eq!(small.write("Late").await.status(), 201);
    small.instance.server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eventual_checks_are_refused_when_nothing_is_heard_of_changes_any_more() {
    let small = Small::start("").await;
    assert_eq!(small.ask("strong").await.status(), 200);
    until("news", async || {
        (small.ask("eventual").await.status() == 200).then_some(())
    })
    .await;

    // The connections that are there stay, but the line that is cut cannot be had again.
    let elsewhere = Database::bare().await;
    let name = name(&small.database);
    elsewhere
        .execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        .await;
    assert_eq!(cut(&elsewhere, &lines(&name)).await, 1);
    let refused = until("silence", async || {
        let answer = small.ask("eventual").await;
        (answer.status() != 200).then_some(answer)
    });
    is_refused(refused.await, "server.unavailable").await;
    assert_eq!(
        small.ask("strong").await.status(),
        200,
        "the fence does not depend on the line"
    );

    elsewhere
        .execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        .await;
    until("news again", async || {
        (small.ask("eventual").await.status() == 200).then_some(())
    })
    .await;
    small.instance.server.stop();
}
