//! Checks over HTTP beside a handler that does nothing.

use crate::load::{Client, Load, bare, wrk};
use crate::{ENV, Scale, print_row};
use canopy_domain::port::Store;
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_storage_sqlite::SqliteStore;
use canopy_testkit::fixture::store_workload;
use canopy_testkit::postgres::Server;
use canopy_testkit::server::TestServer;
use canopy_testkit::workload::{Size, Workload};
use canopy_testkit::{CountingIds, FixedClock};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// On SQLite, where every check is strong for free.
pub async fn on_sqlite(scale: Scale) {
    for size in scale.sizes(&[Size::M, Size::L]) {
        let store = Arc::new(SqliteStore::temporary().unwrap());
        evaluate(store, size, &["strong"], &[32], scale).await;
    }
}

/// On PostgreSQL, where a strong check asks the database for the newest revision, and shares the question.
pub async fn on_postgres(scale: Scale) {
    for size in scale.sizes(&[Size::M]) {
        let cluster = Server::start();
        let store = PgStore::open(&PgOptions::new(cluster.url("postgres"))).await.unwrap();
        evaluate(Arc::new(store), size, &["eventual", "strong"], &[32, 128], scale).await;
    }
}

async fn evaluate(
    store: Arc<dyn Store>,
    size: Size,
    consistencies: &[&'static str],
    connections: &[u32],
    scale: Scale,
) {
    let workload = Workload::new(size, 5_000);
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
    let key = json!({"name": "bench", "access_mode": "full_access"});
    let key = admin.post(&format!("{ENV}/api-keys"), &key).await.expect(201);
    let token = format!("Bearer {}", admin.token().unwrap());
    let surfaces = [
        (
            "token and path",
            format!("{ENV}/permissions/evaluate"),
            ("Authorization", token),
        ),
        (
            "key",
            "/api/v1/permissions/evaluate".to_owned(),
            ("X-API-Key", key["key"].as_str().unwrap().to_owned()),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut clients = Vec::new();
    for (surface, path, credential) in surfaces {
        for consistency in consistencies {
            let client = Client::asking(&workload, &path, &credential, consistency);
            let script = client.script(folder.path().join(format!("{surface} {consistency}.lua")));
            clients.push((format!("{consistency} evaluate by {surface}"), client, script));
        }
    }
    let nothing = bare();
    for &connections in connections {
        let mut plain = Vec::new();
        let mut checks = vec![Vec::new(); clients.len()];
        for _ in 0..scale.runs() {
            for ((_, _, script), checks) in clients.iter().zip(&mut checks) {
                // Each beside a run of the handler of its own.
                let beside = wrk(&nothing, script, connections, scale);
                let load = wrk(server.base(), script, connections, scale);
                checks.push((load, load.requests_per_second / beside.requests_per_second));
                plain.push(beside);
            }
        }
        let at = format!("{}, {connections} connections", size.name);
        show(&format!("{at}: bare actix"), &plain);
        for ((label, _, _), checks) in clients.iter().zip(checks) {
            let (loads, shares): (Vec<Load>, Vec<f64>) = checks.into_iter().unzip();
            show(&format!("{at}: {label}"), &loads);
            let percent = shares.iter().map(|share| 100.0 * share).collect();
            print_row(&format!("{at}: {label} of bare"), "%", percent);
        }
    }
    for (label, client, _) in &clients {
        let ask = |_| tokio::task::block_in_place(|| client.paced(server.base(), 5_000, scale.duration()));
        let loads: Vec<Load> = (0..scale.runs()).map(ask).collect();
        show(&format!("{}, 5,000 a second: {label}", size.name), &loads);
    }
}

fn show(label: &str, loads: &[Load]) {
    let of = |figure: fn(&Load) -> f64| loads.iter().map(figure).collect();
    print_row(label, "requests/s", of(|load| load.requests_per_second));
    print_row(&format!("{label} p50"), "ms", of(|load| load.p50));
    print_row(&format!("{label} p99"), "ms", of(|load| load.p99));
}
