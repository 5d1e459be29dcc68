//! Many environments: checks spread over a thousand of them, and a burst of cold ones beside one that is hot.

use crate::load::{Client, Load, wrk_in_turn};
use crate::{Scale, print_row};
use canopy_domain::port::Store;
use canopy_storage_sqlite::SqliteStore;
use canopy_testkit::server::{Api, TestServer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const APPLICATION: &str = "/portal/v1/accounts/acme/applications/default";

/// A question that is answered yes: where it is put, and its body.
#[derive(Clone)]
struct Question {
    path: String,
    body: String,
}

pub async fn tenants(scale: Scale) {
    let count = if scale == Scale::Full { 1_000 } else { 20 };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("canopy.db");
    let open = || {
        Arc::new(SqliteStore::open(file.to_str().unwrap(), canopy_storage_sqlite::SqliteOptions::default()).unwrap())
    };
    let store: Arc<dyn Store> = open();
    let server = TestServer::start(Arc::clone(&store));
    let account = found(&server.operator()).await;
    let admin = server.admin(account.parse().unwrap());
    let (hot, cold) = build(&admin, count).await;
    let token = format!("Bearer {}", admin.token().unwrap());
    // Everything is in memory once it was asked.
    let client = |questions: &[Question]| {
        Client::of(
            token.clone(),
            questions
                .iter()
                .map(|one| (one.path.clone(), one.body.clone()))
                .collect(),
        )
    };
    for question in &cold {
        ask(&admin, question).await;
    }
    ask(&admin, &hot).await;
    let one = client(std::slice::from_ref(&hot)).script(folder.path().join("one.lua"));
    let all = client(&cold).script(folder.path().join("all.lua"));
    let mut figures = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.runs() {
        let [alone, spread] = wrk_in_turn(server.base(), [&one, &all], 32, scale);
        figures.0.push(alone.requests_per_second);
        figures.1.push(spread.requests_per_second);
        figures
            .2
            .push(100.0 * spread.requests_per_second / alone.requests_per_second);
    }
    print_row("one environment", "requests/s", figures.0);
    print_row(&format!("{count} environments"), "requests/s", figures.1);
    print_row(&format!("{count} environments of one"), "%", figures.2);
    drop(server);
    burst(open(), &hot, &cold, &account, scale).await;
}

/// All cold environments are asked at once by thirty-two callers, while one hot environment is asked a thousand times a second.
async fn burst(store: Arc<dyn Store>, hot: &Question, cold: &[Question], account: &str, scale: Scale) {
    let mut rows: [Vec<Load>; 2] = Default::default();
    let mut bursts = Vec::new();
    for _ in 0..scale.runs() {
        // Nothing is in memory of a new server.
        let server = TestServer::start(Arc::clone(&store));
        let admin = server.admin(account.parse().unwrap());
        ask(&admin, hot).await;
        let token = format!("Bearer {}", admin.token().unwrap());
        let client = Client::of(token, vec![(hot.path.clone(), hot.body.clone())]);
        rows[0].push(paced(&client, server.base(), scale));
        let cold = cold.to_vec();
        let bursting = tokio::spawn(async move {
            let begun = Instant::now();
            let mut callers = JoinSet::new();
            for share in cold.chunks(cold.len().div_ceil(32)) {
                let (admin, share) = (admin.clone(), share.to_vec());
                callers.spawn(async move {
                    for question in &share {
                        ask(&admin, question).await;
                    }
                });
            }
            callers.join_all().await;
            begun.elapsed()
        });
        rows[1].push(paced(&client, server.base(), scale));
        bursts.push(bursting.await.unwrap().as_secs_f64() * 1_000.0);
    }
    for (label, loads) in ["hot alone", "hot beside the burst"].into_iter().zip(&rows) {
        print_row(
            &format!("{label} p50"),
            "ms",
            loads.iter().map(|load| load.p50).collect(),
        );
        print_row(
            &format!("{label} p99"),
            "ms",
            loads.iter().map(|load| load.p99).collect(),
        );
    }
    print_row(&format!("first answers of {} environments", cold.len()), "ms", bursts);
}

fn paced(client: &Client, base: &str, scale: Scale) -> Load {
    let length = Duration::from_millis(if scale == Scale::Full { 2_000 } else { 300 });
    tokio::task::block_in_place(|| client.paced(base, 1_000, length))
}

async fn ask(admin: &Api, question: &Question) {
    let body: Value = serde_json::from_str(&question.body).unwrap();
    let answer = admin.post(&question.path, &body).await.expect(200);
    assert_eq!(answer["allowed"], json!(true), "{answer}");
}

async fn found(operator: &Api) -> String {
    let account = operator.post("/portal/v1/accounts", &json!({"name": "Acme"})).await;
    account.expect(201)["id"].as_str().unwrap().to_owned()
}

/// A model with ten permissions in three roles over a few nodes, and copies of it, each with somebody who may read.
async fn build(admin: &Api, count: usize) -> (Question, Vec<Question>) {
    let path = |slug: &str| format!("{APPLICATION}/environments/{slug}");
    let actions = ["read", "write", "share", "archive", "delete"];
    let model = json!({"resources": [{"name": "note", "actions": actions}, {"name": "file", "actions": actions}],
        "roles": [{"name": "Reader", "description": "", "permission_keys": ["note.read", "file.read"]},
            {"name": "Writer", "description": "", "permission_keys": ["note.read", "note.write", "file.write"]},
            {"name": "Keeper", "description": "", "permission_keys": ["note.archive", "note.delete", "file.archive"]}]});
    admin
        .post(&format!("{}/setup/access-bootstrap", path("development")), &model)
        .await
        .expect(201);
    let application = admin.get(APPLICATION).await.expect(200);
    let person =
        json!({"email": "ada@example.com", "first_name": "Ada", "last_name": "L", "application_id": application["id"]});
    let ada = admin
        .post("/portal/v1/accounts/acme/identities", &person)
        .await
        .expect(201);
    let hot = give(admin, &path("development"), &ada["id"]).await;
    let mut cold = Vec::new();
    for number in 0..count {
        let slug = format!("e{number}");
        let copy = json!({"name": slug, "slug": slug, "copy_from": "development"});
        admin
            .post(&format!("{APPLICATION}/environments"), &copy)
            .await
            .expect(201);
        cold.push(give(admin, &path(&slug), &ada["id"]).await);
    }
    (hot, cold)
}

async fn give(admin: &Api, environment: &str, identity: &Value) -> Question {
    let tree = admin.get(&format!("{environment}/nodes")).await.expect(200);
    let roles = admin.get(&format!("{environment}/roles?type=custom")).await.expect(200);
    let reader = roles["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|role| role["name"] == "Reader")
        .unwrap();
    let root = &tree["tree"][0]["id"];
    let given = json!({"identity_id": identity, "node_id": root, "role_id": reader["id"]});
    admin
        .post(&format!("{environment}/assignments"), &given)
        .await
        .expect(201);
    let body = json!({"identity_id": identity, "permission": "note.read", "scope": "node", "node_id": root});
    Question {
        path: format!("{environment}/permissions/evaluate"),
        body: body.to_string(),
    }
}
