//! A write, and after its answer the check that sees it.

use crate::{ENV, Scale, print_row};
use canopy_domain::port::Store;
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_storage_sqlite::SqliteStore;
use canopy_testkit::fixture::store_workload;
use canopy_testkit::postgres::Server;
use canopy_testkit::server::TestServer;
use canopy_testkit::workload::{Size, Workload};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

const PAIRS: usize = 200;

/// On both stores, which wait for the disk.
pub async fn write_then_check(scale: Scale) {
    for size in scale.sizes(&[Size::M]) {
        measure("SQLite", Arc::new(SqliteStore::temporary().unwrap()), size).await;
        let cluster = Server::start_with_usual_settings();
        let store = PgStore::open(&PgOptions::new(cluster.url("postgres"))).await.unwrap();
        measure("PostgreSQL", Arc::new(store), size).await;
    }
}

/// Creates and deletes one assignment in turn, with a check after each write.
async fn measure(name: &str, store: Arc<dyn Store>, size: Size) {
    let workload = Workload::new(size, 1);
    let place = store_workload(store.as_ref(), &workload).await.unwrap();
    let server = TestServer::start(store);
    let admin = server.admin(place.account.as_uuid());
    let permissions = json!({"permissions": [{"key": "bench.read"}]});
    let created = admin.post(&format!("{ENV}/permissions"), &permissions).await;
    created.expect(201);
    let role = json!({"name": "Bench", "permission_keys": ["bench.read"]});
    let role = admin.post(&format!("{ENV}/roles"), &role).await.expect(201);
    let people = workload.snapshot.subjects.iter().filter(|one| one.is_active);
    let identity = people.map(|one| one.id.to_string()).next().unwrap();
    let root = workload
        .snapshot
        .nodes
        .iter()
        .find(|node| node.parent.is_none())
        .unwrap();
    let root = root.id.to_string();
    let assignment = json!({"identity_id": identity, "role_id": role["id"], "node_id": root});
    let question = json!({"identity_id": identity, "permission": "bench.read", "scope": "node", "node_id": root});
    let (assign, check) = (format!("{ENV}/assignments"), format!("{ENV}/permissions/evaluate"));
    admin.post(&check, &question).await.expect(200);
    let (mut writes, mut pairs) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let begun = Instant::now();
        let made = admin.post(&assign, &assignment).await.expect(201);
        writes.push(begun.elapsed().as_secs_f64() * 1_000.0);
        let seen = admin.post(&check, &question).await.expect(200);
        pairs.push(begun.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(seen["allowed"], true, "{seen}");
        let made = format!("{assign}/{}", made["id"].as_str().unwrap());
        admin.delete(&made).await.expect(204);
        let seen = admin.post(&check, &question).await.expect(200);
        assert_eq!(seen["allowed"], false, "{seen}");
    }
    print_row(&format!("{name}, {}: one assignment", size.name), "ms", writes);
    print_row(
        &format!("{name}, {}: one assignment and the check that sees it", size.name),
        "ms",
        pairs,
    );
}
