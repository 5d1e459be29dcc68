//! Metrics of the service, for Prometheus.
//!
//! The counters of a route are looked up once, when it is built, so that counting a request is one addition. Gauges are
//! read when the metrics are requested.

use actix_web::http::StatusCode;
use canopy_app::decisions::Census;
use core::time::Duration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The media type of the response.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the latency buckets, in seconds.
const LATENCIES: [f64; 12] = [
    0.000_025, 0.000_1, 0.000_25, 0.001, 0.002_5, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0,
];

/// Every status that the service sends. A status that is missing here is counted as the last one.
const STATUSES: [u16; 21] = [
    200, 201, 204, 207, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 424, 428, 429, 502, 503, 504, 500,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LatencyLabels {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClosedFor {
    reason: &'static str,
}

/// All metrics of the service.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    latencies: Family<LatencyLabels, Histogram, fn() -> Histogram>,
    /// Credentials that were presented and refused.
    pub(crate) refused_credentials: Counter,
    /// Requests that were refused by a rate limit.
    pub(crate) limited_requests: Counter,
    /// Requests to unknown paths and methods.
    pub(crate) unrouted_requests: Counter,
    /// Requests whose head could not be read.
    pub(crate) unparsed_requests: Counter,
    /// Connections that were refused because all others were busy.
    pub(crate) refused_connections: Counter,
    closed_connections: Family<ClosedFor, Counter>,
    connections: Gauge,
    open_connections: Arc<AtomicUsize>,
    log_lines_left_out: Counter,
    log_lines_lost: Counter,
    dropped_refusals: Counter,
    indexes: Gauge,
    index_bytes: Gauge,
    indexes_failing: Gauge,
    revisions_behind: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("canopy"),
            requests: Family::default(),
            latencies: Family::new_with_constructor(|| Histogram::new(LATENCIES)),
            refused_credentials: Counter::default(),
            limited_requests: Counter::default(),
            unrouted_requests: Counter::default(),
            unparsed_requests: Counter::default(),
            refused_connections: Counter::default(),
            closed_connections: Family::default(),
            connections: Gauge::default(),
            open_connections: Arc::default(),
            log_lines_left_out: Counter::default(),
            log_lines_lost: Counter::default(),
            dropped_refusals: Counter::default(),
            indexes: Gauge::default(),
            index_bytes: Gauge::default(),
            indexes_failing: Gauge::default(),
            revisions_behind: Gauge::default(),
        };
        macro_rules! register {
            ($($field:ident = $help:literal;)+) => {
                $(metrics.registry.register(stringify!($field), $help, metrics.$field.clone());)+
            };
        }
        register! {
            requests = "Answered requests, by operation and status";
            refused_credentials = "Refused credentials";
            limited_requests = "Requests refused by a rate limit";
            unrouted_requests = "Requests to unknown paths or methods";
            unparsed_requests = "Requests whose head was malformed, too large or too slow";
            connections = "Open connections to the API";
            refused_connections = "Connections refused because all others were busy";
            closed_connections = "Connections closed by the server, by reason";
            log_lines_left_out = "Log lines dropped over the budget of their kind";
            log_lines_lost = "Log lines that could not be written";
            dropped_refusals = "Refused attempts dropped from the audit log over its budget";
            indexes = "Environments with a decision index in memory";
            index_bytes = "Memory of the decision indexes";
            indexes_failing = "Environments whose checks cannot be answered because their data is damaged or too large";
        }
        metrics.registry.register(
            "index_revisions_behind",
            "Revisions by which the index furthest behind lags the known commits",
            metrics.revisions_behind.clone(),
        );
        metrics.registry.register_with_unit(
            "request_duration",
            "Duration of requests, by operation",
            Unit::Seconds,
            metrics.latencies.clone(),
        );
        metrics
    }

    /// Returns the number of open connections to the API.
    pub(crate) fn open_connections(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open_connections)
    }

    /// Counts a connection that the server closed.
    pub(crate) fn count_cut(&self, reason: &'static str) {
        self.closed_connections.get_or_create_owned(&ClosedFor { reason }).inc();
    }

    /// Renders all metrics in the format [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// Fails if a name or a number cannot be written.
    pub(crate) fn encode(&self, reading: &Reading) -> Result<String, core::fmt::Error> {
        let Reading {
            indexes,
            dropped_refusals,
            log_lines_left_out,
            log_lines_lost,
        } = reading;
        self.indexes.set(amount(indexes.indexes));
        self.index_bytes.set(amount(indexes.bytes));
        self.indexes_failing.set(amount(indexes.failing));
        self.revisions_behind.set(amount(indexes.revisions_behind));
        let open = self.open_connections.load(Ordering::Relaxed);
        self.connections.set(amount(open));
        for (counter, count) in [
            (&self.dropped_refusals, dropped_refusals),
            (&self.log_lines_left_out, log_lines_left_out),
            (&self.log_lines_lost, log_lines_lost),
        ] {
            counter.inner().store(*count, Ordering::Relaxed);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Returns the counters of an operation.
    pub(crate) fn meter(&self, operation: &'static str) -> Meter {
        Meter {
            operation,
            requests: self.requests.clone(),
            by_status: [const { OnceLock::new() }; STATUSES.len()],
            latency: self.latencies.get_or_create_owned(&LatencyLabels { operation }),
        }
    }
}

/// Gauges that are read when the metrics are requested.
pub(crate) struct Reading {
    pub(crate) indexes: Census,
    /// Refused attempts that are missing in the audit log.
    pub(crate) dropped_refusals: u64,
    pub(crate) log_lines_left_out: u64,
    pub(crate) log_lines_lost: u64,
}

/// Counts the requests of one operation.
pub(crate) struct Meter {
    operation: &'static str,
    requests: Family<Answered, Counter>,
    /// In the order of [`STATUSES`]; a status that was never sent is omitted.
    by_status: [OnceLock<Counter>; STATUSES.len()],
    latency: Histogram,
}

impl Meter {
    /// Counts an answered request.
    pub(crate) fn note(&self, status: StatusCode, took: Duration) {
        self.latency.observe(took.as_secs_f64());
        let status = status.as_u16();
        let known = STATUSES.iter().position(|one| *one == status);
        let slot = known
            .and_then(|known| self.by_status.get(known))
            .or(self.by_status.last());
        if let Some(slot) = slot {
            let counter = slot.get_or_init(|| {
                self.requests.get_or_create_owned(&Answered {
                    operation: self.operation,
                    status: if known.is_some() { status } else { 500 },
                })
            });
            counter.inc();
        }
    }
}

fn amount(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
