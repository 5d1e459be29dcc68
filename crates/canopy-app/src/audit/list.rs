//! Lists audit events.

use crate::{App, AppError};
use canopy_domain::audit::StoredAuditEvent;
use canopy_domain::audit::listing::{AuditPosition, AuditQuery};
use canopy_domain::{AccountId, EnvironmentId};

/// A page of the log, and the position after it; `None` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The events, newest first.
    pub events: Vec<StoredAuditEvent>,
    /// The position after which older events may follow: the last listed event, or the last examined one.
    pub next: Option<AuditPosition>,
}

/// Returns the events of an account that match the query; of one environment only, if the caller is bound to it. A page
/// has fewer events than its limit if they are large, or if a filter examined [`AuditQuery::MAX_EXAMINED`].
///
/// # Errors
/// [`AppError::Store`].
pub async fn list_events(
    app: &App,
    account: AccountId,
    bound_to: Option<EnvironmentId>,
    query: &AuditQuery,
) -> Result<AuditPage, AppError> {
    if let (Some(own), Some(asked)) = (bound_to, query.environment)
        && own != asked
    {
        return Ok(AuditPage {
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
    // If the store stopped because of their size, more may follow.
    let bytes: usize = events.iter().map(|event| event.metadata.len()).sum();
    let goes_on = events.len() > limit || bytes >= AuditQuery::MAX_BYTES;
    events.truncate(limit);
    let last = events.last().filter(|_| goes_on);
    let last = last.map(|event| AuditPosition {
        at: event.created_at,
        id: event.id,
    });
    // Otherwise more may follow after the last examined event.
    let next = last.or(one_more.down_to);
    Ok(AuditPage { events, next })
}
