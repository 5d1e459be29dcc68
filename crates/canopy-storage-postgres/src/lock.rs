//! Which rows a write locks before it reads anything.
//!
//! In one order in every write: accounts, identities, applications, environments, each by id. `FOR NO KEY UPDATE` keeps other
//! writers out and lets foreign keys through. The statements are sent together and run one after the other; each sees
//! what was committed when it starts, so environments are found after their applications are locked.

use crate::statement::{Link, Statement};
use crate::value::distinct;
use canopy_domain::port::{StoreError, WriteScope};
use canopy_domain::{ApplicationId, IdentityId};
use futures_util::future;
use uuid::Uuid;

/// Takes the locks of a scope. Locks of several statements are boxed, so that those of one keep the transaction's future small.
pub(crate) async fn take(link: Link<'_>, scope: &WriteScope) -> Result<(), StoreError> {
    const ACCOUNT: &str = "SELECT FROM accounts WHERE id = $1 FOR NO KEY UPDATE";
    const ENVIRONMENT: &str = "SELECT FROM environments WHERE id = $1 FOR NO KEY UPDATE";
    match scope {
        WriteScope::Installation => Ok(()),
        WriteScope::Account(id) => lock(link, Statement::new(ACCOUNT).bind(id.as_uuid())).await,
        WriteScope::Application(place) => application(link, place.application).await,
        WriteScope::WholeApplication(place) => {
            let of_account = lock(link, Statement::new(ACCOUNT).bind(place.account.as_uuid()));
            let rest = Box::pin(memberships(link, place.application, &[]));
            future::try_join(of_account, rest).await.map(|_| ())
        }
        WriteScope::Environment(place) => {
            lock(link, Statement::new(ENVIRONMENT).bind(place.environment.as_uuid())).await
        }
        WriteScope::Memberships {
            application,
            identities,
        } => Box::pin(memberships(link, application.application, identities)).await,
        WriteScope::Identities { account, identities } => Box::pin(all_of(link, account.as_uuid(), identities)).await,
    }
}

async fn lock(link: Link<'_>, statement: Statement<'_>) -> Result<(), StoreError> {
    statement.execute(link).await.map(|_| ())
}

async fn application(link: Link<'_>, id: ApplicationId) -> Result<(), StoreError> {
    const APPLICATION: &str = "SELECT FROM applications WHERE id = $1 FOR NO KEY UPDATE";
    lock(link, Statement::new(APPLICATION).bind(id.as_uuid())).await
}

/// Identities, one application, all of its environments.
async fn memberships(link: Link<'_>, id: ApplicationId, members: &[IdentityId]) -> Result<(), StoreError> {
    const IDENTITIES: &str = "SELECT FROM unnest($1) AS asked (id) CROSS JOIN LATERAL (SELECT FROM identities AS i \
         WHERE i.account_id = (SELECT a.account_id FROM applications AS a WHERE a.id = $2) AND i.id = asked.id \
         FOR NO KEY UPDATE) AS locked";
    const ENVIRONMENTS: &str = "SELECT FROM environments WHERE application_id = $1 ORDER BY id FOR NO KEY UPDATE";
    let identities = async {
        if members.is_empty() {
            return Ok(());
        }
        let select = Statement::new(IDENTITIES).bind(uuids(members)).bind(id.as_uuid());
        lock(link, select).await
    };
    let environments = lock(link, Statement::new(ENVIRONMENTS).bind(id.as_uuid()));
    future::try_join3(identities, application(link, id), environments).await?;
    Ok(())
}

/// Identities, the applications they are members of, all environments of those.
async fn all_of(link: Link<'_>, account: Uuid, members: &[IdentityId]) -> Result<(), StoreError> {
    const IDENTITIES: &str = "SELECT FROM unnest($1) AS asked (id) CROSS JOIN LATERAL (SELECT FROM identities AS i \
         WHERE i.account_id = $2 AND i.id = asked.id FOR NO KEY UPDATE) AS locked";
    const APPLICATIONS: &str = "SELECT FROM applications WHERE id = ANY (ARRAY(SELECT DISTINCT m.application_id \
         FROM memberships AS m WHERE m.identity_id = ANY ($1) AND m.account_id = $2)) ORDER BY id FOR NO KEY UPDATE";
    const ENVIRONMENTS: &str = "SELECT FROM environments WHERE application_id = ANY (ARRAY(SELECT DISTINCT m.application_id \
         FROM memberships AS m WHERE m.identity_id = ANY ($1) AND m.account_id = $2)) \
         ORDER BY id FOR NO KEY UPDATE";
    let of = |sql| lock(link, Statement::new(sql).bind(uuids(members)).bind(account));
    future::try_join3(of(IDENTITIES), of(APPLICATIONS), of(ENVIRONMENTS)).await?;
    Ok(())
}

/// Sorted, so that identities are locked by id.
fn uuids(ids: &[IdentityId]) -> Vec<Uuid> {
    distinct(ids.iter().map(IdentityId::as_uuid))
}
