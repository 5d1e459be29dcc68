//! Import of a large tree: time, and memory beside the size of the document.

use crate::{ENV, Scale, print_row};
use canopy_domain::port::{Ids, Store};
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_storage_sqlite::SqliteStore;
use canopy_testkit::fixture::store_workload;
use canopy_testkit::postgres::Server;
use canopy_testkit::server::TestServer;
use canopy_testkit::workload::{Size, Workload};
use canopy_testkit::{CountingIds, FixedClock};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

const ENVIRONMENTS: &str = "/portal/v1/accounts/acme/applications/notes/environments";

/// 100,000 nodes into an environment that has none, on both stores.
pub async fn import(scale: Scale) {
    for size in scale.sizes(&[Size::L]) {
        measure("SQLite", Arc::new(SqliteStore::temporary().unwrap()), size, scale).await;
        let cluster = Server::start_with_usual_settings();
        let store = PgStore::open(&PgOptions::new(cluster.url("postgres"))).await.unwrap();
        measure("PostgreSQL", Arc::new(store), size, scale).await;
    }
}

async fn measure(name: &str, store: Arc<dyn Store>, size: Size, scale: Scale) {
    let mut workload = Workload::new(size, 1);
    workload.snapshot.grants.clear();
    workload.snapshot.subjects.clear();
    let place = store_workload(store.as_ref(), &workload).await.unwrap();
    let clock = Arc::new(FixedClock::new(workload.now));
    // Ids in the order in which they are made, as those of the server.
    let ids: Arc<dyn Ids> = Arc::new(CountingIds::default());
    let server = TestServer::start_with(store, clock, ids);
    let admin = server.admin(place.account.as_uuid());
    let document = admin
        .request(Method::GET, &format!("{ENV}/export"))
        .send()
        .await
        .unwrap();
    let document = document.bytes().await.unwrap();
    let mib = f64::from(u32::try_from(document.len()).unwrap()) / 1_048_576.0;
    println!("{name}: {} nodes, a document of {mib:.1} MiB", size.nodes);
    let (mut first, mut again, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..scale.runs() {
        let slug = format!("copy-{run}");
        let body = json!({"name": slug, "slug": slug});
        admin.post(ENVIRONMENTS, &body).await.expect(201);
        for figures in [&mut first, &mut again] {
            let before = reset_peak();
            let path = format!("{ENVIRONMENTS}/{slug}/import");
            let request = admin
                .request(Method::POST, &path)
                .header("content-type", "application/json");
            let request = request.body(document.clone());
            let begun = Instant::now();
            let response = request.send().await.unwrap();
            let status = response.status();
            let done: Value = response.json().await.unwrap();
            figures.push(begun.elapsed().as_secs_f64() * 1_000.0);
            assert_eq!(status, 200, "{done}");
            memory.push((memory_mib("VmHWM:") - before) / mib);
        }
    }
    print_row(&format!("{name}: import into an empty environment"), "ms", first);
    print_row(&format!("{name}: the same import again"), "ms", again);
    print_row(&format!("{name}: memory beside the document"), "times", memory);
}

/// Forgets the most memory that this process has had. The answer is what it has now, in MiB.
fn reset_peak() -> f64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    memory_mib("VmRSS:")
}

fn memory_mib(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}
