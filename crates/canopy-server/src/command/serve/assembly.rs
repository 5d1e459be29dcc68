//! Builds the use cases and the HTTP server from the configuration.

use super::Service;
use crate::adapter::{OsSecrets, SystemClock, UuidV7Ids};
use crate::config::LimitConfig;
use crate::descriptors;
use crate::key_sources::KeySources;
use canopy_app::App;
use canopy_app::long_work::WorkOptions;
use canopy_domain::setup::CatalogLimits;
use canopy_http::{
    ACCEPTED_AHEAD, BODY_WAIT, HttpState, LimitOptions, METRICS_CONNECTIONS, ReadinessCheck, ServerOptions,
};
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::runtime::Handle;

impl Service<'_> {
    /// Creates the use cases with the configured limits.
    pub(super) fn app(&self, clock: Arc<SystemClock>) -> App {
        let ids = Arc::new(UuidV7Ids::new(clock.clone()));
        let app = App::new(self.store.clone(), clock, ids, OsSecrets);
        let limits = &self.config.limit;
        app.decisions().bound_memory(mib(self.config.index.memory_mib));
        app.decisions().bound_index(mib(self.config.index_environment_mib()));
        app.bound_catalogs(CatalogLimits {
            keys: size(limits.catalog_keys),
            pairs: size(limits.catalog_pairs),
        });
        app.bound_environments(size(limits.environments));
        app.bound_kept_answers(u64::from(limits.kept_answers_mib.get()) * 1024 * 1024);
        app.long_work().configure(WorkOptions {
            turns: self.config.long_requests().get().into(),
            ..WorkOptions::default()
        });
        app
    }

    /// Creates the state of the HTTP server with the configured limits.
    pub(super) fn state(&self, app: &App, keys: Arc<KeySources>, public_url: &str) -> HttpState {
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

    pub(super) fn server_options(&self) -> ServerOptions {
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

    /// Returns the number of client connections that the configuration and the limit on open files allow.
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
                "limit on open files allows fewer connections than configured"
            );
        } else {
            tracing::info!(open_files = limit, connections, "limit on open files raised");
        }
        connections
    }
}

/// Converts the configured limits for the HTTP adapter.
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

fn size(number: NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}

/// Converts MiB to bytes.
fn mib(number: NonZeroU32) -> usize {
    size(number).saturating_mul(1024 * 1024)
}

/// Creates a readiness check that fails while no requested environment can be loaded.
fn checks_can_be_answered(app: &App) -> ReadinessCheck {
    let app = app.clone();
    ReadinessCheck::new("decisions", move || {
        let app = app.clone();
        async move { app.decisions().can_answer().map_err(|error| error.to_string()) }
    })
}
