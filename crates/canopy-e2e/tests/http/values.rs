//! Values from end to end: instants, names, slugs, addresses, as they are accepted, kept, judged and shown.

use crate::world::{World, key_body};
use canopy_testkit::server::Answer;
use serde_json::{Value, json};

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The codes and paths of the fields that a body was refused for.
fn faults(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(
        (answer.status, answer.code()),
        (400, "request.validation_failed"),
        "{}",
        answer.body
    );
    let fields = answer.body["error"]["details"]["fields"].as_array().unwrap();
    fields
        .iter()
        .map(|field| (text(&field["path"]), text(&field["code"])))
        .collect()
}

on_every_store! {
    /// Fault 3, for windows, questions, keys and the audit log.
    async fn an_instant_that_was_shown_can_be_sent_back(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let people = world.members("p", 20).await;
        for identity in &people {
            let made = world.post("assignments", &world.item(identity, &viewer)).await.expect(201);
            assert_eq!(made["effective_from"], made["created_at"]);
            let question = json!({"identity_id": identity, "permission": "note.read", "scope": "node", "node_id": world.root,
                "at": made["effective_from"]});
            let decision = world.post("permissions/evaluate", &question).await.expect(200);
            assert_eq!(decision["allowed"], true, "{decision}");
            let path = format!("assignments/{}", text(&made["id"]));
            let window = json!({"role_id": viewer, "effective_from": made["effective_from"], "effective_to": made["effective_to"]});
            let same = world.patch(&path, None, &window).await.expect(200);
            assert_eq!(same, made, "what was shown changes nothing");
        }
        // Finer input is truncated; a window that it leaves empty is refused, alone and in a batch.
        let mut fine = world.item(&people[0], &editor);
        fine["effective_from"] = json!("2026-01-01T00:00:00.0001Z");
        fine["effective_to"] = json!("2026-01-01T00:00:00.0004Z");
        world.post("assignments", &fine).await.refused(400, "rbac.invalid_window");
        let bulk = world.post("assignments/bulk-create", &json!({"assignments": [fine]})).await.expect(207);
        assert_eq!(bulk["results"][0]["error"]["code"], "rbac.invalid_window");
        fine["effective_to"] = json!("2026-01-01T00:00:00.0019Z");
        let made = world.post("assignments", &fine).await.expect(201);
        assert_eq!(made["effective_from"], "2026-01-01T00:00:00.000Z");
        assert_eq!(made["effective_to"], "2026-01-01T00:00:00.001Z");
        let allowed = |at: &'static str| { let (world, identity) = (&world, people[0].clone());
            async move {
                let question = json!({"identity_id": identity, "permission": "note.write", "scope": "app_wide", "at": at});
                world.post("permissions/evaluate", &question).await.expect(200)["allowed"].as_bool().unwrap()
            } };
        assert!(allowed("2026-01-01T00:00:00.000999Z").await);
        assert!(!allowed("2026-01-01T00:00:00.001Z").await);

        let mut key = key_body(&["role.read"]);
        key["expires_at"] = json!("2999-01-01T00:00:00.0009999Z");
        let key = world.post("api-keys", &key).await.expect(201);
        assert_eq!(key["expires_at"], "2999-01-01T00:00:00.000Z");

        let log = world.admin.get(&format!("{}/audit-log?limit=200", world.acc)).await.expect(200);
        for event in log["items"].as_array().unwrap() {
            let at = text(&event["created_at"]);
            let from = world.admin.get(&format!("{}/audit-log?limit=200&from={at}", world.acc)).await.expect(200);
            let to = world.admin.get(&format!("{}/audit-log?limit=200&to={at}", world.acc)).await.expect(200);
            let has = |page: &Value| page["items"].as_array().unwrap().iter().any(|one| one["id"] == event["id"]);
            assert!(has(&from) && !has(&to), "{at}: half open");
        }
    }

    /// Fault 15, alone, in bulk, by a change, and by a change of role for many.
    async fn a_conflict_says_where_the_other_window_lies(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let people = world.members("p", 3).await;
        let windows = [
            (json!("2020-01-01T00:00:00Z"), json!("2020-01-02T00:00:00.000Z"), "expired", "has ended"),
            (json!("2020-01-01T00:00:00Z"), Value::Null, "active", "already has this role"),
            (json!("2999-01-01T00:00:00Z"), Value::Null, "scheduled", "starts later"),
        ];
        for (identity, (from, to, status, words)) in people.iter().zip(windows) {
            let mut held = world.item(identity, &viewer);
            held["effective_from"] = from;
            held["effective_to"] = to.clone();
            let held = world.post("assignments", &held).await.expect(201);
            let expected = json!({"assignment_id": held["id"], "status": status, "effective_to": to});
            let again = world.post("assignments", &world.item(identity, &viewer)).await;
            again.refused(409, "rbac.assignment_conflict");
            assert_eq!(again.body["error"]["details"], expected);
            assert!(text(&again.body["error"]["message"]).contains(words), "{}", again.body);
            let bulk = json!({"assignments": [world.item(identity, &viewer)]});
            let bulk = world.post("assignments/bulk-create", &bulk).await.expect(207);
            assert_eq!(bulk["results"][0]["error"]["details"], expected);

            let other = world.post("assignments", &world.item(identity, &editor)).await.expect(201);
            let path = format!("assignments/{}", text(&other["id"]));
            let patched = world.patch(&path, None, &json!({"role_id": viewer})).await;
            patched.refused(409, "rbac.assignment_conflict");
            assert_eq!(patched.body["error"]["details"], expected);
            let change = json!({"assignment_ids": [other["id"]], "role_id": viewer});
            let changed = world.post("assignments/bulk-change-role", &change).await;
            changed.refused(409, "rbac.assignment_conflict");
            assert_eq!(changed.body["error"]["details"]["clashes"], json!([{"assignment_id": other["id"],
                "existing_assignment_id": held["id"], "status": status, "effective_to": to}]));
        }
    }

    /// Fault 9: one role in whatever case and form; the same for a bootstrap and an import.
    async fn names_are_the_same_without_regard_to_case_in_every_script(server) {
        let world = World::new(&server, "acme").await;
        world.post("roles", &json!({"name": "Χρήστης"})).await.expect(201);
        world.post("roles", &json!({"name": "Straße"})).await.expect(201);
        for name in ["ΧΡΉΣΤΗΣ", "χρήστησ", "STRASSE", "ＳＴＲＡＳＳＥ"] {
            world.post("roles", &json!({"name": name})).await.refused(409, "rbac.role_name_taken");
        }
        let editor = text(&world.post("roles", &json!({"name": "Editor"})).await.expect(201)["id"]);
        let renamed = world.patch(&format!("roles/{editor}"), Some(1), &json!({"name": "strasse"})).await;
        renamed.refused(409, "rbac.role_name_taken");
        let fresh = world.sibling("fresh").await;
        let twice = json!({"resources": [], "roles": [{"name": "ΣΑΣ", "permission_keys": ["role.read"]},
            {"name": "σας", "permission_keys": ["role.read"]}]});
        fresh.post("setup/access-bootstrap", &twice).await.refused(400, "rbac.duplicate_role_name");
        let person = json!({"email": "GIORGOS@x.example", "first_name": "Γιώργος", "last_name": "Σεφέρης"});
        world.admin.post(&format!("{}/identities", world.acc), &person).await.expect(201);
        let found = world.admin.get(&format!("{}/identities?q=%CE%93%CE%99%CE%8F%CE%A1%CE%93%CE%9F%CE%A3", world.acc)).await;
        assert_eq!(found.expect(200)["pagination"]["item_count"], 1);
        let mail = |mail: &str| json!({"email": mail, "first_name": "A", "last_name": "B"});
        world.admin.post(&format!("{}/identities", world.acc), &mail("ΓΙΏΡΓΟΣ@x.example")).await.expect(201);
        let again = world.admin.post(&format!("{}/identities", world.acc), &mail("γιώργος@X.example")).await;
        again.refused(409, "identities.email_taken");
    }

    /// Fault 17, for accounts, applications, environments and nodes.
    async fn slugs_are_transliterated(server) {
        for (name, slug) in [("Zürich", "zurich"), ("São Paulo", "sao-paulo"), ("Łódź", "lodz"), ("Москва", "moskva")] {
            let account = server.operator().post("/portal/v1/accounts", &json!({"name": name})).await.expect(201);
            assert_eq!(account["slug"], slug);
        }
        let world = World::new(&server, "acme").await;
        let app = world.admin.post(&format!("{}/applications", world.acc), &json!({"name": "Ärzte"})).await.expect(201);
        assert_eq!(app["slug"], "arzte");
        let made = world.admin.post(&format!("{}/environments", world.app), &json!({"name": "Prüfung"})).await.expect(201);
        assert_eq!(made["environment"]["slug"], "prufung");
        let schema = json!({"node_types": ["root", "city"], "max_depth": 2, "root_node_type": "root", "allowed_children": {"root": ["city"]}});
        world.patch("hierarchy-schema", Some(1), &schema).await.expect(200);
        world.admin.put(&format!("{}/access-model", world.env), &json!({"model": "hierarchy"})).await.expect(200);
        let city = |name: &str| json!({"parent_node_id": world.root, "node_type": "city", "name": name});
        for (name, slug) in [("Łódź", "lodz"), ("ŁÓDŹ", "lodz-2"), ("—", "node")] {
            assert_eq!(world.post("nodes", &city(name)).await.expect(201)["slug"], slug);
        }
        let bulk = world.post("nodes/bulk-create", &json!({"nodes": [city("Zürich"), city("Zürich")]})).await.expect(200);
        assert_eq!((&bulk["results"][0]["data"]["slug"], &bulk["results"][1]["data"]["slug"]), (&json!("zurich"), &json!("zurich-2")));
    }

    /// Fault 22, for roles, keys, people, tenants, a bootstrap and an import.
    async fn nothing_hides_in_names_and_addresses_are_http(server) {
        let world = World::new(&server, "acme").await;
        let hidden = |path: &str| vec![(path.to_owned(), "hidden_character".to_owned())];
        for name in ["\u{200b}", "Ad\u{200b}min", "x\u{202e}y", "\u{200e}Admin"] {
            assert_eq!(faults(&world.post("roles", &json!({"name": name})).await), hidden("/name"), "{name:?}");
        }
        let blank = faults(&world.post("roles", &json!({"name": "\u{2800}"})).await);
        assert_eq!(blank, [("/name".to_owned(), "no_visible_character".to_owned())]);
        for name in ["می\u{200c}خواهم", "क\u{94d}\u{200d}ष", "👩\u{200d}💻 Team"] {
            assert_eq!(world.post("roles", &json!({"name": name})).await.expect(201)["name"], name);
        }
        let described = json!({"name": "Fine", "description": "a\u{2066}b"});
        assert_eq!(faults(&world.post("roles", &described).await), hidden("/description"));
        let mut key = key_body(&["role.read"]);
        key["name"] = json!("k\u{feff}");
        assert_eq!(faults(&world.post("api-keys", &key).await), hidden("/name"));
        let account = server.operator().post("/portal/v1/accounts", &json!({"name": "\u{200d}"})).await;
        assert_eq!(faults(&account), hidden("/name"));
        let roles = json!({"resources": [], "roles": [{"name": "r\u{200b}", "permission_keys": ["role.read"]}]});
        assert_eq!(faults(&world.post("setup/access-bootstrap", &roles).await), hidden("/roles/0/name"));
        let mut document = world.get("export").await.expect(200);
        document["nodes"][0]["name"] = json!("acme\u{202e}");
        assert_eq!(faults(&world.post("import", &document).await), hidden("/nodes/0/name"));

        let people = format!("{}/identities", world.acc);
        let person = |url: &str| json!({"email": "a@x.example", "first_name": "A", "last_name": "B", "avatar_url": url});
        for url in ["javascript:alert(1)", "data:text/html,x", "//x.example/a", "https://"] {
            let expected = [("/avatar_url".to_owned(), "invalid_url".to_owned())];
            assert_eq!(faults(&world.admin.post(&people, &person(url)).await), expected, "{url}");
        }
        let made = world.admin.post(&people, &person("https://x.example/a.png")).await.expect(201);
        let path = format!("{people}/{}", text(&made["id"]));
        let changed = world.admin.patch(&path, None, &json!({"avatar_url": "javascript:alert(1)"})).await;
        assert_eq!(faults(&changed), [("/avatar_url".to_owned(), "invalid_url".to_owned())]);
        let bulk = json!({"identities": [{"email": "b@x.example", "first_name": "\u{200b}", "last_name": "B"}]});
        assert_eq!(faults(&world.admin.post(&format!("{people}/bulk-create"), &bulk).await), hidden("/identities/0/first_name"));
    }
}
