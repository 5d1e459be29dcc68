//! Bulk-create on PostgreSQL by several writers at once, each in an environment of its own.

use crate::{Scale, print_row};
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_testkit::postgres::Server;
use canopy_testkit::server::{Api, TestServer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const WRITERS: [usize; 3] = [1, 4, 16];
/// Items of a call: everybody gets a role at the root.
const PEOPLE: usize = 1_000;
const APPLICATION: &str = "/portal/v1/accounts/acme/applications/default";

/// An environment, and the roles that nobody has there yet.
struct Target {
    path: String,
    root: Value,
    roles: Vec<Value>,
}

/// The database waits for the disk, as a real one does: what several writers share is the wait.
pub async fn writers(scale: Scale) {
    let cluster = Server::start_with_usual_settings();
    let options = PgOptions {
        pool_size: 20,
        ..PgOptions::new(cluster.url("postgres"))
    };
    let server = TestServer::start(Arc::new(PgStore::open(&options).await.unwrap()));
    let operator = server.operator();
    let account = operator
        .post("/portal/v1/accounts", &json!({"name": "Acme"}))
        .await
        .expect(201);
    let admin = server.admin(account["id"].as_str().unwrap().parse().unwrap());
    let people = hire(&admin).await;
    let mut targets = Vec::new();
    for number in 0..WRITERS.into_iter().max().unwrap() {
        targets.push(target(&admin, number).await);
    }
    let people = Arc::new(people);
    let mut figures: [(Vec<f64>, Vec<f64>); 3] = Default::default();
    for _ in 0..scale.runs() {
        for (count, (rates, times)) in WRITERS.into_iter().zip(&mut figures) {
            let (calls, took) = run(&admin, &people, &mut targets[..count], scale.duration()).await;
            rates.push(count_of(calls.len() * PEOPLE) / took.as_secs_f64());
            times.extend(calls.iter().map(|call| call.as_secs_f64() * 1_000.0));
        }
    }
    for (count, (rates, times)) in WRITERS.into_iter().zip(figures) {
        print_row(&format!("{count} writers, {PEOPLE} a call"), "assignments/s", rates);
        print_row(&format!("{count} writers, one call"), "ms", times);
    }
}

fn count_of(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

async fn hire(admin: &Api) -> Vec<Value> {
    let application = admin.get(APPLICATION).await.expect(200);
    let person = |number| json!({"email": format!("p{number}@example.com"), "first_name": "P", "last_name": "Q"});
    let people: Vec<Value> = (0..PEOPLE).map(person).collect();
    let body = json!({"application_id": application["id"], "identities": people});
    let made = admin
        .post("/portal/v1/accounts/acme/identities/bulk-create", &body)
        .await
        .expect(200);
    made["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["data"]["id"].clone())
        .collect()
}

async fn target(admin: &Api, number: usize) -> Target {
    let body = json!({"name": format!("E{number}"), "slug": format!("e{number}")});
    admin
        .post(&format!("{APPLICATION}/environments"), &body)
        .await
        .expect(201);
    let path = format!("{APPLICATION}/environments/e{number}");
    let tree = admin.get(&format!("{path}/nodes")).await.expect(200);
    let mut target = Target {
        root: tree["tree"][0]["id"].clone(),
        path,
        roles: Vec::new(),
    };
    target.refill(admin).await;
    target
}

impl Target {
    /// Makes roles that nobody has.
    async fn refill(&mut self, admin: &Api) {
        while self.roles.len() < 100 {
            let body = json!({"name": format!("R{}", next()), "permission_keys": []});
            let role = admin.post(&format!("{}/roles", self.path), &body).await.expect(201);
            self.roles.push(role["id"].clone());
        }
    }
}

fn next() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// The duration of each call, and of all together. Bodies are built before the clock starts.
async fn run(admin: &Api, people: &[Value], targets: &mut [Target], length: Duration) -> (Vec<Duration>, Duration) {
    let mut work = Vec::new();
    for target in targets {
        target.refill(admin).await;
        let bodies = target.roles.drain(..).map(|role| {
            let item = |person| json!({"identity_id": person, "node_id": target.root, "role_id": role});
            let items: Vec<Value> = people.iter().map(item).collect();
            json!({"assignments": items}).to_string()
        });
        work.push((
            format!("{}/assignments/bulk-create", target.path),
            bodies.collect::<Vec<_>>(),
        ));
    }
    let begun = Instant::now();
    let mut writers = JoinSet::new();
    for (path, bodies) in work {
        let admin = admin.clone();
        writers.spawn(async move {
            let mut calls = Vec::new();
            for body in bodies {
                if begun.elapsed() > length {
                    return calls;
                }
                let sent = Instant::now();
                let request = admin.request(reqwest::Method::POST, &path);
                let request = request.header("content-type", "application/json").body(body);
                let response = request.send().await.unwrap();
                let status = response.status();
                let bytes = response.bytes().await.unwrap();
                calls.push(sent.elapsed());
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
            }
            panic!("more roles are needed");
        });
    }
    let calls = writers.join_all().await.concat();
    (calls, begun.elapsed())
}
