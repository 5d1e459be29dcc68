//! The figures of the service over HTTP, beside what they are measured against in the same run.
//!
//! `cargo bench -p canopy-testkit --features server --bench http [-- evaluate | bulk]`. Needs `wrk` on the PATH for
//! `evaluate`. Server and load share the machine, so compare lines of one run with each other.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may stop, and prints"
)]

use actix_web::{App, HttpResponse, HttpServer, web};
use canopy_domain::port::{Ids, Store};
use canopy_storage_sqlite::{SqliteOptions, SqliteStore};
use canopy_testkit::fixture::store_workload;
use canopy_testkit::server::TestServer;
use canopy_testkit::workload::{Size, Workload};
use canopy_testkit::{CountingIds, FixedClock};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

const ENV: &str = "/portal/v1/accounts/acme/applications/notes/environments/development";
const RUNS: usize = 5;

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |what: &str| wanted.is_empty() || wanted.iter().any(|word| word == what);
    if wants("evaluate") {
        evaluate().await;
    }
    if wants("bulk") {
        bulk().await;
    }
}

fn print_row(label: &str, unit: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let median = figures.get(figures.len() / 2).unwrap();
    println!(
        "{label}: {median:.2} {unit} (min {:.2}, max {:.2})",
        figures.first().unwrap(),
        figures.last().unwrap()
    );
}

/// Answers any JSON with a small JSON, and does nothing.
fn bare() -> String {
    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "parsed, as a real service would, and not looked at")]
    struct Question {
        identity_id: String,
        permission: String,
        scope: String,
        node_id: String,
    }
    #[derive(serde::Serialize)]
    struct Answer {
        allowed: bool,
        granting_roles: [&'static str; 1],
    }
    async fn answer(_: web::Json<Question>) -> HttpResponse {
        HttpResponse::Ok().json(Answer {
            allowed: true,
            granting_roles: ["Role 1"],
        })
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = HttpServer::new(|| App::new().route(&format!("{ENV}/permissions/evaluate"), web::post().to(answer)));
    tokio::spawn(server.workers(2).listen(listener).unwrap().run());
    base
}

/// What one run of wrk printed: requests a second, and the 50th and 99th percentile in milliseconds.
fn wrk(base: &str, script: &Path) -> (f64, f64, f64) {
    let output = Command::new("wrk")
        .args(["-t2", "-c32", "-d4s", "--latency", "-s"])
        .arg(script)
        .arg(base)
        .output()
        .unwrap_or_else(|error| panic!("wrk cannot be run: {error}"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx"), "{text}");
    let field = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let milliseconds = |figure: String| {
        let number = |unit: &str| figure.strip_suffix(unit).and_then(|number| number.parse::<f64>().ok());
        number("us")
            .map(|us| us / 1_000.0)
            .or_else(|| number("ms"))
            .unwrap_or_else(|| panic!("{figure}"))
    };
    (
        field("Requests/sec:").parse().unwrap(),
        milliseconds(field("50%")),
        milliseconds(field("99%")),
    )
}

fn script(folder: &Path, workload: &Workload, token: &str) -> std::path::PathBuf {
    let mut lua = String::from("local bodies = {\n");
    for asked in workload.questions.iter().take(5_000) {
        let body = json!({"identity_id": asked.identity.to_string(), "permission": asked.permission, "scope": "node",
            "node_id": asked.node.to_string()});
        writeln!(lua, "[==[{body}]==],").unwrap();
    }
    write!(
        lua,
        "}}\nlocal next = 0\nlocal headers = {{[\"Content-Type\"] = \"application/json\", [\"Authorization\"] = \"Bearer {token}\"}}\n\
         function request()\n  next = next % #bodies + 1\n  return wrk.format(\"POST\", \"{ENV}/permissions/evaluate\", headers, bodies[next])\nend\n"
    )
    .unwrap();
    let path = folder.join("evaluate.lua");
    std::fs::write(&path, lua).unwrap();
    path
}

async fn evaluate() {
    let folder = tempfile::tempdir().unwrap();
    for size in [Size::M, Size::L] {
        let workload = Workload::new(size, 5_000);
        let store = Arc::new(SqliteStore::temporary().unwrap());
        let place = store_workload(store.as_ref(), &workload).await.unwrap();
        let clock = FixedClock::new(workload.now);
        let server = TestServer::start_with(store, Arc::new(clock), Arc::new(CountingIds::default()));
        let admin = server.admin(place.account.as_uuid());
        let question = workload.questions.first().unwrap();
        let body = json!({"identity_id": question.identity.to_string(), "permission": question.permission,
            "scope": "node", "node_id": question.node.to_string()});
        let start = Instant::now();
        admin
            .post(&format!("{ENV}/permissions/evaluate"), &body)
            .await
            .expect(200);
        println!(
            "{}: first answer, index loaded from the store, after {:?}",
            size.name,
            start.elapsed()
        );
        let script = script(folder.path(), &workload, admin.token().unwrap());
        let nothing = bare();
        let mut figures: [Vec<f64>; 7] = Default::default();
        for _ in 0..RUNS {
            let (plain, canopy) = (wrk(&nothing, &script), wrk(server.base(), &script));
            let row = [
                plain.0,
                canopy.0,
                plain.1,
                canopy.1,
                plain.2,
                canopy.2,
                100.0 * canopy.0 / plain.0,
            ];
            figures
                .iter_mut()
                .zip(row)
                .for_each(|(column, figure)| column.push(figure));
        }
        let labels = [
            ("bare actix", "requests/s"),
            ("evaluate", "requests/s"),
            ("bare actix p50", "ms"),
            ("evaluate p50", "ms"),
            ("bare actix p99", "ms"),
            ("evaluate p99", "ms"),
            ("evaluate of bare", "%"),
        ];
        for ((label, unit), column) in labels.into_iter().zip(figures) {
            print_row(&format!("{} {label}", size.name), unit, column);
        }
    }
}

/// New triples for bulk calls: identities times nodes, with a role that nobody has yet.
async fn new_role(server: &TestServer, account: uuid::Uuid, name: &str) -> String {
    let body = json!({"name": name, "permission_keys": []});
    let role = server
        .admin(account)
        .post(&format!("{ENV}/roles"), &body)
        .await
        .expect(201);
    role["id"].as_str().unwrap().to_owned()
}

async fn bulk() {
    let folder = tempfile::tempdir().unwrap();
    for (label, existing) in [("empty", false), ("after 1 M rows", true)] {
        let workload = Workload::new(if existing { Size::L } else { Size::M }, 1);
        let stored = if existing {
            workload.clone()
        } else {
            without_grants(&workload)
        };
        let (file, raw) = (
            folder.path().join(format!("{existing}.db")),
            folder.path().join(format!("{existing}-raw.db")),
        );
        let store = SqliteStore::open(file.to_str().unwrap(), SqliteOptions::default()).unwrap();
        let place = store_workload(&store, &stored).await.unwrap();
        drop(store);
        std::fs::copy(&file, &raw).unwrap();
        let mut raw = open_raw(&raw);
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(file.to_str().unwrap(), SqliteOptions::default()).unwrap());
        let clock = Arc::new(FixedClock::new(workload.now));
        let server = TestServer::start_with(store, clock, Arc::new(CountingIds::default()));
        let account = place.account.as_uuid();
        let members: Vec<_> = workload
            .snapshot
            .subjects
            .iter()
            .filter(|one| one.membership == canopy_domain::MembershipStatus::Active)
            .collect();
        for count in [1_000, 10_000] {
            let (mut through_http, mut beside, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
            for run in 0..=RUNS {
                let role = new_role(&server, account, &format!("{label} {count} {run}")).await;
                let nodes = workload.snapshot.nodes.iter().cycle().skip(run * 7_919);
                let people = members.iter().cycle().skip(run * 104_729);
                let items: Vec<(uuid::Uuid, uuid::Uuid)> = people
                    .zip(nodes)
                    .take(count)
                    .map(|(one, node)| (one.id.as_uuid(), node.id.as_uuid()))
                    .collect();
                let plain = raw_insert(&mut raw, &place, &items);
                let whole = http_insert(&server, account, &role, &items).await;
                if run > 0 {
                    through_http.push(whole);
                    beside.push(plain);
                    ratio.push(whole / plain);
                }
            }
            print_row(
                &format!("{label}: raw insert of {count} in one transaction"),
                "ms",
                beside,
            );
            print_row(
                &format!("{label}: bulk-create of {count} over HTTP"),
                "ms",
                through_http,
            );
            print_row(&format!("{label}: bulk-create of raw"), "times", ratio);
        }
    }
}

/// Milliseconds from the first byte sent to the last byte received.
async fn http_insert(server: &TestServer, account: uuid::Uuid, role: &str, items: &[(uuid::Uuid, uuid::Uuid)]) -> f64 {
    let items: Vec<Value> = items
        .iter()
        .map(|(one, node)| json!({"identity_id": one.to_string(), "node_id": node.to_string(), "role_id": role}))
        .collect();
    let request = server
        .admin(account)
        .request(reqwest::Method::POST, &format!("{ENV}/assignments/bulk-create"))
        .header("content-type", "application/json")
        .body(json!({"assignments": items}).to_string());
    let start = Instant::now();
    let response = request.send().await.unwrap();
    let status = response.status();
    let bytes = response.bytes().await.unwrap();
    let took = start.elapsed();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    took.as_secs_f64() * 1_000.0
}

/// A connection with the pragmas of the store.
fn open_raw(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-65536; \
             PRAGMA wal_autocheckpoint=16384; PRAGMA temp_store=MEMORY;",
        )
        .unwrap();
    connection
}

/// Milliseconds for the same rows, with the same keys and indexes, by one prepared statement in one transaction.
fn raw_insert(
    connection: &mut rusqlite::Connection,
    place: &canopy_domain::EnvironmentPlace,
    items: &[(uuid::Uuid, uuid::Uuid)],
) -> f64 {
    let ids: Vec<uuid::Uuid> = items.iter().map(|_| RAW_IDS.with(Ids::mint)).collect();
    // A role of its own for each run, so that no triple comes twice.
    let role = RAW_IDS.with(Ids::mint);
    let environment = place.environment.as_bytes();
    connection
        .execute(
            "INSERT INTO roles SELECT environment_id, ?1, ?2, ?2, description, system_key, is_active, version, created_at, \
             updated_at FROM roles WHERE environment_id = ?3 LIMIT 1",
            rusqlite::params![role.as_bytes(), role.to_string(), environment],
        )
        .unwrap();
    let start = Instant::now();
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    {
        let mut insert = transaction
            .prepare(
                "INSERT INTO assignments (environment_id, id, identity_id, role_id, node_id, effective_from, \
                 effective_to, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?6, ?6)",
            )
            .unwrap();
        for (id, (one, node)) in ids.iter().zip(items) {
            let row = rusqlite::params![
                environment,
                id.as_bytes(),
                one.as_bytes(),
                role.as_bytes(),
                node.as_bytes(),
                1_776_686_400_000_000_i64
            ];
            insert.execute(row).unwrap();
        }
    }
    transaction.commit().unwrap();
    start.elapsed().as_secs_f64() * 1_000.0
}

thread_local! {
    static RAW_IDS: CountingIds = CountingIds::series(0xaa);
}

fn without_grants(workload: &Workload) -> Workload {
    let mut copy = workload.clone();
    copy.snapshot.grants.clear();
    copy
}
