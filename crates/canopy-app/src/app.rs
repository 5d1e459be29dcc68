//! The ports and services that every use case is given.

use crate::decisions::Decisions;
use crate::error::AppError;
use crate::idempotency::{KEPT_BYTES, RepetitionError, kept_since};
use crate::long_work::LongWork;
use crate::session::Sessions;
use canopy_domain::Timestamp;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::{Clock, Ids, ReadTx, Secrets, Share, Store, StoreError};
use canopy_domain::setup::CatalogLimits;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The number of environments that an application may have by default.
const MAX_ENVIRONMENTS: usize = 1_000;

/// The service without its adapters: the ports it was given, and the services that use cases share. Clones share everything.
#[derive(Clone)]
pub struct App {
    parts: Arc<Parts>,
}

struct Parts {
    ports: Ports,
    decisions: Arc<Decisions>,
    sessions: Sessions,
    long_work: LongWork,
    /// What the secret that seals cursors becomes, if the installation has none yet.
    fresh_secret: [u8; 32],
    cursor_secret: OnceCell<[u8; 32]>,
    catalog_limits: OnceLock<CatalogLimits>,
    /// Bytes of the answers kept for one tenant.
    kept_bytes: AtomicU64,
    max_environments: AtomicUsize,
}

/// The adapters of the service.
struct Ports {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    secrets: Box<dyn Secrets>,
}

impl core::fmt::Debug for App {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("App")
            .field("decisions", &self.parts.decisions)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Puts a service together; `secrets` makes keys, seeds the indexes, and the cursors where it is the first of its
    /// installation. One process uses one `App` (clones share everything) for one store.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        secrets: impl Secrets + 'static,
    ) -> Self {
        let decisions = Arc::new(Decisions::new(Arc::clone(&store), &secrets));
        let fresh_secret = secrets.bytes();
        let sessions = Sessions::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&decisions));
        let parts = Parts {
            ports: Ports {
                store,
                clock,
                ids,
                secrets: Box::new(secrets),
            },
            decisions,
            sessions,
            long_work: LongWork::default(),
            fresh_secret,
            cursor_secret: OnceCell::new(),
            catalog_limits: OnceLock::new(),
            kept_bytes: AtomicU64::new(KEPT_BYTES),
            max_environments: AtomicUsize::new(MAX_ENVIRONMENTS),
        };
        Self { parts: Arc::new(parts) }
    }

    /// Bounds the catalogs of environments like this instead of by default. Call it before the first use.
    pub fn bound_catalogs(&self, limits: CatalogLimits) {
        // An error means that they are bounded already.
        self.parts.catalog_limits.set(limits).ok();
    }

    /// Bounds the bytes of the answers that are kept for repetitions, for each environment and for what is above one.
    pub fn bound_kept_answers(&self, bytes: u64) {
        self.parts.kept_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bounds the number of environments of each application. Those that are there stay.
    pub fn bound_environments(&self, max: usize) {
        self.parts.max_environments.store(max, Ordering::Relaxed);
    }

    /// The largest number of environments of an application.
    pub(crate) fn max_environments(&self) -> usize {
        self.parts.max_environments.load(Ordering::Relaxed)
    }

    /// Refuses a call that may be repeated where the kept answers take more than they may.
    pub(crate) fn admit_kept(&self, bytes: u64) -> Result<(), RepetitionError> {
        let max_bytes = self.parts.kept_bytes.load(Ordering::Relaxed);
        if bytes > max_bytes {
            return Err(RepetitionError::Full { max_bytes });
        }
        Ok(())
    }

    /// The largest size of a catalog.
    pub fn catalog_limits(&self) -> CatalogLimits {
        *self.parts.catalog_limits.get_or_init(CatalogLimits::default)
    }

    /// The instant now.
    pub fn now(&self) -> Timestamp {
        self.parts.ports.clock.now()
    }

    /// The secret that seals cursors, the same in all processes of the installation. Read once.
    ///
    /// # Errors
    /// [`AppError::Store`] when it cannot be had.
    pub async fn cursor_secret(&self) -> Result<[u8; 32], AppError> {
        let read = || {
            self.parts
                .ports
                .store
                .installation()
                .secret("cursor", self.parts.fresh_secret)
        };
        Ok(*self.parts.cursor_secret.get_or_try_init(read).await?)
    }

    /// A fresh id.
    pub fn mint(&self) -> Uuid {
        self.parts.ports.ids.mint()
    }

    /// The decision indexes.
    pub fn decisions(&self) -> &Decisions {
        &self.parts.decisions
    }

    /// The callers of this process and the places they are about.
    pub fn sessions(&self) -> &Sessions {
        &self.parts.sessions
    }

    /// Threads for what takes longer than an HTTP worker may be held.
    pub fn long_work(&self) -> &LongWork {
        &self.parts.long_work
    }

    /// Thirty-two bytes that nobody can guess.
    pub(crate) fn secret(&self) -> [u8; 32] {
        self.parts.ports.secrets.bytes()
    }

    /// Notes in the store which keys were at work since this was last called, and when. To be called now and then, in the
    /// background; what was not noted when the process ends is lost.
    ///
    /// # Errors
    /// [`AppError::Store`]; then what was to be noted is lost too.
    pub async fn note_key_uses(&self) -> Result<(), AppError> {
        let uses = self.parts.sessions.take_key_uses();
        if uses.is_empty() {
            return Ok(());
        }
        Ok(self.parts.ports.store.note_key_uses(&uses).await?)
    }

    /// Removes from the store the answers that are no longer told to repetitions of their requests. To be called now and
    /// then, in the background.
    ///
    /// # Errors
    /// [`AppError::Store`]; then some are left for the next time.
    pub async fn forget_answers(&self) -> Result<(), AppError> {
        let outdated = kept_since(self.now());
        while self.parts.ports.store.forget_answers(outdated).await? {}
        Ok(())
    }

    /// Deletes change records that are older than `retention_seconds`. Call periodically from a background task. An index that
    /// lacks deleted records is built from the snapshot.
    ///
    /// # Errors
    /// [`AppError::Store`]; then some are left for the next time.
    pub async fn prune_history(&self, retention_seconds: i64) -> Result<(), AppError> {
        let outdated = self.now().plus_seconds(retention_seconds.saturating_neg());
        while self.parts.ports.store.prune_history(outdated).await? {
            // Others come first.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Makes sure that the store answers.
    ///
    /// # Errors
    /// [`AppError::Store`] when it does not.
    pub async fn ping(&self) -> Result<(), AppError> {
        Ok(self.parts.ports.store.ping().await?)
    }

    /// Opens a unit of work that only reads, on behalf of a tenant.
    pub(crate) async fn read(&self, share: impl Into<Share>) -> Result<Box<dyn ReadTx>, StoreError> {
        self.parts.ports.store.read_for(share.into()).await
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.parts.ports.store.as_ref()
    }

    pub(crate) async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.parts.ports.store.append_audit_events(events).await
    }
}
