//! Databases for single tests.

use super::server::Server;
use super::shared::{self, TEMPLATE};
use async_trait::async_trait;
use canopy_domain::Timestamp;
use canopy_domain::api_key::KeyUse;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::{
    Begun, Installation, LockScope, ReadTx, RequestIdentity, RowStore, RowTx, Share, SharedStore, Store, StoreError,
    WriteTx,
};
use canopy_storage_postgres::{PgOptions, PgStore};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::NoTls;

/// A database that is deleted on drop.
#[derive(Debug)]
pub struct Database {
    admin: String,
    name: String,
}

/// The server that databases are created on.
enum Place {
    /// In the cluster of the test run, copied from its template.
    Shared(Server),
    /// On the server that `CANOPY_TEST_POSTGRES_URL` names.
    Named(String),
}

impl Place {
    fn get() -> &'static Self {
        static PLACE: OnceLock<Place> = OnceLock::new();
        PLACE.get_or_init(|| match named_server() {
            Some(url) => Self::Named(url),
            None => Self::Shared(shared::server(|server| {
                run_blocking(move_in(server.url("postgres"), server.url(TEMPLATE)));
            })),
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no other configuration")]
fn named_server() -> Option<String> {
    std::env::var("CANOPY_TEST_POSTGRES_URL")
        .ok()
        .filter(|url| !url.is_empty())
}

/// Creates the template with the schema.
async fn move_in(admin: String, template: String) {
    execute(&admin, &format!("CREATE DATABASE {TEMPLATE}")).await;
    PgStore::migrate(&PgOptions::new(template))
        .await
        .expect("the migrations");
}

impl Database {
    /// Creates a database with the newest schema and without rows.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL; the message explains what to do.
    pub async fn new() -> Self {
        let place = tokio::task::spawn_blocking(Place::get).await.expect("a server");
        match place {
            Place::Shared(server) => {
                let how = format!("TEMPLATE {TEMPLATE} STRATEGY file_copy");
                Self::make(server.url("postgres"), &how).await
            }
            Place::Named(url) => {
                let database = Self::make(url.clone(), "TEMPLATE template0 ENCODING 'UTF8'").await;
                PgStore::migrate(&PgOptions::new(database.url()))
                    .await
                    .expect("the migrations");
                database
            }
        }
    }

    /// Creates a database without a schema.
    ///
    /// # Panics
    ///
    /// Like [`Database::new`].
    pub async fn bare() -> Self {
        let place = tokio::task::spawn_blocking(Place::get).await.expect("a server");
        let admin = match place {
            Place::Shared(server) => server.url("postgres"),
            Place::Named(url) => url.clone(),
        };
        Self::make(admin, "TEMPLATE template0 ENCODING 'UTF8'").await
    }

    async fn make(admin: String, how: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("canopy_test_{}_{number}", std::process::id());
        execute(&admin, &format!("CREATE DATABASE {name} {how}")).await;
        Self { admin, name }
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        let (place, query) = self.admin.split_once('?').unwrap_or((&self.admin, ""));
        let (server, _) = place.rsplit_once('/').expect("a URL with a database");
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        };
        format!("{server}/{}{query}", self.name)
    }

    /// Runs SQL in it, on its own connection.
    ///
    /// # Panics
    ///
    /// If the SQL fails.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url(), sql).await;
    }

    /// Runs SQL in a transaction that stays open, with its locks, until the result is dropped.
    ///
    /// # Panics
    ///
    /// If the SQL fails.
    pub async fn hold(&self, sql: &str) -> OpenTransaction {
        let client = connect(&self.url()).await;
        client
            .batch_execute(&format!("BEGIN; {sql}"))
            .await
            .expect("the SQL runs");
        OpenTransaction { _client: client }
    }

    /// Returns the rows of a query as texts.
    ///
    /// # Panics
    ///
    /// If the SQL fails.
    pub async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let client = connect(&self.url()).await;
        let messages = client.simple_query(sql).await.expect("an answer");
        messages
            .into_iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|column| row.get(column).map(str::to_owned))
                        .collect(),
                ),
                _ => None,
            })
            .collect()
    }
}

/// An open transaction, rolled back on drop, which closes its connection.
#[derive(Debug)]
pub struct OpenTransaction {
    _client: tokio_postgres::Client,
}

impl Drop for Database {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        run_blocking(async move {
            // Without the server, the database is gone too.
            let Ok((client, connection)) = tokio_postgres::connect(&admin, NoTls).await else {
                return;
            };
            tokio::spawn(connection);
            drop(
                client
                    .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                    .await,
            );
        });
    }
}

impl Server {
    /// Runs SQL in its database `postgres`, on its own connection.
    ///
    /// # Panics
    ///
    /// If the SQL fails.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url("postgres"), sql).await;
    }

    /// Returns the first column of the first row of a query in its database `postgres`.
    ///
    /// # Panics
    ///
    /// If the SQL fails.
    pub async fn ask(&self, sql: &str) -> Option<String> {
        let client = connect(&self.url("postgres")).await;
        let messages = client.simple_query(sql).await.expect("an answer");
        messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

async fn execute(url: &str, sql: &str) {
    connect(url).await.batch_execute(sql).await.expect("the SQL runs");
}

/// Runs a future to its end on its own thread and runtime.
fn run_blocking(work: impl Future<Output = ()> + Send + 'static) {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(work);
    };
    std::thread::spawn(run).join().expect("no panic");
}

/// A store with its own database, which is deleted with it.
#[derive(Debug)]
pub struct PostgresStore {
    store: PgStore,
    // Declared last, so that the database is deleted after the store is dropped.
    database: Database,
}

/// Creates an empty store.
///
/// # Panics
///
/// If there is no PostgreSQL; the message explains what to do.
pub async fn store() -> PostgresStore {
    store_with(|_| {}).await
}

/// Creates an empty store, opened with other options.
///
/// # Panics
///
/// Like [`store`].
pub async fn store_with(change: impl FnOnce(&mut PgOptions)) -> PostgresStore {
    let database = Database::new().await;
    let mut options = PgOptions::new(database.url());
    options.migrate = false;
    change(&mut options);
    let store = PgStore::open(&options).await.expect("a store");
    PostgresStore { store, database }
}

impl PostgresStore {
    /// Returns the store itself.
    pub const fn inner(&self) -> &PgStore {
        &self.store
    }

    /// Returns the store and its database, which is deleted when the latter is dropped.
    pub fn into_parts(self) -> (PgStore, Database) {
        (self.store, self.database)
    }

    /// Treats every list as a long one from now on, to test the queries of long lists.
    pub fn have_long_lists(&self) {
        self.store.have_long_lists();
    }

    /// Returns its database.
    pub const fn database(&self) -> &Database {
        &self.database
    }
}

#[async_trait]
impl RowStore for PostgresStore {
    async fn write_rows(&self, scope: LockScope) -> Result<Box<dyn RowTx>, StoreError> {
        self.store.write_rows(scope).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn read_for(&self, share: Share) -> Result<Box<dyn ReadTx>, StoreError> {
        self.store.read_for(share).await
    }

    async fn write(&self, scope: LockScope) -> Result<Box<dyn WriteTx>, StoreError> {
        self.store.write(scope).await
    }

    async fn write_once(
        &self,
        scope: LockScope,
        request: RequestIdentity,
        since: Timestamp,
    ) -> Result<Begun, StoreError> {
        self.store.write_once(scope, request, since).await
    }

    fn shared(&self) -> Option<&dyn SharedStore> {
        self.store.shared()
    }

    async fn note_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        self.store.note_key_uses(uses).await
    }

    async fn forget_answers(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.store.forget_answers(outdated).await
    }

    async fn prune_history(&self, outdated: Timestamp) -> Result<bool, StoreError> {
        self.store.prune_history(outdated).await
    }

    async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.store.append_audit_events(events).await
    }

    fn installation(&self) -> &dyn Installation {
        self.store.installation()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}
