//! The PostgreSQL store keeps the storage contract.

use canopy_domain::port::Store as _;
use canopy_domain::{EnvironmentId, Revision};
use canopy_testkit::postgres::{PostgresStore, store};
use std::time::Duration;
use uuid::Uuid;

async fn fresh_store() -> PostgresStore {
    store().await
}

canopy_conformance::storage_contract!(fresh_store, whole_contract);

/// Every statement in the source is run against a migrated database, so a misspelt column fails here. What several processes
/// tell each other is no part of the contract.
#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_run() {
    whole_contract().await;
    let store = store().await;
    let nowhere = EnvironmentId::new(Uuid::nil());
    let mut tx = store.read().await.unwrap();
    assert_eq!(tx.commit_tags(nowhere, Revision::ZERO, 1).await.unwrap(), []);
    drop(tx);
    store.shared().unwrap().publish(&[(nowhere, Revision::new(1))]);
    let unused = || canopy_storage_sql::coverage::unused(concat!(env!("CARGO_MANIFEST_DIR"), "/src").as_ref()).unwrap();
    // News go out in the background.
    for _ in 0..100 {
        if unused().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(unused(), Vec::<String>::new());
}

/// The lists where each is read as a long one is.
mod long_lists {
    use canopy_conformance::contract::{TestStore, assignment_listing, node_people};
    use canopy_testkit::postgres::store;
    use std::sync::Arc;

    macro_rules! clauses {
        ($($area:ident::$clause:ident)+) => {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $clause() {
                let store = store().await;
                store.have_long_lists();
                let store: TestStore = Arc::new(store);
                $area::$clause(store).await;
            })+
        };
    }

    clauses! {
        assignment_listing::assignment_search_looks_at_identity_role_and_node
        assignment_listing::assignments_are_sorted_both_ways_with_ties_broken_by_id
        assignment_listing::pages_of_assignments_are_disjoint_and_complete
        assignment_listing::the_number_of_assignments_is_exact_after_every_change
        node_people::held_assignments_are_filtered_searched_sorted_and_paged
        node_people::an_assignment_holds_at_its_node_and_below_and_says_which_it_is
    }
}
