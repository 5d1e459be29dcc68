//! The HTTP server.

use crate::router::{configure, configure_metrics};
use crate::state::HttpState;
use actix_web::dev::Server;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use core::num::NonZeroU16;
use core::time::Duration;
use std::io;
use std::net::TcpListener;

/// How the server treats connections.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Worker threads.
    pub workers: NonZeroU16,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long the first request of a connection may take to arrive. When it is over the connection is answered 408 and
    /// closed. Clients open connections ahead of need, so this should be no shorter than `keep_alive`.
    pub head_timeout: Duration,
    /// How long a connection may take to close.
    pub disconnect_timeout: Duration,
    /// How long a shutdown waits for running requests.
    pub shutdown_timeout: Duration,
}

impl Default for ServerOptions {
    /// Two workers, which is enough for tests.
    fn default() -> Self {
        Self {
            workers: NonZeroU16::MIN.saturating_add(1),
            keep_alive: Duration::from_secs(75),
            head_timeout: Duration::from_secs(75),
            disconnect_timeout: Duration::from_secs(3),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// Serves on a socket that listens already. The server runs while the answer is awaited (it may be spawned on any tokio
/// runtime) and ends, after the requests that run, when its handle is told to stop; it leaves signals alone.
///
/// # Errors
/// When the system refuses the threads or the socket.
pub fn server(listener: TcpListener, state: HttpState, options: &ServerOptions) -> io::Result<Server> {
    serve(listener, options, move || configure(&state))
}

/// Serves `/metrics` of a service, and nothing else, on a socket of its own. Runs and ends as [`server`] does.
///
/// # Errors
/// When the system refuses the threads or the socket.
pub fn metrics_server(listener: TcpListener, state: HttpState, options: &ServerOptions) -> io::Result<Server> {
    let options = ServerOptions {
        workers: NonZeroU16::MIN,
        ..options.clone()
    };
    serve(listener, &options, move || configure_metrics(&state))
}

fn serve<F, C>(listener: TcpListener, options: &ServerOptions, configure: F) -> io::Result<Server>
where
    F: Fn() -> C + Send + Clone + 'static,
    C: FnOnce(&mut ServiceConfig) + 'static,
{
    let server = HttpServer::new(move || App::new().configure(configure()))
        .workers(options.workers.get().into())
        .keep_alive(options.keep_alive)
        .client_request_timeout(options.head_timeout)
        .client_disconnect_timeout(options.disconnect_timeout)
        .shutdown_timeout(options.shutdown_timeout.as_secs().max(1))
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}
