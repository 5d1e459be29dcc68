//! Checks of the rows that a call writes.

use crate::error::ensure;
use canopy_domain::EnvironmentId;
use canopy_domain::audit::AuditEvent;
use canopy_domain::port::StoreError;

/// The environment that all rows of a call belong to; `None` when there are no rows.
///
/// # Errors
/// [`StoreError::Internal`] when the rows are of several environments.
pub fn one_environment(rows: impl IntoIterator<Item = EnvironmentId>) -> Result<Option<EnvironmentId>, StoreError> {
    let mut rows = rows.into_iter();
    let first = rows.next();
    ensure(
        rows.all(|row| Some(row) == first),
        "a call writes rows of one environment",
    )?;
    Ok(first)
}

/// The rows of details: each event with the number and the entries of each of its parts.
pub fn details(events: &[AuditEvent]) -> Vec<(&AuditEvent, i64, &str)> {
    let mut parts = Vec::new();
    for event in events {
        for (part, entries) in (0_i64..).zip(&event.details) {
            parts.push((event, part, entries.as_str()));
        }
    }
    parts
}
