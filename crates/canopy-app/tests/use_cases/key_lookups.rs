//! Look-ups of API keys under a flood of invented ones. The store counts its readers and holds them back.

use crate::api_key::{enter, invalid, make, text};
use crate::failure::Gated;
use crate::world::{World, by_key};
use canopy_app::{App, AppError, Caller};
use canopy_domain::api_key::{KeyAccess, KeyText};
use canopy_domain::port::StoreError;
use canopy_storage_memory::MemoryStore;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A process that has not seen the key of its store yet, and the text of that key.
async fn cold() -> (World, Arc<Gated>, App, String) {
    let real = MemoryStore::strict();
    let world = World::on(Arc::new(real.clone())).await;
    let key = text(&make(&world, KeyAccess::Full).await);
    let gated = Gated::new(real);
    let app = gated.app(&world);
    (world, gated, app, key)
}

fn invented(number: u64) -> String {
    let mut secret = [0xab; 32];
    secret[..8].copy_from_slice(&number.to_be_bytes());
    KeyText::new(secret).expose().to_owned()
}

fn present(app: &App, key: String) -> JoinHandle<Result<Caller, AppError>> {
    let app = app.clone();
    tokio::spawn(async move { enter(&app, &key).await })
}

#[tokio::test(start_paused = true)]
async fn a_valid_key_answers_among_ten_thousand_invented_ones() {
    let (world, gated, app, key) = cold().await;
    // The first statement is under way when the others come.
    let first = present(&app, invented(0));
    while gated.opened.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let mut flood: Vec<_> = (1..5_000).map(|number| present(&app, invented(number))).collect();
    let valid = present(&app, key.clone());
    flood.extend((5_000..10_000).map(|number| present(&app, invented(number))));
    // All of them have joined: the tasks run in the order in which they were spawned.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gated.opened.load(SeqCst), 1, "one statement at a time");
    gated.open();
    let caller = valid.await.unwrap().unwrap();
    assert!(matches!(caller, Caller::ApiKey { place, .. } if place == world.place));
    invalid(first.await.unwrap());
    for key in flood {
        invalid(key.await.unwrap());
    }
    // The first, all others together, and the row of the valid key as it begins and as it is answered.
    assert_eq!(gated.opened.load(SeqCst), 4);
    // The valid key is known from now on.
    by_key(&app, &key).await.unwrap();
    assert_eq!(gated.opened.load(SeqCst), 5, "its row alone");
}

#[tokio::test(start_paused = true)]
async fn invented_keys_cost_a_bounded_number_of_statements_a_second() {
    let (_world, gated, app, key) = cold().await;
    gated.open();
    let began = Instant::now();
    let end = began + Duration::from_secs(1);
    let client = |series: u64| {
        let app = app.clone();
        tokio::spawn(async move {
            let mut sent = 0;
            while Instant::now() < end {
                invalid(by_key(&app, &invented(series << 32 | sent)).await);
                sent += 1;
            }
            sent
        })
    };
    let clients: Vec<_> = (0..20).map(client).collect();
    by_key(&app, &key).await.unwrap();
    assert!(began.elapsed() <= Duration::from_millis(20), "{:?}", began.elapsed());
    let mut sent = 0;
    for client in clients {
        sent += client.await.unwrap();
    }
    let statements = gated.opened.load(SeqCst);
    assert!(sent >= 1_000, "{sent}");
    assert!((100..=203).contains(&statements), "{statements} for {sent} keys");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_has_a_deadline_and_the_next_one_works() {
    let (_world, gated, app, key) = cold().await;
    let began = Instant::now();
    let (first, second) = (present(&app, key.clone()), present(&app, invented(1)));
    for waiting in [first, second] {
        let error = waiting.await.unwrap().unwrap_err();
        assert!(matches!(error, AppError::Store(StoreError::Busy(_))), "{error:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    gated.open();
    enter(&app, &key).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_cuts_nobody_off() {
    let (_world, gated, app, key) = cold().await;
    let first = present(&app, invented(1));
    while gated.opened.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let gone = present(&app, invented(2));
    let valid = present(&app, key);
    tokio::task::yield_now().await;
    gone.abort();
    first.abort();
    gated.open();
    valid.await.unwrap().unwrap();
}
