//! Opening connections: to the primary among several hosts, each within a deadline of its own.

use crate::error::{Fault, translate_connecting};
use crate::health::{Health, Server};
use crate::options::{PgOptions, Target, UrlError};
use crate::pool::Watch;
use crate::tls;
use canopy_domain::port::StoreError;
use core::error::Error as _;
use diesel::connection::InstrumentationEvent;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::StreamExt;
use futures_util::future::{self, Either};
use futures_util::stream::FuturesUnordered;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, SimpleQueryMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The time that a host has before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(500);

pub(crate) type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Opens connections to one database, all alike.
pub(crate) struct Connector {
    /// One for each host of the URL.
    hosts: Vec<Config>,
    /// The host that had the primary last.
    preferred: AtomicUsize,
    tls: MakeRustlsConnect,
    settings: String,
    /// The time that a host may take for all of it: the connection, the handshake and the settings.
    deadline: Duration,
    health: Arc<Health>,
    watch: Arc<Watch>,
}

impl core::fmt::Debug for Connector {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// A connection below diesel, which its holder must drive.
pub(crate) struct Dialed {
    pub(crate) client: Client,
    pub(crate) connection: Connection<Socket, TlsStream>,
    pub(crate) generation: u64,
}

/// A connection, and the generation of the server that it belongs to.
pub(crate) struct Opened {
    pub(crate) connection: AsyncPgConnection,
    pub(crate) generation: u64,
}

impl Connector {
    pub(crate) fn new(options: &PgOptions, health: Arc<Health>, watch: Arc<Watch>) -> Result<Self, UrlError> {
        let target: Target = options.url.parse()?;
        let tls = tls::connector(&target)?;
        let mut config = target.config;
        let of_url = config.get_connect_timeout().copied();
        let deadline = of_url.map_or(options.connect_timeout, |of_url| of_url.min(options.connect_timeout));
        config
            .ssl_mode(target.mode.for_driver())
            .connect_timeout(deadline)
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(Duration::from_secs(15));
        if config.get_application_name().is_none() {
            config.application_name(&options.application_name);
        }
        // Diesel passes on the words of most errors and not their codes. So the words should be those of one language,
        // which not every user may choose. See [`translate`](crate::error::translate).
        let language = "DO $$ BEGIN PERFORM set_config('lc_messages', 'C', false); \
             EXCEPTION WHEN insufficient_privilege THEN NULL; END $$";
        // Statements are planned once, for any values, and never to read a table from end to end: it may have been small
        // when they were. Listings are planned anew: see
        // [`Statement::for_these_values`](crate::statement::Statement::for_these_values).
        let settings = format!(
            "{language}; SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
             SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off; \
             SELECT pg_is_in_recovery()",
            options.statement_timeout.as_millis(),
            options.lock_timeout.as_millis(),
            (options.statement_timeout + Duration::from_secs(30)).as_millis(),
        );
        Ok(Self {
            hosts: each_host(&config),
            preferred: AtomicUsize::new(0),
            tls,
            settings,
            deadline,
            health,
            watch,
        })
    }

    /// The time that [`Connector::dial`] may take.
    pub(crate) fn patience(&self) -> Duration {
        let others = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX).saturating_sub(1);
        self.deadline + HEAD_START.saturating_mul(others)
    }

    /// Connects to the primary. The host that had it last is tried first, and each other host half a second after the one
    /// before, or as soon as that one has failed.
    pub(crate) async fn dial(&self) -> Result<Dialed, StoreError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut waiting = (0..self.hosts.len()).map(|step| (first + step) % self.hosts.len().max(1));
        let mut running = FuturesUnordered::new();
        let mut failed = None;
        loop {
            if running.is_empty() {
                let Some(host) = waiting.next() else { break };
                running.push(self.dial_numbered(host));
            }
            let patience = tokio::time::timeout(HEAD_START, running.next());
            match patience.await {
                Ok(Some((host, Ok(dialed)))) => {
                    self.preferred.store(host, Ordering::Relaxed);
                    return Ok(dialed);
                }
                Ok(Some((_, Err(error)))) => failed = Some(worse(failed, error)),
                Ok(None) => {}
                Err(_) => {
                    if let Some(host) = waiting.next() {
                        running.push(self.dial_numbered(host));
                    }
                }
            }
        }
        Err(failed.unwrap_or_else(|| StoreError::Unavailable(Box::new(Fault("the URL names no host")))))
    }

    async fn dial_numbered(&self, host: usize) -> (usize, Result<Dialed, StoreError>) {
        (host, self.dial_host(host).await)
    }

    async fn dial_host(&self, host: usize) -> Result<Dialed, StoreError> {
        let Some(config) = self.hosts.get(host) else {
            return Err(StoreError::Unavailable(Box::new(Fault("the URL names no such host"))));
        };
        let dialing = async {
            let connected = config.connect(self.tls.clone()).await;
            let (client, mut connection) = connected.map_err(unreachable)?;
            let server = greet(&client, &mut connection, &self.settings).await?;
            let generation = self.health.admit(server)?;
            Ok(Dialed {
                client,
                connection,
                generation,
            })
        };
        match tokio::time::timeout(self.deadline, dialing).await {
            Ok(dialed) => dialed,
            Err(elapsed) => {
                tracing::warn!(host, "PostgreSQL host does not answer");
                Err(StoreError::Unavailable(Box::new(elapsed)))
            }
        }
    }

    /// A connection that is driven by the runtime on which this is called.
    pub(crate) async fn open(&self) -> Result<Opened, StoreError> {
        let Dialed {
            client,
            connection,
            generation,
        } = self.dial().await?;
        let opening = AsyncPgConnection::try_from_client_and_connection(client, connection);
        let opened = match tokio::time::timeout(self.deadline, opening).await {
            Ok(opened) => opened.map_err(translate_connecting),
            Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
        };
        let mut connection = opened?;
        let watch = Arc::clone(&self.watch);
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| watch.see(&event));
        Ok(Opened { connection, generation })
    }
}

/// Returns whether dialing failed because a host did not answer in time.
pub(crate) fn is_silence(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(cause) if cause.is::<tokio::time::error::Elapsed>())
}

/// The error to report of two hosts: that one of them is silent matters most, because waiting for it takes time.
fn worse(before: Option<StoreError>, error: StoreError) -> StoreError {
    match before {
        Some(before) if is_silence(&before) => before,
        _ => error,
    }
}

fn unreachable(error: tokio_postgres::Error) -> StoreError {
    let cause = error.source().map(ToString::to_string);
    tracing::warn!(%error, cause, "PostgreSQL cannot be reached");
    if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) {
        StoreError::Busy(Box::new(error))
    } else {
        StoreError::Unavailable(Box::new(error))
    }
}

/// Sets a new connection up and finds out which server it leads to. A server in recovery is refused: it may lack what was
/// committed.
async fn greet(
    client: &Client,
    connection: &mut Connection<Socket, TlsStream>,
    settings: &str,
) -> Result<Option<Server>, StoreError> {
    // Providers that keep their log elsewhere may refuse this; then a promotion is not told apart from a reconnection.
    const SERVER: &str =
        "SELECT system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_system()";
    let ask = async {
        let answer = client.simple_query(settings).await.map_err(unreachable)?;
        if single_row(&answer, 0) != Some("f") {
            return Err(StoreError::Unavailable(Box::new(Fault("the server is a standby"))));
        }
        let answer = client.simple_query(SERVER).await.unwrap_or_default();
        let timeline = single_row(&answer, 1).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        Ok(single_row(&answer, 0).zip(timeline).map(|(system, timeline)| Server {
            system: system.to_owned(),
            timeline,
        }))
    };
    match future::select(pin!(ask), connection).await {
        Either::Left((greeted, _)) => greeted,
        Either::Right((Err(error), _)) => Err(unreachable(error)),
        Either::Right((Ok(()), _)) => Err(StoreError::Unavailable(Box::new(Fault(
            "the server has closed the connection",
        )))),
    }
}

/// A column of the one row in an answer.
pub(crate) fn single_row(answer: &[SimpleQueryMessage], column: usize) -> Option<&str> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(column),
        _ => None,
    })
}

/// A configuration for each host of one that names several.
fn each_host(all: &Config) -> Vec<Config> {
    let (hosts, addresses, ports) = (all.get_hosts(), all.get_hostaddrs(), all.get_ports());
    let count = hosts.len().max(addresses.len());
    let one = |index: usize| {
        let mut config = Config::new();
        match hosts.get(index) {
            Some(Host::Tcp(host)) => drop(config.host(host)),
            #[cfg(unix)]
            Some(Host::Unix(path)) => drop(config.host_path(path)),
            None => {}
        }
        if let Some(address) = addresses.get(index) {
            config.hostaddr(*address);
        }
        if let Some(port) = ports.get(index).or_else(|| ports.first()) {
            config.port(*port);
        }
        copy_settings(all, &mut config);
        config
    };
    (0..count).map(one).collect()
}

fn copy_settings(from: &Config, to: &mut Config) {
    if let Some(user) = from.get_user() {
        to.user(user);
    }
    if let Some(password) = from.get_password() {
        to.password(password);
    }
    if let Some(database) = from.get_dbname() {
        to.dbname(database);
    }
    if let Some(options) = from.get_options() {
        to.options(options);
    }
    if let Some(name) = from.get_application_name() {
        to.application_name(name);
    }
    if let Some(timeout) = from.get_connect_timeout() {
        to.connect_timeout(*timeout);
    }
    if let Some(timeout) = from.get_tcp_user_timeout() {
        to.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = from.get_keepalives_interval() {
        to.keepalives_interval(interval);
    }
    if let Some(retries) = from.get_keepalives_retries() {
        to.keepalives_retries(retries);
    }
    to.ssl_mode(from.get_ssl_mode())
        .ssl_negotiation(from.get_ssl_negotiation())
        .keepalives(from.get_keepalives())
        .keepalives_idle(from.get_keepalives_idle())
        .channel_binding(from.get_channel_binding())
        .load_balance_hosts(LoadBalanceHosts::Disable)
        .target_session_attrs(TargetSessionAttrs::Any);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_keeps_its_port_and_all_else() {
        let all: Config = "postgres://u:p@one:5433,two:5434/db?application_name=x&connect_timeout=3"
            .parse()
            .unwrap();
        let hosts = each_host(&all);
        assert_eq!(hosts.len(), 2);
        for (config, (name, port)) in hosts.iter().zip([("one", 5433), ("two", 5434)]) {
            assert_eq!(config.get_hosts(), [Host::Tcp(name.to_owned())]);
            assert_eq!(config.get_ports(), [port]);
            assert_eq!(config.get_user(), Some("u"));
            assert_eq!(config.get_password(), Some(&b"p"[..]));
            assert_eq!(config.get_dbname(), Some("db"));
            assert_eq!(config.get_application_name(), Some("x"));
            assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        }
    }
}
