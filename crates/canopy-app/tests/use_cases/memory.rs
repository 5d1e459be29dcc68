//! Eviction of indexes from memory.

use crate::calls;
use crate::calls::BulkMode;
use crate::failure::Gated;
use crate::several_processes::{Shared, may_read, second};
use crate::world::World;
use canopy_app::AppError;
use canopy_app::decisions::Consistency;
use canopy_domain::{EnvironmentRef, IdentityId};
use canopy_storage_memory::MemoryStore;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The world, seen from another of its environments.
async fn elsewhere(world: &World, name: &str) -> World {
    let place = world.place.application_ref();
    let made = calls::create_environment(&world.app, &world.call, place, &crate::world::tenant(name))
        .await
        .unwrap();
    let place = EnvironmentRef {
        environment: made.id,
        ..world.place
    };
    World {
        app: world.app.clone(),
        store: Arc::clone(&world.store),
        clock: world.clock.clone(),
        call: world.call.clone(),
        place,
        asked: place.into(),
        ..*world
    }
}

#[tokio::test]
async fn what_nobody_asked_for_longest_makes_room() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as _).await;
    let (one, two, three) = (
        elsewhere(&world, "one").await,
        elsewhere(&world, "two").await,
        elsewhere(&world, "three").await,
    );
    let app = second(&world);
    let nobody = IdentityId::new(uuid::Uuid::nil());
    // Whether it had to be loaded.
    let ask = async |world: &World| {
        let before = shared.reads.load(Ordering::SeqCst);
        assert!(!may_read(&app, world, nobody, Consistency::Strong).await.unwrap());
        shared.reads.load(Ordering::SeqCst) > before
    };
    assert!(ask(&one).await && ask(&two).await);
    let both = app.decisions().census();
    assert_eq!(both.indexes, 2);
    app.decisions().bound_memory(both.bytes);
    assert!(!ask(&one).await && !ask(&two).await && !ask(&one).await);
    assert!(ask(&three).await);
    // All were asked since the last load but the new one is not the one to go.
    assert_eq!(app.decisions().census().indexes, 2);
    assert!(!ask(&three).await);
    let (first, second) = (ask(&one).await, ask(&two).await);
    assert!(first || second);
    app.decisions().bound_memory(1);
    app.decisions().evict_idle().await;
    assert_eq!(app.decisions().census().indexes, 0);
    assert!(ask(&one).await, "what is asked is loaded, whatever the bound");
    assert!(!ask(&one).await);
    assert_eq!(app.decisions().census().indexes, 1);
}

fn is_index_too_large<T>(result: &Result<T, AppError>, limit: usize) -> bool {
    matches!(result, Err(AppError::IndexTooLarge { bytes, max_bytes }) if *max_bytes == limit && *bytes > limit)
}

#[tokio::test]
async fn an_environment_larger_than_an_index_may_be_is_refused_before_it_is_read() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as _).await;
    let nobody = IdentityId::new(uuid::Uuid::nil());
    let app = second(&world);
    assert!(app.decisions().can_answer().is_ok());
    app.decisions().bound_index(1_000);
    let reads = shared.reads.load(Ordering::SeqCst);
    assert!(is_index_too_large(
        &may_read(&app, &world, nobody, Consistency::Strong).await,
        1_000
    ));
    let first = shared.reads.load(Ordering::SeqCst) - reads;
    // Whoever asks right after it is told the same, without another look into the store.
    assert!(is_index_too_large(
        &may_read(&app, &world, nobody, Consistency::Strong).await,
        1_000
    ));
    assert_eq!(shared.reads.load(Ordering::SeqCst) - reads, first);
    assert!(
        matches!(app.decisions().can_answer(), Err(AppError::IndexTooLarge { .. })),
        "nothing is answered"
    );
    assert_eq!(
        (app.decisions().census().indexes, app.decisions().census().failing),
        (0, 1)
    );
    // Another instance, with more memory for it, answers.
    let larger = second(&world);
    larger.decisions().bound_index(1_000_000);
    assert!(!may_read(&larger, &world, nobody, Consistency::Strong).await.unwrap());
    assert_eq!(
        (larger.decisions().census().indexes, larger.decisions().census().failing),
        (1, 0)
    );
}

/// One that answers speaks for the instance, whatever becomes of another.
#[tokio::test]
async fn one_environment_that_is_too_large_does_not_make_an_instance_unready() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let there = elsewhere(&world, "there").await;
    let names: Vec<String> = (0..200).map(|number| format!("p{number}")).collect();
    let people = world
        .members(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let items: Vec<_> = people.iter().map(|one| world.item(*one, viewer)).collect();
    crate::world::done(&world.assign(&items).await);
    let app = second(&world);
    let nobody = people[0];
    assert!(!may_read(&app, &there, nobody, Consistency::Strong).await.unwrap());
    let small = app.decisions().census().bytes;
    app.decisions().bound_index(small);
    assert!(is_index_too_large(
        &may_read(&app, &world, nobody, Consistency::Strong).await,
        small
    ));
    assert!(app.decisions().can_answer().is_ok());
    assert_eq!(app.decisions().census().failing, 1);
    assert!(!may_read(&app, &there, nobody, Consistency::Strong).await.unwrap());
}

#[tokio::test]
async fn a_write_that_would_make_an_index_too_large_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let names: Vec<String> = (0..300).map(|number| format!("p{number}")).collect();
    let people = world
        .members(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    assert!(
        !may_read(&world.app, &world, people[0], Consistency::Strong)
            .await
            .unwrap()
    );
    let decisions = world.app.decisions();
    decisions.bound_index(decisions.census().bytes + 10_000);
    let before = world.history().await;
    let assign = async |role, people: &[IdentityId]| {
        let items: Vec<_> = people.iter().map(|one| world.item(*one, role)).collect();
        calls::create_assignments(&world.app, &world.call, &world.place, &items, BulkMode::SINGLE).await
    };
    let refused = crate::world::refused(assign(viewer, &people).await);
    assert!(matches!(refused, AppError::IndexFull { .. }), "{refused}");
    assert_eq!(world.history().await, before);
    // The same in parts, until there is no room left; then what is taken away makes room again.
    let mut made = Vec::new();
    let mut is_full = false;
    for (role, some) in [viewer, editor]
        .into_iter()
        .flat_map(|role| people.chunks(20).map(move |some| (role, some)))
    {
        match assign(role, some).await {
            Ok(outcomes) => made.extend(crate::world::done(&outcomes)),
            Err(refused) => {
                assert!(matches!(refused, AppError::IndexFull { .. }), "{refused}");
                is_full = true;
                break;
            }
        }
    }
    assert!(is_full && !made.is_empty(), "{} of 600", made.len());
    let remove = async |id| calls::remove_assignment(&world.app, &world.call, &world.place, id).await;
    remove(made[0].id).await.unwrap();
    decisions.evict_idle().await;
    assert!(
        may_read(&world.app, &world, made[1].key.identity, Consistency::Strong)
            .await
            .unwrap()
    );
    decisions.bound_index(usize::MAX);
    crate::world::done(&assign(editor, &people[..1]).await.unwrap());
}

/// An index that is asked again and again stays, however many cold ones are asked once.
#[tokio::test]
async fn a_burst_of_cold_environments_puts_none_out_that_is_in_use() {
    let shared = Shared::new();
    let world = World::on(Arc::clone(&shared) as _).await;
    let app = second(&world);
    let nobody = IdentityId::new(uuid::Uuid::nil());
    let ask = async |world: &World| assert!(!may_read(&app, world, nobody, Consistency::Strong).await.unwrap());
    let cold = async |number: usize| elsewhere(&world, &format!("cold{number}")).await;
    let first = cold(0).await;
    ask(&world).await;
    ask(&first).await;
    // Asked again since it was loaded; from here on it is left alone.
    ask(&world).await;
    app.decisions().bound_memory(app.decisions().census().bytes);
    for number in 1..30 {
        ask(&cold(number).await).await;
        assert_eq!(app.decisions().census().indexes, 2);
    }
    let reads = shared.reads.load(Ordering::SeqCst);
    ask(&world).await;
    assert_eq!(shared.reads.load(Ordering::SeqCst), reads, "it was not loaded again");
}

#[tokio::test]
async fn a_copy_for_changes_is_kept_for_as_long_as_they_come() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    assert!(!may_read(&world.app, &world, ada, Consistency::Strong).await.unwrap());
    let decisions = world.app.decisions();
    let alone = decisions.census().bytes;
    assert!(alone > 0);
    crate::world::done(&world.assign(&[world.item(ada, viewer)]).await);
    decisions.evict_idle().await;
    assert!(decisions.census().bytes > 3 * alone / 2, "two of them");
    decisions.evict_idle().await;
    assert!(decisions.census().bytes < 3 * alone / 2, "one again");
    assert!(may_read(&world.app, &world, ada, Consistency::Strong).await.unwrap());
}

/// A burst of cold environments does not take the store from everybody else.
#[tokio::test]
async fn few_environments_are_loaded_at_once() {
    let real = MemoryStore::strict();
    let world = World::on(Arc::new(real.clone())).await;
    let gated = Gated::new(real);
    let app = gated.app(&world);
    let mut questions = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (app, there) = (app.clone(), elsewhere(&world, &format!("e{number}")).await);
        let nobody = IdentityId::new(uuid::Uuid::nil());
        questions.spawn(async move { may_read(&app, &there, nobody, Consistency::Strong).await });
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gated.opened.load(Ordering::SeqCst), 2);
    gated.gate.add_permits(20);
    while let Some(allowed) = questions.join_next().await {
        assert!(!allowed.unwrap().unwrap());
    }
    assert_eq!(app.decisions().census().indexes, 20);
}
