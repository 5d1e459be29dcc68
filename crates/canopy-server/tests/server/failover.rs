//! A primary with a standby, and what becomes of the service when one takes the place of the other: calls are refused within
//! a bounded time, nothing acknowledged is lost, nothing stale is answered, and all is well again without a restart.

use crate::mixed_load::Stage;
use crate::postgres_faults::{is_refused, until};
use crate::process::{Client, Home};
use crate::recorder::{ENVIRONMENT, Recorder};
use crate::several_servers::Instance;
use canopy_testkit::postgres::Server as Cluster;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// The time that a refusal may take with the settings of these tests, on a slow machine. Without deadlines it takes for
/// ever.
const BOUND: Duration = Duration::from_secs(15);

/// Two servers on one machine: the first is the primary to begin with.
struct Pair {
    primary: Cluster,
    standby: Cluster,
}

impl Pair {
    async fn start() -> Self {
        let start = || {
            let primary = Cluster::start();
            let standby = primary.follow();
            Self { primary, standby }
        };
        tokio::task::spawn_blocking(start).await.unwrap()
    }

    /// The primary acknowledges nothing from now on that the standby does not have.
    async fn synchronize(&self) {
        self.primary
            .execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            .await;
        self.primary.execute("SELECT pg_reload_conf()").await;
        let is_synchronous = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        until("synchronous", async || self.primary.ask(is_synchronous).await).await;
    }

    async fn with(self, work: impl FnOnce(&Self) + Send + 'static) -> Self {
        let run = move || {
            work(&self);
            self
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    fn home(&self) -> Home {
        let (one, other) = (self.primary.port(), self.standby.port());
        let url = format!("postgres://canopy@127.0.0.1:{one},127.0.0.1:{other}/postgres");
        let home = Home::on_postgres(url);
        let settings = "shutdown_timeout = '2s'\n[postgres]\nconnect_timeout = '2s'\nanswer_timeout = '1s'\n\
             commit_timeout = '3s'\npool_size = 8\n";
        fs::write(home.path().join("canopy.toml"), settings).unwrap();
        home
    }
}

/// Someone who may be asked about on the public surface, without a look-up of names.
struct Question {
    client: Client,
    person: Value,
    root: Value,
}

impl Question {
    async fn about(instance: &Instance) -> Self {
        let client = instance.bound_client();
        let (_, people) = client.get("/portal/v1/accounts/acme/identities?take=1").await;
        let (_, tree) = client.get(&format!("{ENVIRONMENT}/nodes")).await;
        Self {
            person: people["items"][0]["id"].clone(),
            root: tree["tree"][0]["id"].clone(),
            client,
        }
    }

    async fn ask(&self, consistency: &str) -> reqwest::Response {
        let body = json!({"identity_id": self.person, "permission": "note.read", "scope": "node",
            "node_id": self.root, "consistency": consistency});
        let path = "/api/v1/permissions/evaluate";
        self.client.send(Method::POST, path, Some(&body)).await
    }

    async fn is_allowed(&self) -> bool {
        let answer = self.ask("strong").await;
        assert_eq!(answer.status(), 200);
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        body["allowed"].as_bool().unwrap()
    }

    async fn write(&self, name: &str) -> reqwest::Response {
        let body = json!({"name": name, "permission_keys": []});
        let path = format!("{ENVIRONMENT}/roles");
        self.client.send(Method::POST, &path, Some(&body)).await
    }

    /// Everything is refused, each call within the bound.
    async fn all_are_refused(&self) {
        let begun = Instant::now();
        let calls = async {
            tokio::join!(
                async { is_refused(self.ask("strong").await, "server.unavailable").await },
                async { is_refused(self.write("Late").await, "server.unavailable").await },
                async {
                    let path = format!("{ENVIRONMENT}/roles");
                    let read = self.client.send(Method::GET, &path, None).await;
                    is_refused(read, "server.unavailable").await;
                },
                async {
                    let ready = self.client.send(Method::GET, "/health/ready", None).await;
                    assert_eq!(ready.status(), 503);
                },
            )
        };
        let in_time = tokio::time::timeout(BOUND, calls).await;
        assert!(in_time.is_ok(), "not refused after {:?}", begun.elapsed());
    }

    async fn recovered(&self) {
        until("a strong answer", async || {
            (self.ask("strong").await.status() == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_primary_is_replaced_under_load_and_nothing_is_lost_or_stale() {
    let pair = Pair::start().await;
    pair.synchronize().await;
    let instances = [
        Instance::start_in(pair.home(), &["--demo"]),
        Instance::start_in(pair.home(), &[]),
    ];
    let stage = Stage::set(&instances[0].client()).await;
    let question = Question::about(&instances[1]).await;
    let recorder = Recorder::new();
    let clerks = instances.each_ref().map(|one| one.clerk(&recorder));
    let load = stage.load(&clerks, 6, 30);
    recorder.reach(60).await;

    let pair = pair.with(|pair| pair.primary.freeze()).await;
    question.all_are_refused().await;
    let pair = pair.with(|pair| pair.standby.promote()).await;
    question.recovered().await;
    load.join_all().await;
    stage.survey(&clerks).await;
    recorder.check(&stage.start);

    // The old primary comes back as if nothing had happened. Nobody listens to it.
    let pair = pair.with(|pair| pair.primary.thaw()).await;
    let load = stage.load(&clerks, 4, 20);
    load.join_all().await;
    stage.survey(&clerks).await;
    recorder.check(&stage.start);
    for one in instances {
        one.server.stop();
    }
    drop(pair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_the_new_primary_never_had_is_not_answered() {
    let pair = Pair::start().await;
    let instance = Instance::start_in(pair.home(), &["--demo"]);
    Stage::set(&instance.client()).await;
    let question = Question::about(&instance).await;
    assert!(!question.is_allowed().await);
    let is_level = "SELECT 1 FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()";
    until("level", async || pair.primary.ask(is_level).await).await;
    // The standby gets nothing from here on, and the primary acknowledges all the same.
    pair.standby.execute("ALTER SYSTEM SET primary_conninfo = ''").await;
    pair.standby.execute("SELECT pg_reload_conf()").await;
    until("parted", async || {
        let is_there = pair.primary.ask("SELECT 1 FROM pg_stat_replication").await;
        is_there.is_none().then_some(())
    })
    .await;
    let (_, roles) = question.client.get(&format!("{ENVIRONMENT}/roles?type=custom")).await;
    let role = roles["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|role| role["name"] == "Editor")
        .unwrap();
    let body = json!({"identity_id": question.person, "role_id": role["id"], "node_id": question.root});
    let (status, made) = question.client.post(&format!("{ENVIRONMENT}/assignments"), &body).await;
    assert_eq!(status, 201, "{made}");
    assert!(question.is_allowed().await);

    // Another instance gives the number of that commit to one of its own before the first asks again.
    let pair = pair
        .with(|pair| {
            pair.primary.stop_at_once();
            pair.standby.promote();
        })
        .await;
    let other = Instance::start_in(pair.home(), &[]);
    let body = json!({"name": "In its place", "permission_keys": []});
    let (status, made) = other.client().post(&format!("{ENVIRONMENT}/roles"), &body).await;
    assert_eq!(status, 201, "{made}");
    let answer = until("a strong answer", async || {
        let answer = question.ask("strong").await;
        (answer.status() == 200).then_some(answer)
    })
    .await;
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(body["allowed"], false, "{body}");
    for one in [instance, other] {
        one.server.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_ends_in_time_while_its_database_stands_still() {
    let pair = Pair::start().await;
    let instance = Instance::start_in(pair.home(), &["--demo"]);
    let question = Question::about(&instance).await;
    let pair = pair.with(|pair| pair.primary.freeze()).await;
    // Calls are under way, each of which waits for the database.
    let (client, path) = (question.client.clone(), format!("{ENVIRONMENT}/roles"));
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let (client, path) = (client.clone(), path.clone());
            let body = json!({"name": format!("Number {number}"), "permission_keys": []});
            tokio::spawn(async move { client.try_send(Method::POST, &path, Some(&body)).await.map(drop) })
        })
        .collect();
    let begun = Instant::now();
    instance.server.signal("TERM");
    let status = tokio::task::spawn_blocking(move || instance.server.wait())
        .await
        .unwrap();
    assert!(begun.elapsed() < BOUND, "{:?}: {status:?}", begun.elapsed());
    for call in calls {
        drop(call.await.unwrap());
    }
    drop(pair);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_wait_for_a_standby_take_no_connection_from_checks() {
    let pair = Pair::start().await;
    let instance = Instance::start_in(pair.home(), &["--demo"]);
    Stage::set(&instance.client()).await;
    let question = Question::about(&instance).await;
    pair.synchronize().await;
    // The standby is gone and the primary waits for it.
    let pair = pair.with(|pair| pair.standby.stop_at_once()).await;
    let writers: Vec<_> = (0..16)
        .map(|number| {
            let (client, path) = (question.client.clone(), "/portal/v1/accounts/acme/applications");
            let body = json!({"name": format!("Number {number}")});
            tokio::spawn(async move { client.send(Method::POST, path, Some(&body)).await })
        })
        .collect();
    let is_waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    until("waiting", async || pair.primary.ask(is_waiting).await).await;
    assert_eq!(question.ask("strong").await.status(), 200);
    assert_eq!(question.ask("eventual").await.status(), 200);
    let ready = question.client.send(Method::GET, "/health/ready", None).await;
    assert_eq!(ready.status(), 200);
    for writer in writers {
        let answer = tokio::time::timeout(2 * BOUND, writer).await.expect("a bounded time");
        assert_eq!(answer.unwrap().status(), 503);
    }
    pair.standby.resume();
    until("a write", async || {
        (question.write("At last").await.status() == 201).then_some(())
    })
    .await;
    instance.server.stop();
}
