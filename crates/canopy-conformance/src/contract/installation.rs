//! Clauses on the state that the processes of an installation share.

use super::support::{ODD_TEXT, TestStore, millis_after};
use canopy_domain::port::SigningKey;
use canopy_testkit::clock::noon;
use std::sync::Arc;

fn key(kid: &str, byte: u8, micros: i64) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        public_key: [byte; 32],
        created_at: millis_after(noon(), micros),
    }
}

pub async fn signing_keys_read_back_oldest_first(store: TestStore) {
    let installation = store.installation();
    assert_eq!(installation.signing_keys().await.unwrap(), []);
    let keys = [
        key("b", 0, 0),
        key("B", 255, 1),
        key(ODD_TEXT, 7, 1),
        key("a", 7, 2),
        key("a ", 8, 2),
    ];
    for index in [3, 0, 4, 2, 1] {
        installation.register_signing_key(&keys[index]).await.unwrap();
    }
    assert_eq!(installation.signing_keys().await.unwrap(), keys);
}

pub async fn a_signing_key_that_is_registered_again_keeps_its_bytes_and_the_later_instant(store: TestStore) {
    let installation = store.installation();
    installation.register_signing_key(&key("a", 1, 0)).await.unwrap();
    installation.register_signing_key(&key("a", 2, -5)).await.unwrap();
    assert_eq!(installation.signing_keys().await.unwrap(), [key("a", 1, 0)]);
    installation.register_signing_key(&key("a", 2, 5_000)).await.unwrap();
    assert_eq!(installation.signing_keys().await.unwrap(), [key("a", 1, 5_000)]);
}

pub async fn signing_keys_end_by_age_and_by_number(store: TestStore) {
    let installation = store.installation();
    let keys: Vec<SigningKey> = (0..6_u8)
        .map(|at| key(&format!("k{at}"), at, i64::from(at) * 1_000))
        .collect();
    for one in &keys {
        installation.register_signing_key(one).await.unwrap();
    }
    let since = |key: &SigningKey| key.created_at;
    assert_eq!(installation.delete_signing_keys(since(&keys[0]), 6).await.unwrap(), 0);
    // Keys registered before the instant are deleted; a key registered at it stays.
    assert_eq!(installation.delete_signing_keys(since(&keys[2]), 6).await.unwrap(), 2);
    assert_eq!(installation.signing_keys().await.unwrap(), keys[2..]);
    // Of the remaining keys, those with the newest registration stay.
    assert_eq!(installation.delete_signing_keys(since(&keys[0]), 3).await.unwrap(), 1);
    assert_eq!(installation.signing_keys().await.unwrap(), keys[3..]);
    // Registering a key again renews it.
    let renewed = SigningKey {
        created_at: millis_after(noon(), 9_000),
        ..keys[3].clone()
    };
    installation.register_signing_key(&renewed).await.unwrap();
    assert_eq!(installation.delete_signing_keys(since(&keys[0]), 1).await.unwrap(), 2);
    assert_eq!(installation.signing_keys().await.unwrap(), [renewed]);
}

pub async fn a_secret_is_that_of_whoever_asked_first(store: TestStore) {
    let installation = store.installation();
    assert_eq!(installation.secret("cursors", [1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(installation.secret("cursors", [2; 32]).await.unwrap(), [1; 32]);
    for (byte, name) in [(3, "Cursors"), (4, "cursors "), (5, ODD_TEXT)] {
        assert_eq!(installation.secret(name, [byte; 32]).await.unwrap(), [byte; 32]);
    }
    assert_eq!(installation.secret("cursors", [6; 32]).await.unwrap(), [1; 32]);
}

pub async fn all_who_ask_for_a_secret_at_once_are_given_the_same(store: TestStore) {
    let start = Arc::new(tokio::sync::Barrier::new(8));
    let asking: Vec<_> = (0..8)
        .map(|byte| {
            let (store, start) = (Arc::clone(&store), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                store.installation().secret("cursors", [byte; 32]).await.unwrap()
            })
        })
        .collect();
    let kept = store.installation().secret("cursors", [99; 32]).await.unwrap();
    for one in asking {
        assert_eq!(one.await.unwrap(), kept);
    }
}
