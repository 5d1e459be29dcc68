use crate::api_key::{call_by, check, enter, invalid, make, new_key, scoped, text};
use crate::calls;
use crate::world::{World, key, refused};
use canopy_app::AppError;
use canopy_app::access::{Asker, OwnedQuestion, effective, evaluate, evaluate_many};
use canopy_app::decisions::Consistency;
use canopy_app::session::Requires;
use canopy_domain::access::{DenialReason, Target};
use canopy_domain::api_key::KeyAccess;
use canopy_domain::*;

#[tokio::test]
async fn a_key_makes_and_rotates_only_keys_that_can_do_no_more() {
    let world = World::new().await;
    world.bootstrap().await;
    let manager = make(&world, scoped(&["api_key.manage", "role.manage", "note.read"])).await;
    let by_key = call_by(&world, &manager).await;
    let attempt = |access: KeyAccess| {
        let (app, call, place) = (&world.app, &by_key, &world.place);
        async move { calls::create_api_key(app, call, place, &new_key(access)).await }
    };
    let before = world.history().await;
    for access in [
        KeyAccess::Full,
        scoped(&["permission.read"]),
        scoped(&["role.read", "access.evaluate"]),
        scoped(&["note.read", "note.write"]),
        // Not even whether a scope exists is told.
        scoped(&["no.such"]),
    ] {
        assert!(matches!(
            refused(attempt(access).await),
            AppError::ApiKey(ApiKeyError::Escalation)
        ));
    }
    let full = make(&world, KeyAccess::Full).await;
    let writer = make(&world, scoped(&["note.write"])).await;
    for strong in [&full, &writer] {
        let rotated = calls::rotate_api_key(&world.app, &by_key, &world.place, strong.key.id, 0).await;
        assert!(matches!(refused(rotated), AppError::ApiKey(ApiKeyError::Escalation)));
        enter(&world.app, &text(strong)).await.unwrap();
    }
    assert_eq!(
        world.history().await.1,
        before.1 + 2,
        "nothing but the two keys was made"
    );
    for access in [
        scoped(&["role.read", "role.manage"]),
        scoped(&["note.read"]),
        scoped(&["api_key.manage"]),
    ] {
        attempt(access).await.unwrap();
    }
    let own = calls::rotate_api_key(&world.app, &by_key, &world.place, manager.key.id, 0)
        .await
        .unwrap();
    assert_eq!(own.key.access, manager.key.access);
    invalid(enter(&world.app, &text(&manager)).await);
}

#[tokio::test]
async fn scopes_must_be_in_the_catalog() {
    let world = World::new().await;
    world.bootstrap().await;
    let asked = scoped(&["note.read", "note.print", "role.read", "audit.manage"]);
    let result = calls::create_api_key(&world.app, &world.call, &world.place, &new_key(asked)).await;
    let AppError::ApiKey(ApiKeyError::UnknownScopes { keys }) = refused(result) else {
        panic!("not refused for its scopes")
    };
    assert_eq!(keys, [key("audit.manage"), key("note.print")]);
}

#[tokio::test]
async fn a_scoped_key_checks_what_its_scopes_allow_one_by_one_and_in_bulk() {
    let world = World::new().await;
    world.bootstrap().await;
    let made = make(&world, scoped(&["note.read"])).await;
    let caller = enter(&world.app, &text(&made)).await.unwrap();
    for _ in 0..2 {
        let denied = check(&world.app, &world, &caller, "note.read", Consistency::Strong)
            .await
            .unwrap();
        assert_eq!(denied, Some(DenialReason::IdentityNotFound));
        for other in ["note.write", "no.such", "Note.read", "role.read"] {
            let result = check(&world.app, &world, &caller, other, Consistency::Strong).await;
            assert!(matches!(result, Err(AppError::ScopeMissing)), "{other}");
        }
    }
    let asker = Asker {
        caller: &caller,
        environment: &world.asked,
    };
    let question = |permission: &str| OwnedQuestion {
        identity: IdentityId::new(uuid::Uuid::nil()),
        permission: permission.to_owned(),
        target: Target::AppWide,
    };
    let many = vec![question("note.read"), question("note.write"), question("note.read")];
    let count = |judging: evaluate_many::Judging<'_>| Ok(Ok(judging.len()));
    let bounds = (None, usize::MAX);
    let strong = Consistency::Strong;
    let result = evaluate_many::evaluate_many(&world.app, asker, many, bounds, strong, count).await;
    assert!(matches!(result, Err(AppError::ScopeMissing)));
    let few = vec![question("note.read"), question("note.read")];
    let result = evaluate_many::evaluate_many(&world.app, asker, few, bounds, strong, count).await;
    assert_eq!(result.unwrap(), 2);
    assert!(matches!(
        Requires::Area(canopy_domain::api_key::AreaScope::Evaluate).check(&caller),
        Err(AppError::ScopeMissing)
    ));
    Requires::Checks.check(&caller).unwrap();
}

#[tokio::test]
async fn many_questions_get_the_answers_that_each_would_get() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let people = world.members(&["ada", "bob", "eve"]).await;
    world
        .assign(&[
            world.item(people[0], viewer),
            world.item(people[0], editor),
            world.item(people[1], viewer),
        ])
        .await;
    let mut questions = Vec::new();
    for identity in people.iter().copied().chain([IdentityId::new(uuid::Uuid::nil())]) {
        for permission in ["note.read", "note.write", "no.such"] {
            for target in [
                Target::AppWide,
                Target::Node(world.root),
                Target::Node(NodeId::new(uuid::Uuid::nil())),
            ] {
                questions.push(OwnedQuestion {
                    identity,
                    permission: permission.to_owned(),
                    target,
                });
            }
        }
    }
    let strong = Consistency::Strong;
    let answers = |judging: evaluate_many::Judging<'_>| {
        let mut answers = Vec::new();
        let told = judging.each(|question, decision, roles| {
            let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
            answers.push((question.permission.to_owned(), decision, roles));
            Ok(())
        });
        told.map(|told| told.map(|()| answers))
    };
    let bounds = (None, usize::MAX);
    let asked =
        evaluate_many::evaluate_many(&world.app, world.asker(), questions.clone(), bounds, strong, answers).await;
    let few = asked.unwrap();
    assert_eq!(few.len(), questions.len());
    // So many that they are judged on a thread for long work.
    let times = 100;
    let repeated = questions
        .iter()
        .cycle()
        .take(questions.len() * times)
        .cloned()
        .collect();
    let asked = evaluate_many::evaluate_many(&world.app, world.asker(), repeated, bounds, strong, answers).await;
    let many = asked.unwrap();
    assert_eq!(many.len(), questions.len() * times);
    assert!(many.chunks(few.len()).all(|some| some == few));
    for (question, answer) in questions.iter().zip(few) {
        let asked = question.as_question();
        let one = evaluate::evaluate(&world.app, world.asker(), &asked, None, strong, |answer| {
            let roles: Vec<String> = answer.granting_roles.iter().map(ToString::to_string).collect();
            (question.permission.clone(), answer.decision, roles)
        });
        assert_eq!(one.await.unwrap(), answer, "{question:?}");
    }
    let held = effective::get_effective_access(&world.app, world.asker(), people[0], Some(world.root))
        .await
        .unwrap();
    assert_eq!(held.keys, [key("note.read"), key("note.write")]);
    assert_eq!(
        effective::get_effective_access(&world.app, world.asker(), people[1], None)
            .await
            .unwrap()
            .keys,
        [key("note.read")]
    );
    assert_eq!(
        effective::get_effective_access(&world.app, world.asker(), people[2], None)
            .await
            .unwrap()
            .keys,
        []
    );
}
