//! Random operations leave all stores in the same state, with the same answers on the way.

#![expect(clippy::expect_used, reason = "a test without a store is a failed test")]

use canopy_storage_memory::MemoryStore;
use canopy_storage_sqlite::SqliteStore;
use canopy_testkit::sequence::{Unit, any_units, same_outcome};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;

fn agree(runtime: &Runtime, units: &[Unit]) -> Result<(), TestCaseError> {
    let (memory, sqlite) = (MemoryStore::new(), SqliteStore::temporary().expect("a temporary store"));
    let outcome = runtime.block_on(same_outcome(&memory, &sqlite, units));
    outcome.map_err(|difference| TestCaseError::fail(format!("one is memory, two is SQLite; {difference}")))
}

#[test]
fn sqlite_does_what_the_memory_does() {
    let runtime = Runtime::new().unwrap();
    // `PROPTEST_CASES` asks for more.
    let asked = Config::default();
    let config = Config {
        cases: if asked.cases == 256 { 16 } else { asked.cases },
        failure_persistence: None,
        ..asked
    };
    let outcome = TestRunner::new(config).run(&any_units(1..12), |units| agree(&runtime, &units));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
