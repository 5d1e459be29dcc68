//! Questions by keys and end users, and many at once.

use crate::world::{NOBODY, World};
use canopy_testkit::server::TestServer;
use serde_json::{Value, json};
use uuid::Uuid;

fn node_question(world: &World, identity: &str, permission: &str) -> Value {
    json!({"identity_id": identity, "permission": permission, "scope": "node", "node_id": world.root})
}

on_every_store! {
    async fn many_questions_are_answered_in_order_as_each_alone(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let people = world.members("p", 3).await;
        let items = json!({"assignments": [world.item(&people[0], &viewer), world.item(&people[0], &editor), world.item(&people[1], &viewer)]});
        world.post("assignments/bulk-create", &items).await.expect(200);
        let mut questions = Vec::new();
        for identity in people.iter().map(String::as_str).chain([NOBODY]) {
            // What is no key is one that the catalog does not have.
            for permission in ["note.read", "note.write", "no such \"key\"", "", &"a.".repeat(300)] {
                questions.push(node_question(&world, identity, permission));
                questions.push(json!({"identity_id": identity, "permission": permission, "scope": "app_wide"}));
            }
        }
        let key = world.key(&["access.evaluate"]).await;
        let many = json!({"evaluations": questions});
        let mut answers = Vec::new();
        for _ in 0..2 {
            let answer = key.post("/api/v1/permissions/evaluate/bulk", &many).await;
            assert!(answer.header("canopy-revision").unwrap().parse::<u64>().unwrap() > 1);
            answers.push(answer.expect(200)["results"].as_array().unwrap().clone());
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0].len(), questions.len());
        for (question, answer) in questions.iter().zip(&answers[0]) {
            let alone = world.post("permissions/evaluate", question).await.expect(200);
            assert_eq!(*answer, alone, "{question}");
        }
        for (question, answer) in questions.iter().zip(&answers[0]).filter(|(question, _)| question["identity_id"] == people[0].as_str()) {
            let known = question["permission"].as_str().unwrap().starts_with("note.");
            let reason = if known { Value::Null } else { json!("permission_not_found") };
            assert_eq!(answer["denial_reason"], reason, "{question}");
        }
        assert_eq!(answers[0][0]["granting_roles"], json!(["Editor", "Viewer"]));
        let past = json!({"evaluations": [questions[0]], "at": "2001-01-01T00:00:00Z", "consistency": "strong"});
        let answer = world.post("permissions/evaluate/bulk", &past).await.expect(200);
        assert_eq!(answer["results"][0]["denial_reason"], "assignment_scheduled");
    }

    async fn a_custom_scope_allows_checks_of_that_key_alone(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        world.post("assignments", &world.item(&ada, &viewer)).await.expect(201);
        let key = world.key(&["note.read"]).await;
        for is_first in [true, false] {
            let read = key.post("/api/v1/permissions/evaluate", &node_question(&world, &ada, "note.read")).await;
            assert_eq!(read.expect(200)["allowed"], true, "{is_first}");
            for other in ["note.write", "role.read", "no.such"] {
                let asked = key.post("/api/v1/permissions/evaluate", &node_question(&world, &ada, other)).await;
                asked.refused(403, "auth.scope_missing");
            }
            let question = |permission: &str| node_question(&world, &ada, permission);
            let mixed = json!({"evaluations": [question("note.read"), question("note.write")]});
            key.post("/api/v1/permissions/evaluate/bulk", &mixed).await.refused(403, "auth.scope_missing");
            let fine = json!({"evaluations": [question("note.read"), question("note.read")]});
            let answered = key.post("/api/v1/permissions/evaluate/bulk", &fine).await.expect(200);
            assert_eq!(answered["results"].as_array().unwrap().len(), 2);
        }
        // What it may not ask about one by one it may not list.
        key.get(&format!("/api/v1/identities/{ada}/permissions")).await.refused(403, "auth.scope_missing");
        key.get("/api/v1/roles").await.refused(403, "auth.scope_missing");
        let all = world.key(&["access.evaluate"]).await;
        let held = all.get(&format!("/api/v1/identities/{ada}/permissions?node_id={}", world.root)).await;
        assert!(held.header("canopy-revision").is_some());
        assert_eq!(held.expect(200), json!({"items": ["note.read"]}));
        for nothing in [format!("{ada}/permissions?node_id={NOBODY}"), format!("{NOBODY}/permissions")] {
            assert_eq!(all.get(&format!("/api/v1/identities/{nothing}")).await.expect(200), json!({"items": []}));
        }
        let wide = world.get(&format!("identities/{ada}/permissions")).await.expect(200);
        assert_eq!(wide, json!({"items": ["note.read"]}));
    }

    async fn an_end_user_asks_about_itself_alone(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let people = world.members("p", 2).await;
        world.post("assignments", &world.item(&people[0], &viewer)).await.expect(201);
        let development = world.environment("development").await;
        let id: Uuid = people[0].parse().unwrap();
        let me = server.identity_in(world.account, id, development);
        let found = me.get("/api/v1/me").await.expect(200);
        let same = world.admin.get(&format!("{}/identities/{id}", world.acc)).await.expect(200);
        assert_eq!((&found["id"], &found["email"]), (&same["id"], &same["email"]));
        let asked = json!({"permission": "note.read", "scope": "node", "node_id": world.root});
        let answer = me.post("/api/v1/me/evaluate", &asked).await;
        assert!(answer.header("canopy-revision").is_some());
        let expected = world.post("permissions/evaluate", &node_question(&world, &people[0], "note.read")).await.expect(200);
        assert_eq!(answer.expect(200), expected);
        assert_eq!(me.get("/api/v1/me/permissions").await.expect(200), json!({"items": ["note.read"]}));
        let here = me.get(&format!("/api/v1/me/permissions?node_id={}", world.root)).await;
        assert_eq!(here.expect(200), json!({"items": ["note.read"]}));
        let other = json!({"identity_id": people[1], "permission": "note.read", "scope": "app_wide"});
        let answer = me.post("/api/v1/me/evaluate", &other).await;
        answer.refused(400, "request.validation_failed");
        for path in ["/api/v1/roles", "/api/v1/identities", "/api/v1/api-keys"] {
            me.get(path).await.refused(403, "auth.wrong_principal_type");
        }
        me.post("/api/v1/permissions/evaluate", &other).await.refused(403, "auth.wrong_principal_type");
        let production = server.identity_in(world.account, id, world.environment("production").await);
        assert_eq!(production.get("/api/v1/me/permissions").await.expect(200), json!({"items": []}));
        server.identity(world.account, id).get("/api/v1/me").await.refused(401, "auth.invalid_token");
        server.operator().get("/api/v1/me").await.refused(403, "auth.wrong_principal_type");
        server.admin_in(world.account, development).get("/api/v1/me").await.refused(403, "auth.wrong_principal_type");
        world.admin.get("/api/v1/me").await.refused(403, "auth.wrong_principal_type");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_up_to_ten_thousand_questions() {
    let server = TestServer::on_memory();
    let world = World::new(&server, "acme").await;
    world.bootstrap().await;
    let question = node_question(&world, NOBODY, "note.read");
    let many = |number: usize| json!({"evaluations": vec![question.clone(); number]});
    let answer = world.post("permissions/evaluate/bulk", &many(10_000)).await.expect(200);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 10_000);
    assert!(
        results
            .iter()
            .all(|result| result["denial_reason"] == "identity_not_found")
    );
    for number in [0, 10_001] {
        world
            .post("permissions/evaluate/bulk", &many(number))
            .await
            .refused(400, "request.validation_failed");
    }
    // One instant for all: no item has its own.
    let mut own = question.clone();
    own["at"] = json!("2026-04-20T12:00:00Z");
    let mut misfit = question.clone();
    misfit["scope"] = json!("app_wide");
    let answer = world
        .post(
            "permissions/evaluate/bulk",
            &json!({"evaluations": [question, own, misfit]}),
        )
        .await;
    answer.refused(400, "request.validation_failed");
    let fields = answer.body["error"]["details"]["fields"].as_array().unwrap();
    let paths: Vec<&str> = fields.iter().map(|field| field["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/evaluations/1/at", "/evaluations/2/node_id"]);
}
