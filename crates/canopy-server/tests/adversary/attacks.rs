//! Calls of a tenant at their worst: each attack is bounded in calls and in time.

use crate::stage::Stage;
use crate::strangers;
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The duration of an attack that has no end of its own.
const FOR: Duration = Duration::from_secs(3);

/// The roles of the crowded environment, and so the assignments of one identity there.
const CROWD: usize = 1_000;

/// Declares the attacks, in the order in which they are made: name in reports, and what is run on the stage.
macro_rules! attacks {
    ($stage:ident; $($(#[$doc:meta])* $attack:ident = $name:literal => $run:expr;)+) => {
        #[derive(Clone, Copy)]
        pub enum Attack {
            $($(#[$doc])* $attack,)+
        }

        impl Attack {
            pub const ALL: &[Self] = &[$(Self::$attack),+];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$attack => $name,)+
                }
            }

            pub async fn run(self, $stage: &Stage) {
                match self {
                    $(Self::$attack => $run.await,)+
                }
            }
        }
    };
}

attacks! {
    stage;
    /// Makes the environment that some of the others need: many roles with long names, all held by one identity.
    CrowdedCatalog = "a crowded catalog is made" => crowded_catalog(stage);
    DefaultsCloned = "defaults of 50 kB for 10,000 items" => defaults_cloned(stage);
    RoleNamesRepeated = "1,000 role names in 4,000 answers" => role_names_repeated(stage);
    ManyRolesHungUp = "10,000 questions, hung up" => many_roles_hung_up(stage);
    Explanations = "explanations of 1,000 grants" => explanations(stage);
    VastCatalog = "import of a vast catalog" => vast_catalog(stage);
    UnknownKeys = "imports full of unknown keys" => unknown_keys(stage);
    EndlessPath = "slug paths of 4 MB" => endless_path(stage);
    ManyEnvironments = "members of many environments" => many_environments(stage);
    PagesUnread = "pages that nobody reads" => strangers::unread(stage, &pages_to_ignore(stage), 16);
    Searches = "searches and deep pages" => searches(stage);
    KeysWithManyScopes = "keys with many scopes" => keys_with_many_scopes(stage);
    Writers = "40 writers of one environment" => writers(stage);
    BulkWriters = "16 bulk writers" => bulk_writers(stage);
    BodiesHeld = "150 bodies of 8 MB, held" => strangers::bodies_held(stage, 150);
    Copies = "copies of an environment" => copies(stage);
    InventedKeys = "strangers: invented keys" => strangers::invented_keys(stage);
    UnknownRoutes = "strangers: unknown routes" => strangers::unknown_routes(stage);
    SlowHeads = "strangers: slow heads" => strangers::slow_heads(stage, 400);
    AnswersUnread = "strangers: answers unread" => strangers::unread(stage, &strangers::large_documents(stage), 200);
    DrippingBodies = "strangers: dripping bodies" => strangers::dripping_bodies(stage, 200);
    Everything = "several at once" => several_at_once(stage);
}

async fn several_at_once(stage: &Stage) {
    tokio::join!(
        many_roles_hung_up(stage),
        searches(stage),
        bulk_writers(stage),
        strangers::invented_keys(stage),
        strangers::slow_heads(stage, 100),
    );
}

/// The position of the crowd.
fn crowded(stage: &Stage) -> String {
    format!(
        "{}/applications/default/environments/production",
        stage.attacker.account
    )
}

/// Runs so many copies of something at once.
async fn at_once<F: Future<Output = ()>>(count: usize, one: impl Fn(usize) -> F) {
    futures_util::future::join_all((0..count).map(one)).await;
}

/// Runs so many clients, each of which repeats something until the time is over.
async fn repeat<F: Future<Output = ()>>(clients: usize, one: impl Fn(usize, usize) -> F) {
    let end = Instant::now() + FOR;
    at_once(clients, |client| {
        let one = &one;
        async move {
            for turn in 0.. {
                if Instant::now() >= end {
                    return;
                }
                one(client, turn).await;
            }
        }
    })
    .await;
}

async fn crowded_catalog(stage: &Stage) {
    let roles: Vec<Value> = (0..CROWD)
        .map(|number| json!({"name": format!("{number:0>100}"), "permission_keys": ["note.read"]}))
        .collect();
    let place = crowded(stage);
    let catalog = json!({"resources": [{"name": "note", "actions": ["read"]}], "roles": roles});
    let made = stage
        .post(&format!("{place}/setup/access-bootstrap"), &catalog)
        .await
        .unwrap();
    assert_eq!(made.0, 201, "{}", made.1);
    let (_, roles) = stage
        .call(Method::GET, &format!("{place}/roles?type=custom"), None)
        .await
        .unwrap();
    let (_, tree) = stage.call(Method::GET, &format!("{place}/nodes"), None).await.unwrap();
    let items = roles["items"].as_array().unwrap().iter().map(|role| {
        json!({"identity_id": stage.attacker.people[0], "role_id": role["id"], "node_id": tree["tree"][0]["id"]})
    });
    let body = json!({"assignments": items.collect::<Vec<_>>()});
    let made = stage
        .post(&format!("{place}/assignments/bulk-create"), &body)
        .await
        .unwrap();
    assert_eq!(made.0, 200, "{}", made.1);
}

async fn defaults_cloned(stage: &Stage) {
    let items = vec![json!({}); 10_000];
    let body = json!({
        "subject": {"type": "user", "id": "x".repeat(50_000)},
        "resource": {"type": "node", "id": "acme"},
        "action": {"name": "note.read"},
        "evaluations": items,
    })
    .to_string();
    at_once(4, |_| async {
        stage
            .call(Method::POST, "/access/v1/evaluations", Some(body.clone()))
            .await;
    })
    .await;
}

fn questions(stage: &Stage, count: usize) -> String {
    let question = json!({
        "identity_id": stage.attacker.people[0], "permission": "note.read", "scope": "app_wide",
    });
    json!({"evaluations": vec![question; count]}).to_string()
}

async fn role_names_repeated(stage: &Stage) {
    let (body, path) = (
        questions(stage, 4_000),
        format!("{}/permissions/evaluate/bulk", crowded(stage)),
    );
    at_once(4, |_| async {
        stage.call(Method::POST, &path, Some(body.clone())).await;
    })
    .await;
}

async fn many_roles_hung_up(stage: &Stage) {
    let (body, path) = (
        questions(stage, 10_000),
        format!("{}/permissions/evaluate/bulk", crowded(stage)),
    );
    for _ in 0..2 {
        at_once(12, |_| async {
            let call = stage.call(Method::POST, &path, Some(body.clone()));
            tokio::time::timeout(Duration::from_millis(100), call).await.ok();
        })
        .await;
    }
}

async fn explanations(stage: &Stage) {
    let question = json!({
        "identity_id": stage.attacker.people[0], "permission": "note.read", "scope": "app_wide",
    })
    .to_string();
    let path = format!("{}/permissions/explain", crowded(stage));
    repeat(16, |_, _| async {
        stage.call(Method::POST, &path, Some(question.clone())).await;
    })
    .await;
}

/// A document of permissions and roles, none of which bundles much.
fn catalog_document(permissions: usize, roles: usize, keys: impl Fn(usize) -> String) -> String {
    let mut text = String::from(
        r#"{"format_version":1,"source_env":"x","access_model":"flat","hierarchy_schema":{"node_types":["root"],"allowed_children":{},"max_depth":1,"root_node_type":"root"},"permissions":["#,
    );
    for number in 0..permissions {
        let comma = if number == 0 { "" } else { "," };
        write!(text, r#"{comma}{{"key":"p{number}.x"}}"#).unwrap();
    }
    text.push_str(r#"],"roles":["#);
    for number in 0..roles {
        let comma = if number == 0 { "" } else { "," };
        write!(
            text,
            r#"{comma}{{"name":"r{number}","permission_keys":[{}]}}"#,
            keys(number)
        )
        .unwrap();
    }
    text.push_str(r#"],"nodes":[{"path":"root","name":"Root","node_type":"root"}],"oauth_clients":[],"webhooks":[]}"#);
    text
}

async fn vast_catalog(stage: &Stage) {
    let document = catalog_document(40_000, 40_000, |number| format!(r#""p{number}.x""#));
    let place = crowded(stage);
    let name = json!({"name": "vast"});
    stage
        .post(
            &format!("{}/applications/default/environments", stage.attacker.account),
            &name,
        )
        .await;
    let vast = place.replace("production", "vast");
    stage
        .call(Method::POST, &format!("{vast}/import"), Some(document))
        .await;
    let question = json!({
        "identity_id": stage.attacker.people[0], "permission": "p1.x", "scope": "app_wide",
    });
    stage.post(&format!("{vast}/permissions/evaluate"), &question).await;
}

async fn unknown_keys(stage: &Stage) {
    let keys: Vec<String> = (0..10_000).map(|number| format!("\"q{number}.y\"")).collect();
    let keys = keys.join(",");
    let document = catalog_document(1, 40, |_| keys.clone());
    let path = format!("{}/import", crowded(stage));
    at_once(2, |_| async {
        stage.call(Method::POST, &path, Some(document.clone())).await;
    })
    .await;
}

async fn endless_path(stage: &Stage) {
    let body = json!({
        "subject": {"type": "user", "id": stage.attacker.people[0]},
        "resource": {"type": "node", "id": "a/".repeat(2_000_000)},
        "action": {"name": "note.read"},
    })
    .to_string();
    at_once(4, |_| async {
        stage
            .call(Method::POST, "/access/v1/evaluation", Some(body.clone()))
            .await;
    })
    .await;
}

async fn many_environments(stage: &Stage) {
    let path = format!("{}/applications", stage.attacker.account);
    let Some((_, application)) = stage.post(&path, &json!({"name": "many"})).await else {
        return;
    };
    for number in 0..40 {
        let name = json!({"name": format!("e{number}")});
        stage.post(&format!("{path}/many/environments"), &name).await;
    }
    let identities: Vec<Value> = (0..5_000)
        .map(|number| json!({"email": format!("m{number}@many.example"), "first_name": "M", "last_name": "N"}))
        .collect();
    let body = json!({"identities": identities, "application_id": application["id"]});
    stage
        .post(&format!("{}/identities/bulk-create", stage.attacker.account), &body)
        .await;
}

/// Large answers: the log after what was written, and the catalog of the crowd.
fn pages_to_ignore(stage: &Stage) -> Vec<String> {
    let account = &stage.attacker.account;
    vec![
        format!("{account}/audit-log?limit=200"),
        format!("{}/roles", crowded(stage)),
        format!("{}/export", crowded(stage)),
    ]
}

async fn searches(stage: &Stage) {
    let (account, place) = (&stage.attacker.account, crowded(stage));
    let paths = [
        format!("{place}/assignments/app-wide?q=0&sort_by=role&page=9&take=100"),
        format!("{account}/identities?q=m&page=50&take=100"),
        format!("{account}/audit-log?q=zzz"),
        format!("{place}/roles"),
    ];
    repeat(32, |client, _| {
        let path = &paths[client % paths.len()];
        async move {
            stage.call(Method::GET, path, None).await;
        }
    })
    .await;
}

async fn keys_with_many_scopes(stage: &Stage) {
    let vast = crowded(stage).replace("production", "vast");
    let scopes: Vec<String> = (0..10_000).map(|number| format!("p{number}.x")).collect();
    for number in 0..20 {
        let body = json!({"name": format!("k{number}"), "access_mode": "scoped", "scopes": scopes});
        stage.post(&format!("{vast}/api-keys"), &body).await;
    }
    let question = json!({
        "identity_id": stage.attacker.people[0], "permission": "p1.x", "scope": "app_wide",
    });
    stage.post(&format!("{vast}/permissions/evaluate"), &question).await;
}

async fn writers(stage: &Stage) {
    repeat(40, |client, turn| async move {
        let body = json!({"name": format!("role {client} {turn}"), "permission_keys": ["note.read"]});
        stage.post_here("/roles", &body).await;
    })
    .await;
}

async fn bulk_writers(stage: &Stage) {
    /// Every call makes other people, also one of another attack at the same time.
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let path = format!("{}/identities/bulk-create", stage.attacker.account);
    repeat(16, |_, _| {
        let path = &path;
        let mark = CALLS.fetch_add(1, Ordering::Relaxed);
        async move {
            let one = |number: usize| {
                let email = format!("w{mark}-{number}@bulk.example");
                json!({"email": email, "first_name": "W", "last_name": "B"})
            };
            let identities: Vec<Value> = (0..500).map(one).collect();
            stage.post(path, &json!({"identities": identities})).await;
        }
    })
    .await;
}

async fn copies(stage: &Stage) {
    let path = format!("{}/applications/default/environments", stage.attacker.account);
    at_once(3, |number| {
        let path = &path;
        async move {
            let body = json!({"name": format!("copy{number}"), "copy_from": "production"});
            stage.post(path, &body).await;
        }
    })
    .await;
}
