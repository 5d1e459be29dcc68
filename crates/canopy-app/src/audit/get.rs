//! Reads one audit event.

use crate::{App, AppError};
use canopy_domain::audit::{AuditEventId, StoredAuditEvent};
use canopy_domain::port::ReadTx;
use canopy_domain::{AccountId, EnvironmentId};

/// Returns one event of an account; of one environment only, if the caller is bound to it.
///
/// # Errors
/// [`AppError::AuditEventNotFound`]; [`AppError::Store`].
pub async fn get_event(
    app: &App,
    account: AccountId,
    bound_to: Option<EnvironmentId>,
    id: AuditEventId,
) -> Result<StoredAuditEvent, AppError> {
    let mut tx = app.read(account).await?;
    event(tx.as_mut(), account, bound_to, id).await
}

/// Returns the event, if the caller may see it.
pub(super) async fn event(
    tx: &mut dyn ReadTx,
    account: AccountId,
    bound_to: Option<EnvironmentId>,
    id: AuditEventId,
) -> Result<StoredAuditEvent, AppError> {
    let found = tx.audit_event(account, id).await?;
    let visible = |event: &StoredAuditEvent| bound_to.is_none() || event.environment_id == bound_to;
    found.filter(visible).ok_or(AppError::AuditEventNotFound)
}
