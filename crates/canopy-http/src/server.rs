//! The HTTP server.

use crate::connection::registry::{Clock, Registry};
use crate::connection::worker::{GuardedService, Guarding, WorkerConnections};
use crate::connection::{Connection, Deadlines, stream::GuardedStream};
use crate::router::{configure, configure_metrics};
use crate::state::HttpState;
use actix_http::HttpService;
use actix_server::ServerBuilder;
use actix_service::{IntoServiceFactory as _, ServiceFactory as _, ServiceFactoryExt as _, map_config};
use actix_web::dev::{AppConfig, Server, fn_factory};
use actix_web::web::ServiceConfig;
use actix_web::{App, Error};
use core::num::NonZeroU16;
use core::time::Duration;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

/// Connection options of the server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Worker threads.
    pub workers: NonZeroU16,
    /// Maximum idle time of a connection before a next request.
    pub keep_alive: Duration,
    /// Maximum time for the head of a request, from its first byte. After it the request is answered with 408.
    pub head_timeout: Duration,
    /// Maximum time that a response waits for a client that reads less than 16 KiB per second.
    pub answer_timeout: Duration,
    /// Maximum time for closing a connection.
    pub disconnect_timeout: Duration,
    /// Maximum wait of a shutdown for running requests.
    pub shutdown_timeout: Duration,
    /// Maximum number of connections. Past it, connections that only wait are evicted.
    pub max_connections: usize,
    /// Maximum number of connections of one client address; for IPv6, of a /64 network. Trusted proxies are exempt.
    pub max_connections_per_address: usize,
}

impl ServerOptions {
    /// The default of `head_timeout`.
    pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
    /// The default of `answer_timeout`.
    pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
    /// The default of `max_connections`.
    pub const MAX_CONNECTIONS: usize = 8_192;
    /// The default of `max_connections_per_address`.
    pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 1_024;
}

impl Default for ServerOptions {
    /// Returns options with two workers, which is enough for tests.
    fn default() -> Self {
        Self {
            workers: NonZeroU16::MIN.saturating_add(1),
            keep_alive: Duration::from_secs(75),
            head_timeout: Self::HEAD_TIMEOUT,
            answer_timeout: Self::ANSWER_TIMEOUT,
            disconnect_timeout: Duration::from_secs(3),
            shutdown_timeout: Duration::from_secs(30),
            max_connections: Self::MAX_CONNECTIONS,
            max_connections_per_address: Self::MAX_CONNECTIONS_PER_ADDRESS,
        }
    }
}

/// Serves on a listening socket. The server runs while its future is awaited; it may be spawned on any tokio runtime.
/// It ends after running requests when its handle is stopped. It does not handle signals.
///
/// # Errors
/// Fails if the system refuses the threads or the socket.
pub fn server(listener: TcpListener, state: HttpState, options: &ServerOptions) -> io::Result<Server> {
    let configured = state.clone();
    let count = state.metrics().open_connections();
    serve(listener, state, options, count, move || configure(&configured))
}

/// Serves only `/metrics` of a service, on its own socket. Runs and ends like [`server`].
///
/// # Errors
/// Fails if the system refuses the threads or the socket.
pub fn metrics_server(listener: TcpListener, state: HttpState, options: &ServerOptions) -> io::Result<Server> {
    let options = ServerOptions {
        workers: NonZeroU16::MIN,
        max_connections: options.max_connections.min(METRICS_CONNECTIONS),
        ..options.clone()
    };
    let configured = state.clone();
    serve(listener, state, &options, Arc::default(), move || {
        configure_metrics(&configured)
    })
}

/// Maximum number of open connections to the metrics address.
pub const METRICS_CONNECTIONS: usize = 64;

/// Number of connections that may be accepted before others were evicted for them.
pub const ACCEPTED_AHEAD: usize = 64;

/// Serves the routes of `configure`; `count` holds the number of open connections.
fn serve<F, C>(
    listener: TcpListener,
    state: HttpState,
    options: &ServerOptions,
    count: Arc<AtomicUsize>,
    configure: F,
) -> io::Result<Server>
where
    F: Fn() -> C + Send + Clone + 'static,
    C: FnOnce(&mut ServiceConfig) + 'static,
{
    let address = listener.local_addr()?;
    let workers = usize::from(options.workers.get());
    let guarding = Guarding {
        registry: Registry::new(options.max_connections, options.max_connections_per_address, count),
        clock: Clock::default(),
        begun: Instant::now(),
        deadlines: Deadlines {
            head: options.head_timeout,
            idle: options.keep_alive,
            answer: options.answer_timeout,
            close: options.disconnect_timeout,
        },
        state,
    };
    let builder = ServerBuilder::new()
        .workers(workers)
        // The registry evicts; this limit keeps the system's file descriptors from running out before it can.
        .max_concurrent_connections((options.max_connections + ACCEPTED_AHEAD).div_ceil(workers))
        .shutdown_timeout(options.shutdown_timeout.as_secs().max(1))
        .disable_signals();
    let shutdown = builder.graceful_shutdown_signal();
    let (keep_alive, disconnect_timeout) = (options.keep_alive, options.disconnect_timeout);
    let factory = move || {
        let (configure, shutdown, guarding) = (configure.clone(), shutdown.clone(), guarding.clone());
        fn_factory(move || {
            let shutdown = shutdown.clone();
            let app = App::new().configure(configure());
            let http = HttpService::<GuardedStream, _, _>::build()
                .graceful_shutdown_signal(move || {
                    let shutdown = shutdown.clone();
                    async move { shutdown.notified().await }
                })
                .keep_alive(keep_alive)
                // The registry has a deadline for every head, not only for the first.
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(disconnect_timeout)
                .local_addr(address)
                .on_connect_ext(|stream: &GuardedStream, data| {
                    data.insert::<Rc<Connection>>(Rc::clone(&stream.0));
                })
                .h1(map_config(
                    app.into_factory().map_err(|error: Error| error.error_response()),
                    |()| AppConfig::default(),
                ));
            let worker = WorkerConnections::new(guarding.clone());
            async move {
                let http = http.new_service(()).await?;
                actix_web::rt::spawn(Rc::clone(&worker).sweep());
                Ok::<_, ()>(GuardedService::new(http, worker))
            }
        })
    };
    Ok(builder.listen("canopy-http", listener, factory)?.run())
}
