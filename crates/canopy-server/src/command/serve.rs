//! `canopy serve`: the HTTP API until a signal ends it.

use crate::adapter::{OsSecrets, SystemClock, UuidV7Ids};
use crate::backoff::Backoff;
use crate::config::{Config, LimitConfig, PublicUrl};
use crate::console::Console;
use crate::demo::{self, Demo, DemoError, Standing};
use crate::descriptors;
use crate::ending::HardEnd;
use crate::key_sources::KeySources;
use crate::log::LostLines;
use crate::shared_keys::SharedKeys;
use crate::signal::EndSignals;
use crate::store::{Closed, OpenStore, ServedStore, StoreOpenError, open_once_reached, opener};
use crate::tokens::{TokensError, key_sources, signer};
use crate::upkeep;
use canopy_app::App;
use canopy_app::long_work::WorkOptions;
use canopy_domain::Timestamp;
use canopy_domain::port::{Installation as _, PrincipalKind, Secrets as _, StoreError, TokenClaims};
use canopy_domain::setup::CatalogLimits;
use canopy_http::token::{KeyError, TokenSigner};
use canopy_http::{
    ACCEPTED_AHEAD, BODY_WAIT, HttpState, LimitOptions, METRICS_CONNECTIONS, ReadinessCheck, ServerOptions,
};
use core::num::NonZeroU32;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The server cannot be started, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    /// The signing key cannot be registered.
    #[error("the signing key cannot be registered")]
    Register(#[from] StoreError),
    /// Tokens cannot be signed or verified.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The demo data cannot be made or read.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The demo's token cannot be signed.
    #[error("the token of the demo cannot be signed: {0}")]
    Sign(#[from] KeyError),
    /// The system refuses threads, signals or output.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::System { what, source }
}

/// Serves until a signal ends it. The exit code says whether the end was orderly.
///
/// # Errors
/// [`ServeError`].
pub fn run(config: &Config, demo: bool, lost_lines: LostLines) -> Result<ExitCode, ServeError> {
    // Where the system has no randomness, this ends the process before anybody is served.
    OsSecrets.bytes();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(system("start the runtime"))?;
    let opener = opener(config);
    let (store, closed) = ServedStore::pending(opener.is_shared());
    if !opener.is_shared() {
        store.open(runtime.block_on(opener.open())?);
    }
    let signer = signer(config)?;
    let service = Service {
        config,
        demo,
        signer: &signer,
        store,
        opener: opener.as_ref(),
        lost_lines,
        console: Console::start().map_err(system("start a thread"))?,
    };
    let served = runtime.block_on(service.serve(closed));
    match &served {
        Ok(End::Orderly(end)) => {
            end.enter("work in threads of the runtime");
            runtime.shutdown_timeout(end.time_left());
            end.enter("letting go of the database");
        }
        Ok(End::AtOnce) | Err(_) => runtime.shutdown_background(),
    }
    // Holds the lock of a SQLite file. Work that could not be waited for may write until the process ends, and closing the
    // file would take SQLite's own locks from it.
    std::mem::forget(opener);
    Ok(match served? {
        End::Orderly(_) => ExitCode::SUCCESS,
        End::AtOnce => ExitCode::FAILURE,
    })
}

/// How serving ended.
#[derive(Debug)]
enum End {
    /// Everything was finished, or given up in time; a hard end follows where the rest hangs.
    Orderly(HardEnd),
    /// A second signal came.
    AtOnce,
}

/// What is served, and with what.
struct Service<'a> {
    config: &'a Config,
    demo: bool,
    signer: &'a TokenSigner,
    store: Arc<ServedStore>,
    opener: &'a dyn OpenStore,
    lost_lines: LostLines,
    console: Console,
}

impl Service<'_> {
    /// Answers from the start, also while the store has yet to come: what needs it is answered 503 until then.
    async fn serve(self, closed: Closed) -> Result<End, ServeError> {
        let service = &self.config.service;
        let listener = listen(service.listen).map_err(|source| ServeError::Bind {
            address: service.listen,
            source,
        })?;
        let clock = Arc::new(SystemClock);
        let app = self.app(Arc::clone(&clock));
        let mut keys = key_sources(&self.config.token, self.signer)?;
        let shared = self.opener.is_shared().then(|| {
            let own = self.signer.public_key(app.now());
            let verifier = Arc::clone(keys.verifier());
            Arc::new(SharedKeys::new(verifier, self.store.clone(), clock, own))
        });
        if let Some(shared) = &shared {
            keys.set_shared(Arc::clone(shared));
        }
        let keys = Arc::new(keys);
        let address = listener
            .local_addr()
            .map_err(system("tell the address it listens on"))?;
        let mut signals = EndSignals::catch().map_err(system("catch signals"))?;
        let public_url = service.public_url.clone();
        let public_url = public_url.unwrap_or_else(|| PublicUrl::of_listener(address));
        let state = self.state(&app, Arc::clone(&keys), public_url.as_str());
        let options = self.server_options();
        let metrics = match service.metrics_listen {
            None => None,
            Some(address) => {
                let listener = listen(address).map_err(|source| ServeError::Bind { address, source })?;
                let server = canopy_http::metrics_server(listener, state.clone(), &options).map_err(system("serve"))?;
                let handle = server.handle();
                tracing::info!(%address, "metrics listener ready");
                Some((handle, tokio::spawn(server)))
            }
        };
        let server = canopy_http::server(listener, state, &options).map_err(system("serve"))?;
        let handle = server.handle();
        let mut running = tokio::spawn(server);
        tokio::select! {
            ended = &mut running => return ended_by_itself(ended),
            never = upkeep::keep_up(&app, self.config.history.retention) => match never {},
            never = keys.keep_fresh() => match never {},
            failed = self.open_and_follow(&app, shared.as_deref(), address) => match failed? {},
            name = signals.next() => tracing::info!(signal = name, "shutting down"),
        }
        let end = HardEnd::after(service.shutdown_timeout).map_err(system("start a thread"))?;
        let orderly = async {
            end.enter("requests that are still running");
            let stopping = async {
                handle.stop(true).await;
                (&mut running).await.ok();
            };
            if timeout(end.time_for_requests(), stopping).await.is_err() {
                tracing::warn!("shutdown timeout; aborting running requests");
                // Its end closes all connections.
                running.abort();
            }
            if let Some((handle, running)) = metrics {
                end.enter("the server of the metrics");
                timeout(end.time_left(), handle.stop(false)).await.ok();
                running.abort();
            }
            end.enter("noting the last use of API keys");
            if timeout(end.time_left(), upkeep::note(&app)).await.is_err() {
                tracing::warn!("last use of API keys not flushed before shutdown");
            }
            drop((app, keys, shared, self.store));
            // Workers let go of the store as they end, and so do calls whose clients have hung up; the last one closes
            // it, which moves SQLite's log into the database.
            end.enter("work that uses the database");
            if timeout(end.time_left(), closed.wait()).await.is_err() {
                tracing::warn!("shutdown timeout; rolling back running work");
            }
        };
        tokio::select! {
            () = orderly => {
                tracing::info!("shut down");
                Ok(End::Orderly(end))
            }
            name = signals.next() => {
                tracing::warn!(signal = name, "ending at once");
                Ok(End::AtOnce)
            }
        }
    }

    /// The use cases, with the configured bounds.
    fn app(&self, clock: Arc<SystemClock>) -> App {
        let ids = Arc::new(UuidV7Ids::new(clock.clone()));
        let app = App::new(self.store.clone(), clock, ids, OsSecrets);
        let limits = &self.config.limit;
        app.decisions().bound_memory(mib(self.config.index.memory_mib));
        app.decisions().bound_index(mib(self.config.index_environment_mib()));
        app.bound_catalogs(CatalogLimits {
            keys: size(limits.catalog_keys),
            pairs: size(limits.catalog_pairs),
        });
        app.bound_kept_answers(u64::from(limits.kept_answers_mib.get()) * 1024 * 1024);
        app.long_work().configure(WorkOptions {
            turns: self.config.long_requests().get().into(),
            ..WorkOptions::default()
        });
        app
    }

    /// The state of the HTTP server, with the configured bounds.
    fn state(&self, app: &App, keys: Arc<KeySources>, public_url: &str) -> HttpState {
        let limits = &self.config.limit;
        let state = HttpState::new(app.clone(), keys, Handle::current())
            .with_limits(request_limits(limits))
            .with_public_url(public_url)
            .with_body_timeout(limits.body_timeout)
            .with_body_memory(limits.bodies_mib.get(), BODY_WAIT)
            .with_lost_log_lines({
                let lost = self.lost_lines.clone();
                move || lost.count()
            })
            .with_max_items(limits.bulk_items.get().into())
            .with_max_answer_bytes(mib(limits.answer_mib))
            .with_max_bytes_in_flight(mib(limits.answers_in_flight_mib))
            .with_import_bytes(mib(limits.import_mib))
            .with_readiness_check(checks_can_be_answered(app));
        if self.config.service.metrics_listen.is_some() {
            state.with_metrics_apart()
        } else {
            state
        }
    }

    fn server_options(&self) -> ServerOptions {
        let (service, limits) = (&self.config.service, &self.config.limit);
        ServerOptions {
            workers: self.config.workers(),
            shutdown_timeout: service.shutdown_timeout,
            head_timeout: limits.head_timeout,
            answer_timeout: limits.answer_timeout,
            max_connections: self.max_connections(),
            max_connections_per_address: number(limits.connections_per_address.get()),
            ..ServerOptions::default()
        }
    }

    /// Waits for the store, says that all is ready, and from then on hears what other instances change.
    async fn open_and_follow(
        &self,
        app: &App,
        keys: Option<&SharedKeys>,
        address: SocketAddr,
    ) -> Result<Infallible, ServeError> {
        let local = PublicUrl::of_listener(address);
        if self.opener.is_shared() {
            let waiting = || {
                let text = format!("Canopy listens on {} and waits for its database\n", local.as_str());
                self.console.print(text);
            };
            self.store.open(open_once_reached(self.opener, waiting).await?);
            self.register_key(app.now()).await?;
        }
        let guide = if self.demo {
            Some(prepare_demo(app).await?)
        } else {
            None
        };
        tracing::info!(%address, "ready");
        self.console.print(self.ready_text(app, &local, guide)?);
        match keys {
            // Nobody else writes to the store.
            None => match evict_idle(app).await {},
            Some(keys) => tokio::select! {
                never = evict_idle(app) => match never {},
                never = follow(app) => match never {},
                never = catch_up(app) => match never {},
                never = keys.keep_fresh() => match never {},
            },
        }
    }

    /// As many connections of clients as the configuration and the system's limit on open files allow.
    fn max_connections(&self) -> usize {
        let asked = self.config.limit.connections.get();
        let limit = descriptors::raise();
        let pool = usize::from(self.config.postgres.pool_size.get());
        let others = pool + ACCEPTED_AHEAD + METRICS_CONNECTIONS;
        let connections = descriptors::connections_under(limit, asked, others);
        if connections < number(asked) {
            tracing::warn!(
                open_files = limit,
                connections,
                asked,
                "the limit on open files allows fewer connections than configured"
            );
        } else {
            tracing::info!(open_files = limit, connections, "limit on open files raised");
        }
        connections
    }

    /// Tells the other instances the key that tokens are signed with here.
    async fn register_key(&self, now: Timestamp) -> Result<(), ServeError> {
        let key = self.signer.public_key(now);
        let mut backoff = Backoff::new();
        loop {
            match self.store.register_signing_key(&key).await {
                Err(error @ (StoreError::Unavailable(_) | StoreError::Busy(_))) => {
                    tracing::warn!(%error, "signing key not registered; retrying");
                }
                registered => return Ok(registered?),
            }
            backoff.wait().await;
        }
    }
}

/// The limits of the configuration as the HTTP adapter takes them.
fn request_limits(config: &LimitConfig) -> LimitOptions {
    LimitOptions {
        failed_authentications: config.failed_authentications,
        requests: config.requests,
        trusted_proxies: config.trusted_proxies.networks().to_vec(),
    }
}

fn number(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Hears what other instances change, whatever becomes of the line.
async fn follow(app: &App) -> Infallible {
    let mut backoff = Backoff::new();
    loop {
        if let Err(error) = app.decisions().follow().await {
            tracing::warn!(%error, "change feed disconnected; reconnecting");
        }
        backoff.wait().await;
    }
}

fn size(number: NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}

/// So many MiB in bytes.
fn mib(number: NonZeroU32) -> usize {
    size(number).saturating_mul(1024 * 1024)
}

/// Ready unless no environment that was asked about can be loaded.
fn checks_can_be_answered(app: &App) -> ReadinessCheck {
    let app = app.clone();
    ReadinessCheck::new("decisions", move || {
        let app = app.clone();
        async move { app.decisions().can_answer().map_err(|error| error.to_string()) }
    })
}

/// How often it is looked what memory can be let go of.
const TIDY_INTERVAL: Duration = Duration::from_secs(5);

async fn evict_idle(app: &App) -> Infallible {
    loop {
        tokio::time::sleep(TIDY_INTERVAL).await;
        app.decisions().evict_idle().await;
    }
}

/// How often news that got lost are made up for.
const CATCH_UP_INTERVAL: Duration = Duration::from_secs(5);

async fn catch_up(app: &App) -> Infallible {
    loop {
        tokio::time::sleep(CATCH_UP_INTERVAL).await;
        if let Err(error) = app.decisions().catch_up().await {
            tracing::debug!(%error, "catch-up with the change feed failed; retrying later");
        }
    }
}

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // Addresses of connections that have ended lately may be taken again, those of living listeners may not.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// The server ended although nobody asked it to.
fn ended_by_itself(ended: Result<io::Result<()>, tokio::task::JoinError>) -> Result<End, ServeError> {
    let source = match ended {
        Ok(Ok(())) => io::Error::other("it ended by itself"),
        Ok(Err(error)) => error,
        Err(lost) => io::Error::other(lost),
    };
    Err(system("serve")(source))
}

/// What the demo found or made.
#[derive(Debug)]
enum Guide {
    /// Data to try the service with; `seeded` when it was made just now.
    Demo { demo: Box<Demo>, seeded: bool },
    /// Somebody else's data.
    Other,
}

async fn prepare_demo(app: &App) -> Result<Guide, DemoError> {
    match demo::standing(app).await? {
        Standing::Empty => {
            demo::seed(app).await?;
            match demo::standing(app).await? {
                Standing::Demo(demo) => Ok(Guide::Demo { demo, seeded: true }),
                Standing::Empty | Standing::Other => Ok(Guide::Other),
            }
        }
        Standing::Demo(demo) => Ok(Guide::Demo { demo, seeded: false }),
        Standing::Other => Ok(Guide::Other),
    }
}

/// How long the demo's token is good for, in seconds.
const DEMO_TOKEN_SECONDS: i64 = 24 * 60 * 60;

impl Service<'_> {
    /// What is said when the service is ready, and what to try.
    fn ready_text(&self, app: &App, local: &PublicUrl, guide: Option<Guide>) -> Result<String, ServeError> {
        let mut text = format!("Canopy is ready on {}\n", local.as_str());
        match guide {
            None => {}
            Some(Guide::Other) => {
                text.push_str("\n# The store is not empty and not the demo's: no demo data was made.\n");
            }
            Some(Guide::Demo { demo, seeded }) => {
                let now = app.now();
                let claims = TokenClaims {
                    subject: "demo-admin".into(),
                    principal: PrincipalKind::Admin,
                    account: Some(demo.place.account),
                    environment: Some(demo.place.environment),
                    expires_at: now.plus_seconds(DEMO_TOKEN_SECONDS),
                };
                let token = self.signer.sign(&claims, now)?;
                let base = self.config.service.public_url.as_ref().unwrap_or(local);
                text.push_str(if seeded {
                    "\n# Demo data: account acme, application notes, environment development, 16 nodes, 200 people.\n"
                } else {
                    "\n# The store is not empty: it holds the demo's data from an earlier start.\n"
                });
                text.push_str("# A token for an admin of acme, good for 24 hours:\n");
                text.extend(["TOKEN='", &token, "'\n"]);
                text.push_str(&demo::commands(base.as_str(), &token, &demo).to_string());
            }
        }
        Ok(text)
    }
}
