//! Bulk-create beside the raw insert of the same rows.

use crate::{ENV, RUNS, print_row};
use canopy_domain::EnvironmentRef;
use canopy_domain::port::{Ids, Store};
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_storage_sqlite::{SqliteOptions, SqliteStore};
use canopy_testkit::fixture::store_workload;
use canopy_testkit::postgres::Server;
use canopy_testkit::server::TestServer;
use canopy_testkit::workload::{Size, Workload};
use canopy_testkit::{CountingIds, FixedClock};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// New triples for bulk calls: identities times nodes, with a role that nobody has yet.
async fn new_role(server: &TestServer, account: Uuid, name: &str) -> String {
    let body = json!({"name": name, "permission_keys": []});
    let role = server
        .admin(account)
        .post(&format!("{ENV}/roles"), &body)
        .await
        .expect(201);
    role["id"].as_str().unwrap().to_owned()
}

/// On SQLite, beside the raw insert into a copy of the same file.
pub async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    for (label, existing) in CASES {
        let (workload, stored) = workload(existing);
        let (file, raw) = (
            folder.path().join(format!("{existing}.db")),
            folder.path().join(format!("{existing}-raw.db")),
        );
        let store = SqliteStore::open(file.to_str().unwrap(), SqliteOptions::default()).unwrap();
        let place = store_workload(&store, &stored).await.unwrap();
        drop(store);
        std::fs::copy(&file, &raw).unwrap();
        let mut raw = RawSqlite::open(&raw);
        let store = SqliteStore::open(file.to_str().unwrap(), SqliteOptions::default()).unwrap();
        compare(Arc::new(store), place, &workload, &mut raw, label).await;
    }
}

/// On PostgreSQL, beside the raw insert into the same table.
pub async fn on_postgres() {
    for (label, existing) in CASES {
        let (workload, stored) = workload(existing);
        let cluster = Server::start_with_usual_settings();
        let store = PgStore::open(&PgOptions::new(cluster.url("postgres"))).await.unwrap();
        let place = store_workload(&store, &stored).await.unwrap();
        let mut raw = RawPostgres::open(&cluster.url("postgres")).await;
        compare(Arc::new(store), place, &workload, &mut raw, label).await;
    }
}

const CASES: [(&str, bool); 2] = [("empty", false), ("after 1 M rows", true)];

/// The assignments to create, and the part of them that is stored already.
fn workload(existing: bool) -> (Workload, Workload) {
    let workload = Workload::new(if existing { Size::L } else { Size::M }, 1);
    let stored = if existing {
        workload.clone()
    } else {
        without_grants(&workload)
    };
    (workload, stored)
}

async fn compare(store: Arc<dyn Store>, place: EnvironmentRef, workload: &Workload, raw: &mut impl Raw, label: &str) {
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
            let items: Vec<(Uuid, Uuid)> = people
                .zip(nodes)
                .take(count)
                .map(|(one, node)| (one.id.as_uuid(), node.id.as_uuid()))
                .collect();
            let plain = raw.insert(&place, &items).await;
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

/// Milliseconds from the first byte sent to the last byte received.
async fn http_insert(server: &TestServer, account: Uuid, role: &str, items: &[(Uuid, Uuid)]) -> f64 {
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

/// The plain insert of the same rows, with the same keys and indexes.
trait Raw {
    /// Milliseconds that it took. Each time there is a role of its own, so that no triple comes twice.
    async fn insert(&mut self, place: &EnvironmentRef, items: &[(Uuid, Uuid)]) -> f64;
}

/// By one prepared statement for each row, in one transaction.
struct RawSqlite(rusqlite::Connection);

impl RawSqlite {
    /// A connection with the pragmas of the store.
    fn open(path: &Path) -> Self {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-65536; \
                 PRAGMA wal_autocheckpoint=16384; PRAGMA temp_store=MEMORY;",
            )
            .unwrap();
        Self(connection)
    }
}

impl Raw for RawSqlite {
    async fn insert(&mut self, place: &EnvironmentRef, items: &[(Uuid, Uuid)]) -> f64 {
        let ids: Vec<Uuid> = items.iter().map(|_| RAW_IDS.with(Ids::mint)).collect();
        let role = RAW_IDS.with(Ids::mint);
        let environment = place.environment.as_bytes();
        self.0
            .execute(
                "INSERT INTO roles SELECT environment_id, ?1, ?2, ?2, description, system_key, is_active, version, created_at, \
                 updated_at FROM roles WHERE environment_id = ?3 LIMIT 1",
                rusqlite::params![role.as_bytes(), role.to_string(), environment],
            )
            .unwrap();
        let start = Instant::now();
        let transaction = self
            .0
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
}

/// By one prepared statement for all rows, in one transaction.
struct RawPostgres {
    client: tokio_postgres::Client,
    insert: tokio_postgres::Statement,
}

impl RawPostgres {
    async fn open(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("VACUUM ANALYZE").await.unwrap();
        let insert = client
            .prepare(
                "INSERT INTO assignments (environment_id, id, identity_id, role_id, node_id, effective_from, created_at, \
                 updated_at) SELECT n.*, now(), now(), now() FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], \
                 $5::uuid[]) AS n",
            )
            .await
            .unwrap();
        Self { client, insert }
    }
}

impl Raw for RawPostgres {
    async fn insert(&mut self, place: &EnvironmentRef, items: &[(Uuid, Uuid)]) -> f64 {
        let ids: Vec<Uuid> = items.iter().map(|_| RAW_IDS.with(Ids::mint)).collect();
        let role = RAW_IDS.with(Ids::mint);
        let environment = place.environment.as_uuid();
        self.client
            .execute(
                "INSERT INTO roles SELECT environment_id, $1, $2, $2, description, system_key, is_active, version, created_at, \
                 updated_at FROM roles WHERE environment_id = $3 LIMIT 1",
                &[&role, &role.to_string(), &environment],
            )
            .await
            .unwrap();
        let start = Instant::now();
        let (environments, roles) = (vec![environment; items.len()], vec![role; items.len()]);
        let (people, nodes): (Vec<Uuid>, Vec<Uuid>) = items.iter().copied().unzip();
        let transaction = self.client.transaction().await.unwrap();
        transaction
            .execute(&self.insert, &[&environments, &ids, &people, &roles, &nodes])
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        start.elapsed().as_secs_f64() * 1_000.0
    }
}

thread_local! {
    static RAW_IDS: CountingIds = CountingIds::series(0xaa);
}

fn without_grants(workload: &Workload) -> Workload {
    let mut copy = workload.clone();
    copy.snapshot.grants.clear();
    copy
}
