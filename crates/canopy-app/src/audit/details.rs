//! Reads the details of one audit event, in pages.

use super::get::event;
use crate::{App, AppError};
use canopy_domain::audit::AuditEventId;
use canopy_domain::{AccountId, EnvironmentId};

/// Maximum number of parts that are read at once.
const PARTS: u32 = 4;

/// The metadata of an event, which has the first details, and some parts of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetailParts {
    /// The metadata, a JSON object.
    pub metadata: String,
    /// The parts from the requested one on, each a JSON array.
    pub parts: Vec<String>,
    /// True if more parts follow.
    pub goes_on: bool,
}

/// Returns an event of an account, and at most four parts of its details from this one on. The first is 0.
///
/// # Errors
/// [`AppError::AuditEventNotFound`]; [`AppError::Store`].
pub async fn get_event_details(
    app: &App,
    account: AccountId,
    bound_to: Option<EnvironmentId>,
    id: AuditEventId,
    from: u32,
) -> Result<DetailParts, AppError> {
    let mut tx = app.read(account).await?;
    let found = event(tx.as_mut(), account, bound_to, id).await?;
    let mut parts = tx.audit_details(account, id, from, PARTS + 1).await?;
    let most = usize::try_from(PARTS).unwrap_or(usize::MAX);
    let goes_on = parts.len() > most;
    parts.truncate(most);
    Ok(DetailParts {
        metadata: found.metadata,
        parts,
        goes_on,
    })
}
