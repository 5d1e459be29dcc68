//! The schema and its versions.

use crate::error::translate;
use crate::folding;
use canopy_domain::port::StoreError;
use canopy_domain::role::NameCollisions;
use diesel::SqliteConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::collections::BTreeSet;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The location is none: empty, in memory, or of another kind of database.
    #[error("`{0}` does not name a SQLite file: give a path, or `sqlite://` and a path")]
    Location(String),
    /// A newer release has changed the schema.
    #[error("the database has migration {version}, which this release does not know: a newer release has changed it")]
    Newer {
        /// The newest migration that is not known.
        version: String,
    },
    /// The schema is older than this release needs, and opening was told not to change it.
    #[error("the database lacks migration {version}: run `canopy migrate` first")]
    Older {
        /// The oldest migration that is missing.
        version: String,
    },
    /// Names of roles have become the same. The database is as it was before.
    #[error(transparent)]
    RoleNames(#[from] NameCollisions),
    /// A migration failed. The database is as it was before.
    #[error("the schema cannot be brought up to date")]
    Migration(#[source] canopy_domain::port::store::BoxError),
    /// The folder or file cannot be made.
    #[error("the database file cannot be made")]
    Io(#[from] std::io::Error),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a schema stands, seen from this release.
#[derive(Debug, Default)]
struct Standing {
    /// Migrations of this release that have not been run.
    missing: BTreeSet<String>,
    /// Migrations that have been run but are not of this release.
    unknown: BTreeSet<String>,
}

fn standing(connection: &mut SqliteConnection) -> Result<Standing, OpenError> {
    let known = MigrationSource::<Sqlite>::migrations(&MIGRATIONS).map_err(OpenError::Migration)?;
    let known: BTreeSet<String> = known.iter().map(|one| one.name().version().to_string()).collect();
    let applied = MigrationHarness::<Sqlite>::applied_migrations(connection).map_err(OpenError::Migration)?;
    let applied: BTreeSet<String> = applied.iter().map(MigrationVersion::to_string).collect();
    Ok(Standing {
        missing: known.difference(&applied).cloned().collect(),
        unknown: applied.difference(&known).cloned().collect(),
    })
}

/// Checks the schema, and brings it up to date where that is asked for: all missing migrations in one transaction, which
/// also keeps another process from doing the same at the same time.
pub(crate) fn prepare(connection: &mut SqliteConnection, migrate: bool) -> Result<(), OpenError> {
    let standing = standing(connection)?;
    if let Some(version) = standing.unknown.last() {
        return Err(OpenError::Newer {
            version: version.clone(),
        });
    }
    let missing = match standing.missing.into_iter().next() {
        Some(version) => Some(version),
        None => folding::is_outdated(connection)?.then(|| "of folded names".to_owned()),
    };
    match missing {
        None => Ok(()),
        Some(version) if !migrate => Err(OpenError::Older { version }),
        Some(_) => connection.immediate_transaction(|connection| {
            connection
                .run_pending_migrations(MIGRATIONS)
                .map_err(OpenError::Migration)?;
            if folding::is_outdated(connection)? {
                folding::run(connection)?;
            }
            Ok(())
        }),
    }
}

impl From<diesel::result::Error> for OpenError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(translate(error, None))
    }
}

/// Takes back every migration.
#[cfg(test)]
pub(crate) fn revert(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    connection
        .revert_all_migrations(MIGRATIONS)
        .map(|_| ())
        .map_err(OpenError::Migration)
}
