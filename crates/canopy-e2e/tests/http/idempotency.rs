//! Requests that are sent again with their `Idempotency-Key`.

use crate::world::{World, ids_of, key_body};
use canopy_http::openapi;
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

/// The paths that were posted to twice.
#[derive(Default)]
struct Tried(Vec<String>);

impl Tried {
    async fn send(&mut self, api: &Api, path: &str, version: Option<u64>, body: &Value) -> (Answer, Answer) {
        let key = format!("{}:{path}", self.0.len());
        self.0.push(path.to_owned());
        let request = || {
            let request = api
                .request(Method::POST, path)
                .header("Idempotency-Key", &key)
                .json(body);
            version.into_iter().fold(request, |request, version| {
                request.header("If-Match", format!("\"{version}\""))
            })
        };
        let first = Api::send(request()).await;
        assert!(!is_replayed(&first));
        let second = Api::send(request()).await;
        assert!(is_replayed(&second), "{path}: {} {}", first.body, second.body);
        for header in ["etag", "location", "content-type"] {
            assert_eq!(first.header(header), second.header(header), "{path}: {header}");
        }
        (first, second)
    }

    /// Sends a request twice: the second time it is answered as the first time, and does nothing.
    async fn twice(&mut self, api: &Api, path: &str, body: &Value, status: u16) -> Value {
        self.twice_at(api, path, None, body, status).await
    }

    /// As [`Tried::twice`], where the version that was seen must be said.
    async fn twice_at(&mut self, api: &Api, path: &str, version: Option<u64>, body: &Value, status: u16) -> Value {
        let (first, second) = self.send(api, path, version, body).await;
        assert_eq!(
            (first.status, second.status),
            (status, status),
            "{path}: {}",
            first.body
        );
        assert_eq!(first.body, second.body, "{path}");
        first.body
    }

    /// Sends a request twice whose answer has a secret: the second answer lacks it.
    async fn without_secret(&mut self, api: &Api, path: &str, body: &Value, status: u16) -> Value {
        let (first, second) = self.send(api, path, None, body).await;
        let mut first = first.expect(status);
        let secret = first.as_object_mut().unwrap().remove("key").unwrap();
        assert!(!second.body.to_string().contains(secret.as_str().unwrap()));
        assert_eq!(second.expect(status), first, "{path}");
        first
    }

    /// The documented paths that can be posted to with an `Idempotency-Key`, and were not.
    fn missing(&self) -> Vec<String> {
        let document = serde_json::to_value(openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let repeatable = paths.iter().filter(|(_, item)| {
            let parameters = item["post"]["parameters"].as_array();
            parameters.is_some_and(|all| all.iter().any(|one| one["name"] == "Idempotency-Key"))
        });
        let repeatable: Vec<&String> = repeatable.map(|(path, _)| path).collect();
        assert!(repeatable.len() >= 40, "{repeatable:?}");
        let missing = repeatable
            .into_iter()
            .filter(|path| !self.0.iter().any(|tried| is_at(tried, path)));
        missing.cloned().collect()
    }
}

/// Returns true if the document describes the path as `/nodes/{nodeId}/move`.
fn is_at(path: &str, documented: &str) -> bool {
    let (path, documented) = (path.split('/'), documented.split('/'));
    let same = |(one, other): (&str, &str)| other.starts_with('{') || one == other;
    path.clone().count() == documented.clone().count() && path.zip(documented).all(same)
}

/// A world whose environment is a hierarchy of teams, and the default one; its roles.
async fn hierarchy(world: &World) {
    let (admin, env) = (&world.admin, &world.env);
    let default = json!({"slug": "development"});
    admin
        .put(&format!("{}/default-environment", world.app), &default)
        .await
        .expect(200);
    let schema = json!({"node_types": ["root", "team"], "allowed_children": {"root": ["team"], "team": ["team"]},
        "max_depth": 3, "root_node_type": "root"});
    let version = world.get("hierarchy-schema").await.expect(200)["version"].as_u64();
    admin
        .patch(&format!("{env}/hierarchy-schema"), version, &schema)
        .await
        .expect(200);
    admin
        .put(&format!("{env}/access-model"), &json!({"model": "hierarchy"}))
        .await
        .expect(200);
}

fn person(n: u32) -> Value {
    json!({"email": format!("p{n}@example.com"), "first_name": "P", "last_name": "Q"})
}

/// Everything that is served on both surfaces: below `env` and `app`, which are the same on the public one.
async fn on_one_surface(tried: &mut Tried, world: &World, api: &Api, (env, app): (&str, &str)) {
    let viewer = world.role("Viewer").await;
    let keys = json!({"permissions": [{"key": "note.share"}]});
    tried.twice(api, &format!("{env}/permissions"), &keys, 201).await;
    let clerk = tried
        .twice(api, &format!("{env}/roles"), &json!({"name": "Clerk"}), 201)
        .await;

    let node = |name: &str| json!({"parent_node_id": world.root, "node_type": "team", "name": name});
    let team = tried.twice(api, &format!("{env}/nodes"), &node("Team"), 201).await;
    let nodes = json!({"nodes": [node("Squad")]});
    let squad = ids_of(&tried.twice(api, &format!("{env}/nodes/bulk-create"), &nodes, 200).await).remove(0);
    let below = json!({"parent_node_id": team["id"]});
    let moved = tried
        .twice_at(api, &format!("{env}/nodes/{squad}/move"), Some(1), &below, 200)
        .await;
    assert_eq!((&moved["parent_node_id"], &moved["version"]), (&team["id"], &json!(2)));

    // A secret is told once: the repetition has all of the answer but that.
    let key = tried
        .without_secret(api, &format!("{env}/api-keys"), &key_body(&["note.read"]), 201)
        .await;
    let rotate = format!("{env}/api-keys/{}/rotate", key["id"].as_str().unwrap());
    tried
        .without_secret(api, &rotate, &json!({"overlap_seconds": 60}), 200)
        .await;
    assert_eq!(
        world.get("api-keys").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let people = world.members("member", 2).await;
    let one = tried
        .twice(
            api,
            &format!("{env}/assignments"),
            &world.item(&people[0], &viewer),
            201,
        )
        .await;
    let items = json!({"assignments": [world.item(&people[1], &viewer)]});
    tried
        .twice(api, &format!("{env}/assignments/bulk-create"), &items, 200)
        .await;
    let change = json!({"assignment_ids": [one["id"]], "role_id": clerk["id"]});
    tried
        .twice(api, &format!("{env}/assignments/bulk-change-role"), &change, 200)
        .await;
    let remove = json!({"assignment_ids": [one["id"]]});
    tried
        .twice(api, &format!("{env}/assignments/bulk-remove"), &remove, 204)
        .await;
    assert_eq!(world.assignments().await, 1);

    let mut member = person(3);
    (member["role_id"], member["node_id"]) = (json!(viewer), json!(world.root));
    tried.twice(api, &format!("{app}/identities"), &member, 201).await;
    for what in ["suspend", "activate", "deactivate"] {
        let path = format!("{app}/identities/{}/{what}", people[0]);
        tried.twice(api, &path, &Value::Null, 200).await;
    }
    assert_eq!(world.assignments().await, 2);
}

on_every_store! {
    /// Every call that makes or changes something by POST, on each surface that serves it.
    async fn every_post_is_answered_again_as_it_was(server) {
        let mut tried = Tried::default();
        let operator = server.operator();
        let made = tried.twice(&operator, "/portal/v1/accounts", &json!({"name": "Twice", "slug": "twice"}), 201).await;
        assert_eq!(operator.get("/portal/v1/accounts").await.expect(200)["items"], json!([made]));
        let world = World::new(&server, "acme").await;
        let (admin, acc, app, env) = (&world.admin, &world.acc, &world.app, &world.env);
        tried.twice(admin, &format!("{acc}/applications"), &json!({"name": "Second"}), 201).await;
        tried.twice(admin, &format!("{app}/environments"), &json!({"name": "Second"}), 201).await;

        let setup = json!({"resources": [{"name": "note", "actions": ["read"]}],
            "roles": [{"name": "Viewer", "permission_keys": ["note.read"]}]});
        tried.twice(admin, &format!("{env}/setup/access-bootstrap"), &setup, 201).await;
        let viewer = world.role("Viewer").await;
        let more = json!({"resources": [{"name": "note", "actions": ["write"]}],
            "role_permissions": [{"role_id": viewer, "permission_keys": ["note.write"]}]});
        let counts = tried.twice(admin, &format!("{env}/setup/resource-permissions"), &more, 201).await;
        assert_eq!(counts["permissions_created"], 1);

        let ada = tried.twice(admin, &format!("{acc}/identities"), &person(1), 201).await;
        let people = json!({"identities": [person(2)]});
        let bob = tried.twice(admin, &format!("{acc}/identities/bulk-create"), &people, 200).await;
        let (ada, bob) = (ada["id"].as_str().unwrap(), ids_of(&bob).remove(0));
        let join = json!({"application_id": admin.get(app).await.expect(200)["id"]});
        tried.twice(admin, &format!("{acc}/identities/{ada}/app-memberships"), &join, 201).await;
        tried.twice(admin, &format!("{app}/app-memberships/bulk-attach"), &json!({"identity_ids": [bob]}), 200).await;

        hierarchy(&world).await;
        on_one_surface(&mut tried, &world, admin, (env, app)).await;

        let copy = json!({"name": "Copy", "copy_from": "development"});
        let copy = tried.twice(admin, &format!("{app}/environments"), &copy, 201).await;
        assert_eq!(copy["environment"]["access_model"], "hierarchy");
        let mut document = world.get("export").await.expect(200);
        document["permissions"].as_array_mut().unwrap().push(json!({"key": "note.list"}));
        let imported = tried.twice(admin, &format!("{env}/import"), &document, 200).await;
        assert_eq!(imported["changes"]["permissions"]["added"], 1);
        let reverted = tried.twice(admin, &format!("{env}/revert-to-flat"), &Value::Null, 200).await;
        assert_eq!(reverted["nodes_deleted"], 2);

        let world = World::new(&server, "zeta").await;
        world.bootstrap().await;
        hierarchy(&world).await;
        let bound = server.admin_in(world.account, world.environment("development").await);
        on_one_surface(&mut tried, &world, &bound, ("/api/v1", "/api/v1")).await;

        assert_eq!(tried.missing(), [""; 0], "each of these needs a row here");
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

    async fn what_was_answered_for_one_place_is_not_told_of_the_next_that_has_its_slug(server) {
        let world = World::new(&server, "acme").await;
        let role = json!({"name": "Viewer"});
        let mut made = Vec::new();
        for _ in 0..2 {
            let stage = world.sibling("stage").await;
            let path = format!("{}/roles", stage.env);
            let first = post(&stage.admin, &path, "k", &role).await;
            assert!(!is_replayed(&first));
            made.push(first.expect(201)["id"].clone());
            assert!(is_replayed(&post(&stage.admin, &path, "k", &role).await));
            stage.admin.delete(&stage.env).await.expect(204);
        }
        assert_ne!(made[0], made[1]);
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

    /// Refused before and after the use case has worked; either way nothing is changed, and what is kept is repeated.
    async fn answers_are_kept_within_the_room_of_their_tenant(server) {
        let world = World::new(&server, "acme").await;
        let (elsewhere, path) = (world.sibling("elsewhere").await, format!("{}/permissions", world.env));
        let of = |key: &str| json!({"permissions": [{"key": key}]});
        let kept = post(&world.admin, &path, "kept", &of("note.kept")).await.expect(201);
        let refused = async |key: &str| {
            let refused = post(&world.admin, &path, key, &of("note.more")).await;
            refused.refused(429, "request.kept_answers_full");
            assert_eq!(refused.header("retry-after"), Some("3600"));
            refused.body["error"]["details"]["max_bytes"].as_u64().unwrap()
        };
        // Smaller than the smallest answer: nothing is begun. Large enough for what is kept and 300 bytes: the answer has more.
        for max_bytes in [255, kept.to_string().len() as u64 + 2 * 256 + 44] {
            server.app().bound_kept_answers(max_bytes);
            assert_eq!(refused("more").await, max_bytes);
            let again = post(&world.admin, &path, "kept", &of("note.kept")).await;
            assert!(is_replayed(&again));
            assert_eq!(again.expect(201), kept);
        }
        let keys = world.get("permissions?q=note").await.expect(200);
        assert_eq!(keys["items"].as_array().unwrap().len(), 1, "{keys}");
        // Another environment has room of its own, and requests without a key need none.
        post(&elsewhere.admin, &format!("{}/permissions", elsewhere.env), "more", &of("note.more")).await.expect(201);
        world.post("permissions", &of("note.bare")).await.expect(201);
        server.app().bound_kept_answers(1_000_000);
        assert!(!is_replayed(&post(&world.admin, &path, "more", &of("note.more")).await), "the refusals did nothing");
        assert!(is_replayed(&post(&world.admin, &path, "more", &of("note.more")).await));
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
        for check in ["evaluate", "explain"] {
            post(&world.admin, &format!("{}/permissions/{check}", world.env), "with space", &question).await.expect(200);
        }
        // Nor does it count for a dry run, whether its body or its query says that it is one.
        let person = json!({"email": "a@example.com", "first_name": "A", "last_name": "A"});
        let dry = json!({"identities": [person], "dry_run": true});
        post(&world.admin, &format!("{}/identities/bulk-create", world.acc), "with space", &dry).await.expect(200);
        let document = world.get("export").await.expect(200);
        post(&world.admin, &format!("{}/import?dry_run=true", world.env), "with space", &document).await.expect(200);
        post(&world.admin, &path, &"k".repeat(255), &role).await.expect(201);
    }
}
