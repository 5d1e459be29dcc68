//! Which indexes are kept in memory.

use crate::failure::Gated;
use crate::several_processes::{Shared, may_read, second};
use crate::world::World;
use canopy_app::decisions::Consistency;
use canopy_app::tenancy;
use canopy_domain::{EnvironmentPlace, IdentityId};
use canopy_storage_memory::MemoryStore;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The world, seen from another of its environments.
async fn elsewhere(world: &World, name: &str) -> World {
    let place = world.place.application_place();
    let made = tenancy::create_environment::run(&world.app, &world.call, place, &crate::world::tenant(name), None)
        .await
        .unwrap();
    let place = EnvironmentPlace {
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
    app.decisions().tidy().await;
    assert_eq!(app.decisions().census().indexes, 0);
    assert!(ask(&one).await, "what is asked is loaded, whatever the bound");
    assert!(!ask(&one).await);
    assert_eq!(app.decisions().census().indexes, 1);
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
    decisions.tidy().await;
    assert!(decisions.census().bytes > 3 * alone / 2, "two of them");
    decisions.tidy().await;
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
