//! Errors of broken rules.

use canopy_domain::EnvironmentId;
use canopy_domain::port::{StoreError, Unique};
use std::collections::HashSet;
use std::hash::Hash;

/// Returns the error of a bug of the caller, which a database would refuse too.
pub(crate) fn bug(rule: &'static str) -> StoreError {
    StoreError::Internal(rule.into())
}

/// Returns an error unless the rule is kept.
pub(crate) fn ensure(kept: bool, rule: &'static str) -> Result<(), StoreError> {
    if kept { Ok(()) } else { Err(bug(rule)) }
}

/// Refuses values of which one exists or is repeated.
pub(crate) fn unique<T: Eq + Hash>(
    values: impl IntoIterator<Item = T>,
    taken: impl Fn(&T) -> bool,
    rule: Unique,
) -> Result<(), StoreError> {
    let mut seen = HashSet::new();
    for value in values {
        if taken(&value) || !seen.insert(value) {
            return Err(StoreError::Duplicate(rule));
        }
    }
    Ok(())
}

/// Returns the environment of all rows of a call; `None` if there are no rows.
pub(crate) fn one_environment(
    rows: impl IntoIterator<Item = EnvironmentId>,
) -> Result<Option<EnvironmentId>, StoreError> {
    let mut rows = rows.into_iter();
    let first = rows.next();
    ensure(
        rows.all(|row| Some(row) == first),
        "a call writes rows of one environment",
    )?;
    Ok(first)
}
