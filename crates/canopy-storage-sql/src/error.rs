//! Classes of errors, and the errors of the port that they become.

use canopy_domain::port::{StoreError, Unique};
use diesel::result::{DatabaseErrorKind, Error};

/// A sentence about a failure for which no driver has an error of its own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub &'static str);

/// The error of a bug, of Canopy or of the caller.
pub fn internal(what: &'static str) -> StoreError {
    StoreError::Internal(Box::new(Fault(what)))
}

/// Holds a caller to what the port asks of it.
///
/// # Errors
/// [`StoreError::Internal`] with this sentence, unless the condition holds.
pub fn ensure(holds: bool, what: &'static str) -> Result<(), StoreError> {
    if holds { Ok(()) } else { Err(internal(what)) }
}

/// The class of a database error that diesel has no kind for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Two transactions were in each other's way; a repetition may succeed.
    Conflict,
    /// The database had no time or no room for the statement.
    Busy,
    /// The database cannot be used now.
    Unavailable,
    /// The stored data is damaged.
    Damaged,
    /// Any other error: a bug.
    Other,
}

/// Converts an error of diesel to an error of the port. `unique_rule` names the rule that a unique violation broke, from the
/// constraint; `class` classifies the message of an error that diesel has no kind for.
pub fn translate(
    error: Error,
    unique_rule: impl Fn(Option<&str>) -> Option<Unique>,
    class: impl Fn(&str) -> Class,
) -> StoreError {
    match error {
        Error::DatabaseError(kind, ref information) => match kind {
            DatabaseErrorKind::UniqueViolation => match unique_rule(information.constraint_name()) {
                Some(rule) => StoreError::Duplicate(rule),
                None => StoreError::Internal(Box::new(error)),
            },
            DatabaseErrorKind::SerializationFailure => StoreError::Conflict(Box::new(error)),
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ReadOnlyTransaction => StoreError::Unavailable(Box::new(error)),
            DatabaseErrorKind::Unknown => match class(information.message()) {
                Class::Conflict => StoreError::Conflict(Box::new(error)),
                Class::Busy => StoreError::Busy(Box::new(error)),
                Class::Unavailable => StoreError::Unavailable(Box::new(error)),
                Class::Damaged => StoreError::Corrupt(format!("the database file: {}", information.message())),
                Class::Other => StoreError::Internal(Box::new(error)),
            },
            // The kinds that are left, and those that a later diesel may add, are broken rules of the schema: bugs.
            _ => StoreError::Internal(Box::new(error)),
        },
        Error::RollbackErrorOnCommit { commit_error, .. } => translate(*commit_error, unique_rule, class),
        Error::BrokenTransactionManager => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Internal(Box::new(error)),
    }
}
