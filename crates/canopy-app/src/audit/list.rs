//! List audit events.

use crate::{App, AppError};
use canopy_domain::audit::StoredAuditEvent;
use canopy_domain::audit::listing::{AuditPosition, AuditQuery};
use canopy_domain::{AccountId, EnvironmentId};

/// A part of the log, and where it goes on; `None` at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPart {
    /// The events, newest first.
    pub events: Vec<StoredAuditEvent>,
    /// The place after which older ones may follow: the last of them, or the last that was looked at.
    pub next: Option<AuditPosition>,
}

/// The events of an account that fit the query, fewer than its limit where they are large, or where it is narrowed and
/// [`AuditQuery::MAX_EXAMINED`] were looked at; of one environment alone, where the caller may see no more.
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_events(
    app: &App,
    account: AccountId,
    bound_to: Option<EnvironmentId>,
    query: &AuditQuery,
) -> Result<AuditPart, AppError> {
    if let (Some(own), Some(asked)) = (bound_to, query.environment)
        && own != asked
    {
        return Ok(AuditPart {
            events: Vec::new(),
            next: None,
        });
    }
    let mut one_more = AuditQuery {
        environment: query.environment.or(bound_to),
        limit: query.limit.saturating_add(1),
        ..query.clone()
    };
    let mut tx = app.read(account).await?;
    if one_more.is_narrowed() {
        one_more.down_to = tx.audit_place(account, &one_more, AuditQuery::MAX_EXAMINED).await?;
    }
    let mut events = tx.audit_events(account, &one_more).await?;
    drop(tx);
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    // Where the store stopped for their size, more may follow.
    let bytes: usize = events.iter().map(|event| event.metadata.len()).sum();
    let goes_on = events.len() > limit || bytes >= AuditQuery::MAX_BYTES;
    events.truncate(limit);
    let last = events.last().filter(|_| goes_on);
    let last = last.map(|event| AuditPosition {
        at: event.created_at,
        id: event.id,
    });
    // Where nothing else ended it, more may follow behind the last event that was looked at.
    let next = last.or(one_more.down_to);
    Ok(AuditPart { events, next })
}
