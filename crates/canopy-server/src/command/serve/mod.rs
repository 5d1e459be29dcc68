//! `canopy serve`: the HTTP API until a signal ends it.

mod assembly;
mod background;
mod ready;

use crate::adapter::{OsSecrets, SystemClock};
use crate::backoff::Backoff;
use crate::config::{Config, PublicUrl};
use crate::console::Console;
use crate::demo::DemoError;
use crate::ending::HardEnd;
use crate::log::LostLines;
use crate::maintenance;
use crate::shared_keys::SharedKeys;
use crate::signal::EndSignals;
use crate::store::{Closed, OpenStore, ServedStore, StoreOpenError, open_once_reached, opener};
use crate::tokens::{TokensError, key_sources, signer};
use background::{catch_up, evict_idle, follow};
use canopy_app::App;
use canopy_domain::Timestamp;
use canopy_domain::port::{Installation as _, Secrets as _, StoreError};
use canopy_http::token::{KeyError, TokenSigner};
use ready::prepare_demo;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpSocket;
use tokio::time::timeout;

/// The server cannot start, or failed.
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
    /// The address is in use or belongs to another machine.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The demo data cannot be created or read.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The demo's token cannot be signed.
    #[error("the token of the demo cannot be signed: {0}")]
    Sign(#[from] KeyError),
    /// The system refuses threads, signals or output.
    #[error("cannot {what}: {source}")]
    System {
        /// The operation.
        what: &'static str,
        /// The reason.
        source: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::System { what, source }
}

/// Serves until a signal ends it. The exit code tells whether the shutdown was orderly.
///
/// # Errors
/// [`ServeError`].
pub fn run(config: &Config, demo: bool, lost_lines: LostLines) -> Result<ExitCode, ServeError> {
    // If the system has no randomness, this ends the process before it serves any request.
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
            end.enter("closing the database");
        }
        Ok(End::AtOnce) | Err(_) => runtime.shutdown_background(),
    }
    // The opener holds the lock of a SQLite file. Unfinished work may write until the process ends, and closing the
    // file would release SQLite's own locks on it.
    std::mem::forget(opener);
    Ok(match served? {
        End::Orderly(_) => ExitCode::SUCCESS,
        End::AtOnce => ExitCode::FAILURE,
    })
}

/// The end of serving.
#[derive(Debug)]
enum End {
    /// All work has finished or was aborted in time; the hard end follows if the rest hangs.
    Orderly(HardEnd),
    /// A second signal came.
    AtOnce,
}

/// The service and its parts.
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
    /// Serves from the start, even before the store is open: until then, calls that need it get 503.
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
            .map_err(system("read the address it listens on"))?;
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
            never = maintenance::maintain(&app, self.config.history.retention) => match never {},
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
                // Ending the server closes all connections.
                running.abort();
            }
            if let Some((handle, running)) = metrics {
                end.enter("the metrics server");
                timeout(end.time_left(), handle.stop(false)).await.ok();
                running.abort();
            }
            end.enter("flushing the last use of API keys");
            if timeout(end.time_left(), maintenance::flush_key_uses(&app))
                .await
                .is_err()
            {
                tracing::warn!("last use of API keys not flushed in time");
            }
            drop((app, keys, shared, self.store));
            // Workers drop the store as they end, and so do calls whose clients have hung up. The last one closes it,
            // which checkpoints the write-ahead log of SQLite.
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

    /// Waits for the store, announces that the service is ready, then follows the changes of other instances.
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
        let demo_state = if self.demo {
            Some(prepare_demo(app).await?)
        } else {
            None
        };
        tracing::info!(%address, "ready");
        self.console.print(self.ready_text(app, &local, demo_state)?);
        match keys {
            // This process is the only writer.
            None => match evict_idle(app).await {},
            Some(keys) => tokio::select! {
                never = evict_idle(app) => match never {},
                never = follow(app) => match never {},
                never = catch_up(app) => match never {},
                never = keys.keep_fresh() => match never {},
            },
        }
    }

    /// Registers the signing key of this process, so that other instances accept its tokens.
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

/// Maximum number of connections that wait to be accepted.
const BACKLOG: u32 = 1024;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // Addresses of recently closed connections may be reused; addresses of other listeners may not.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Returns the error of a server that ended without a signal.
fn ended_by_itself(ended: Result<io::Result<()>, tokio::task::JoinError>) -> Result<End, ServeError> {
    let source = match ended {
        Ok(Ok(())) => io::Error::other("it ended without a signal"),
        Ok(Err(error)) => error,
        Err(lost) => io::Error::other(lost),
    };
    Err(system("serve")(source))
}
