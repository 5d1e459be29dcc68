//! The one place that knows the errors of diesel and PostgreSQL.

pub(crate) use canopy_storage_sql::error::{Fault, ensure, internal};

use canopy_domain::port::{StoreError, Unique};
use canopy_storage_sql::error::{self, Class};
use diesel::result::{ConnectionError, Error};

/// Converts an error of diesel to an error of the port.
pub(crate) fn translate(error: Error) -> StoreError {
    error::translate(error, |constraint| constraint.and_then(unique_rule), class)
}

/// Converts an error while connecting to `StoreError::Unavailable`.
pub(crate) fn translate_connecting(error: ConnectionError) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

/// The class of an error by its message: diesel-async passes on no SQLSTATE (ADR 0051).
///
/// The words are those of `lc_messages = C`, which each connection asks for, or of any English locale. A user who may not
/// ask for it on a server that speaks another language: there a timeout is told by the time it took and a lost connection
/// by its end, both where the statement is run.
fn class(message: &str) -> Class {
    let any = |beginnings: &[&str]| beginnings.iter().any(|beginning| message.starts_with(beginning));
    if any(&["deadlock detected", "could not serialize access"]) {
        Class::Conflict
    } else if any(&[
        "canceling statement due to lock timeout",
        "canceling statement due to statement timeout",
        "could not obtain lock",
        "sorry, too many clients already",
        "remaining connection slots are reserved",
        "too many connections",
    ]) {
        Class::Busy
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
        Class::Unavailable
    } else {
        Class::Other
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
