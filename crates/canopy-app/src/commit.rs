//! Commits of writes: the audit event, the bound on decision indexes, and what this process forgets afterwards.

use crate::app::App;
use crate::audit_entry::AuditEntry;
use crate::caller::Call;
use crate::error::AppError;
use canopy_domain::access::IndexSize;
use canopy_domain::audit::{AuditCategory, AuditEvent, AuditEventId, AuditOutcome};
use canopy_domain::changeset::ChangeSet;
use canopy_domain::port::{CommitRecord, EnvironmentChanges, ReadTx, WriteTx};
use canopy_domain::{EnvironmentId, Revision, Timestamp};

/// A write that adds so many bytes to an index which is not loaded here has what is stored counted.
const COUNTED_FROM: usize = 1024 * 1024;

impl App {
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
            outcome: AuditOutcome::Success,
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
        let Some(max_bytes) = self.decisions().index_bound() else {
            return Ok(());
        };
        let decisions = self.decisions();
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
        let under_way = self
            .decisions()
            .begin_commit(touched.chain(applied.removed_environments()));
        let committed = tx.commit(record).await;
        if renames {
            self.sessions().forget_names();
        }
        if applied.changes_paths() {
            self.sessions().forget_places();
        }
        match committed {
            Ok(mut revisions) => {
                let committed: Vec<_> = revisions.iter().map(|(_, revision)| *revision).zip(changes).collect();
                self.decisions().publish(commit, &committed).await;
                let gone: Vec<EnvironmentId> = applied.removed_environments().collect();
                self.decisions().end(&gone);
                drop(under_way);
                if let Some(shared) = self.store().shared() {
                    revisions.extend(gone.iter().map(|environment| (*environment, Revision::END)));
                    shared.publish(&revisions);
                }
                Ok(())
            }
            Err(error) => {
                // Whether the commit took place may be open, so what these indexes hold may be old.
                let touched = changes.iter().map(|one| one.environment);
                self.decisions().forget(touched.chain(applied.removed_environments()));
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
