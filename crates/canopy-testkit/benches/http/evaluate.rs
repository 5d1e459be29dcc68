//! Checks over HTTP beside a handler that does nothing.

use crate::load::{Load, bare, script, wrk};
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

async fn evaluate(store: Arc<dyn Store>, size: Size, consistencies: &[&str], connections: &[u32], scale: Scale) {
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
    let folder = tempfile::tempdir().unwrap();
    let token = admin.token().unwrap();
    let scripts: Vec<_> = consistencies
        .iter()
        .map(|consistency| (*consistency, script(folder.path(), &workload, token, consistency)))
        .collect();
    let nothing = bare();
    for &connections in connections {
        let mut plain = Vec::new();
        let mut checks = vec![Vec::new(); scripts.len()];
        for _ in 0..scale.runs() {
            for ((_, script), checks) in scripts.iter().zip(&mut checks) {
                // Each beside a run of the handler of its own.
                let beside = wrk(&nothing, script, connections, scale);
                let load = wrk(server.base(), script, connections, scale);
                checks.push((load, load.requests_per_second / beside.requests_per_second));
                plain.push(beside);
            }
        }
        let at = format!("{}, {connections} connections", size.name);
        show(&format!("{at}: bare actix"), &plain);
        for ((consistency, _), checks) in scripts.iter().zip(checks) {
            let (loads, shares): (Vec<Load>, Vec<f64>) = checks.into_iter().unzip();
            show(&format!("{at}: {consistency} evaluate"), &loads);
            let percent = shares.iter().map(|share| 100.0 * share).collect();
            print_row(&format!("{at}: {consistency} evaluate of bare"), "%", percent);
        }
    }
}

fn show(label: &str, loads: &[Load]) {
    let of = |figure: fn(&Load) -> f64| loads.iter().map(figure).collect();
    print_row(label, "requests/s", of(|load| load.requests_per_second));
    print_row(&format!("{label} p50"), "ms", of(|load| load.p50));
    print_row(&format!("{label} p99"), "ms", of(|load| load.p99));
}
