//! The whole service in a test: starts on a free port within milliseconds, and signs tokens for every kind of principal.

mod api;
mod environment;

pub use api::{Answer, Api};
pub use environment::TestEnvironment;

use canopy_app::App;
use canopy_domain::port::{Clock, Ids, PrincipalKind, Store, TokenClaims};
use canopy_domain::{AccountId, EnvironmentId, Timestamp};
use canopy_http::token::{JwtVerifier, TokenParties, TokenSigner};
use canopy_http::{HttpState, LimitOptions, ServerOptions};
use canopy_storage_memory::MemoryStore;
use canopy_storage_sqlite::SqliteStore;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A running service. Stops when dropped.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use canopy_testkit::server::TestServer;
/// use serde_json::json;
///
/// let server = TestServer::on_memory();
/// let account = server.operator().post("/portal/v1/accounts", &json!({"name": "Acme"})).await.expect(201);
/// assert_eq!(account["slug"], "acme");
/// # });
/// ```
pub struct TestServer {
    app: App,
    signer: TokenSigner,
    base: String,
    stop: actix_web::dev::ServerHandle,
    following: JoinHandle<()>,
    /// Dropped with the server, even while connections to it are open.
    #[cfg(feature = "postgres")]
    database: Option<crate::postgres::Database>,
}

impl core::fmt::Debug for TestServer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TestServer")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// The clock of the machine, as in the real service.
#[derive(Debug)]
struct MachineClock;

impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter of the Clock port")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("a time after 1970");
        let micros = i64::try_from(since.as_micros()).expect("a time before the year 9999");
        Timestamp::from_micros(micros).expect("a time before the year 9999")
    }
}

/// Follows the changes of other instances, like the real service.
async fn follow(app: App) {
    while app.decisions().follow().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl TestServer {
    /// Starts a service on a new in-memory store.
    ///
    /// # Panics
    ///
    /// Outside a multi-thread tokio runtime, or if no port is free.
    pub fn on_memory() -> Self {
        Self::start(Arc::new(MemoryStore::new()))
    }

    /// Starts a service on a new SQLite file, which is deleted with it.
    ///
    /// # Panics
    ///
    /// Like [`on_memory`](Self::on_memory), or if no file can be created.
    pub fn on_sqlite() -> Self {
        Self::start(Arc::new(SqliteStore::temporary().expect("a temporary store")))
    }

    /// Starts a service on a new PostgreSQL database, which is deleted with it.
    ///
    /// # Panics
    ///
    /// Like [`on_memory`](Self::on_memory), or if there is no PostgreSQL; the message explains what to do.
    #[cfg(feature = "postgres")]
    pub async fn on_postgres() -> Self {
        let store = crate::postgres::store_with(|options| options.pool_size = 4).await;
        let (store, database) = store.into_parts();
        let mut server = Self::start(Arc::new(store));
        server.database = Some(database);
        server
    }

    /// Starts a service on this store, with the clock of the machine.
    ///
    /// # Panics
    ///
    /// Like [`on_memory`](Self::on_memory).
    pub fn start(store: Arc<dyn Store>) -> Self {
        Self::start_with(store, Arc::new(MachineClock), Arc::new(crate::CountingIds::default()))
    }

    /// Starts a service on this store, with this clock and these ids.
    ///
    /// # Panics
    ///
    /// Like [`on_memory`](Self::on_memory).
    pub fn start_with(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        let app = App::new(store, clock, ids, crate::CountingSecrets::default());
        let parties = TokenParties {
            issuer: "canopy-test".to_owned(),
            audience: "canopy-test".to_owned(),
        };
        let signer = TokenSigner::from_seed([42; 32], parties.clone()).expect("a working crypto library");
        let verifier = JwtVerifier::new(parties, vec![signer.verification_key().clone()]).expect("a verifier");
        // A test may present any number of bad credentials.
        let limits = LimitOptions {
            failed_authentications: NonZeroU32::MAX,
            ..LimitOptions::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let state = HttpState::new(app.clone(), Arc::new(verifier), Handle::current())
            .with_limits(limits)
            .with_public_url(&base);
        // A connection that a client opened in advance may be idle during a whole long test.
        let options = ServerOptions {
            keep_alive: Duration::from_secs(3_600),
            head_timeout: Duration::from_secs(3_600),
            ..ServerOptions::default()
        };
        let server = canopy_http::server(listener, state, &options).expect("a server");
        let stop = server.handle();
        tokio::spawn(server);
        Self {
            following: tokio::spawn(follow(app.clone())),
            app,
            signer,
            base,
            stop,
            #[cfg(feature = "postgres")]
            database: None,
        }
    }

    /// Returns the use cases behind the routes.
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Returns the base URL: `http://127.0.0.1:PORT`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns a client without a credential.
    pub fn anonymous(&self) -> Api {
        Api::new(self.base.clone())
    }

    /// Returns a client of an operator.
    pub fn operator(&self) -> Api {
        self.client(PrincipalKind::Operator, "operator", None, None)
    }

    /// Returns a client of an admin of this account.
    pub fn admin(&self, account: Uuid) -> Api {
        self.client(PrincipalKind::Admin, "admin", Some(account), None)
    }

    /// Returns a client of an identity of this account.
    pub fn identity(&self, account: Uuid, identity: Uuid) -> Api {
        self.client(PrincipalKind::Identity, &identity.to_string(), Some(account), None)
    }

    /// Returns a client of an admin whose token names this environment.
    pub fn admin_in(&self, account: Uuid, environment: Uuid) -> Api {
        self.client(PrincipalKind::Admin, "admin", Some(account), Some(environment))
    }

    /// Returns a client of an identity whose token names this environment.
    pub fn identity_in(&self, account: Uuid, identity: Uuid, environment: Uuid) -> Api {
        let subject = identity.to_string();
        self.client(PrincipalKind::Identity, &subject, Some(account), Some(environment))
    }

    fn client(&self, kind: PrincipalKind, subject: &str, account: Option<Uuid>, environment: Option<Uuid>) -> Api {
        let now = self.app.now();
        let claims = TokenClaims {
            subject: subject.into(),
            principal: kind,
            account: account.map(AccountId::new),
            environment: environment.map(EnvironmentId::new),
            expires_at: now.plus_seconds(3_600),
        };
        self.anonymous().with_token(self.sign(&claims))
    }

    /// Returns a token with these claims, signed by the service's own key.
    ///
    /// # Panics
    ///
    /// If the crypto library fails.
    pub fn sign(&self, claims: &TokenClaims) -> String {
        self.signer.sign(claims, self.app.now()).expect("a signature")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // The server stops at once; the runtime handles its end.
        drop(self.stop.stop(false));
        self.following.abort();
    }
}
