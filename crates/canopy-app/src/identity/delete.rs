//! Delete an identity.

use super::audit_entry;
use crate::audit::described::{self, Details};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::Change;
use canopy_domain::audit::{AuditSeverity, Detail};
use canopy_domain::port::{CommitRecord, EnvironmentChanges, LockScope};
use canopy_domain::{AccountId, EnvironmentId, IdentityError, IdentityId};
use std::sync::Arc;

/// Deletes an identity of the account with all its memberships and assignments.
///
/// # Errors
/// [`IdentityError::NotFound`]; [`AppError::Store`].
pub async fn run(app: &App, call: &Call, account: AccountId, id: IdentityId) -> Result<(), AppError> {
    unit_of_work::retry(|| async {
        let scope = LockScope::Identities {
            account,
            identities: vec![id],
        };
        let mut tx = app.begin(call, scope).await?;
        let now = app.now();
        let identity = tx.identity(account, id).await?.ok_or(IdentityError::NotFound)?;
        let memberships = tx.memberships(id).await?;
        let standings = tx.standings(account, id).await?;
        let environments: Vec<EnvironmentId> = standings.iter().map(|(environment, _)| *environment).collect();
        let held = tx.held(&environments, id).await?;
        let mut details = Details::default();
        details.revoked(tx.as_mut(), &held).await?;
        let revoked = tx.revoke_all(&environments, id).await?;
        tx.delete_identity(account, id).await?;
        let metadata = vec![
            (
                "application_ids",
                Detail::texts(memberships.iter().map(|one| one.application_id)),
            ),
            (
                "assignment_ids",
                described::first(revoked.iter().map(|(_, assignment)| assignment)),
            ),
        ];
        let warning = AuditSeverity::Warning;
        let entry = audit_entry(account, None, "identity.delete", warning, &identity, metadata).detailing(details);
        let removed: Arc<[Change]> = Arc::new([Change::SubjectRemoved(id)]);
        let changes = environments.into_iter().map(|environment| EnvironmentChanges {
            environment,
            changes: Arc::clone(&removed),
        });
        let record = CommitRecord {
            at: now,
            changes: changes.collect(),
            audit: app.audit(call, now, entry),
        };
        app.commit(tx, call, record, &()).await?;
        Ok(())
    })
    .await
}
