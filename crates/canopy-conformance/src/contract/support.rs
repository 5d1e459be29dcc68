//! Stores, transactions and assertions that clauses share.

use canopy_domain::port::{LockScope, ReadTx, RowStore, RowTx, StoreError, Unique};
use canopy_domain::{EnvironmentId, PageRequest, SearchWords, Timestamp};
use canopy_testkit::fixture::{Maker, World};
use std::fmt::Debug;
use std::sync::Arc;

/// The store under test, empty for each clause.
pub type TestStore = Arc<dyn RowStore>;

/// Text with everything that stores get wrong: quotes, wildcards, separators, four-byte and combining characters, and
/// characters joined by an invisible one.
pub const ODD_TEXT: &str = "it's \"odd\", 100% _sure_; \\back/ | 日本語 🌳 é e\u{301} <&> -- 👩\u{200d}🔬";

/// Creates one world, of the account `acme`.
pub async fn acme(store: &TestStore) -> World {
    World::build(store.as_ref(), &Maker::default(), "acme").await
}

/// Creates two worlds, of the accounts `acme` and `zeta`. Calls for one must never return rows of the other.
pub async fn acme_and_zeta(store: &TestStore) -> (World, World) {
    let maker = Maker::default();
    let acme = World::build(store.as_ref(), &maker, "acme").await;
    let zeta = World::build(store.as_ref(), &maker, "zeta").await;
    (acme, zeta)
}

/// Returns a unit of work that reads.
pub async fn reading(store: &TestStore) -> Box<dyn ReadTx> {
    store.read().await.expect("a unit of work")
}

/// Returns a unit of work that writes.
pub async fn writing(store: &TestStore, scope: LockScope) -> Box<dyn RowTx> {
    store.write_rows(scope).await.expect("a unit of work")
}

/// Opens a unit of work that writes within an existing environment.
pub async fn writing_in(store: &TestStore, environment: EnvironmentId) -> Box<dyn RowTx> {
    let place = reading(store).await.environment_place(environment).await;
    let place = place.expect("an answer").expect("an environment");
    writing(store, LockScope::Environment(place)).await
}

/// Opens a unit of work that writes within an environment that need not exist.
pub async fn writing_in_any(store: &TestStore, world: &World, environment: EnvironmentId) -> Box<dyn RowTx> {
    let place = world.application_ref().environment(environment);
    writing(store, LockScope::Environment(place)).await
}

/// Returns the search for the words of a text; `None` for a text without words.
pub fn search_for(text: &str) -> Option<SearchWords> {
    SearchWords::parse(text).expect("few words")
}

/// Asserts that a unique rule caused the refusal.
#[track_caller]
pub fn assert_duplicate<T: Debug>(result: Result<T, StoreError>, rule: Unique) {
    match result {
        Err(StoreError::Duplicate(broken)) => assert_eq!(broken, rule),
        other => panic!("expected a duplicate of {rule:?}, got {other:?}"),
    }
}

/// Asserts that the refusal reports a bug of the caller.
#[track_caller]
pub fn assert_bug<T: Debug>(result: Result<T, StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Internal(_))),
        "expected an internal error, got {result:?}"
    );
}

/// Returns the instant this many milliseconds later (earlier if negative).
pub fn millis_after(instant: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(instant.as_millis() + millis).expect("an instant within the supported years")
}

/// Returns a page.
pub fn page(number: u32, take: u32) -> PageRequest {
    PageRequest::new(number, take).expect("a page")
}

/// Returns items sorted, so that results without a promised order can be compared.
pub fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items
}
