//! Which rows a write locks before it reads anything.
//!
//! In one order in every write: accounts, identities, applications, environments, each by id. `FOR NO KEY UPDATE` keeps other
//! writers out and lets foreign keys through. The statements are sent together and run one after the other; each sees
//! what was committed when it starts, so environments are found after their applications are locked.

use crate::statement::{Connection, Statement};
use crate::value::distinct;
use canopy_domain::port::{LockScope, StoreError};
use canopy_domain::{ApplicationId, IdentityId};
use canopy_storage_sql::{SqlText, sql};
use futures_util::future;
use uuid::Uuid;

/// Takes the locks of a scope. Locks of several statements are boxed, so that those of one keep the transaction's future small.
pub(crate) async fn take(connection: Connection<'_>, scope: &LockScope) -> Result<(), StoreError> {
    static ACCOUNT: SqlText = sql!("SELECT FROM accounts WHERE id = $1 FOR NO KEY UPDATE");
    static ENVIRONMENT: SqlText = sql!("SELECT FROM environments WHERE id = $1 FOR NO KEY UPDATE");
    match scope {
        LockScope::Installation => Ok(()),
        LockScope::Account(id) => lock(connection, Statement::new(&ACCOUNT).bind(id.as_uuid())).await,
        LockScope::Application(place) => application(connection, place.application).await,
        LockScope::WholeApplication(place) => {
            let of_account = lock(connection, Statement::new(&ACCOUNT).bind(place.account.as_uuid()));
            let rest = Box::pin(memberships(connection, place.application, &[]));
            future::try_join(of_account, rest).await.map(|_| ())
        }
        LockScope::Environment(place) => {
            lock(
                connection,
                Statement::new(&ENVIRONMENT).bind(place.environment.as_uuid()),
            )
            .await
        }
        LockScope::Memberships {
            application,
            identities,
        } => Box::pin(memberships(connection, application.application, identities)).await,
        LockScope::Identities { account, identities } => {
            Box::pin(all_of(connection, account.as_uuid(), identities)).await
        }
    }
}

async fn lock(connection: Connection<'_>, statement: Statement<'_>) -> Result<(), StoreError> {
    statement.execute(connection).await.map(|_| ())
}

async fn application(connection: Connection<'_>, id: ApplicationId) -> Result<(), StoreError> {
    static APPLICATION: SqlText = sql!("SELECT FROM applications WHERE id = $1 FOR NO KEY UPDATE");
    lock(connection, Statement::new(&APPLICATION).bind(id.as_uuid())).await
}

/// Identities, one application, all of its environments.
async fn memberships(connection: Connection<'_>, id: ApplicationId, members: &[IdentityId]) -> Result<(), StoreError> {
    static IDENTITIES: SqlText = sql!(
        "SELECT FROM unnest($1) AS asked (id) CROSS JOIN LATERAL (SELECT FROM identities AS i \
         WHERE i.account_id = (SELECT a.account_id FROM applications AS a WHERE a.id = $2) AND i.id = asked.id \
         FOR NO KEY UPDATE) AS locked"
    );
    static ENVIRONMENTS: SqlText =
        sql!("SELECT FROM environments WHERE application_id = $1 ORDER BY id FOR NO KEY UPDATE");
    let identities = async {
        if members.is_empty() {
            return Ok(());
        }
        let select = Statement::new(&IDENTITIES).bind(uuids(members)).bind(id.as_uuid());
        lock(connection, select).await
    };
    let environments = lock(connection, Statement::new(&ENVIRONMENTS).bind(id.as_uuid()));
    future::try_join3(identities, application(connection, id), environments).await?;
    Ok(())
}

/// Identities, the applications they are members of, all environments of those.
async fn all_of(connection: Connection<'_>, account: Uuid, members: &[IdentityId]) -> Result<(), StoreError> {
    static IDENTITIES: SqlText = sql!(
        "SELECT FROM unnest($1) AS asked (id) CROSS JOIN LATERAL (SELECT FROM identities AS i \
         WHERE i.account_id = $2 AND i.id = asked.id FOR NO KEY UPDATE) AS locked"
    );
    static APPLICATIONS: SqlText = sql!(
        "SELECT FROM applications WHERE id = ANY (ARRAY(SELECT DISTINCT m.application_id \
         FROM memberships AS m WHERE m.identity_id = ANY ($1) AND m.account_id = $2)) ORDER BY id FOR NO KEY UPDATE"
    );
    static ENVIRONMENTS: SqlText = sql!(
        "SELECT FROM environments WHERE application_id = ANY (ARRAY(SELECT DISTINCT m.application_id \
         FROM memberships AS m WHERE m.identity_id = ANY ($1) AND m.account_id = $2)) \
         ORDER BY id FOR NO KEY UPDATE"
    );
    let of = |sql| lock(connection, Statement::new(sql).bind(uuids(members)).bind(account));
    future::try_join3(of(&IDENTITIES), of(&APPLICATIONS), of(&ENVIRONMENTS)).await?;
    Ok(())
}

/// Sorted, so that identities are locked by id.
fn uuids(ids: &[IdentityId]) -> Vec<Uuid> {
    distinct(ids.iter().map(IdentityId::as_uuid))
}
