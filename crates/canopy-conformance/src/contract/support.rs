//! Stores, transactions and assertions that clauses share.

use canopy_domain::port::{LockScope, ReadTx, RowStore, RowTx, StoreError, Unique};
use canopy_domain::{EnvironmentId, PageRequest, SearchWords, Timestamp};
use canopy_testkit::fixture::{Maker, World};
use std::fmt::Debug;
use std::sync::Arc;

/// The store under test, empty and of its own for each clause.
pub type TestStore = Arc<dyn RowStore>;

/// Text with all that stores get wrong: quotes, wildcards, separators, four-byte and combining characters, and characters
/// that are joined by one that is not displayed.
pub const ODD_TEXT: &str = "it's \"odd\", 100% _sure_; \\back/ | 日本語 🌳 é e\u{301} <&> -- 👩\u{200d}🔬";

/// One world, of the account `acme`.
pub async fn acme(store: &TestStore) -> World {
    World::build(store.as_ref(), &Maker::default(), "acme").await
}

/// Two worlds, of the accounts `acme` and `zeta`. Nothing of one must ever be seen through the other.
pub async fn acme_and_zeta(store: &TestStore) -> (World, World) {
    let maker = Maker::default();
    let acme = World::build(store.as_ref(), &maker, "acme").await;
    let zeta = World::build(store.as_ref(), &maker, "zeta").await;
    (acme, zeta)
}

/// A unit of work that reads.
pub async fn reading(store: &TestStore) -> Box<dyn ReadTx> {
    store.read().await.expect("a unit of work")
}

/// A unit of work that writes.
pub async fn writing(store: &TestStore, scope: LockScope) -> Box<dyn RowTx> {
    store.write_rows(scope).await.expect("a unit of work")
}

/// A unit of work that writes within one environment, which is there.
pub async fn writing_in(store: &TestStore, environment: EnvironmentId) -> Box<dyn RowTx> {
    let place = reading(store).await.environment_place(environment).await;
    let place = place.expect("an answer").expect("an environment");
    writing(store, LockScope::Environment(place)).await
}

/// A unit of work that writes within one environment, which need not be there.
pub async fn writing_in_any(store: &TestStore, world: &World, environment: EnvironmentId) -> Box<dyn RowTx> {
    let place = world.application_ref().environment(environment);
    writing(store, LockScope::Environment(place)).await
}

/// The search for the words of a text; none for a text without words.
pub fn search_for(text: &str) -> Option<SearchWords> {
    SearchWords::parse(text).expect("few words")
}

/// The refusal was that of a unique rule.
#[track_caller]
pub fn assert_duplicate<T: Debug>(result: Result<T, StoreError>, rule: Unique) {
    match result {
        Err(StoreError::Duplicate(broken)) => assert_eq!(broken, rule),
        other => panic!("expected a duplicate of {rule:?}, got {other:?}"),
    }
}

/// The refusal was that of a bug of the caller.
#[track_caller]
pub fn assert_bug<T: Debug>(result: Result<T, StoreError>) {
    assert!(
        matches!(result, Err(StoreError::Internal(_))),
        "expected an internal error, got {result:?}"
    );
}

/// Milliseconds after (before when negative) an instant.
pub fn millis_after(instant: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(instant.as_millis() + millis).expect("an instant within the supported years")
}

/// A page.
pub fn page(number: u32, take: u32) -> PageRequest {
    PageRequest::new(number, take).expect("a page")
}

/// Sorted, so that answers without a promised order can be compared.
pub fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items
}
