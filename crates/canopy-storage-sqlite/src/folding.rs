//! Folds stored names again when the rule of folding has changed.

use crate::OpenError;
use crate::statement::Statement;
use canopy_domain::fold_case;
use canopy_domain::role::NameCollisions;
use canopy_storage_sql::rows::CountRow;
use canopy_storage_sql::rows::role::StoredRoleNameRow;
use canopy_storage_sql::{SqlText, sql};
use diesel::SqliteConnection;
use diesel::sql_types::Text;

/// The version of [`fold_case`]: 1 is `toNFKC_Casefold`.
const VERSION: u64 = 1;

diesel::define_sql_function! {
    /// [`fold_case`], for statements.
    fn canopy_fold(text: Text) -> Text;
}

/// Names without a letter beyond ASCII fold as they always did.
static STATEMENTS: [SqlText; 6] = [
    // No name may be in the way of another one while they change.
    sql!("UPDATE roles SET name_folded = char(0) || hex(id) WHERE length(name) <> octet_length(name)"),
    sql!("UPDATE roles SET name_folded = canopy_fold(name) WHERE length(name) <> octet_length(name)"),
    sql!("UPDATE nodes SET name_folded = canopy_fold(name) WHERE length(name) <> octet_length(name)"),
    sql!(
        "UPDATE identities SET name_folded = canopy_fold(first_name || ' ' || last_name) \
     WHERE length(first_name || last_name) <> octet_length(first_name || last_name)"
    ),
    sql!(
        "UPDATE identities SET searched = canopy_fold(first_name || ' ' || last_name || char(10) || email \
     || coalesce(char(10) || external_id, '')) WHERE length(first_name || last_name || email || coalesce(external_id, '')) \
     <> octet_length(first_name || last_name || email || coalesce(external_id, ''))"
    ),
    sql!(
        "UPDATE audit_events SET searched = canopy_fold(action || char(10) || actor_label || char(10) || resource_label) \
     WHERE length(actor_label || resource_label) <> octet_length(actor_label || resource_label)"
    ),
];

/// Returns whether the stored names are folded by an older rule.
pub(crate) fn is_outdated(connection: &mut SqliteConnection) -> Result<bool, OpenError> {
    static SELECT: SqlText = sql!("SELECT version FROM folding");
    let version = Statement::new(&SELECT).first(connection, CountRow)?;
    Ok(version.is_none_or(|version| version < VERSION))
}

/// Makes sure that no two roles of an environment have the same folded name.
///
/// # Errors
/// [`OpenError::RoleNames`] with those that have.
pub(crate) fn check(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    static EXISTS: SqlText =
        sql!("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'roles')");
    static SELECT: SqlText = sql!("SELECT {StoredRoleNameRow} FROM roles");
    if !Statement::new(&EXISTS).holds(connection)? {
        return Ok(());
    }
    let roles: Vec<_> = Statement::new(&SELECT).all(connection, StoredRoleNameRow)?;
    NameCollisions::check(roles).map_err(OpenError::RoleNames)
}

/// Folds all stored names by the present rule. To be called within a transaction.
pub(crate) fn run(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    static UPDATE: SqlText = sql!("UPDATE folding SET version = ?1");
    check(connection)?;
    canopy_fold_utils::register_impl(connection, |text: String| fold_case(&text))?;
    for sql in &STATEMENTS {
        Statement::new(sql).execute(connection)?;
    }
    Statement::new(&UPDATE)
        .bind(i64::try_from(VERSION).unwrap_or(i64::MAX))
        .execute(connection)?;
    Ok(())
}
