#![expect(clippy::string_slice, reason = "keys are ASCII")]

use crate::calls;
use crate::several_processes::{Shared, second};
use crate::world::{World, by_key, key, name, refused};
use canopy_app::access::{Asker, evaluate};
use canopy_app::api_key::{MadeKey, NewKey};
use canopy_app::decisions::Consistency;
use canopy_app::role::NewRole;
use canopy_app::session::Basis;
use canopy_app::{App, AppError, Call, Caller};
use canopy_domain::access::{DenialReason, Question, Target};
use canopy_domain::api_key::{AccessMode, ApiKeyId, KeyAccess, KeyText, MAX_KEYS, MAX_OVERLAP_SECONDS};
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::port::{Clock as _, Store, StoreError};
use canopy_domain::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub fn scoped(keys: &[&str]) -> KeyAccess {
    KeyAccess::new(AccessMode::Scoped, keys.iter().map(|text| key(text))).unwrap()
}

pub fn new_key(access: KeyAccess) -> NewKey {
    NewKey {
        name: name("Backend"),
        description: None,
        access,
        expires_at: None,
    }
}

pub async fn make(world: &World, access: KeyAccess) -> MadeKey {
    calls::create_api_key(&world.app, &world.call, &world.place, &new_key(access))
        .await
        .unwrap()
}

pub fn text(made: &MadeKey) -> String {
    made.text.as_ref().unwrap().expose().to_owned()
}

pub async fn enter(app: &App, text: &str) -> Result<Caller, AppError> {
    let caller = by_key(app, text).await?;
    app.sessions().confirm(&caller, Basis::Key).await?;
    Ok(caller)
}

pub async fn call_by(world: &World, made: &MadeKey) -> Call {
    Call::new(enter(&world.app, &text(made)).await.unwrap(), "request-2".to_owned())
}

#[track_caller]
pub fn invalid<T: core::fmt::Debug>(result: Result<T, AppError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, AppError::InvalidApiKey), "{error:?}");
}

pub async fn check(
    app: &App,
    world: &World,
    caller: &Caller,
    permission: &str,
    consistency: Consistency,
) -> Result<Option<DenialReason>, AppError> {
    let question = Question {
        identity: IdentityId::new(uuid::Uuid::nil()),
        permission,
        target: Target::AppWide,
    };
    let asker = Asker {
        caller,
        environment: &world.asked,
    };
    evaluate::evaluate(app, asker, &question, None, consistency, |answer| {
        answer.decision.denial_reason()
    })
    .await
}

#[tokio::test]
async fn a_key_lets_in_whoever_has_its_text_and_nobody_else() {
    let world = World::new().await;
    let made = make(&world, KeyAccess::Full).await;
    let good = text(&made);
    assert_eq!(good.len(), 69);
    assert_eq!(made.key.preview.as_str(), format!("{}****", &good[..12]));
    let caller = enter(&world.app, &good).await.unwrap();
    let expected = Caller::ApiKey {
        place: world.place,
        id: made.key.id,
        access: Arc::new(KeyAccess::Full),
    };
    assert_eq!(caller, expected);
    let last = if good.ends_with('0') { "1" } else { "0" };
    for bad in [
        String::new(),
        good[..68].to_owned(),
        format!("{}{last}", &good[..68]),
        good.to_uppercase(),
        format!("{good} "),
        made.key.preview.as_str().to_owned(),
        made.key.id.to_string(),
    ] {
        invalid(enter(&world.app, &bad).await);
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_whether_or_not_the_environment_is_in_memory() {
    let world = World::new().await;
    for is_loaded in [false, true] {
        if is_loaded {
            world
                .denial(IdentityId::new(uuid::Uuid::nil()), "x.y", Target::AppWide)
                .await;
        }
        let made = make(&world, KeyAccess::Full).await;
        let other = make(&world, KeyAccess::Full).await;
        let caller = enter(&world.app, &text(&made)).await.unwrap();
        calls::revoke_api_key(&world.app, &world.call, &world.place, made.key.id)
            .await
            .unwrap();
        invalid(by_key(&world.app, &text(&made)).await);
        invalid(world.app.sessions().confirm(&caller, Basis::Key).await);
        // Who was let in before asks in vain.
        invalid(check(&world.app, &world, &caller, "note.read", Consistency::Strong).await);
        enter(&world.app, &text(&other)).await.unwrap();
        let again = calls::revoke_api_key(&world.app, &world.call, &world.place, made.key.id).await;
        assert!(matches!(refused(again), AppError::ApiKey(ApiKeyError::NotFound)));
    }
}

#[tokio::test]
async fn another_process_refuses_a_revoked_key_without_having_heard_of_it() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as Arc<dyn Store>).await;
    let other = second(&world);
    for _ in 0..3 {
        let made = make(&world, KeyAccess::Full).await;
        let caller = enter(&other, &text(&made)).await.unwrap();
        // From now on the other process has the key in memory, as good.
        check(&other, &world, &caller, "note.read", Consistency::Strong)
            .await
            .unwrap();
        enter(&other, &text(&made)).await.unwrap();
        calls::revoke_api_key(&world.app, &world.call, &world.place, made.key.id)
            .await
            .unwrap();
        invalid(other.sessions().confirm(&caller, Basis::Key).await);
        invalid(enter(&other, &text(&made)).await);
        invalid(check(&other, &world, &caller, "note.read", Consistency::Strong).await);
    }
    // The check alone finds out, too.
    let made = make(&world, KeyAccess::Full).await;
    let caller = enter(&other, &text(&made)).await.unwrap();
    check(&other, &world, &caller, "note.read", Consistency::Strong)
        .await
        .unwrap();
    calls::revoke_api_key(&world.app, &world.call, &world.place, made.key.id)
        .await
        .unwrap();
    let stale = by_key(&other, &text(&made)).await.unwrap();
    invalid(check(&other, &world, &stale, "note.read", Consistency::Strong).await);
}

#[tokio::test]
async fn without_the_store_a_key_is_not_confirmed() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as Arc<dyn Store>).await;
    let made = make(&world, KeyAccess::Full).await;
    let caller = enter(&world.app, &text(&made)).await.unwrap();
    check(&world.app, &world, &caller, "note.read", Consistency::Strong)
        .await
        .unwrap();
    shared.is_unreachable.store(true, Ordering::SeqCst);
    for result in [
        world.app.sessions().confirm(&caller, Basis::Key).await,
        check(&world.app, &world, &caller, "note.read", Consistency::Strong)
            .await
            .map(|_| ()),
    ] {
        assert!(
            matches!(result, Err(AppError::Store(StoreError::Unavailable(_)))),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_key_ends_at_its_time() {
    let world = World::new().await;
    let now = world.app.now();
    for end in [now, now.plus_seconds(-1)] {
        let new = NewKey {
            expires_at: Some(end),
            ..new_key(KeyAccess::Full)
        };
        let result = calls::create_api_key(&world.app, &world.call, &world.place, &new).await;
        assert!(matches!(refused(result), AppError::ApiKey(ApiKeyError::EndsInThePast)));
    }
    for is_loaded in [false, true] {
        if is_loaded {
            world
                .denial(IdentityId::new(uuid::Uuid::nil()), "x.y", Target::AppWide)
                .await;
        }
        let new = NewKey {
            expires_at: Some(world.app.now().plus_seconds(10)),
            ..new_key(KeyAccess::Full)
        };
        let made = calls::create_api_key(&world.app, &world.call, &world.place, &new)
            .await
            .unwrap();
        world.clock.advance_seconds(9);
        let caller = enter(&world.app, &text(&made)).await.unwrap();
        world.clock.advance_seconds(1);
        invalid(enter(&world.app, &text(&made)).await);
        invalid(check(&world.app, &world, &caller, "note.read", Consistency::Strong).await);
        let listed = canopy_app::api_key::list_api_keys(&world.app, &world.place)
            .await
            .unwrap();
        assert!(
            !listed
                .iter()
                .find(|one| one.id == made.key.id)
                .unwrap()
                .is_active(world.clock.now())
        );
        let rotated = calls::rotate_api_key(&world.app, &world.call, &world.place, made.key.id, 5).await;
        assert!(matches!(refused(rotated), AppError::ApiKey(ApiKeyError::Expired)));
    }
}

#[tokio::test]
async fn a_rotated_key_works_to_the_end_of_the_overlap_and_its_successor_from_the_start() {
    let world = World::new().await;
    for (overlap, is_loaded) in [
        (0, false),
        (60, false),
        (0, true),
        (60, true),
        (MAX_OVERLAP_SECONDS, true),
    ] {
        if is_loaded {
            world
                .denial(IdentityId::new(uuid::Uuid::nil()), "x.y", Target::AppWide)
                .await;
        }
        let old = make(&world, scoped(&["role.manage", "access.evaluate"])).await;
        let new = calls::rotate_api_key(&world.app, &world.call, &world.place, old.key.id, overlap)
            .await
            .unwrap();
        assert_ne!(text(&old), text(&new));
        assert_eq!((&new.key.access, &new.key.name), (&old.key.access, &old.key.name));
        assert_eq!((new.key.expires_at, new.key.last_used_at), (None, None));
        enter(&world.app, &text(&new)).await.unwrap();
        if overlap > 0 {
            world.clock.advance_seconds(i64::from(overlap) - 1);
            enter(&world.app, &text(&old)).await.unwrap();
            world.clock.advance_seconds(1);
        }
        invalid(enter(&world.app, &text(&old)).await);
        enter(&world.app, &text(&new)).await.unwrap();
    }
}

#[tokio::test]
async fn without_an_overlap_no_clock_keeps_the_old_key_alive() {
    let world = World::new().await;
    for is_loaded in [false, true] {
        let behind = second(&world);
        if is_loaded {
            world
                .denial(IdentityId::new(uuid::Uuid::nil()), "x.y", Target::AppWide)
                .await;
        }
        let old = make(&world, KeyAccess::Full).await;
        enter(&behind, &text(&old)).await.unwrap();
        let new = calls::rotate_api_key(&world.app, &world.call, &world.place, old.key.id, 0)
            .await
            .unwrap();
        world.clock.advance_seconds(-60);
        for app in [&world.app, &behind] {
            invalid(enter(app, &text(&old)).await);
            enter(app, &text(&new)).await.unwrap();
        }
        world.clock.advance_seconds(60);
        let listed = canopy_app::api_key::list_api_keys(&world.app, &world.place)
            .await
            .unwrap();
        assert!(listed.iter().all(|key| key.id != old.key.id), "it is gone");
    }
}

#[tokio::test]
async fn an_environment_has_so_many_keys_and_no_more() {
    let world = World::new().await;
    let first = make(&world, KeyAccess::Full).await;
    for _ in 1..MAX_KEYS {
        make(&world, KeyAccess::Full).await;
    }
    let before = world.history().await;
    let rotate = |overlap| calls::rotate_api_key(&world.app, &world.call, &world.place, first.key.id, overlap);
    let one_more = calls::create_api_key(&world.app, &world.call, &world.place, &new_key(KeyAccess::Full)).await;
    for refusal in [one_more, rotate(60).await] {
        assert!(matches!(refused(refusal), AppError::ApiKey(ApiKeyError::TooMany)));
    }
    assert_eq!(world.history().await, before);
    enter(&world.app, &text(&first)).await.unwrap();
    // One for one is no more than before, and who revokes one makes room.
    let next = rotate(0).await.unwrap();
    calls::revoke_api_key(&world.app, &world.call, &world.place, next.key.id)
        .await
        .unwrap();
    make(&world, KeyAccess::Full).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invented_keys_leave_the_store_to_others() {
    let store = Shared::new();
    let world = World::on(store.clone()).await;
    let made = make(&world, KeyAccess::Full).await;
    store.most_reading.store(0, Ordering::SeqCst);
    let mut strangers = tokio::task::JoinSet::new();
    for n in 0..200_u8 {
        let app = world.app.clone();
        strangers.spawn(async move {
            let invented = KeyText::new([n; 32]);
            by_key(&app, invented.expose()).await
        });
    }
    by_key(&world.app, &text(&made)).await.unwrap();
    for outcome in strangers.join_all().await {
        invalid(outcome);
    }
    let most = store.most_reading.load(Ordering::SeqCst);
    // Besides the one look-up, the one that is good is confirmed.
    assert!((1..=2).contains(&most), "{most}");
}

#[tokio::test]
async fn rotation_keeps_the_end_and_never_lengthens_a_life() {
    let world = World::new().await;
    let end = world.app.now().plus_seconds(30);
    let new = NewKey {
        expires_at: Some(end),
        ..new_key(KeyAccess::Full)
    };
    let first = calls::create_api_key(&world.app, &world.call, &world.place, &new)
        .await
        .unwrap();
    let next = calls::rotate_api_key(&world.app, &world.call, &world.place, first.key.id, 60)
        .await
        .unwrap();
    assert_eq!(next.key.expires_at, Some(end));
    // The one before is rotated once more, within its overlap: it ends with the overlap, and so does what comes of it.
    let again = calls::rotate_api_key(&world.app, &world.call, &world.place, first.key.id, 10)
        .await
        .unwrap();
    assert_eq!(again.key.expires_at, Some(end));
    let third = calls::rotate_api_key(&world.app, &world.call, &world.place, first.key.id, 60)
        .await
        .unwrap();
    assert_eq!(third.key.expires_at, Some(world.app.now().plus_seconds(10)));
    world.clock.advance_seconds(30);
    for made in [first, next, again, third] {
        invalid(enter(&world.app, &text(&made)).await);
    }
}

#[tokio::test]
async fn a_key_of_another_environment_is_on_no_ring_here() {
    let world = World::new().await;
    let elsewhere = make(&world.neighbour().await, KeyAccess::Full).await;
    let stranger = enter(&world.app, &text(&elsewhere)).await.unwrap();
    invalid(check(&world.app, &world, &stranger, "note.read", Consistency::Strong).await);
}

#[tokio::test]
async fn the_use_of_a_key_is_noted_now_and_then_and_without_a_revision() {
    let world = World::new().await;
    let made = make(&world, KeyAccess::Full).await;
    let idle = make(&world, KeyAccess::Full).await;
    let before = world.history().await;
    let seen = || async {
        let listed = canopy_app::api_key::list_api_keys(&world.app, &world.place)
            .await
            .unwrap();
        let at = |id: ApiKeyId| listed.iter().find(|one| one.id == id).unwrap().last_used_at;
        (at(made.key.id), at(idle.key.id))
    };
    for _ in 0..3 {
        world.clock.advance_seconds(1);
        enter(&world.app, &text(&made)).await.unwrap();
        assert_ne!(seen().await.0, Some(world.app.now()), "no write for a request");
    }
    let last = world.app.now();
    world.clock.advance_seconds(5);
    world.app.note_key_uses().await.unwrap();
    world.app.note_key_uses().await.unwrap();
    assert_eq!(seen().await, (Some(last), None));
    assert_eq!(world.history().await, before);
}

#[tokio::test]
async fn what_is_kept_of_a_key_has_no_character_of_its_secret() {
    let world = World::new().await;
    let made = make(&world, scoped(&["role.manage", "api_key.manage"])).await;
    let next = calls::rotate_api_key(&world.app, &world.call, &world.place, made.key.id, 60)
        .await
        .unwrap();
    let by_key = call_by(&world, &next).await;
    calls::create_role(
        &world.app,
        &by_key,
        &world.place,
        &NewRole {
            name: RoleName::parse("Clerk").unwrap(),
            description: None,
            permission_keys: vec![],
        },
    )
    .await
    .unwrap();
    calls::revoke_api_key(&world.app, &by_key, &world.place, made.key.id)
        .await
        .unwrap();
    let mut tx = world.store.read().await.unwrap();
    let events = tx
        .audit_events(world.place.account, &AuditQuery::newest(100))
        .await
        .unwrap();
    let actions: Vec<&str> = events.iter().take(4).map(|event| event.action.as_str()).collect();
    assert_eq!(
        actions,
        ["api_key.revoke", "role.create", "api_key.rotate", "api_key.create"]
    );
    assert_eq!(events[1].actor.id, next.key.id.to_string());
    assert_eq!(events[1].actor.kind, canopy_domain::audit::ActorType::ApiKey);
    let everything = format!(
        "{events:?} {:?} {:?} {:?}",
        tx.api_keys(world.place.environment).await.unwrap(),
        tx.changes_since(world.place.environment, Revision::ZERO, 100)
            .await
            .unwrap(),
        (&made, &next, &by_key),
    );
    for secret in [text(&made), text(&next)] {
        // Of the key the first twelve characters may be shown to people, in its preview.
        assert!(
            !everything.contains(&secret[..13]) && !everything.contains(&secret[12..]),
            "{everything}"
        );
    }
    for event in &events {
        assert!(!format!("{event:?}").contains("cnpy_"), "{event:?}");
    }
}
