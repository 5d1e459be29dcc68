//! The one place that knows the errors of diesel and SQLite.

pub(crate) use canopy_storage_sql::error::{Fault, ensure, internal};

use canopy_domain::port::{StoreError, Unique};
use canopy_storage_sql::error::{self, Class};
use diesel::result::{DatabaseErrorKind, Error};

/// Whether a unique rule kept a statement from being carried out. SQLite undoes the statement and keeps the transaction.
pub(crate) const fn is_unique_violation(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
}

/// Converts an error of diesel to an error of the port. `unique` is the only unique rule that the statement can break,
/// if there is one.
pub(crate) fn translate(error: Error, unique: Option<Unique>) -> StoreError {
    error::translate(error, |_| unique, class)
}

/// The class of an error by SQLite's own text for its code, the same in every locale: diesel passes on no code (ADR 0051).
fn class(message: &str) -> Class {
    match message {
        "database is locked" | "database table is locked" | "database schema is locked" | "locking protocol" => {
            Class::Busy
        }
        "database or disk is full"
        | "disk I/O error"
        | "unable to open database file"
        | "attempt to write a readonly database"
        | "out of memory"
        | "access permission denied"
        | "interrupted" => Class::Unavailable,
        "database disk image is malformed" | "file is not a database" => Class::Damaged,
        _ => Class::Other,
    }
}
