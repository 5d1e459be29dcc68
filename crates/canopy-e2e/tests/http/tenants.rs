//! Nothing tells foreign tenants apart from absent ones.

use crate::world::{NOBODY, World};
use canopy_testkit::server::Answer;
use serde_json::{Value, json};

/// The body of a refusal without what may differ: the time, the request's id and the path that was asked for.
fn masked(answer: &Answer) -> (u16, Value) {
    let mut body = answer.body.clone();
    for field in ["timestamp", "request_id", "path"] {
        body["error"][field] = Value::Null;
    }
    (answer.status, body)
}

on_every_store! {
    async fn a_foreign_account_looks_like_one_that_does_not_exist(server) {
        let world = World::new(&server, "acme").await;
        let rival = World::new(&server, "rival").await;
        for tail in ["", "/applications", "/applications/default", "/applications/default/environments",
                     "/applications/default/environments/development",
                     "/applications/default/environments/development/roles", "/identities", "/setup-summaries"] {
            let foreign = world.admin.get(&format!("{}{tail}", rival.acc)).await;
            let absent = world.admin.get(&format!("/portal/v1/accounts/nowhere{tail}")).await;
            foreign.refused(404, "accounts.account_not_found");
            assert_eq!(masked(&foreign), masked(&absent), "{tail}");
        }
        let body = json!({"name": "X"});
        let foreign = world.admin.post(&format!("{}/applications", rival.acc), &body).await;
        assert_eq!(masked(&foreign), masked(&world.admin.post("/portal/v1/accounts/nowhere/applications", &body).await));
    }

    async fn a_foreign_id_looks_like_one_that_names_nothing(server) {
        let world = World::new(&server, "acme").await;
        let rival = World::new(&server, "rival").await;
        let (viewer, _) = world.bootstrap().await;
        let (their_role, _) = rival.bootstrap().await;
        let (mine, theirs) = (world.members("me", 1).await.remove(0), rival.members("spy", 1).await.remove(0));
        let their_assignment = rival.post("assignments", &rival.item(&theirs, &their_role)).await.expect(201);
        let their_assignment = their_assignment["id"].as_str().unwrap();
        let their_permission = rival.get("permissions").await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
        let my_assignment = world.post("assignments", &world.item(&mine, &viewer)).await.expect(201);
        let my_assignment = my_assignment["id"].as_str().unwrap();
        for (tail, id) in [("assignments", their_assignment), ("roles", &their_role), ("nodes", &rival.root),
                           ("permissions", &their_permission)] {
            let (foreign, absent) = (world.get(&format!("{tail}/{id}")).await, world.get(&format!("{tail}/{NOBODY}")).await);
            assert_eq!(foreign.status, 404);
            assert_eq!(masked(&foreign), masked(&absent), "{tail}");
        }
        let ask = |identity: &str, node: &str| json!({"identity_id": identity, "permission": "note.read", "scope": "node", "node_id": node});
        let pairs = [
            ("assignments", world.item(&theirs, &viewer), world.item(NOBODY, &viewer)),
            ("assignments", world.item(&mine, &their_role), world.item(&mine, NOBODY)),
            ("assignments/bulk-change-role", json!({"assignment_ids": [my_assignment], "role_id": their_role}),
             json!({"assignment_ids": [my_assignment], "role_id": NOBODY})),
            ("permissions/evaluate", ask(&theirs, &world.root), ask(NOBODY, &world.root)),
            ("permissions/evaluate", ask(&mine, &rival.root), ask(&mine, NOBODY)),
        ];
        for (tail, foreign, absent) in pairs {
            let (foreign, absent) = (world.post(tail, &foreign).await, world.post(tail, &absent).await);
            let text = |answer: &Answer| serde_json::to_string(&masked(answer).1).unwrap();
            let known = |text: String| text.replace(&rival.root, NOBODY);
            assert_eq!((foreign.status, known(text(&foreign))), (absent.status, text(&absent)), "{tail}");
        }
        assert!(rival.may(&theirs, "note.read").await, "the neighbour is as before");
    }
}
