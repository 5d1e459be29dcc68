//! Requests that are sent again with their `Idempotency-Key`.

use crate::world::{World, ids_of};
use canopy_testkit::server::{Answer, Api};
use reqwest::Method;
use serde_json::{Value, json};

async fn post(api: &Api, path: &str, key: &str, body: &Value) -> Answer {
    Api::send(
        api.request(Method::POST, path)
            .header("Idempotency-Key", key)
            .json(body),
    )
    .await
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

/// Sends a request twice: the second time it is answered as the first time, and does nothing.
async fn twice(api: &Api, path: &str, body: &Value, status: u16) -> Value {
    let first = post(api, path, path, body).await;
    assert!(!is_replayed(&first));
    let second = post(api, path, path, body).await;
    assert!(is_replayed(&second), "{path}: {}", second.body);
    assert_eq!((first.status, second.status), (status, status), "{path}");
    assert_eq!(first.body, second.body, "{path}");
    for header in ["etag", "location", "content-type"] {
        assert_eq!(first.header(header), second.header(header), "{path}: {header}");
    }
    first.body
}

/// Sends a request twice whose answer has a secret: the second answer lacks it.
async fn without_secret(api: &Api, path: &str, body: &Value, status: u16) -> Value {
    let mut first = post(api, path, path, body).await.expect(status);
    let secret = first.as_object_mut().unwrap().remove("key").unwrap();
    let second = post(api, path, path, body).await;
    assert!(is_replayed(&second), "{path}");
    assert!(!second.body.to_string().contains(secret.as_str().unwrap()));
    assert_eq!(second.expect(status), first, "{path}");
    first
}

on_every_store! {
    /// Every call that makes or changes something by POST; a call that is new must stand here.
    async fn every_post_is_answered_again_as_it_was(server) {
        let operator = server.operator();
        let made = twice(&operator, "/portal/v1/accounts", &json!({"name": "Twice", "slug": "twice"}), 201).await;
        assert_eq!(operator.get("/portal/v1/accounts").await.expect(200)["items"], json!([made]));
        let world = World::new(&server, "acme").await;
        let (admin, acc, app, env) = (&world.admin, &world.acc, &world.app, &world.env);
        twice(admin, &format!("{acc}/applications"), &json!({"name": "Second"}), 201).await;
        twice(admin, &format!("{app}/environments"), &json!({"name": "Second"}), 201).await;

        let setup = json!({"resources": [{"name": "note", "actions": ["read"]}],
            "roles": [{"name": "Viewer", "permission_keys": ["note.read"]}]});
        twice(admin, &format!("{env}/setup/access-bootstrap"), &setup, 201).await;
        let viewer = world.role("Viewer").await;
        let more = json!({"resources": [{"name": "note", "actions": ["write"]}],
            "role_permissions": [{"role_id": viewer, "permission_keys": ["note.write"]}]});
        let counts = twice(admin, &format!("{env}/setup/resource-permissions"), &more, 201).await;
        assert_eq!(counts["permissions_created"], 1);
        twice(admin, &format!("{env}/permissions"), &json!({"permissions": [{"key": "note.share"}]}), 201).await;
        let editor = twice(admin, &format!("{env}/roles"), &json!({"name": "Editor"}), 201).await;

        let schema = json!({"node_types": ["root", "team"], "allowed_children": {"root": ["team"]}, "max_depth": 2, "root_node_type": "root"});
        let version = world.get("hierarchy-schema").await;
        let version = version.header("etag").unwrap().trim_matches('"').parse().ok();
        admin.patch(&format!("{env}/hierarchy-schema"), version, &schema).await.expect(200);
        admin.put(&format!("{env}/access-model"), &json!({"model": "hierarchy"})).await.expect(200);
        let node = json!({"parent_node_id": world.root, "node_type": "team", "name": "Team"});
        twice(admin, &format!("{env}/nodes"), &node, 201).await;
        twice(admin, &format!("{env}/nodes/bulk-create"), &json!({"nodes": [node]}), 200).await;

        let person = |n: u32| json!({"email": format!("p{n}@example.com"), "first_name": "P", "last_name": "Q"});
        let ada = twice(admin, &format!("{acc}/identities"), &person(1), 201).await;
        let bob = twice(admin, &format!("{acc}/identities/bulk-create"), &json!({"identities": [person(2)]}), 200).await;
        let (ada, bob) = (ada["id"].as_str().unwrap(), ids_of(&bob).remove(0));
        let join = json!({"application_id": twice_application(&world).await});
        twice(admin, &format!("{acc}/identities/{ada}/app-memberships"), &join, 201).await;
        twice(admin, &format!("{app}/app-memberships/bulk-attach"), &json!({"identity_ids": [bob]}), 200).await;

        // A secret is told once: the repetition has all of the answer but that.
        let new = json!({"name": "Backend", "access_mode": "scoped", "scopes": ["note.read"]});
        let key = without_secret(admin, &format!("{env}/api-keys"), &new, 201).await;
        let rotate = format!("{env}/api-keys/{}/rotate", key["id"].as_str().unwrap());
        without_secret(admin, &rotate, &json!({"overlap_seconds": 60}), 200).await;
        assert_eq!(world.get("api-keys").await.expect(200)["items"].as_array().unwrap().len(), 2);

        let one = twice(admin, &format!("{env}/assignments"), &world.item(ada, &viewer), 201).await;
        let items = json!({"assignments": [world.item(&bob, &viewer)]});
        twice(admin, &format!("{env}/assignments/bulk-create"), &items, 200).await;
        let change = json!({"assignment_ids": [one["id"]], "role_id": editor["id"]});
        twice(admin, &format!("{env}/assignments/bulk-change-role"), &change, 200).await;
        let remove = json!({"assignment_ids": [one["id"]]});
        twice(admin, &format!("{env}/assignments/bulk-remove"), &remove, 204).await;
        assert_eq!(world.assignments().await, 1);
        let mut member = person(3);
        (member["role_id"], member["node_id"]) = (json!(viewer), json!(world.root));
        twice(admin, &format!("{app}/identities"), &member, 201).await;
        for what in ["suspend", "activate", "deactivate"] {
            twice(admin, &format!("{app}/identities/{ada}/{what}"), &Value::Null, 200).await;
        }
        assert_eq!(world.assignments().await, 2);
    }

    async fn a_key_is_bound_to_its_request(server) {
        let world = World::new(&server, "acme").await;
        let rival = World::new(&server, "rival").await;
        let path = format!("{}/roles", world.env);
        let role = json!({"name": "Viewer"});
        let first = post(&world.admin, &path, "k", &role).await.expect(201);
        post(&world.admin, &path, "k", &json!({"name": "Editor"})).await.refused(422, "request.idempotency_key_reused");
        // Byte for byte another body, though it means the same.
        let spaced = world.admin.request(Method::POST, &path).header("Idempotency-Key", "k");
        let spaced = spaced.header("Content-Type", "application/json").body("{ \"name\": \"Viewer\" }");
        Api::send(spaced).await.refused(422, "request.idempotency_key_reused");
        // Another key, path, query, method's surface or principal: another request, which the role's name refuses.
        post(&world.admin, &path, "K", &role).await.refused(409, "rbac.role_name_taken");
        post(&server.operator(), &path, "k", &role).await.refused(409, "rbac.role_name_taken");
        let other = post(&rival.admin, &format!("{}/roles", rival.env), "k", &role).await;
        assert!(!is_replayed(&other) && other.expect(201)["id"] != first["id"]);
        assert_eq!(post(&world.admin, &path, "k", &role).await.expect(201), first);
    }

    async fn what_changed_nothing_may_be_tried_again(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let path = format!("{}/assignments/bulk-create", world.env);
        let loner = world.admin.post(&format!("{}/identities", world.acc),
            &json!({"email": "l@example.com", "first_name": "L", "last_name": "L"})).await.expect(201);
        let loner = loner["id"].as_str().unwrap();
        let items = json!({"assignments": [world.item(loner, &viewer)]});
        let refused = post(&world.admin, &path, "k", &items).await.expect(207);
        assert_eq!(refused["results"][0]["error"]["code"], "identities.membership_not_active");
        let attach = format!("{}/app-memberships/bulk-attach", world.app);
        world.admin.post(&attach, &json!({"identity_ids": [loner]})).await.expect(200);
        // A dry run has nothing to repeat, and takes no notice of the key.
        let mut dry = items.clone();
        dry["dry_run"] = json!(true);
        assert!(!is_replayed(&post(&world.admin, &path, "k", &dry).await));
        let done = post(&world.admin, &path, "k", &items).await;
        assert!(!is_replayed(&done), "the first answer changed nothing");
        assert_eq!(done.expect(200)["summary"]["succeeded"], 1);
        assert!(!is_replayed(&post(&world.admin, &path, "k", &dry).await));
        assert!(is_replayed(&post(&world.admin, &path, "k", &items).await));
        assert_eq!(world.assignments().await, 1);
    }

    async fn of_many_at_once_one_does_it(server) {
        let world = World::new(&server, "acme").await;
        let path = format!("{}/permissions", world.env);
        let body = json!({"permissions": [{"key": "note.read"}]});
        let racing = (0..12).map(|_| post(&world.admin, &path, "k", &body));
        let answers = futures_util::future::join_all(racing).await;
        let mut fresh = 0;
        for answer in &answers {
            match answer.status {
                201 if is_replayed(answer) => {}
                201 => fresh += 1,
                _ => answer.refused(409, "request.idempotency_in_progress"),
            }
        }
        assert_eq!(fresh, 1);
        assert!(is_replayed(&post(&world.admin, &path, "k", &body).await));
    }

    async fn a_key_that_is_none_is_refused_where_it_counts(server) {
        let world = World::new(&server, "acme").await;
        let role = json!({"name": "Viewer"});
        let path = format!("{}/roles", world.env);
        for key in ["", "with space", &"k".repeat(256)] {
            let refused = post(&world.admin, &path, key, &role).await;
            refused.refused(400, "request.validation_failed");
            assert_eq!(refused.body["error"]["details"]["fields"][0]["path"], "/Idempotency-Key");
        }
        let twofold = world.admin.request(Method::POST, &path).header("Idempotency-Key", "a");
        Api::send(twofold.header("Idempotency-Key", "b").json(&role)).await.refused(400, "request.validation_failed");
        let question = json!({"identity_id": crate::world::NOBODY, "permission": "note.read", "scope": "app_wide"});
        post(&world.admin, &format!("{}/permissions/evaluate", world.env), "with space", &question).await.expect(200);
        post(&world.admin, &path, &"k".repeat(255), &role).await.expect(201);
    }
}

async fn twice_application(world: &World) -> Value {
    world.admin.get(&world.app).await.expect(200)["id"].clone()
}
