//! The schema and its versions.

use crate::connect::Connector;
use crate::error::{Fault, translate};
use crate::folding;
use crate::options::{PgOptions, UrlError};
use canopy_domain::port::StoreError;
use canopy_domain::port::store::BoxError;
use canopy_domain::role::NameCollisions;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::pg::Pg;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::collections::BTreeSet;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// The advisory lock that whoever changes the schema holds: `canopy` as a number.
const LOCK: i64 = 0x6361_6e6f_7079;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] UrlError),
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
    /// A migration failed. The database is as it was before it.
    #[error("the schema cannot be brought up to date")]
    Migration(#[source] BoxError),
    /// Opened outside a tokio runtime.
    #[error("a store is opened on the tokio runtime that is to drive its connections")]
    Runtime(#[source] BoxError),
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

fn standing(connection: &mut (impl MigrationHarness<Pg> + SimpleConnection)) -> Result<Standing, OpenError> {
    let known = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(OpenError::Migration)?;
    let known: BTreeSet<String> = known.iter().map(|one| one.name().version().to_string()).collect();
    let applied = connection.applied_migrations();
    let applied = applied.map_err(|error| failed(connection, error))?;
    let applied: BTreeSet<String> = applied.iter().map(MigrationVersion::to_string).collect();
    Ok(Standing {
        missing: known.difference(&applied).cloned().collect(),
        unknown: applied.difference(&known).cloned().collect(),
    })
}

/// A migration whose connection was lost can be tried again; diesel does not say, so the connection is asked.
fn failed(connection: &mut impl SimpleConnection, error: BoxError) -> OpenError {
    match connection.batch_execute("SELECT 1").map_err(translate) {
        Err(lost @ StoreError::Unavailable(_)) => OpenError::Store(lost),
        Ok(()) | Err(_) => OpenError::Migration(error),
    }
}

fn check(standing: &Standing, migrate: bool) -> Result<bool, OpenError> {
    if let Some(version) = standing.unknown.last() {
        return Err(OpenError::Newer {
            version: version.clone(),
        });
    }
    match standing.missing.first() {
        Some(version) if !migrate => Err(OpenError::Older {
            version: version.clone(),
        }),
        missing => Ok(missing.is_some()),
    }
}

/// Checks the schema, and brings it up to date where that is asked for. Of several instances that start at once, one
/// changes it and the others wait: the lock is held by the connection, so it goes with an instance that dies.
pub(crate) async fn prepare(connector: &Connector, options: &PgOptions, migrate: bool) -> Result<(), OpenError> {
    locked(connector, options, move |connection| {
        let is_missing = check(&standing(connection)?, migrate)?;
        if !folding::is_outdated(connection)? && !is_missing {
            return Ok(());
        }
        if !migrate {
            return Err(OpenError::Older {
                version: "of folded names".to_owned(),
            });
        }
        if folding::is_outdated(connection)? {
            // Before the schema changes, so that the release that ran before can still rename roles.
            folding::check(connection)?;
        }
        let run = connection.run_pending_migrations(MIGRATIONS).map(|_| ());
        run.map_err(|error| failed(connection, error))?;
        if folding::is_outdated(connection)? {
            folding::run(connection)?;
        }
        Ok(())
    })
    .await
}

/// Takes back every migration.
pub(crate) async fn revert(connector: &Connector, options: &PgOptions) -> Result<(), OpenError> {
    locked(connector, options, |connection| {
        let reverted = connection.revert_all_migrations(MIGRATIONS).map(|_| ());
        reverted.map_err(|error| failed(connection, error))
    })
    .await
}

/// Waits for other processes that change the schema, but not for ever: one of them may stand still. A migration itself
/// may take its time.
async fn lock(connection: &AsyncPgConnection, options: &PgOptions) -> Result<(), OpenError> {
    let timeout = options.migration_timeout;
    let sql = format!(
        "SET statement_timeout = 0; SET lock_timeout = {}; SELECT pg_advisory_lock({LOCK}); SET lock_timeout = 0",
        timeout.as_millis().max(1)
    );
    let mut connection = connection;
    let locking = connection.batch_execute(&sql);
    let locked = tokio::time::timeout(timeout.saturating_add(options.answer_timeout), locking).await;
    let refused = match locked {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => translate(error),
        Err(elapsed) => StoreError::Unavailable(Box::new(elapsed)),
    };
    Err(OpenError::Store(match refused {
        StoreError::Busy(_) => StoreError::Busy(Box::new(Fault("another process is changing the schema"))),
        other => other,
    }))
}

/// Diesel's migrations do not await: they run on a thread that may wait, on a connection of their own. The lock is released by a
/// statement, for the end of a connection may never reach the server, and by the end of the connection where that fails.
async fn locked<F>(connector: &Connector, options: &PgOptions, work: F) -> Result<(), OpenError>
where
    F: FnOnce(&mut AsyncConnectionWrapper<AsyncPgConnection>) -> Result<(), OpenError> + Send + 'static,
{
    let connection = connector.open().await?.connection;
    lock(&connection, options).await?;
    let blocking = tokio::task::spawn_blocking(move || {
        let mut connection = AsyncConnectionWrapper::from(connection);
        let done = work(&mut connection);
        SimpleConnection::batch_execute(&mut connection, &format!("SELECT pg_advisory_unlock({LOCK})")).ok();
        done
    });
    blocking.await.map_err(|error| OpenError::Migration(Box::new(error)))?
}
