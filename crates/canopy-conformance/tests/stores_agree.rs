//! Random operations leave all stores in the same state, with the same answers on the way.

#![expect(clippy::expect_used, reason = "a test without a store is a failed test")]

use canopy_conformance::sequence::{Unit, any_units, same_outcome};
use canopy_domain::port::RowStore;
use canopy_storage_memory::MemoryStore;
use canopy_storage_sqlite::SqliteStore;
use canopy_testkit::postgres::store;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::ops::Range;
use tokio::runtime::Runtime;

fn check(cases: u32, units: Range<usize>, agree: impl Fn(&[Unit]) -> Result<(), TestCaseError>) {
    // `PROPTEST_CASES` asks for more.
    let asked = Config::default();
    let config = Config {
        cases: if asked.cases == 256 { cases } else { asked.cases },
        max_shrink_iters: 100,
        failure_persistence: None,
        ..asked
    };
    let outcome = TestRunner::new(config).run(&any_units(units), |units| agree(&units));
    assert!(
        outcome.is_ok(),
        "{}",
        outcome.map_or_else(|error| error.to_string(), |()| String::new())
    );
}

async fn agree(stores: &[&dyn RowStore], units: &[Unit]) -> Result<(), TestCaseError> {
    let outcome = same_outcome(stores, units).await;
    outcome
        .map_err(|difference| TestCaseError::fail(format!("0 is memory, 1 is SQLite, 2 is PostgreSQL; {difference}")))
}

fn files() -> (MemoryStore, SqliteStore) {
    (MemoryStore::new(), SqliteStore::temporary().expect("a temporary store"))
}

#[test]
fn sqlite_does_what_the_memory_does() {
    let runtime = Runtime::new().unwrap();
    check(16, 1..12, |units| {
        let (memory, sqlite) = files();
        runtime.block_on(agree(&[&memory, &sqlite], units))
    });
}

#[test]
fn all_three_stores_do_the_same() {
    let runtime = Runtime::new().unwrap();
    check(3, 1..8, |units| {
        runtime.block_on(async {
            let ((memory, sqlite), postgres) = (files(), store().await);
            agree(&[&memory, &sqlite, &postgres], units).await
        })
    });
}
