//! Many questions in one call.

use crate::load::{Client, wrk};
use crate::{ENV, Scale, print_row};
use canopy_storage_sqlite::SqliteStore;
use canopy_testkit::fixture::store_workload;
use canopy_testkit::server::TestServer;
use canopy_testkit::workload::{Asked, Size, Workload};
use canopy_testkit::{CountingIds, FixedClock};
use serde_json::{Value, json};
use std::sync::Arc;

/// The number of questions in a call.
const QUESTIONS: [u32; 3] = [100, 1_000, 10_000];
const CONNECTIONS: u32 = 8;

/// Decisions a second, asked together.
pub async fn many(scale: Scale) {
    for size in scale.sizes(&[Size::M, Size::L]) {
        let workload = Workload::new(size, 10_000);
        let store = Arc::new(SqliteStore::temporary().unwrap());
        let place = store_workload(store.as_ref(), &workload).await.unwrap();
        let clock = FixedClock::new(workload.now);
        let server = TestServer::start_with(store, Arc::new(clock), Arc::new(CountingIds::default()));
        let admin = server.admin(place.account.as_uuid());
        let token = format!("Bearer {}", admin.token().unwrap());
        let path = format!("{ENV}/permissions/evaluate/bulk");
        let folder = tempfile::tempdir().unwrap();
        for questions in QUESTIONS {
            let calls = calls(&workload, questions as usize);
            admin.post(&path, &calls[0]).await.expect(200);
            let requests = calls.iter().map(|body| (path.clone(), body.to_string())).collect();
            let script = Client::of(token.clone(), requests).script(folder.path().join("many.lua"));
            let loads: Vec<_> = (0..scale.runs())
                .map(|_| wrk(server.base(), &script, CONNECTIONS, scale))
                .collect();
            let label = format!("{}, {questions} questions a call", size.name);
            let decisions = loads.iter().map(|load| load.requests_per_second * f64::from(questions));
            print_row(&label, "decisions/s", decisions.collect());
            print_row(
                &format!("{label}, p50"),
                "ms",
                loads.iter().map(|load| load.p50).collect(),
            );
        }
    }
}

/// The questions of a workload, so many in each call.
fn calls(workload: &Workload, questions: usize) -> Vec<Value> {
    let item = |asked: &Asked| {
        json!({"identity_id": asked.identity.to_string(), "permission": asked.permission, "scope": "node",
            "node_id": asked.node.to_string()})
    };
    let call = |some: &[Asked]| json!({"evaluations": some.iter().map(item).collect::<Vec<_>>()});
    workload.questions.chunks(questions).map(call).collect()
}
