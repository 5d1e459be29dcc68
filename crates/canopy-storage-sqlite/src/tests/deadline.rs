//! No statement runs past its deadline, and the connection it ran on goes on.

use crate::statement::Statement;
use crate::{SqliteOptions, SqliteStore};
use canopy_domain::AccountId;
use canopy_domain::port::{LockScope, RowStore, Share, Store, StoreError};
use canopy_testkit::fixture::Maker;
use diesel::SqliteConnection;
use std::time::{Duration, Instant};

/// The time in which nothing that is interrupted may end.
const LONG: Duration = Duration::from_secs(20);

/// A store with one reader, whose statements have `limit`, and loads ten times that.
fn store(limit: Duration) -> SqliteStore {
    SqliteStore::temporary_with(SqliteOptions {
        synchronous: crate::Synchronous::Off,
        readers: 1,
        statement_timeout: limit,
        load_timeout: 10 * limit,
        ..SqliteOptions::default()
    })
    .unwrap()
}

/// Counts for ever.
fn endless(c: &mut SqliteConnection) -> Result<(), StoreError> {
    const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    Statement::made(ENDLESS).for_each(c, "numbers", |_| Ok(()))
}

/// Writes rows for ever.
fn endless_write(c: &mut SqliteConnection) -> Result<(), StoreError> {
    const ENDLESS: &str = "INSERT INTO kept_answer_bytes (tenant, hour, bytes) WITH RECURSIVE n (i) AS \
         (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT zeroblob(16), i, 1 FROM n";
    Statement::made(ENDLESS).execute(c).map(|_| ())
}

#[tokio::test]
async fn a_read_ends_at_its_deadline_and_its_connection_goes_on() {
    let store = store(Duration::from_millis(50));
    for is_load in [false, true] {
        let begun = Instant::now();
        let mut unit = store
            .begin(&store.readers, Share::Installation, crate::store::begin_reading)
            .await
            .unwrap();
        let ended = if is_load {
            unit.load(endless).await
        } else {
            unit.run(endless).await
        };
        assert!(matches!(ended, Err(StoreError::Busy(_))), "{ended:?}");
        assert!(begun.elapsed() < LONG);
        assert_eq!(begun.elapsed() >= Duration::from_millis(500), is_load);
        drop(unit);
        assert!(store.read().await.unwrap().accounts().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_write_that_is_interrupted_leaves_nothing_and_the_next_one_is_made() {
    let store = store(Duration::from_millis(50));
    let maker = Maker::default();
    let account = maker.account("acme");
    let mut unit = store
        .begin(&store.writer, Share::Installation, crate::store::begin_writing)
        .await
        .unwrap();
    let ended = unit.run(endless_write).await;
    assert!(matches!(ended, Err(StoreError::Busy(_))), "{ended:?}");
    assert!(
        unit.run(|_| Ok(())).await.is_err(),
        "nothing follows in this unit of work"
    );
    drop(unit);
    let mut tx = store
        .write_rows(LockScope::Account(AccountId::new(uuid::Uuid::nil())))
        .await
        .unwrap();
    tx.insert_account(&account).await.unwrap();
    assert_eq!(tx.kept_bytes(canopy_domain::Timestamp::MIN).await.unwrap(), 0);
    tx.commit(maker.record(account.id, &[])).await.unwrap();
    assert_eq!(store.read().await.unwrap().accounts().await.unwrap(), [account]);
}

#[tokio::test]
async fn many_short_statements_have_the_whole_time_each() {
    let store = store(Duration::from_secs(1));
    let mut unit = store
        .begin(&store.readers, Share::Installation, crate::store::begin_reading)
        .await
        .unwrap();
    let counted = unit.run(|c| {
        const SOME: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
             SELECT count(*) FROM n";
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1_500) {
            Statement::made(SOME).for_each(c, "numbers", |_| Ok(()))?;
        }
        Ok(())
    });
    assert!(counted.await.is_ok());
}
