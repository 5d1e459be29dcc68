//! Lists of assignments and people: first and deep pages, filters and searches, on both stores.

use crate::{ENV, Scale, print_row};
use canopy_domain::AccountId;
use canopy_domain::port::Store;
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_storage_sqlite::SqliteStore;
use canopy_testkit::fixture::store_workload;
use canopy_testkit::postgres::Server;
use canopy_testkit::server::TestServer;
use canopy_testkit::workload::{Size, Workload};
use canopy_testkit::{CountingIds, FixedClock};
use std::sync::Arc;
use std::time::Instant;

/// A page that lies this deep is the last but a few in each list.
const DEEP: f64 = 0.9;
const TAKE: usize = 50;

const APPLICATION: &str = "/portal/v1/accounts/acme/applications/notes";

/// 100,000 and 1,000,000 assignments on both stores.
pub async fn lists(scale: Scale) {
    for size in scale.sizes(&[Size::M, Size::L]) {
        let store = SqliteStore::temporary().unwrap();
        let place = store_workload(&store, &Workload::new(size, 1)).await.unwrap();
        measure("SQLite", Arc::new(store), place.account, size, scale).await;
        let cluster = Server::start_with_usual_settings();
        let store = PgStore::open(&PgOptions::new(cluster.url("postgres"))).await.unwrap();
        let place = store_workload(&store, &Workload::new(size, 1)).await.unwrap();
        vacuum(&cluster.url("postgres")).await;
        measure("PostgreSQL", Arc::new(store), place.account, size, scale).await;
    }
}

/// Does what autovacuum does within a minute.
async fn vacuum(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute("VACUUM (ANALYZE)").await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

/// Milliseconds of every request. The slowest run of each is printed as the maximum: the first one finds nothing cached by
/// the store.
async fn measure(name: &str, store: Arc<dyn Store>, account: AccountId, size: Size, scale: Scale) {
    let workload = Workload::new(size, 1);
    let clock = Arc::new(FixedClock::new(workload.now));
    let server = TestServer::start_with(store, clock, Arc::new(CountingIds::default()));
    let admin = server.admin(account.as_uuid());
    let role = workload.snapshot.roles.first().unwrap().id;
    let node = workload.snapshot.nodes.last().unwrap().id;
    let app_wide = |query: &str| format!("{ENV}/assignments/app-wide?take={TAKE}{query}");
    let mut requests = vec![("assignments, first page".to_owned(), app_wide(""))];
    for sort in ["name", "role", "created_at"] {
        requests.push((
            format!("assignments by {sort}, deep page"),
            app_wide(&format!("&sort_by={sort}&page={}", deep(size.assignments))),
        ));
        for (label, query) in [
            ("one person in a hundred", "person99"),
            ("two digits", "99"),
            ("a word that fits none", "zzzz"),
            ("a word that fits all", "unit"),
            ("two words", "person9%20role"),
        ] {
            requests.push((
                format!("assignments by {sort}, {label}"),
                app_wide(&format!("&sort_by={sort}&q={query}")),
            ));
        }
        for (label, query) in [
            ("status", "&status=active".to_owned()),
            ("role and status", format!("&role_id={role}&status=active")),
            (
                "status, deep page",
                format!("&status=active&page={}", deep(size.assignments * 3 / 4)),
            ),
            (
                "a word that fits all, deep page",
                format!("&q=unit&page={}", deep(size.assignments)),
            ),
        ] {
            requests.push((
                format!("assignments by {sort}, {label}"),
                app_wide(&format!("&sort_by={sort}{query}")),
            ));
        }
    }
    requests.push((
        "assignments, summary".to_owned(),
        format!("{ENV}/assignments/app-wide/summary"),
    ));
    for (label, query) in [
        ("first page", String::new()),
        ("deep page", format!("&page={}", deep(size.identities))),
        ("a rare word", "&q=person99".to_owned()),
    ] {
        requests.push((
            format!("people, {label}"),
            format!("{APPLICATION}/identities?take={TAKE}{query}"),
        ));
        requests.push((
            format!("people at a leaf, {label}"),
            format!("{ENV}/nodes/{node}/identities?take={TAKE}{query}"),
        ));
    }
    for (label, path) in requests {
        let mut figures = Vec::new();
        for _ in 0..scale.runs() {
            let begun = Instant::now();
            let answer = admin.get(&path).await;
            figures.push(begun.elapsed().as_secs_f64() * 1_000.0);
            // An earlier version of the service may not have the list or the filter: the line says so.
            if answer.status != 200 {
                println!("{name}, {} assignments: {label}: {}", size.assignments, answer.status);
                figures.clear();
                break;
            }
        }
        if !figures.is_empty() {
            print_row(
                &format!("{name}, {} assignments: {label}", size.assignments),
                "ms",
                figures,
            );
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a page number, far below 2^52"
)]
fn deep(rows: usize) -> usize {
    ((rows / TAKE) as f64 * DEEP) as usize
}
