//! Heads, and the hints by which other processes hear of them.

use canopy_domain::port::{FeedEvent, LockScope, Store, StoreError};
use canopy_domain::{EnvironmentId, Revision};
use canopy_storage_postgres::{PgOptions, PgStore};
use canopy_testkit::fixture::{Maker, World};
use canopy_testkit::postgres::store;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(5);

async fn next(received: &mut mpsc::UnboundedReceiver<FeedEvent>, wanted: impl Fn(&FeedEvent) -> bool) -> FeedEvent {
    let found = async {
        loop {
            let event = received.recv().await.expect("another event");
            if wanted(&event) {
                return event;
            }
        }
    };
    timeout(SOON, found).await.expect("an event in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_the_newest_committed_revisions() {
    let store = store().await;
    let world = World::build(&store, &Maker::default(), "acme").await;
    let (one, two) = (world.development.environment.id, world.production.environment.id);
    let shared = store.shared().unwrap();
    let nobody = EnvironmentId::new(Uuid::from_u128(7));
    let mut before = shared.heads(&[one, nobody, two]).await.unwrap();
    before.sort_by_key(|head| head.environment);
    let tx = store.write(LockScope::Environment(one)).await.unwrap();
    assert_eq!(
        shared.heads(&[one]).await.unwrap(),
        [before.iter().find(|head| head.environment == one).unwrap().clone()]
    );
    let taken = tx.commit(world.maker.record(world.account.id, &[one])).await.unwrap();
    let heads = shared.heads(&[one]).await.unwrap();
    assert_eq!(
        heads
            .iter()
            .map(|head| (head.environment, head.revision))
            .collect::<Vec<_>>(),
        taken
    );
    assert_eq!(heads[0].slug, world.development.environment.slug);
    assert_eq!(heads[0].application_slug, world.application.slug);
    assert_eq!(before.len(), 2);
    assert!(shared.heads(&[]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_announces_the_others_hear() {
    let here = store().await;
    let there = PgStore::open(&PgOptions::new(here.database().url())).await.unwrap();
    let (sender, mut received) = mpsc::unbounded_channel();
    let listening = tokio::spawn(async move {
        let receive = move |event| drop(sender.send(event));
        there.shared().unwrap().listen(&receive).await
    });
    assert_eq!(next(&mut received, |_| true).await, FeedEvent::Connected);
    let many: Vec<(EnvironmentId, Revision)> = (0..1000)
        .map(|n| (EnvironmentId::new(Uuid::from_u128(n)), Revision::new(5)))
        .collect();
    here.shared().unwrap().publish(&many);
    let mut told = Vec::new();
    while told.len() < many.len() {
        if let FeedEvent::Revisions(some) = next(&mut received, |event| matches!(event, FeedEvent::Revisions(_))).await
        {
            told.extend(some);
        }
    }
    told.sort();
    assert_eq!(told, many);
    next(&mut received, |event| *event == FeedEvent::Alive).await;
    next(&mut received, |event| *event == FeedEvent::Alive).await;

    // A line that is cut ends, and a new one can be had.
    here.database()
        .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = '' OR query LIKE 'LISTEN%'")
        .await;
    let ended = timeout(SOON, listening).await.expect("an end").unwrap();
    assert!(matches!(ended, Err(StoreError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_come_together_are_told_together() {
    let store = store().await;
    let shared = store.shared().unwrap();
    let before = store.inner().statement_count();
    for revision in 1..=10_000 {
        shared.publish(&[(EnvironmentId::new(Uuid::from_u128(1)), Revision::new(revision))]);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let told = store.inner().statement_count() - before;
    assert!((1..2_000).contains(&told), "{told} notifications");
}
