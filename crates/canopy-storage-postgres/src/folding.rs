//! Folds stored names again when the rule of folding has changed.

use crate::error::translate;
use crate::migration::OpenError;
use canopy_domain::role::NameCollisions;
use canopy_domain::{EnvironmentId, RoleId, RoleName, fold_case, searched_text};
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, sql_query};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use uuid::Uuid;

type Connection = AsyncConnectionWrapper<AsyncPgConnection>;

/// The version of [`fold_case`]: 1 is `toNFKC_Casefold`.
const VERSION: i64 = 1;

/// Rows that are folded by one statement.
const BATCH: usize = 5_000;

/// A table with folded texts.
struct Folded {
    /// `(lead, id, text)` of the rows after a place, in order.
    select: &'static str,
    /// Stores the folded texts of `given (lead, id, folded)`.
    update: &'static str,
    fold: fn(&str) -> String,
}

macro_rules! folded {
    ($table:literal, $lead:literal, $text:literal, $column:literal, $fold:expr) => {
        Folded {
            // A text without a letter beyond ASCII folds as it always did.
            select: concat!(
                "SELECT ",
                $lead,
                "::text AS lead, id::text AS id, ",
                $text,
                " AS text FROM ",
                $table,
                " WHERE (",
                $lead,
                ", id) > ($1::uuid, $2::uuid) AND char_length(",
                $text,
                ") <> octet_length(",
                $text,
                ") ORDER BY ",
                $lead,
                ", id LIMIT $3"
            ),
            update: concat!(
                "UPDATE ",
                $table,
                " AS t SET ",
                $column,
                " = given.folded \
                 FROM jsonb_to_recordset($1::jsonb) AS given (lead uuid, id uuid, folded text) \
                 WHERE t.",
                $lead,
                " = given.lead AND t.id = given.id"
            ),
            fold: $fold,
        }
    };
}

fn fold_lines(text: &str) -> String {
    searched_text(text.split('\n'))
}

const TABLES: [Folded; 5] = [
    folded!("roles", "environment_id", "name", "name_folded", fold_case),
    folded!("nodes", "environment_id", "name", "name_folded", fold_case),
    folded!(
        "identities",
        "account_id",
        "(first_name || ' ' || last_name)",
        "name_folded",
        fold_case
    ),
    folded!(
        "identities",
        "account_id",
        "(first_name || ' ' || last_name || chr(10) || email || coalesce(chr(10) || external_id, ''))",
        "searched",
        fold_lines
    ),
    folded!(
        "audit_events",
        "account_id",
        "(action || chr(10) || actor_label || chr(10) || resource_label)",
        "searched",
        fold_lines
    ),
];

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = BigInt)]
    version: i64,
}

#[derive(QueryableByName)]
struct Exists {
    #[diesel(sql_type = Bool)]
    exists: bool,
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    lead: String,
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    text: String,
}

fn exists(connection: &mut Connection, table: &str) -> Result<bool, OpenError> {
    let rows = sql_query("SELECT to_regclass($1) IS NOT NULL AS exists")
        .bind::<Text, _>(table)
        .load::<Exists>(connection);
    Ok(rows.map_err(failed)?.first().is_some_and(|row| row.exists))
}

/// Returns whether the stored names are folded by an older rule, or by none that is known.
pub(crate) fn is_outdated(connection: &mut Connection) -> Result<bool, OpenError> {
    if !exists(connection, "folding")? {
        return Ok(true);
    }
    let rows = sql_query("SELECT version FROM folding").load::<Version>(connection);
    Ok(rows.map_err(failed)?.first().is_none_or(|row| row.version < VERSION))
}

/// Makes sure that no two roles of an environment have the same folded name.
///
/// # Errors
/// [`OpenError::RoleNames`] with those that have.
pub(crate) fn check(connection: &mut Connection) -> Result<(), OpenError> {
    if !exists(connection, "roles")? {
        return Ok(());
    }
    let sql = "SELECT environment_id::text AS lead, id::text AS id, name AS text FROM roles";
    let rows = sql_query(sql).load::<Named>(connection).map_err(failed)?;
    let roles = rows.iter().filter_map(|row| {
        let environment = EnvironmentId::new(Uuid::try_parse(&row.lead).ok()?);
        let id = RoleId::new(Uuid::try_parse(&row.id).ok()?);
        Some((environment, id, RoleName::restored(&row.text).ok()?))
    });
    NameCollisions::check(roles).map_err(OpenError::RoleNames)
}

/// Folds all stored names by the present rule, in one transaction.
pub(crate) fn run(connection: &mut Connection) -> Result<(), OpenError> {
    check(connection)?;
    let run = connection.transaction(|connection| {
        // No name may be in the way of another one while they change.
        sql_query("SET CONSTRAINTS roles_name DEFERRED").execute(connection)?;
        for table in &TABLES {
            fold_table(connection, table)?;
        }
        sql_query("UPDATE folding SET version = $1")
            .bind::<BigInt, _>(VERSION)
            .execute(connection)
    });
    run.map(|_| ()).map_err(failed)
}

fn fold_table(connection: &mut Connection, table: &Folded) -> diesel::QueryResult<()> {
    let nowhere = Uuid::nil().to_string();
    let mut after = (nowhere.clone(), nowhere);
    loop {
        let rows: Vec<Named> = sql_query(table.select)
            .bind::<Text, _>(&after.0)
            .bind::<Text, _>(&after.1)
            .bind::<BigInt, _>(i64::try_from(BATCH).unwrap_or(i64::MAX))
            .load(connection)?;
        let given: serde_json::Value = rows
            .iter()
            .map(|row| serde_json::json!({"lead": row.lead, "id": row.id, "folded": (table.fold)(&row.text)}))
            .collect();
        sql_query(table.update)
            .bind::<Text, _>(given.to_string())
            .execute(connection)?;
        match rows.into_iter().last() {
            Some(last) => after = (last.lead, last.id),
            None => return Ok(()),
        }
    }
}

fn failed(error: diesel::result::Error) -> OpenError {
    OpenError::Store(translate(error))
}
