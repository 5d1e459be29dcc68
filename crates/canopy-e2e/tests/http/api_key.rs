//! API keys: whom they let in, how far, and until when.

#![expect(clippy::string_slice, reason = "keys are ASCII")]

use crate::world::{NOBODY, World, key_body};
use canopy_testkit::server::{Answer, Api, TestServer};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The body of a refusal without what may differ.
fn masked(answer: &Answer) -> (u16, Value) {
    let mut body = answer.body.clone();
    for field in ["timestamp", "request_id"] {
        body["error"][field] = Value::Null;
    }
    (answer.status, body)
}

fn revoke(world: &World, made: &Value) -> impl Future<Output = Answer> {
    let (admin, path) = (
        world.admin.clone(),
        format!("{}/api-keys/{}", world.env, made["id"].as_str().unwrap()),
    );
    async move { admin.delete(&path).await }
}

fn question(permission: &str) -> Value {
    json!({"identity_id": NOBODY, "permission": permission, "scope": "app_wide"})
}

on_every_store! {
    async fn a_key_is_told_once_and_described_ever_after(server) {
        let world = World::new(&server, "acme").await;
        let new = json!({"name": " Billing ", "description": "nightly", "access_mode": "scoped",
            "scopes": ["role.read", "access.evaluate", "role.read"], "expires_at": "2999-01-01T00:00:00+01:00"});
        let answer = world.post("api-keys", &new).await;
        let location = answer.header("location").unwrap().to_owned();
        let mut made = answer.expect(201);
        assert_eq!(location, format!("{}/api-keys/{}", world.env, made["id"].as_str().unwrap()));
        let key = made.as_object_mut().unwrap().remove("key").unwrap();
        let key = key.as_str().unwrap();
        assert_eq!((key.len(), &key[..5]), (69, "cnpy_"));
        let expected = json!({"id": made["id"], "name": "Billing", "description": "nightly",
            "key_preview": format!("{}****", &key[..12]), "access_mode": "scoped",
            "scopes": ["access.evaluate", "role.read"], "is_active": true, "last_used_at": null,
            "expires_at": "2998-12-31T23:00:00.000Z", "created_at": made["created_at"]});
        assert_eq!(made, expected);
        let full = world.post("api-keys", &key_body(&[])).await.expect(201);
        assert_eq!((&full["access_mode"], &full["scopes"]), (&json!("full_access"), &json!([])));
        let listed = world.get("api-keys").await.expect(200);
        assert_eq!(listed["items"][1], made);
        assert!(!listed.to_string().contains(&key[12..]));
    }

    async fn whatever_is_wrong_with_a_key_is_answered_alike(server) {
        let world = World::new(&server, "acme").await;
        let (revoked, made) = world.made_key(&[]).await;
        revoked.get("/api/v1/roles").await.expect(200);
        revoke(&world, &made).await.expect(204);
        revoke(&world, &made).await.refused(404, "api_keys.api_key_not_found");
        let (rotated, made) = world.made_key(&[]).await;
        world.post(&format!("api-keys/{}/rotate", made["id"].as_str().unwrap()), &json!({})).await.expect(200);
        let unknown = format!("cnpy_{}", "ab".repeat(32));
        let mut refusals = Vec::new();
        for client in [revoked, rotated, world.admin.with_api_key(&unknown), world.admin.with_api_key("cnpy_short"),
                       world.admin.with_api_key(""), world.admin.with_api_key(unknown.to_uppercase())] {
            // Nothing of a body is looked at, and neither is the area of the call.
            for (method, path) in [(Method::GET, "roles"), (Method::POST, "roles"), (Method::POST, "permissions/evaluate"),
                                   (Method::DELETE, "api-keys/x"), (Method::GET, "me")] {
                let mut answer = Api::send(client.request(method, &format!("/api/v1/{path}"))).await;
                answer.refused(401, "auth.invalid_api_key");
                assert!(answer.header("www-authenticate").is_some());
                for varying in ["path", "method"] {
                    answer.body["error"][varying] = Value::Null;
                }
                refusals.push(masked(&answer));
            }
        }
        refusals.dedup();
        assert_eq!(refusals.len(), 1, "{refusals:?}");
    }

    async fn a_key_works_on_the_public_surface_alone(server) {
        let world = World::new(&server, "acme").await;
        let key = world.key(&[]).await;
        key.get("/api/v1/roles").await.expect(200);
        for path in [format!("{}/roles", world.env), world.acc.clone(), "/portal/v1/accounts".to_owned()] {
            key.get(&path).await.refused(401, "auth.invalid_token");
        }
        key.get("/api/v1/me").await.refused(403, "auth.wrong_principal_type");
        let both = world.admin.request(Method::GET, "/api/v1/roles").header("X-API-Key", "cnpy_x");
        Api::send(both).await.refused(400, "auth.two_credentials");
        // As a bearer token it is none.
        let text = world.post("api-keys", &key_body(&[])).await.expect(201)["key"].as_str().unwrap().to_owned();
        world.admin.with_token(text).get("/api/v1/roles").await.refused(401, "auth.invalid_token");
    }

    async fn a_revoked_key_opens_nothing_from_the_answer_on(server) {
        let world = World::new(&server, "acme").await;
        world.bootstrap().await;
        for is_loaded in [false, true] {
            if is_loaded {
                world.post("permissions/evaluate", &question("note.read")).await.expect(200);
            }
            for _ in 0..3 {
                let (key, made) = world.made_key(&[]).await;
                key.get("/api/v1/roles").await.expect(200);
                if is_loaded {
                    key.post("/api/v1/permissions/evaluate", &question("note.read")).await.expect(200);
                }
                // Any key that may manage keys may revoke it, as may itself.
                let path = format!("/api/v1/api-keys/{}", made["id"].as_str().unwrap());
                key.delete(&path).await.expect(204);
                key.get("/api/v1/roles").await.refused(401, "auth.invalid_api_key");
                key.post("/api/v1/roles", &json!({"name": "Late"})).await.refused(401, "auth.invalid_api_key");
                let asked = key.post("/api/v1/permissions/evaluate", &question("note.read")).await;
                asked.refused(401, "auth.invalid_api_key");
                let eventually = json!({"identity_id": NOBODY, "permission": "note.read", "scope": "app_wide", "consistency": "eventual"});
                key.post("/api/v1/permissions/evaluate", &eventually).await.refused(401, "auth.invalid_api_key");
            }
        }
        let roles = world.get("roles?type=custom").await.expect(200);
        assert_eq!(roles["items"].as_array().unwrap().len(), 2);
    }

    async fn no_key_of_one_environment_reads_or_changes_another(server) {
        let world = World::new(&server, "acme").await;
        let rival = World::new(&server, "rival").await;
        let (viewer, _) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        let assignment = world.post("assignments", &world.item(&ada, &viewer)).await.expect(201);
        let assignment = assignment["id"].as_str().unwrap();
        let (own, made) = world.made_key(&[]).await;
        let own_id = made["id"].as_str().unwrap();
        let production = format!("{}/environments/production", world.app);
        let beside = world.admin.post(&format!("{production}/api-keys"), &key_body(&[])).await.expect(201);
        let beside = world.admin.with_api_key(beside["key"].as_str().unwrap());
        let before = json!([world.get("roles").await.expect(200), world.get("assignments/app-wide").await.expect(200),
            world.get("permissions").await.expect(200)]);
        for stranger in [beside, rival.key(&[]).await] {
            for (method, tail, body) in [
                (Method::GET, format!("roles/{viewer}"), Value::Null),
                (Method::GET, format!("roles/{viewer}/permissions"), Value::Null),
                (Method::PUT, format!("roles/{viewer}/permissions"), json!({"permission_keys": []})),
                (Method::GET, format!("assignments/{assignment}"), Value::Null),
                (Method::PATCH, format!("assignments/{assignment}"), json!({"role_id": viewer})),
                (Method::DELETE, format!("assignments/{assignment}"), Value::Null),
                (Method::GET, format!("nodes/{}", world.root), Value::Null),
                (Method::DELETE, format!("api-keys/{own_id}"), Value::Null),
                (Method::POST, format!("api-keys/{own_id}/rotate"), json!({})),
            ] {
                let mut answers = Vec::new();
                for id in [&*viewer, assignment, &world.root, own_id, NOBODY] {
                    let tail = tail.replace(&viewer, "ID").replace(assignment, "ID").replace(&world.root, "ID").replace(own_id, "ID");
                    let path = format!("/api/v1/{}", tail.replace("ID", id));
                    let request = stranger.request(method.clone(), &path);
                    let request = if body.is_null() { request } else { request.json(&body) };
                    let mut answer = Api::send(request).await;
                    answer.body["error"]["path"] = Value::Null;
                    answers.push(masked(&answer));
                }
                answers.dedup();
                assert_eq!((answers.len(), answers[0].0), (1, 404), "{method} {tail}: {answers:?}");
            }
            assert_eq!(stranger.get("/api/v1/assignments/app-wide").await.expect(200)["pagination"]["item_count"], 0);
            let asked = json!({"identity_id": ada, "permission": "note.read", "scope": "node", "node_id": world.root});
            let answer = stranger.post("/api/v1/permissions/evaluate", &asked).await.expect(200);
            assert_eq!(answer["allowed"], false);
        }
        let after = json!([world.get("roles").await.expect(200), world.get("assignments/app-wide").await.expect(200),
            world.get("permissions").await.expect(200)]);
        assert_eq!(before, after);
        own.get(&format!("/api/v1/roles/{viewer}")).await.expect(200);
    }

    async fn a_key_hands_out_no_more_than_it_has(server) {
        let world = World::new(&server, "acme").await;
        world.bootstrap().await;
        let (manager, own) = world.made_key(&["api_key.manage", "role.manage", "note.read"]).await;
        let (_, strong) = world.made_key(&["note.write"]).await;
        for scopes in [&[][..], &["role.manage", "audit.read"], &["access.evaluate"], &["note.write"], &["no.such"]] {
            manager.post("/api/v1/api-keys", &key_body(scopes)).await.refused(403, "auth.escalation");
        }
        let rotate = |made: &Value| format!("/api/v1/api-keys/{}/rotate", made["id"].as_str().unwrap());
        manager.post(&rotate(&strong), &json!({})).await.refused(403, "auth.escalation");
        let weaker = manager.post("/api/v1/api-keys", &key_body(&["role.read", "note.read"])).await.expect(201);
        let weak = world.admin.with_api_key(weaker["key"].as_str().unwrap());
        weak.get("/api/v1/roles").await.expect(200);
        weak.post("/api/v1/roles", &json!({"name": "X"})).await.refused(403, "auth.scope_missing");
        weak.post("/api/v1/api-keys", &key_body(&["role.read"])).await.refused(403, "auth.scope_missing");
        // It may replace itself; the old text works for the overlap, and then no more.
        let next = manager.post(&rotate(&own), &json!({"overlap_seconds": 86_400})).await.expect(200);
        assert_eq!(next["scopes"], own["scopes"]);
        assert_ne!(next["id"], own["id"]);
        manager.get("/api/v1/roles").await.expect(200);
        let last = manager.post(&rotate(&own), &json!({})).await.expect(200);
        manager.get("/api/v1/roles").await.refused(401, "auth.invalid_api_key");
        for made in [next, last] {
            world.admin.with_api_key(made["key"].as_str().unwrap()).get("/api/v1/roles").await.expect(200);
        }
        manager.post(&rotate(&strong), &json!({"overlap_seconds": 86_401})).await.refused(401, "auth.invalid_api_key");
        world.post(&rotate(&strong)["/api/v1/".len()..], &json!({"overlap_seconds": 86_401})).await.refused(400, "request.validation_failed");
    }

    async fn a_key_makes_none_that_outlives_it(server) {
        let world = World::new(&server, "acme").await;
        world.bootstrap().await;
        let until = |scopes: &[&str], end: Value| {
            let mut body = key_body(scopes);
            body["expires_at"] = end;
            body
        };
        let end = "2998-06-01T00:00:00.000Z";
        let own = world.post("api-keys", &until(&["api_key.manage"], json!(end))).await.expect(201);
        let manager = world.admin.with_api_key(own["key"].as_str().unwrap());
        let keys = "/api/v1/api-keys";
        for late in [Value::Null, json!("2998-06-01T00:00:00.001Z"), json!("2999-01-01T00:00:00Z")] {
            manager.post(keys, &until(&["api_key.manage"], late)).await.refused(403, "auth.escalation");
        }
        manager.post(keys, &key_body(&["api_key.manage"])).await.refused(403, "auth.escalation");
        for early in [end, "2998-05-31T23:59:59.999Z"] {
            let made = manager.post(keys, &until(&["api_key.manage"], json!(early))).await.expect(201);
            assert_eq!(made["expires_at"], early);
        }
        let endless = world.post("api-keys", &key_body(&["api_key.manage"])).await.expect(201);
        let later = world.post("api-keys", &until(&["api_key.manage"], json!("2999-01-01T00:00:00Z"))).await.expect(201);
        let rotate = |made: &Value| format!("{keys}/{}/rotate", made["id"].as_str().unwrap());
        for outliving in [&endless, &later] {
            manager.post(&rotate(outliving), &json!({})).await.refused(403, "auth.escalation");
        }
        let next = manager.post(&rotate(&own), &json!({"overlap_seconds": 60})).await.expect(200);
        assert_eq!(next["expires_at"], end);
        let free = world.admin.with_api_key(endless["key"].as_str().unwrap());
        free.post(keys, &key_body(&["api_key.manage"])).await.expect(201);
    }

    async fn the_last_use_of_a_key_shows_once_it_was_noted(server) {
        let world = World::new(&server, "acme").await;
        let (key, made) = world.made_key(&["role.read"]).await;
        key.get("/api/v1/roles").await.expect(200);
        server.app().note_key_uses().await.unwrap();
        let listed = world.get("api-keys").await.expect(200);
        let (used, made_at) = (listed["items"][0]["last_used_at"].as_str().unwrap(), made["created_at"].as_str().unwrap());
        assert!(used >= made_at, "{used} {made_at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_make_no_sense_are_not_made() {
    let server = TestServer::on_memory();
    let world = World::new(&server, "acme").await;
    for (body, path, code) in [
        (
            json!({"name": "x", "access_mode": "full_access", "scopes": ["role.read"]}),
            "/scopes",
            "not_allowed",
        ),
        (
            json!({"name": "x", "access_mode": "scoped", "scopes": []}),
            "/scopes",
            "required",
        ),
        (json!({"name": "x", "access_mode": "scoped"}), "/scopes", "required"),
        (
            json!({"name": "x", "access_mode": "scoped", "scopes": ["role"]}),
            "/scopes/0",
            "invalid_permission_key",
        ),
        (json!({"name": "x", "access_mode": "all"}), "/access_mode", "not_one_of"),
        (
            json!({"name": "x", "access_mode": "full_access", "expires_at": "2020-01-01T00:00:00Z"}),
            "/expires_at",
            "out_of_range",
        ),
        (json!({"access_mode": "full_access"}), "/name", "required"),
        (
            json!({"name": "x", "access_mode": "full_access", "key": "cnpy_x"}),
            "/key",
            "unknown_field",
        ),
    ] {
        let answer = world.post("api-keys", &body).await;
        answer.refused(400, "request.validation_failed");
        let fault = &answer.body["error"]["details"]["fields"][0];
        assert_eq!((&fault["path"], &fault["code"]), (&json!(path), &json!(code)), "{body}");
    }
    let unknown = world.post("api-keys", &key_body(&["note.print", "role.read"])).await;
    unknown.refused(400, "rbac.unknown_permission_keys");
    assert_eq!(
        unknown.body["error"]["details"]["permission_keys"],
        json!(["note.print"])
    );
    assert_eq!(world.get("api-keys").await.expect(200)["items"], json!([]));
}

/// Path, method and scope of every call that takes keys.
fn calls() -> Vec<(String, Method, String)> {
    let document = serde_json::to_value(canopy_http::openapi()).unwrap();
    let mut calls = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if let Some(scope) = operation.get("x-key-scope").and_then(Value::as_str) {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                calls.push((path.clone(), method, scope.to_owned()));
            }
        }
    }
    calls
}

/// A path with ids that name nothing.
fn nowhere(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { NOBODY } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_opens_exactly_its_area() {
    let server = TestServer::on_memory();
    let world = World::new(&server, "acme").await;
    world.bootstrap().await;
    let calls = calls();
    let areas: BTreeSet<&str> = calls.iter().map(|(_, _, scope)| scope.as_str()).collect();
    assert!(areas.len() >= 8, "{areas:?}");
    let mut scopes: Vec<Vec<&str>> = canopy_domain::SYSTEM_PERMISSION_KEYS
        .iter()
        .map(|scope| vec![*scope])
        .collect();
    // A custom key that looks like a scope opens nothing but checks of itself.
    world
        .post(
            "permissions",
            &json!({"permissions": [{"key": "audit.manage"}, {"key": "role.manage.all"}]}),
        )
        .await
        .expect(201);
    scopes.extend([vec!["note.read"], vec!["audit.manage"], vec!["role.manage.all"], vec![]]);
    for own in scopes {
        let key = world.key(&own).await;
        for (path, method, needed) in &calls {
            let opens = own.iter().any(|own| {
                let manages = own
                    .strip_suffix(".manage")
                    .is_some_and(|area| *needed == format!("{area}.read"));
                let is_system = canopy_domain::SYSTEM_PERMISSION_KEYS.contains(own);
                // A custom key opens the checks, and what it may check is looked at later.
                let is_check = ["/evaluate", "/bulk", "/explain", "Id}/nodes", "/who-can"];
                let asks = path.starts_with("/access/v1") || is_check.iter().any(|end| path.ends_with(end));
                let checks = !is_system && *needed == "access.evaluate" && asks;
                is_system && (own == needed || manages) || checks
            });
            // Without a body, and with ids that name nothing, whoever gets in is refused for that.
            let answer = Api::send(key.request(method.clone(), &nowhere(path))).await;
            let is_shut = answer.code() == "auth.scope_missing";
            assert_eq!(
                is_shut,
                !(opens || own.is_empty()),
                "{own:?} {method} {path}: {}",
                answer.body
            );
            assert!(
                answer.status != 401 && answer.status < 500,
                "{own:?} {method} {path}: {}",
                answer.body
            );
            if is_shut {
                assert_eq!(answer.status, 403);
            }
        }
    }
}
