//! Batches written while the process ends, in an orderly way or not: what was acknowledged is there, and no batch is
//! there in part.

use crate::process::{Client, Home, Server};
use crate::recorder::ENVIRONMENT;
use diesel::{Connection as _, RunQueryDsl as _};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// Identities in each batch: all of them at one node, so the rows of a batch are those of a (role, node).
const BATCH: usize = 200;

/// The outcome of the batch for a (role, node).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server answered that it is stored.
    Acknowledged,
    /// No answer came, or that the store failed.
    Open,
}

pub type Place = (String, String);

pub struct Load {
    pub roles: Vec<String>,
    pub nodes: Vec<String>,
    pub people: Vec<String>,
}

fn ids(items: &Value) -> Vec<String> {
    let items = items.as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

fn tree_ids(nodes: &Value, into: &mut Vec<String>) {
    for node in nodes.as_array().unwrap() {
        into.push(node["id"].as_str().unwrap().to_owned());
        tree_ids(&node["children"], into);
    }
}

/// Makes enough roles that the stream of batches does not run dry.
pub async fn prepare(client: &Client) -> Load {
    let roles: Vec<Value> = (0..40)
        .map(
            |number| json!({"name": format!("Role {number:02}"), "description": "x", "permission_keys": ["node.read"]}),
        )
        .collect();
    let body = json!({"resources": [], "roles": roles});
    let (status, answer) = client
        .post(&format!("{ENVIRONMENT}/setup/access-bootstrap"), &body)
        .await;
    assert_eq!(status, 201, "{answer}");
    let (_, roles) = client.get(&format!("{ENVIRONMENT}/roles?type=custom")).await;
    let (_, tree) = client.get(&format!("{ENVIRONMENT}/nodes")).await;
    let mut nodes = vec![];
    tree_ids(&tree["tree"], &mut nodes);
    let mut people = vec![];
    for page in 1..=2 {
        let (_, page) = client
            .get(&format!("/portal/v1/accounts/acme/identities?take=100&page={page}"))
            .await;
        people.extend(ids(&page["items"]));
    }
    assert_eq!((nodes.len(), people.len()), (16, BATCH));
    Load {
        roles: ids(&roles["items"]),
        nodes,
        people,
    }
}

/// A bulk-create of the role at the node for everybody.
pub fn batch(people: &[String], (role, node): (&String, &String)) -> Value {
    let item = |person| json!({"identity_id": person, "node_id": node, "role_id": role});
    json!({"assignments": people.iter().map(item).collect::<Vec<_>>()})
}

/// Sends batches from several clients until they are not answered any more. Tells how many are acknowledged as it goes.
async fn stream(client: &Client, load: &Load, acknowledged: Arc<AtomicUsize>) -> HashMap<Place, Fate> {
    let places: Vec<Place> = load
        .roles
        .iter()
        .flat_map(|role| load.nodes.iter().map(move |node| (role.clone(), node.clone())))
        .collect();
    let mut tasks = JoinSet::new();
    for lane in 0..3 {
        let mine: Vec<Place> = places.iter().skip(lane).step_by(3).cloned().collect();
        let (client, people, acknowledged) = (client.clone(), load.people.clone(), Arc::clone(&acknowledged));
        tasks.spawn(async move {
            let mut fates = HashMap::new();
            for (role, node) in mine {
                let body = batch(&people, (&role, &node));
                let path = format!("{ENVIRONMENT}/assignments/bulk-create");
                match client.try_send(Method::POST, &path, Some(&body)).await {
                    Ok((status, answer)) if status != 503 => assert_eq!(status, 200, "{answer}"),
                    _ => {
                        fates.insert((role, node), Fate::Open);
                        return fates;
                    }
                }
                fates.insert((role, node), Fate::Acknowledged);
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            panic!("the stream ran dry before the server ended");
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Counts the assignments of each (role, node) through the API.
async fn stored(client: &Client) -> HashMap<Place, HashSet<String>> {
    let (_, roles) = client.get(&format!("{ENVIRONMENT}/roles?type=custom")).await;
    let mut found: HashMap<Place, HashSet<String>> = HashMap::new();
    for role in ids(&roles["items"]) {
        let mut page = 1;
        loop {
            let path = format!("{ENVIRONMENT}/assignments/app-wide?role_id={role}&take=100&page={page}");
            let (status, rows) = client.get(&path).await;
            assert_eq!(status, 200, "{rows}");
            for row in rows["items"].as_array().unwrap() {
                let node = row["assignment"]["source_node_id"].as_str().unwrap().to_owned();
                let person = row["identity"]["id"].as_str().unwrap().to_owned();
                assert!(
                    found.entry((role.clone(), node)).or_default().insert(person),
                    "a row twice"
                );
            }
            if rows["pagination"]["has_next_page"] != true {
                break;
            }
            page += 1;
        }
    }
    found
}

pub fn admin(home: &Home, server: &Server) -> Client {
    let token = home.run(&["token", "--admin", "--account", "acme"]).ok();
    Client::new(&server.url, token.trim())
}

/// Starts a stream and brings it to its end by `end` when it is in the middle of things.
pub async fn interrupted(client: &Client, end: impl FnOnce() + Send + 'static) -> HashMap<Place, Fate> {
    let load = prepare(client).await;
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let ending = {
        let acknowledged = Arc::clone(&acknowledged);
        tokio::task::spawn_blocking(move || {
            while acknowledged.load(Ordering::Relaxed) < 12 {
                std::thread::yield_now();
            }
            end();
        })
    };
    let fates = stream(client, &load, acknowledged).await;
    ending.await.unwrap();
    fates
}

/// Makes sure that the end came in the middle.
pub fn in_the_middle(fates: &HashMap<Place, Fate>) {
    assert!(fates.values().filter(|fate| **fate == Fate::Acknowledged).count() >= 12);
    assert!(fates.values().any(|fate| *fate == Fate::Open));
}

/// Makes sure that what was acknowledged is there, and nothing in part.
pub async fn compare(client: &Client, fates: &HashMap<Place, Fate>) {
    let found = stored(client).await;
    for (place, fate) in fates {
        match (fate, found.get(place).map_or(0, HashSet::len)) {
            (Fate::Acknowledged, BATCH) | (Fate::Open, 0 | BATCH) => {}
            (fate, rows) => panic!("{rows} of {BATCH} rows of a batch that is {fate:?}"),
        }
    }
    assert!(
        found.keys().all(|place| fates.contains_key(place)),
        "rows that nobody asked for"
    );
}

/// Ends a server on a file in the middle of a stream, starts it again and compares.
async fn ended(end: impl FnOnce(Server) + Send + 'static) -> HashMap<Place, Fate> {
    let home = Home::new();
    let server = home.serve(&["--demo"]);
    let client = admin(&home, &server);
    let fates = interrupted(&client, || end(server)).await;
    sound(&home);
    let server = home.serve(&[]);
    compare(&admin(&home, &server), &fates).await;
    server.stop();
    fates
}

/// The file passes SQLite's own check.
pub fn sound(home: &Home) {
    #[derive(diesel::QueryableByName)]
    struct Verdict {
        #[diesel(sql_type = diesel::sql_types::Text)]
        integrity_check: String,
    }
    let path = home.data_dir().join("canopy.db");
    let mut connection = diesel::SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let verdicts: Vec<Verdict> = diesel::sql_query("PRAGMA integrity_check")
        .load(&mut connection)
        .unwrap();
    let verdicts: Vec<&str> = verdicts
        .iter()
        .map(|verdict| verdict.integrity_check.as_str())
        .collect();
    assert_eq!(verdicts, ["ok"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_leaves_whole_batches() {
    let fates = ended(Server::kill).await;
    in_the_middle(&fates);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_asked_to_end_finishes_what_it_has_begun() {
    ended(Server::stop).await;
}
