//! The first check after a write's answer sees the write, whatever else goes on.

use crate::calls;
use crate::calls::BulkMode;
use crate::world::World;
use canopy_app::App;
use canopy_app::access::evaluate;
use canopy_app::decisions::Consistency;
use canopy_domain::access::{Question, Target};
use canopy_domain::bulk::Outcome;
use canopy_storage_memory::MemoryStore;
use futures_util::FutureExt as _;
use std::sync::Arc;

/// Many writers of one environment each grant, check, revoke and check, while the index is loaded by the first question.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_check_is_ever_behind_the_write_before_it() {
    for _ in 0..10 {
        let world = Arc::new(World::new().await);
        let (viewer, _) = world.bootstrap().await;
        let names: Vec<String> = (0..8).map(|n| format!("p{n}")).collect();
        let people = world
            .members(&names.iter().map(String::as_str).collect::<Vec<_>>())
            .await;
        let tasks: Vec<_> = people
            .into_iter()
            .map(|person| {
                let world = Arc::clone(&world);
                tokio::spawn(async move {
                    for _ in 0..25 {
                        let items = [world.item(person, viewer)];
                        let (app, call, place) = (&world.app, &world.call, &world.place);
                        let outcomes = calls::create_assignments(app, call, place, &items, BulkMode::SINGLE)
                            .await
                            .unwrap();
                        let Outcome::Done(made) = &outcomes[0] else {
                            panic!("{outcomes:?}")
                        };
                        assert_eq!(world.denial(person, "note.read", Target::AppWide).await, None);
                        calls::remove_assignment(app, call, place, made.id).await.unwrap();
                        assert!(world.denial(person, "note.read", Target::AppWide).await.is_some());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_answer_carries_the_revision_it_was_judged_at_and_needs_no_io_once_loaded() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    let question = Question {
        identity: ada,
        permission: "note.read",
        target: Target::Node(world.root),
    };
    let at_once = || {
        let (app, asker) = (&world.app, world.asker());
        let answer = |answer: &evaluate::Evaluation<'_>| {
            let roles: Vec<String> = answer.granting_roles.iter().map(ToString::to_string).collect();
            (answer.decision.is_allowed(), roles, answer.revision)
        };
        let answering = evaluate::evaluate(app, asker, &question, None, Consistency::Strong, answer);
        answering.now_or_never().map(Result::unwrap)
    };
    assert_eq!(at_once(), None, "nothing is loaded yet");
    world.denial(ada, "note.read", Target::AppWide).await;
    assert_eq!(at_once(), Some((false, vec![], world.history().await.0)));
    world.assign(&[world.item(ada, viewer), world.item(ada, editor)]).await;
    let roles = vec!["Editor".to_owned(), "Viewer".to_owned()];
    assert_eq!(at_once(), Some((true, roles, world.history().await.0)));
}

/// A commit can be read a moment before the writer's own process hears that it took place: nobody who has read it gets an
/// older answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_is_not_behind_rows_that_can_be_read() {
    let store = MemoryStore::strict();
    let world = Arc::new(World::on(Arc::new(store.clone())).await);
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    let question = Question {
        identity: ada,
        permission: "note.read",
        target: Target::AppWide,
    };
    for is_loaded in [false, true] {
        for consistency in [Consistency::Strong, Consistency::Eventual] {
            let allowed = async |app: &App| {
                let answer = |answer: &evaluate::Evaluation<'_>| answer.decision.is_allowed();
                let answered = evaluate::evaluate(app, world.asker(), &question, None, consistency, answer);
                answered.await.unwrap()
            };
            if is_loaded {
                assert!(!allowed(&world.app).await);
            }
            let (before, _) = world.history().await;
            store.hold_answers(true);
            let writer = tokio::spawn({
                let world = Arc::clone(&world);
                async move { world.assign(&[world.item(ada, viewer)]).await }
            });
            while world.history().await.0 == before {
                tokio::task::yield_now().await;
            }
            assert!(allowed(&world.app).await, "{consistency:?}, loaded: {is_loaded}");
            store.hold_answers(false);
            let outcomes = writer.await.unwrap();
            let Outcome::Done(made) = &outcomes[0] else {
                panic!("{outcomes:?}")
            };
            calls::remove_assignment(&world.app, &world.call, &world.place, made.id)
                .await
                .unwrap();
        }
    }
}
