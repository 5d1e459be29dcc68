//! Records refused attempts of authenticated callers in the audit log of their account.
//!
//! Attempts go through a bounded queue and are written in batches, so they neither delay requests nor cost a
//! transaction each. Attempts past the bound are dropped and counted. A flood of refusals therefore fills neither the
//! memory nor the store: at most [`BATCH`] events are written in each [`PERIOD`].

use crate::{App, Caller};
use canopy_domain::audit::{AuditCategory, AuditEvent, AuditEventId, AuditOutcome, AuditSeverity, Detail};
use canopy_domain::port::StoreError;
use core::future::Future;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Maximum number of queued attempts.
const CAPACITY: usize = 1_024;

/// Maximum number of events that are written at once.
pub const BATCH: usize = 64;

/// Minimum time between two writes.
pub const PERIOD: Duration = Duration::from_millis(250);

/// Number of retries of a batch that the store could not write, before it is dropped.
const TRIES: u32 = 8;

/// An attempt that was refused because of its caller.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// The caller.
    pub caller: &'a Caller,
    /// The name of the attempted operation.
    pub operation: &'static str,
    /// The error code of the refusal.
    pub code: &'static str,
    /// The id of the request.
    pub request_id: &'a str,
}

/// The queue of refused attempts. Queued attempts are still written after it is dropped.
#[derive(Debug, Clone)]
pub struct Refusals {
    app: App,
    queue: Sender<AuditEvent>,
    dropped: Arc<AtomicU64>,
}

/// Creates the queue, and the task that writes it, which ends with the last clone of the queue.
pub fn queue(app: &App) -> (Refusals, impl Future<Output = ()> + Send + use<>) {
    let (queue, waiting) = channel(CAPACITY);
    let dropped = Arc::new(AtomicU64::new(0));
    let refusals = Refusals {
        app: app.clone(),
        queue,
        dropped: Arc::clone(&dropped),
    };
    (refusals, write(app.clone(), waiting, dropped))
}

impl Refusals {
    /// Queues an attempt, if there is room. An operator has no account, so only the service's own log has its attempts.
    pub fn note(&self, refusal: &Refusal<'_>) {
        let Refusal {
            caller,
            operation,
            code,
            request_id,
        } = *refusal;
        let Some(account) = caller.account() else {
            tracing::warn!(
                operation,
                code,
                request_id,
                actor = caller.actor().id,
                "call of an operator refused"
            );
            return;
        };
        let at = self.app.now();
        let event = AuditEvent {
            id: AuditEventId::new(self.app.mint()),
            account_id: account,
            application_id: caller.environment().map(|place| place.application),
            environment_id: caller.environment().map(|place| place.environment),
            actor: caller.actor(),
            action: "access.refuse",
            category: AuditCategory::Access,
            severity: AuditSeverity::Warning,
            outcome: AuditOutcome::Denied,
            resource_type: "operation",
            resource_id: operation.to_owned(),
            resource_label: String::new(),
            metadata: Detail::Map(vec![("code", Detail::text(code))]),
            details: Vec::new(),
            correlation_id: request_id.to_owned(),
            created_at: at,
        };
        if self.queue.try_send(event).is_err() {
            self.drop_another();
        }
    }

    /// Counts an attempt that is not queued.
    pub fn drop_another(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of attempts that the audit log lacks.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes queued attempts in batches, until the queue is dropped and empty.
async fn write(app: App, mut waiting: Receiver<AuditEvent>, dropped: Arc<AtomicU64>) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(first) = waiting.recv().await {
        let end = Instant::now() + PERIOD;
        batch.push(first);
        while batch.len() < BATCH {
            match timeout_at(end, waiting.recv()).await {
                Ok(Some(event)) => batch.push(event),
                Ok(None) | Err(_) => break,
            }
        }
        if let Err(error) = append(&app, &batch).await {
            let lost = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            dropped.fetch_add(lost, Ordering::Relaxed);
            tracing::error!(%error, lost, "refused attempts not written to the audit log");
        }
        batch.clear();
        if !waiting.is_closed() {
            sleep_until(end).await;
        }
    }
}

/// Stores a batch. Retries for a while if the store is busy or unavailable.
async fn append(app: &App, batch: &[AuditEvent]) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        match app.append_audit_events(batch).await {
            Err(StoreError::Busy(_) | StoreError::Unavailable(_) | StoreError::Conflict(_)) if tries < TRIES => {
                tokio::time::sleep(PERIOD * tries).await;
                tries += 1;
            }
            stored => return stored,
        }
    }
}
