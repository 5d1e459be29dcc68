//! The whole service in a test: started on a free port within milliseconds, with tokens for everyone.

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

/// A running service. It stops when it is dropped.
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
    /// Goes with the server, whoever still holds a connection to it.
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

/// The time of the machine, as the real service has it.
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

/// Hears what others write to a store that is shared, as the real service does.
async fn follow(app: App) {
    while app.decisions().follow().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl TestServer {
    /// A service on a fresh in-memory store.
    ///
    /// # Panics
    /// Outside a multi-thread tokio runtime, or when no port is free.
    pub fn on_memory() -> Self {
        Self::start(Arc::new(MemoryStore::new()))
    }

    /// A service on a fresh SQLite file, which goes with it.
    ///
    /// # Panics
    /// As [`on_memory`](Self::on_memory), or when no file can be made.
    pub fn on_sqlite() -> Self {
        Self::start(Arc::new(SqliteStore::temporary().expect("a temporary store")))
    }

    /// A service on a fresh database of PostgreSQL, which goes with it.
    ///
    /// # Panics
    /// As [`on_memory`](Self::on_memory), or when there is no PostgreSQL; the message says what to do.
    #[cfg(feature = "postgres")]
    pub async fn on_postgres() -> Self {
        let store = crate::postgres::store_with(|options| options.pool_size = 4).await;
        let (store, database) = store.into_parts();
        let mut server = Self::start(Arc::new(store));
        server.database = Some(database);
        server
    }

    /// A service on this store, with the time of the machine.
    ///
    /// # Panics
    /// As [`on_memory`](Self::on_memory).
    pub fn start(store: Arc<dyn Store>) -> Self {
        Self::start_with(store, Arc::new(MachineClock), Arc::new(crate::CountingIds::default()))
    }

    /// A service on this store, with this clock and these ids.
    ///
    /// # Panics
    /// As [`on_memory`](Self::on_memory).
    pub fn start_with(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        let app = App::new(store, clock, ids, crate::CountingSecrets::default());
        let parties = TokenParties {
            issuer: "canopy-test".to_owned(),
            audience: "canopy-test".to_owned(),
        };
        let signer = TokenSigner::from_seed([42; 32], parties.clone()).expect("a working crypto library");
        let verifier = JwtVerifier::new(parties, vec![signer.verification_key().clone()]).expect("a verifier");
        // A test may try as many bad credentials as it likes.
        let limits = LimitOptions {
            failed_authentications: NonZeroU32::MAX,
            ..LimitOptions::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let state = HttpState::new(app.clone(), Arc::new(verifier), Handle::current())
            .with_limits(limits)
            .with_public_url(&base);
        // A connection that a client opened ahead of need may lie idle for the whole of a long test.
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

    /// The service behind the routes.
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A client without a credential.
    pub fn anonymous(&self) -> Api {
        Api::new(self.base.clone())
    }

    /// A client of an operator.
    pub fn operator(&self) -> Api {
        self.client(PrincipalKind::Operator, "operator", None, None)
    }

    /// A client of an admin of this account.
    pub fn admin(&self, account: Uuid) -> Api {
        self.client(PrincipalKind::Admin, "admin", Some(account), None)
    }

    /// A client of an identity of this account.
    pub fn identity(&self, account: Uuid, identity: Uuid) -> Api {
        self.client(PrincipalKind::Identity, &identity.to_string(), Some(account), None)
    }

    /// A client of an admin whose token names this environment.
    pub fn admin_in(&self, account: Uuid, environment: Uuid) -> Api {
        self.client(PrincipalKind::Admin, "admin", Some(account), Some(environment))
    }

    /// A client of an identity whose token names this environment.
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

    /// A token with these claims, signed by the service's own key.
    ///
    /// # Panics
    /// When the crypto library fails.
    pub fn sign(&self, claims: &TokenClaims) -> String {
        self.signer.sign(claims, self.app.now()).expect("a signature")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // Told to stop at once; its end is the runtime's business.
        drop(self.stop.stop(false));
        self.following.abort();
    }
}
