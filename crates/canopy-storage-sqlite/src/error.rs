//! The one place that knows the errors of diesel and SQLite.

use canopy_domain::port::{StoreError, Unique};
use diesel::result::{DatabaseErrorKind, Error};

/// A sentence about what went wrong, where no driver has an error of its own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(pub(crate) &'static str);

/// A bug of ours or of the caller.
pub(crate) fn internal(what: &'static str) -> StoreError {
    StoreError::Internal(Box::new(Fault(what)))
}

/// Holds a caller to what the port asks of it.
pub(crate) fn ensure(holds: bool, what: &'static str) -> Result<(), StoreError> {
    if holds { Ok(()) } else { Err(internal(what)) }
}

/// Whether a unique rule kept a statement from being carried out. SQLite undoes the statement and keeps the transaction.
pub(crate) const fn is_unique_violation(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
}

/// Converts an error of diesel to an error of the port. `unique` is the only unique rule that the statement can break,
/// if there is one.
pub(crate) fn translate(error: Error, unique: Option<Unique>) -> StoreError {
    match error {
        Error::DatabaseError(kind, ref information) => match kind {
            DatabaseErrorKind::UniqueViolation => match unique {
                Some(unique) => StoreError::Duplicate(unique),
                None => StoreError::Internal(Box::new(error)),
            },
            DatabaseErrorKind::SerializationFailure => StoreError::Conflict(Box::new(error)),
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                StoreError::Unavailable(Box::new(error))
            }
            DatabaseErrorKind::Unknown => match condition(information.message()) {
                Condition::Locked => StoreError::Busy(Box::new(error)),
                Condition::Unusable => StoreError::Unavailable(Box::new(error)),
                Condition::Damaged => StoreError::Corrupt(format!("the database file: {}", information.message())),
                Condition::Other => StoreError::Internal(Box::new(error)),
            },
            // The kinds that are left, and those that a later diesel may add, are broken rules of the schema: bugs.
            _ => StoreError::Internal(Box::new(error)),
        },
        Error::RollbackErrorOnCommit { commit_error, .. } => translate(*commit_error, unique),
        Error::BrokenTransactionManager => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Internal(Box::new(error)),
    }
}

/// Messages of SQLite for which diesel passes on no error code.
enum Condition {
    Locked,
    Unusable,
    Damaged,
    Other,
}

fn condition(message: &str) -> Condition {
    match message {
        "database is locked" | "database table is locked" | "database schema is locked" | "locking protocol" => {
            Condition::Locked
        }
        "database or disk is full"
        | "disk I/O error"
        | "unable to open database file"
        | "attempt to write a readonly database"
        | "out of memory"
        | "access permission denied"
        | "interrupted" => Condition::Unusable,
        "database disk image is malformed" | "file is not a database" => Condition::Damaged,
        _ => Condition::Other,
    }
}
