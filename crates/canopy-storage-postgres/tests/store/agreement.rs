//! Random operations leave PostgreSQL and the memory in the same state, with the same answers on the way.

use canopy_storage_memory::MemoryStore;
use canopy_testkit::postgres::store;
use canopy_testkit::sequence::{Unit, any_units, same_outcome};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;

fn agree(runtime: &Runtime, units: &[Unit]) -> Result<(), TestCaseError> {
    let outcome = runtime.block_on(async {
        let (memory, postgres) = (MemoryStore::new(), store().await);
        same_outcome(&memory, &postgres, units).await
    });
    outcome.map_err(|difference| TestCaseError::fail(format!("one is memory, two is PostgreSQL; {difference}")))
}

#[test]
fn postgres_does_what_the_memory_does() {
    let runtime = Runtime::new().unwrap();
    let config = Config {
        cases: 8,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&any_units(1..9), |units| agree(&runtime, &units));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
