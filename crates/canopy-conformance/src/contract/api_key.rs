//! Clauses on API keys.

use super::support::{
    ODD_TEXT, TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, millis_after, reading, writing_in,
    writing_in_any,
};
use canopy_domain::access::KeyFact;
use canopy_domain::api_key::{ApiKey, ApiKeyId, KeyAccess, KeyDigest, KeyUse};
use canopy_domain::port::Unique;
use canopy_domain::{Description, EnvironmentId, EnvironmentRef, Timestamp};
use canopy_testkit::fixture::{World, key_digest, key_scopes, name};
use std::collections::HashMap;

/// Stores keys in `development`, each with the digest of its number.
async fn add(store: &TestStore, world: &World, keys: &[(&ApiKey, u8)]) {
    let mut tx = writing_in(store, world.development.id()).await;
    for (key, number) in keys {
        tx.insert_api_key(key, &key_digest(*number)).await.unwrap();
    }
    world.commit(tx, &[world.development.id()]).await;
}

async fn listed(store: &TestStore, environment: EnvironmentId) -> Vec<ApiKey> {
    reading(store).await.api_keys(environment).await.unwrap()
}

async fn place_of(store: &TestStore, digest: &KeyDigest) -> Option<(EnvironmentRef, ApiKeyId)> {
    reading(store)
        .await
        .api_key_places(&[*digest])
        .await
        .unwrap()
        .remove(digest)
}

pub async fn an_api_key_reads_back_as_it_was_written(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let full = ApiKey {
        description: Some(Description::parse(ODD_TEXT).unwrap()),
        name: name("it's \"odd\" 🌳"),
        expires_at: Some(Timestamp::MAX),
        last_used_at: Some(Timestamp::MIN),
        ..world.maker.api_key(id, KeyAccess::Full)
    };
    let access = key_scopes(&["A-Z_0/9:x.b", "role.manage", "access.evaluate", "note.read"]);
    let scoped = world.maker.api_key(id, access);
    add(&store, &world, &[(&full, 0), (&scoped, 255)]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.api_key(id, full.id).await.unwrap(), Some(full.clone()));
    assert_eq!(tx.api_key(id, scoped.id).await.unwrap(), Some(scoped.clone()));
    assert_eq!(tx.api_keys(id).await.unwrap(), [scoped, full]);
}

pub async fn api_keys_are_listed_newest_first_with_ties_broken_by_id(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let made = |at| world.maker.at(at).api_key(id, KeyAccess::Full);
    let now = world.maker.now();
    let (late, early, one, two) = (made(millis_after(now, 1)), made(Timestamp::MIN), made(now), made(now));
    add(&store, &world, &[(&late, 1), (&one, 2), (&early, 3), (&two, 4)]).await;
    assert!(one.id < two.id);
    assert_eq!(listed(&store, id).await, [late, two, one, early]);
}

pub async fn a_digest_leads_to_its_key_and_to_the_place_of_its_environment(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let mine = acme.maker.api_key(acme.development.id(), KeyAccess::Full);
    let other = zeta.maker.api_key(zeta.development.id(), KeyAccess::Full);
    add(&store, &acme, &[(&mine, 1)]).await;
    add(&store, &zeta, &[(&other, 2)]).await;
    assert_eq!(
        place_of(&store, &key_digest(1)).await,
        Some((acme.development.place, mine.id))
    );
    assert_eq!(
        place_of(&store, &key_digest(2)).await,
        Some((zeta.development.place, other.id))
    );
    assert_eq!(place_of(&store, &key_digest(3)).await, None);
    let mut near = key_digest(1);
    near.0[31] ^= 1;
    assert_eq!(place_of(&store, &near).await, None);
    // Many at once: existing keys among many unknown ones, and one key twice.
    let mut asked: Vec<KeyDigest> = (3..=255).map(key_digest).collect();
    asked.extend([near, key_digest(2), key_digest(1), key_digest(2)]);
    let found = reading(&store).await.api_key_places(&asked).await.unwrap();
    let expected = [
        (key_digest(1), (acme.development.place, mine.id)),
        (key_digest(2), (zeta.development.place, other.id)),
    ];
    assert_eq!(found, HashMap::from(expected));
    assert!(reading(&store).await.api_key_places(&[]).await.unwrap().is_empty());
}

pub async fn an_api_key_id_minted_twice_is_a_duplicate_id(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let key = world.maker.api_key(id, KeyAccess::Full);
    add(&store, &world, &[(&key, 1)]).await;
    let mut tx = writing_in(&store, id).await;
    assert_duplicate(tx.insert_api_key(&key, &key_digest(2)).await, Unique::Id);
    let next = world.maker.api_key(id, KeyAccess::Full);
    tx.insert_api_key(&next, &key_digest(3)).await.unwrap();
    world.commit(tx, &[id]).await;
    assert_eq!(
        place_of(&store, &key_digest(2)).await,
        None,
        "nothing of the refused call was stored"
    );
    assert_eq!(listed(&store, id).await.len(), 2);
}

pub async fn two_api_keys_with_one_digest_are_refused(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let key = world.maker.api_key(id, KeyAccess::Full);
    add(&store, &world, &[(&key, 1)]).await;
    let mut tx = writing_in(&store, id).await;
    let twin = world.maker.api_key(id, KeyAccess::Full);
    assert_bug(tx.insert_api_key(&twin, &key_digest(1)).await);
}

pub async fn an_api_key_of_no_environment_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let nowhere = world.maker.id::<EnvironmentId>();
    let mut tx = writing_in_any(&store, &world, nowhere).await;
    let key = world.maker.api_key(nowhere, KeyAccess::Full);
    assert_bug(tx.insert_api_key(&key, &key_digest(1)).await);
}

pub async fn an_api_key_takes_another_end_and_keeps_the_rest(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let (key, other) = (
        world.maker.api_key(id, key_scopes(&["note.read"])),
        world.maker.api_key(id, KeyAccess::Full),
    );
    add(&store, &world, &[(&key, 1), (&other, 2)]).await;
    let end = millis_after(world.maker.now(), 7);
    let mut tx = writing_in(&store, id).await;
    tx.expire_api_key(id, key.id, end).await.unwrap();
    world.commit(tx, &[id]).await;
    let expected = ApiKey {
        expires_at: Some(end),
        ..key.clone()
    };
    assert_eq!(listed(&store, id).await, [other, expected]);
    let mut tx = writing_in(&store, id).await;
    assert_bug(tx.expire_api_key(id, world.maker.id(), end).await);
    drop(tx);
    let mut tx = writing_in(&store, world.production.id()).await;
    assert_bug(tx.expire_api_key(world.production.id(), key.id, end).await);
}

pub async fn a_deleted_api_key_is_gone_with_its_digest(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let (key, other) = (
        world.maker.api_key(id, KeyAccess::Full),
        world.maker.api_key(id, KeyAccess::Full),
    );
    add(&store, &world, &[(&key, 1), (&other, 2)]).await;
    let mut tx = writing_in(&store, id).await;
    // Another environment's key is skipped like an unknown one.
    tx.delete_api_key(world.production.id(), key.id).await.unwrap();
    tx.delete_api_key(id, world.maker.id()).await.unwrap();
    assert!(tx.api_key(id, key.id).await.unwrap().is_some());
    assert_eq!(tx.api_key_places(&[key_digest(1)]).await.unwrap().len(), 1);
    tx.delete_api_key(id, key.id).await.unwrap();
    world.commit(tx, &[id]).await;
    assert_eq!(listed(&store, id).await, [other]);
    assert_eq!(place_of(&store, &key_digest(1)).await, None);
    assert!(place_of(&store, &key_digest(2)).await.is_some());
}

pub async fn a_snapshot_holds_the_api_keys_of_its_environment(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let id = acme.development.id();
    let keys = [
        acme.maker.api_key(id, KeyAccess::Full),
        ApiKey {
            expires_at: Some(acme.maker.now()),
            ..acme.maker.api_key(id, key_scopes(&["note.read", "role.read"]))
        },
    ];
    add(&store, &acme, &[(&keys[0], 1), (&keys[1], 2)]).await;
    let foreign = zeta.maker.api_key(zeta.development.id(), KeyAccess::Full);
    add(&store, &zeta, &[(&foreign, 3)]).await;
    let mut tx = reading(&store).await;
    let mut found = tx.snapshot(id).await.unwrap().unwrap().keys;
    found.sort_by_key(|key| key.id);
    assert_eq!(found, keys.each_ref().map(KeyFact::from));
    let production = tx.snapshot(acme.production.id()).await.unwrap().unwrap();
    assert_eq!(production.keys, []);
}

pub async fn the_use_of_an_api_key_is_noted_without_a_revision_and_never_moves_back(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let id = acme.development.id();
    let key = acme.maker.api_key(id, KeyAccess::Full);
    let foreign = zeta.maker.api_key(zeta.development.id(), KeyAccess::Full);
    add(&store, &acme, &[(&key, 1)]).await;
    add(&store, &zeta, &[(&foreign, 2)]).await;
    let before = reading(&store).await.revision(id).await.unwrap();
    let now = acme.maker.now();
    let use_of = |environment, id, after| KeyUse {
        environment,
        id,
        at: millis_after(now, after),
    };
    let uses = [
        use_of(id, key.id, 5),
        use_of(zeta.development.id(), foreign.id, 6),
        // Unknown keys are skipped, even if only the environment differs.
        use_of(id, acme.maker.id(), 7),
        use_of(acme.production.id(), key.id, 8),
    ];
    store.note_key_uses(&uses).await.unwrap();
    store.note_key_uses(&[]).await.unwrap();
    let noted = |world: &World, key: &ApiKey| {
        let (store, environment, key) = (store.clone(), world.development.id(), key.id);
        async move {
            reading(&store)
                .await
                .api_key(environment, key)
                .await
                .unwrap()
                .unwrap()
                .last_used_at
        }
    };
    assert_eq!(noted(&acme, &key).await, Some(millis_after(now, 5)));
    assert_eq!(noted(&zeta, &foreign).await, Some(millis_after(now, 6)));
    store.note_key_uses(&[use_of(id, key.id, 3)]).await.unwrap();
    assert_eq!(noted(&acme, &key).await, Some(millis_after(now, 5)));
    store.note_key_uses(&[use_of(id, key.id, 9)]).await.unwrap();
    assert_eq!(noted(&acme, &key).await, Some(millis_after(now, 9)));
    assert_eq!(reading(&store).await.revision(id).await.unwrap(), before);
}

pub async fn api_keys_of_one_environment_are_nothing_to_another(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let key = acme.maker.api_key(acme.development.id(), KeyAccess::Full);
    add(&store, &acme, &[(&key, 1)]).await;
    for other in [acme.production.id(), zeta.development.id(), acme.maker.id()] {
        let mut tx = reading(&store).await;
        assert_eq!(tx.api_keys(other).await.unwrap(), []);
        assert_eq!(tx.api_key(other, key.id).await.unwrap(), None);
    }
}
