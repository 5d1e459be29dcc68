//! What every use case is given.

use crate::api_key::{KeyLookups, KnownKeys};
use crate::authzen::RememberedSubjects;
use crate::decisions::Decisions;
use crate::directory::Directory;
use crate::idempotency::{KEPT_BYTES, RepetitionError, kept_since};
use crate::long_work::LongWork;
use crate::{AppError, Call};
use canopy_domain::access::IndexSize;
use canopy_domain::audit::{AuditCategory, AuditEvent, AuditEventId, AuditSeverity, Detail};
use canopy_domain::changeset::ChangeSet;
use canopy_domain::port::{
    Clock, CommitRecord, EnvironmentChanges, Ids, ReadTx, Secrets, Share, Store, StoreError, WriteTx,
};
use canopy_domain::setup::CatalogLimits;
use canopy_domain::{EnvironmentId, EnvironmentRef, Revision, Timestamp};
use core::fmt::Display;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// A write that adds so many bytes to an index which is not loaded here has what is stored counted.
const COUNTED_FROM: usize = 1024 * 1024;

/// The number of environments that an application may have by default.
const MAX_ENVIRONMENTS: usize = 1_000;

/// The service without its adapters: the ports it was given, the decision indexes and the directory of paths. Clones share
/// everything.
#[derive(Clone)]
pub struct App {
    parts: Arc<Parts>,
}

struct Parts {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    decisions: Decisions,
    secrets: Box<dyn Secrets>,
    directory: Directory,
    known_keys: KnownKeys,
    remembered_subjects: RememberedSubjects,
    long_work: LongWork,
    key_lookups: KeyLookups,
    /// What the secret that seals cursors becomes, if the installation has none yet.
    fresh_secret: [u8; 32],
    cursor_secret: OnceCell<[u8; 32]>,
    catalog_limits: OnceLock<CatalogLimits>,
    /// Bytes of the answers kept for one tenant.
    kept_bytes: AtomicU64,
    max_environments: AtomicUsize,
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
        let decisions = Decisions::new(Arc::clone(&store), &secrets);
        let fresh_secret = secrets.bytes();
        let remembered_subjects = RememberedSubjects::new(store.shared().is_none());
        let parts = Parts {
            store,
            clock,
            ids,
            decisions,
            directory: Directory::default(),
            secrets: Box::new(secrets),
            fresh_secret,
            cursor_secret: OnceCell::new(),
            catalog_limits: OnceLock::new(),
            kept_bytes: AtomicU64::new(KEPT_BYTES),
            max_environments: AtomicUsize::new(MAX_ENVIRONMENTS),
            known_keys: KnownKeys::default(),
            remembered_subjects,
            long_work: LongWork::default(),
            key_lookups: KeyLookups::default(),
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
        self.parts.clock.now()
    }

    /// The secret that seals cursors, the same in all processes of the installation. Read once.
    ///
    /// # Errors
    /// [`AppError::Store`] when it cannot be had.
    pub async fn cursor_secret(&self) -> Result<[u8; 32], AppError> {
        let read = || {
            self.parts
                .store
                .installation()
                .secret("cursor", self.parts.fresh_secret)
        };
        Ok(*self.parts.cursor_secret.get_or_try_init(read).await?)
    }

    /// A fresh id.
    pub fn mint(&self) -> Uuid {
        self.parts.ids.mint()
    }

    /// The decision indexes.
    pub fn decisions(&self) -> &Decisions {
        &self.parts.decisions
    }

    /// Threads for what takes longer than an HTTP worker may be held.
    pub fn long_work(&self) -> &LongWork {
        &self.parts.long_work
    }

    /// Thirty-two bytes that nobody can guess.
    pub(crate) fn secret(&self) -> [u8; 32] {
        self.parts.secrets.bytes()
    }

    /// Whether other processes may write to the store.
    pub(crate) fn is_shared(&self) -> bool {
        self.parts.store.shared().is_some()
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.parts.directory
    }

    pub(crate) fn known_keys(&self) -> &KnownKeys {
        &self.parts.known_keys
    }

    pub(crate) fn remembered_subjects(&self) -> &RememberedSubjects {
        &self.parts.remembered_subjects
    }

    pub(crate) fn key_lookups(&self) -> &KeyLookups {
        &self.parts.key_lookups
    }

    /// Notes in the store which keys were at work since this was last called, and when. To be called now and then, in the
    /// background; what was not noted when the process ends is lost.
    ///
    /// # Errors
    /// [`AppError::Store`]; then what was to be noted is lost too.
    pub async fn note_key_uses(&self) -> Result<(), AppError> {
        let uses = self.parts.known_keys.take_uses();
        if uses.is_empty() {
            return Ok(());
        }
        Ok(self.parts.store.note_key_uses(&uses).await?)
    }

    /// Removes from the store the answers that are no longer told to repetitions of their requests. To be called now and
    /// then, in the background.
    ///
    /// # Errors
    /// [`AppError::Store`]; then some are left for the next time.
    pub async fn forget_answers(&self) -> Result<(), AppError> {
        let outdated = kept_since(self.now());
        while self.parts.store.forget_answers(outdated).await? {}
        Ok(())
    }

    /// Deletes change records that are older than `retention_seconds`. Call periodically from a background task. An index that
    /// lacks deleted records is built from the snapshot.
    ///
    /// # Errors
    /// [`AppError::Store`]; then some are left for the next time.
    pub async fn prune_history(&self, retention_seconds: i64) -> Result<(), AppError> {
        let outdated = self.now().plus_seconds(retention_seconds.saturating_neg());
        while self.parts.store.prune_history(outdated).await? {
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
        Ok(self.parts.store.ping().await?)
    }

    /// Opens a unit of work that only reads, on behalf of a tenant.
    pub(crate) async fn read(&self, share: impl Into<Share>) -> Result<Box<dyn ReadTx>, StoreError> {
        self.parts.store.read_for(share.into()).await
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.parts.store.as_ref()
    }

    pub(crate) async fn append_audit_events(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.parts.store.append_audit_events(events).await
    }

    /// An audit event of this call that names neither an application nor an environment yet.
    pub(crate) fn audit(&self, call: &Call, at: Timestamp, entry: AuditEntry) -> AuditEvent {
        AuditEvent {
            id: AuditEventId::new(self.mint()),
            account_id: entry.account,
            application_id: entry.application,
            environment_id: entry.environment,
            actor: call.caller.actor(),
            action: entry.action,
            category: entry.category,
            severity: entry.severity,
            outcome: canopy_domain::audit::AuditOutcome::Success,
            resource_type: entry.resource_type,
            resource_id: entry.resource_id,
            resource_label: entry.resource_label,
            metadata: entry.metadata,
            details: entry.details,
            correlation_id: call.request_id.clone(),
            created_at: at,
        }
    }

    /// Makes sure that no index becomes larger than one may be. What is stored already is counted where the index is not
    /// loaded and the write is a large one; what passes all the same is refused when it is to be loaded.
    pub(crate) async fn admit_index(
        &self,
        tx: &mut dyn ReadTx,
        changes: &[EnvironmentChanges],
    ) -> Result<(), AppError> {
        let Some(max_bytes) = self.parts.decisions.index_bound() else {
            return Ok(());
        };
        let decisions = &self.parts.decisions;
        for one in changes {
            let added = IndexSize::bytes_of_changes(&one.changes);
            let bytes = match decisions.index_bytes(one.environment) {
                Some(bytes) => bytes + added,
                // The unit of work counts its own writes.
                None if changes.len() == 1 && added >= COUNTED_FROM => tx.index_size(one.environment).await?.bytes(),
                None => added,
            };
            if added > 0 && bytes > max_bytes {
                return Err(AppError::IndexFull { max_bytes });
            }
        }
        Ok(())
    }

    /// Commits the unit of work to which these changes were applied, and brings this process up to date before anybody is
    /// answered: its decision indexes, and what it knows of paths and names.
    pub(crate) async fn commit(
        &self,
        tx: Box<dyn WriteTx>,
        applied: &ChangeSet,
        record: CommitRecord,
    ) -> Result<(), AppError> {
        let (changes, commit) = (record.changes.clone(), record.audit.id);
        let renames = may_rename(record.audit.category);
        let touched = changes.iter().map(|one| one.environment);
        let unpublished = self
            .parts
            .decisions
            .begin_commit(touched.chain(applied.removed_environments()));
        let committed = tx.commit(record).await;
        if renames {
            self.parts.remembered_subjects.clear();
        }
        if applied.changes_paths() {
            self.parts.directory.clear();
        }
        match committed {
            Ok(mut revisions) => {
                let committed: Vec<_> = revisions.iter().map(|(_, revision)| *revision).zip(changes).collect();
                self.parts.decisions.publish(commit, &committed).await;
                let gone: Vec<EnvironmentId> = applied.removed_environments().collect();
                self.parts.decisions.end(&gone);
                drop(unpublished);
                if let Some(shared) = self.parts.store.shared() {
                    revisions.extend(gone.iter().map(|environment| (*environment, Revision::END)));
                    shared.publish(&revisions);
                }
                Ok(())
            }
            Err(error) => {
                // Whether the commit took place may be open, so what these indexes hold may be old.
                let touched = changes.iter().map(|one| one.environment);
                self.parts
                    .decisions
                    .forget(touched.chain(applied.removed_environments()));
                Err(error.into())
            }
        }
    }
}

/// Whether a write of this kind may change what identities are called.
const fn may_rename(category: AuditCategory) -> bool {
    match category {
        AuditCategory::Identity => true,
        AuditCategory::Tenancy
        | AuditCategory::Setup
        | AuditCategory::Catalog
        | AuditCategory::Hierarchy
        | AuditCategory::Assignment
        | AuditCategory::ApiKey
        | AuditCategory::Access => false,
    }
}

/// What an audit event says of a change, besides who and when.
#[derive(Debug)]
pub(crate) struct AuditEntry {
    pub account: canopy_domain::AccountId,
    pub application: Option<canopy_domain::ApplicationId>,
    pub environment: Option<EnvironmentId>,
    pub action: &'static str,
    pub category: AuditCategory,
    pub severity: AuditSeverity,
    pub resource_type: &'static str,
    pub resource_id: String,
    pub resource_label: String,
    pub metadata: Detail,
    /// The parts of the details that the metadata has no room for.
    pub details: Vec<String>,
}

impl AuditEntry {
    /// An entry about an environment as a whole, with nothing more to say.
    pub(crate) fn within(place: &EnvironmentRef, action: &'static str, category: AuditCategory) -> Self {
        Self {
            account: place.account,
            application: Some(place.application),
            environment: Some(place.environment),
            action,
            category,
            severity: AuditSeverity::Info,
            resource_type: "environment",
            resource_id: place.environment.to_string(),
            resource_label: String::new(),
            metadata: Detail::Null,
            details: Vec::new(),
        }
    }

    /// The thing it was done to.
    pub(crate) fn resource(mut self, resource_type: &'static str, id: impl Display, label: impl Display) -> Self {
        self.resource_type = resource_type;
        self.resource_id = id.to_string();
        self.resource_label = label.to_string();
        self
    }

    /// The severity.
    pub(crate) const fn severity(mut self, severity: AuditSeverity) -> Self {
        self.severity = severity;
        self
    }

    /// The ids of everything touched, and what was before and after.
    pub(crate) fn detail(mut self, metadata: Vec<(&'static str, Detail)>) -> Self {
        self.metadata = Detail::Map(metadata);
        self
    }
}
