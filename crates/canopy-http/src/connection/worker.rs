//! The connections of one worker.

use super::registry::{Clock, Registry};
use super::stream::GuardedStream;
use super::{Connection, Deadlines, refusal};
use crate::state::HttpState;
use actix_web::dev::Service;
use core::cell::RefCell;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The longest time between two sweeps.
const LONGEST_INTERVAL: Duration = Duration::from_millis(250);

/// The time that a refused client has to read its response.
const LONGEST_REFUSAL: Duration = Duration::from_millis(250);

/// State that all workers of a server share.
#[derive(Clone)]
pub(crate) struct Guarding {
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
    pub(crate) begun: Instant,
    pub(crate) deadlines: Deadlines,
    pub(crate) state: HttpState,
}

impl Guarding {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns an interval that is short enough for the shortest deadline.
    fn interval(&self) -> Duration {
        let Deadlines {
            head,
            idle,
            answer,
            close,
        } = self.deadlines;
        let shortest = head.min(idle).min(answer).min(close) / 4;
        shortest.clamp(Duration::from_millis(5), LONGEST_INTERVAL)
    }
}

/// The connections that one worker serves.
pub(crate) struct WorkerConnections {
    shared: Guarding,
    connections: RefCell<Vec<Weak<Connection>>>,
    sweep: Arc<Notify>,
}

impl WorkerConnections {
    pub(crate) fn new(shared: Guarding) -> Rc<Self> {
        Rc::new(Self {
            shared,
            connections: RefCell::default(),
            sweep: Arc::new(Notify::new()),
        })
    }

    /// Registers a connection. Returns the socket if there is no slot for it.
    fn admit(&self, socket: TcpStream, peer: Option<SocketAddr>) -> Result<Rc<Connection>, TcpStream> {
        let Guarding {
            registry, clock, state, ..
        } = &self.shared;
        let address = peer.and_then(|peer| state.limits().connection_address(peer.ip()));
        let Some(entry) = registry.admit(address, &self.sweep, clock.now()) else {
            state.metrics().refused_connections.inc();
            return Err(socket);
        };
        let connection = Connection::new(socket, entry, clock.clone(), state.clone());
        self.connections.borrow_mut().push(Rc::downgrade(&connection));
        Ok(connection)
    }

    /// Answers a connection without a slot with 503, and closes it so that its client can read that.
    async fn refuse(&self, mut socket: TcpStream) {
        let answer = refusal::write(refusal::too_many_connections(), &self.shared.state);
        let refusing = async {
            socket.write_all(&answer).await?;
            socket.shutdown().await?;
            while socket.read(&mut [0; 4096]).await? > 0 {}
            Ok::<_, io::Error>(())
        };
        timeout(self.shared.deadlines.close.min(LONGEST_REFUSAL), refusing)
            .await
            .ok();
    }

    /// Closes connections that are over a deadline or were evicted, for as long as the worker runs.
    pub(crate) async fn sweep(self: Rc<Self>) {
        let period = self.shared.interval();
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = self.shared.now();
        loop {
            let is_tick = tokio::select! {
                _ = ticks.tick() => true,
                () = self.sweep.notified() => false,
            };
            let now = self.shared.now();
            self.shared.clock.advance(now);
            if is_tick {
                let period = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
                let stalled = now.saturating_sub(last).saturating_sub(3 * period);
                last = now;
                self.shared.state.log_budget().report();
                self.sweep_once(now, stalled);
            } else {
                self.sweep_once(now, 0);
            }
        }
    }

    /// Checks every connection once. Time in which the worker was `stalled` does not count.
    fn sweep_once(&self, now: u64, stalled: u64) {
        self.connections.borrow_mut().retain(|connection| {
            let Some(connection) = connection.upgrade() else {
                return false;
            };
            if stalled > 0 {
                connection.entry.forgive(stalled);
            }
            if let Some(why) = connection.overdue(now, &self.shared.deadlines) {
                connection.cut(why);
            }
            true
        });
    }
}

/// Serves the connections of one worker, each under guard.
pub(crate) struct GuardedService<S> {
    http: Rc<S>,
    worker: Rc<WorkerConnections>,
}

impl<S> GuardedService<S> {
    pub(crate) fn new(http: S, worker: Rc<WorkerConnections>) -> Self {
        Self {
            http: Rc::new(http),
            worker,
        }
    }
}

impl<S> Service<TcpStream> for GuardedService<S>
where
    S: Service<(GuardedStream, Option<SocketAddr>), Response = ()> + 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), S::Error>>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.http.poll_ready(context)
    }

    fn call(&self, socket: TcpStream) -> Self::Future {
        let (http, worker) = (Rc::clone(&self.http), Rc::clone(&self.worker));
        Box::pin(async move {
            let peer = socket.peer_addr().ok();
            let connection = match worker.admit(socket, peer) {
                Ok(connection) => connection,
                Err(socket) => {
                    worker.refuse(socket).await;
                    return Ok(());
                }
            };
            let served = http.call((GuardedStream(Rc::clone(&connection)), peer)).await;
            connection.close(worker.shared.deadlines.close).await;
            served
        })
    }
}
