//! The one place that knows the errors of diesel and PostgreSQL.

use canopy_domain::port::{StoreError, Unique};
use diesel::result::{ConnectionError, DatabaseErrorKind, Error};

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

/// Converts an error of diesel to an error of the port.
pub(crate) fn translate(error: Error) -> StoreError {
    match error {
        Error::DatabaseError(kind, ref information) => match kind {
            DatabaseErrorKind::UniqueViolation => match information.constraint_name().and_then(unique_rule) {
                Some(rule) => StoreError::Duplicate(rule),
                None => StoreError::Internal(Box::new(error)),
            },
            DatabaseErrorKind::SerializationFailure => StoreError::Conflict(Box::new(error)),
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ReadOnlyTransaction => StoreError::Unavailable(Box::new(error)),
            DatabaseErrorKind::Unknown => match condition(information.message()) {
                Condition::Conflict => StoreError::Conflict(Box::new(error)),
                Condition::Busy => StoreError::Busy(Box::new(error)),
                Condition::Unavailable => StoreError::Unavailable(Box::new(error)),
                Condition::Other => StoreError::Internal(Box::new(error)),
            },
            // The kinds that are left, and those that a later diesel may add, are broken rules of the schema: bugs.
            _ => StoreError::Internal(Box::new(error)),
        },
        Error::RollbackErrorOnCommit { commit_error, .. } => translate(*commit_error),
        Error::BrokenTransactionManager => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Internal(Box::new(error)),
    }
}

/// Converts an error while connecting to `StoreError::Unavailable`.
pub(crate) fn translate_connecting(error: ConnectionError) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

/// Messages of PostgreSQL for which diesel-async passes on no SQLSTATE.
enum Condition {
    Conflict,
    Busy,
    Unavailable,
    Other,
}

/// The words are those of `lc_messages = C`, which each connection asks for, or of any English locale. A user who may not
/// ask for it on a server that speaks another language: there a timeout is told by the time it took and a lost connection
/// by its end, both where the statement is run.
fn condition(message: &str) -> Condition {
    let any = |beginnings: &[&str]| beginnings.iter().any(|beginning| message.starts_with(beginning));
    if any(&["deadlock detected", "could not serialize access"]) {
        Condition::Conflict
    } else if any(&[
        "canceling statement due to lock timeout",
        "canceling statement due to statement timeout",
        "could not obtain lock",
        "sorry, too many clients already",
        "remaining connection slots are reserved",
        "too many connections",
    ]) {
        Condition::Busy
    } else if any(&[
        "terminating connection",
        "the database system is",
        "canceling statement due to user request",
        "canceling statement due to conflict with recovery",
        "cannot execute",
        "could not extend file",
        "could not write",
        "could not access status of transaction",
        "out of memory",
        "out of shared memory",
        "No space left on device",
    ]) {
        Condition::Unavailable
    } else {
        Condition::Other
    }
}

/// The rule that a constraint of the schema stands for. Other constraints are broken only by bugs.
fn unique_rule(constraint: &str) -> Option<Unique> {
    Some(match constraint {
        "accounts_slug" => Unique::AccountSlug,
        "applications_slug" => Unique::ApplicationSlug,
        "environments_slug" => Unique::EnvironmentSlug,
        "permissions_key" => Unique::PermissionKey,
        "roles_name" => Unique::RoleName,
        "nodes_slug" => Unique::NodeSlug,
        "identities_email" => Unique::IdentityEmail,
        "identities_external_id" => Unique::IdentityExternalId,
        "memberships_pair" => Unique::Membership,
        "assignments_key" => Unique::AssignmentKey,
        "accounts_id"
        | "applications_id"
        | "environments_id"
        | "permissions_id"
        | "roles_id"
        | "nodes_id"
        | "identities_id"
        | "memberships_id"
        | "assignments_id"
        | "api_keys_id"
        | "api_key_digests_key" => Unique::Id,
        _ => return None,
    })
}
