//! Keep refused attempts of callers with a good credential in the audit log of their own account.
//!
//! They go through a bounded queue and are written in batches, so they neither hold a request up nor cost a transaction
//! each. What does not fit is dropped and counted: whoever makes refusals faster than they are written cannot fill the
//! memory, nor the store faster than [`BATCH`] events in each [`PERIOD`].

use crate::{App, Caller};
use canopy_domain::audit::{AuditCategory, AuditEvent, AuditEventId, AuditOutcome, AuditSeverity, Detail};
use canopy_domain::port::StoreError;
use core::future::Future;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until, timeout_at};

/// The largest number of attempts that wait to be written.
const CAPACITY: usize = 1_024;

/// The largest number of events that are written at once.
pub const BATCH: usize = 64;

/// The shortest time between two writes.
pub const PERIOD: Duration = Duration::from_millis(250);

/// How often a batch is tried again that the store could not take, before it is given up.
const TRIES: u32 = 8;

/// An attempt that was refused for who made it.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// Who tried.
    pub caller: &'a Caller,
    /// What was tried: the name of the operation.
    pub operation: &'static str,
    /// Why it was refused: a code of the API.
    pub code: &'static str,
    /// The id of the request.
    pub request_id: &'a str,
}

/// The way into the audit log for refused attempts. What is in it when it is dropped is still written.
#[derive(Debug, Clone)]
pub struct Refusals {
    app: App,
    queue: Sender<AuditEvent>,
    dropped: Arc<AtomicU64>,
}

/// Makes the queue and the work that empties it, which ends with the last clone of the queue.
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
    /// Puts an attempt into the log, if there is room. An operator has no account, so its attempts are in the service's own log alone.
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
                "refused an operator"
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

    /// Counts an attempt that is not put into the log.
    pub fn drop_another(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// How many attempts the audit log does not have.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes what is in the queue, batch by batch, until the queue is gone and empty.
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

/// Stores a batch, again and again while the store is merely busy or away, but not for long.
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
