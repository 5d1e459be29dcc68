//! Export, import and copies of environments.

use crate::world::World;
use canopy_testkit::server::TestServer;
use serde_json::{Value, json};

/// A company with a region and a team, besides what [`World::bootstrap`] makes; the node ids by slug.
async fn grow(world: &World) -> (String, String) {
    world
        .admin
        .put(&format!("{}/access-model", world.env), &json!({"model": "hierarchy"}))
        .await
        .expect(200);
    let schema = json!({"node_types": ["company", "region", "team"], "max_depth": 4, "root_node_type": "company",
        "allowed_children": {"company": ["region"], "region": ["team"], "team": ["team"]}});
    world.patch("hierarchy-schema", Some(2), &schema).await.expect(200);
    let node = |parent: &str, kind: &str, slug: &str| {
        json!({"parent_node_id": parent, "node_type": kind, "name": slug, "slug": slug,
        "metadata": {"of": slug}})
    };
    let region = world
        .post("nodes", &node(&world.root, "region", "eu"))
        .await
        .expect(201);
    let region = region["id"].as_str().unwrap().to_owned();
    let team = world.post("nodes", &node(&region, "team", "berlin")).await.expect(201);
    (region, team["id"].as_str().unwrap().to_owned())
}

async fn import(world: &World, tail: &str, document: &Value) -> canopy_testkit::server::Answer {
    world.post(&format!("import{tail}"), document).await
}

fn counts(kept: u64, changed: u64, removed: u64, added: u64) -> Value {
    json!({"kept": kept, "changed": changed, "removed": removed, "added": added})
}

on_every_store! {
    async fn an_export_says_what_an_environment_is_made_of(server) {
        let world = World::new(&server, "acme").await;
        world.bootstrap().await;
        let (_, team) = grow(&world).await;
        world.patch(&format!("nodes/{team}"), Some(1), &json!({"status": "inactive"})).await.expect(200);
        // What is as usual is not said.
        let expected = json!({
            "format_version": 1, "source_env": "development", "access_model": "hierarchy",
            "hierarchy_schema": {"node_types": ["company", "region", "team"], "max_depth": 4, "root_node_type": "company",
                "allowed_children": {"company": ["region"], "region": ["team"], "team": ["team"]}},
            "permissions": [{"key": "note.read", "description": null, "category": null},
                            {"key": "note.write", "description": null, "category": null}],
            "roles": [{"name": "Editor", "description": null, "is_active": true, "permission_keys": ["note.read", "note.write"]},
                      {"name": "Viewer", "description": null, "is_active": true, "permission_keys": ["note.read"]}],
            "nodes": [{"path": "acme", "node_type": "company", "name": "acme"},
                      {"path": "acme/eu", "node_type": "region", "name": "eu", "metadata": {"of": "eu"}},
                      {"path": "acme/eu/berlin", "node_type": "team", "name": "berlin", "status": "inactive", "metadata": {"of": "berlin"}}],
            "oauth_clients": [], "webhooks": [],
        });
        assert_eq!(world.get("export").await.expect(200), expected);
    }

    async fn an_environment_becomes_what_was_exported_elsewhere(server) {
        let world = World::new(&server, "acme").await;
        let rival = World::new(&server, "rival").await;
        world.bootstrap().await;
        grow(&world).await;
        let document = world.get("export").await.expect(200);
        let unchanged = import(&world, "", &document).await;
        assert_eq!(unchanged.header("etag"), Some("\"3\""));
        let unchanged = unchanged.expect(200);
        let expected = json!({"permissions": counts(2, 0, 0, 0), "roles": counts(2, 0, 0, 0), "nodes": counts(3, 0, 0, 0),
            "access_model_changed": false, "hierarchy_schema_changed": false, "assignments_removed": 0});
        assert_eq!(unchanged["changes"], expected);
        assert_eq!(unchanged["environment"]["version"], 3, "nothing was written");

        let expected = json!({"permissions": counts(0, 0, 0, 2), "roles": counts(0, 0, 0, 2), "nodes": counts(0, 1, 0, 2),
            "access_model_changed": true, "hierarchy_schema_changed": true, "assignments_removed": 0});
        let tried = import(&rival, "?dry_run=true", &document).await;
        assert_eq!(tried.header("etag"), None, "there is no such version yet");
        let tried = tried.expect(200);
        assert_eq!((&tried["changes"], &tried["environment"]["access_model"]), (&expected, &json!("hierarchy")));
        assert_eq!(rival.get("export").await.expect(200)["permissions"], json!([]), "a dry run writes nothing");
        let mut with_metadata = document.clone();
        with_metadata["metadata"] = json!({"by": ["us", 1]});
        let done = import(&rival, "", &with_metadata).await;
        assert_eq!(done.header("etag"), Some("\"2\""));
        let done = done.expect(200);
        assert_eq!(done["changes"], tried["changes"]);
        assert_eq!((&done["oauth_client_rotations"], &done["webhook_subscription_rotations"]), (&json!([]), &json!([])));
        assert_eq!(rival.get("export").await.expect(200), document);
    }

    async fn what_has_the_same_name_keeps_its_assignments_and_the_rest_goes(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let (region, team) = grow(&world).await;
        let people = world.members("p", 2).await;
        let give = |person: &str, role: &str, node: &str| json!({"identity_id": person, "role_id": role, "node_id": node});
        for item in [give(&people[0], &viewer, &region), give(&people[0], &viewer, &team), give(&people[1], &editor, &world.root)] {
            world.post("assignments", &item).await.expect(201);
        }
        let ask = |person: &str, permission: &str, node: &str| json!({"identity_id": person, "permission": permission, "scope": "node", "node_id": node});
        let decide = async |question: Value| world.post("permissions/evaluate", &question).await.expect(200)["denial_reason"].clone();
        assert_eq!(decide(ask(&people[0], "note.read", &team)).await, Value::Null);

        let mut document = world.get("export").await.expect(200);
        // The team, the role `Editor` and the key `note.write` go; `Viewer` gains a key and another spelling; a node comes.
        document["nodes"].as_array_mut().unwrap().remove(2);
        document["nodes"].as_array_mut().unwrap().push(
            json!({"path": "acme/us", "node_type": "region", "name": "US"}));
        document["permissions"] = json!([{"key": "note.read"}, {"key": "note.share", "description": "Shares"}]);
        document["roles"] = json!([{"name": "VIEWER", "permission_keys": ["note.share", "note.read", "role.read"]}]);
        let expected = json!({"permissions": counts(1, 0, 1, 1), "roles": counts(0, 1, 1, 0), "nodes": counts(2, 0, 1, 1),
            "access_model_changed": false, "hierarchy_schema_changed": false, "assignments_removed": 2});
        let tried = import(&world, "?dry_run=true", &document).await.expect(200);
        assert_eq!((&tried["changes"], world.assignments().await), (&expected, 3));
        assert_eq!(import(&world, "", &document).await.expect(200)["changes"], expected);

        assert_eq!(decide(ask(&people[0], "note.share", &region)).await, Value::Null, "kept, and its role gained a key");
        assert_eq!(decide(ask(&people[0], "note.read", &team)).await, "node_not_found");
        assert_eq!(decide(ask(&people[1], "note.read", &world.root)).await, "no_grant");
        assert_eq!(decide(ask(&people[1], "note.write", &world.root)).await, "permission_not_found");
        assert_eq!(world.assignments().await, 1);
        let role = world.get(&format!("roles/{viewer}")).await.expect(200);
        assert_eq!((&role["name"], &role["version"]), (&json!("VIEWER"), &json!(2)));
        world.get(&format!("roles/{editor}")).await.refused(404, "rbac.role_not_found");
        world.get(&format!("nodes/{team}")).await.refused(404, "nodes.node_not_found");
    }

    async fn all_that_is_wrong_with_a_document_is_told_at_once(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let before = world.get("export").await.expect(200);
        let mut document = before.clone();
        document["permissions"].as_array_mut().unwrap().push(json!({"key": "note.read"}));
        document["roles"].as_array_mut().unwrap().push(json!({"name": "viewer", "permission_keys": ["x.y"]}));
        document["nodes"] = json!([
            {"path": "acme/eu", "node_type": "root", "name": "EU"},
            {"path": "acme", "node_type": "team", "name": "Acme"},
            {"path": "other", "node_type": "root", "name": "Other"},
        ]);
        let refused = import(&world, "", &document).await;
        refused.refused(400, "request.validation_failed");
        let fields = refused.body["error"]["details"]["fields"].as_array().unwrap();
        let told: Vec<(&str, &str)> = fields.iter().map(|one| (one["path"].as_str().unwrap(), one["code"].as_str().unwrap())).collect();
        assert_eq!(told, [
            ("/permissions/2/key", "repeated"),
            ("/roles/2/permission_keys/0", "unknown_permission_key"),
            ("/roles/2/name", "repeated"),
            ("/nodes/0/path", "not_allowed"),
            ("/nodes/1/node_type", "not_the_root_type"),
            ("/nodes/2/path", "second_root"),
        ]);
        for (member, value, code) in [
            ("format_version", json!(2), "request.validation_failed"),
            ("nodes", json!([]), "request.validation_failed"),
            ("nodes", json!([{"path": "acme//eu", "node_type": "root", "name": "N"}]), "request.validation_failed"),
            ("hierarchy_schema", json!({"node_types": ["a"], "allowed_children": {}, "max_depth": 1, "root_node_type": "b"}), "request.validation_failed"),
            ("webhooks", json!([{"url": "https://example.com"}]), "request.unsupported_field"),
            ("surprise", json!(1), "request.validation_failed"),
        ] {
            let mut document = before.clone();
            document[member] = value;
            import(&world, "", &document).await.refused(400, code);
        }
        assert_eq!(world.get("export").await.expect(200), before);
        assert_eq!(world.get(&format!("roles/{viewer}")).await.expect(200)["version"], 1);
    }

    async fn a_copy_is_made_of_the_same_and_knows_the_same_people(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        grow(&world).await;
        let ada = world.members("ada", 1).await.remove(0);
        world.post("assignments", &world.item(&ada, &viewer)).await.expect(201);
        let path = format!("{}/environments", world.app);
        let new = |source: &str| json!({"name": "Staging", "copy_from": source});
        world.admin.post(&path, &new("nowhere")).await.refused(404, "environments.environment_not_found");
        let made = world.admin.post(&path, &new("development")).await;
        assert!(made.header("location").unwrap().ends_with("/environments/staging"));
        assert_eq!(made.header("etag"), Some("\"1\""));
        let made = made.expect(201);
        assert_eq!((&made["environment"]["access_model"], &made["environment"]["version"]), (&json!("hierarchy"), &json!(1)));
        assert_eq!((&made["oauth_client_rotations"], &made["webhook_subscription_rotations"]), (&json!([]), &json!([])));
        let copy = World {
            account: world.account, env: format!("{path}/staging"), root: String::new(), admin: world.admin.clone(), acc: world.acc.clone(), app: world.app.clone() };
        let mut expected = world.get("export").await.expect(200);
        expected["source_env"] = json!("staging");
        assert_eq!(copy.get("export").await.expect(200), expected);
        assert_eq!(copy.assignments().await, 0);
        let role = copy.role("Viewer").await;
        assert_ne!(role, viewer);
        let tree = copy.get("nodes").await.expect(200);
        let root = tree["tree"][0]["id"].as_str().unwrap().to_owned();
        let team = tree["tree"][0]["children"][0]["children"][0]["id"].as_str().unwrap().to_owned();
        let ask = |node: &str| json!({"identity_id": ada, "permission": "note.read", "scope": "node", "node_id": node});
        assert_eq!(copy.post("permissions/evaluate", &ask(&team)).await.expect(200)["denial_reason"], "no_grant");
        let give = json!({"identity_id": ada, "role_id": role, "node_id": root});
        copy.post("assignments", &give).await.expect(201);
        assert_eq!(copy.post("permissions/evaluate", &ask(&team)).await.expect(200)["allowed"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_larger_than_any_bulk_call_is_imported() {
    let server = TestServer::on_memory();
    let world = World::new(&server, "acme").await;
    grow(&world).await;
    let mut document = world.get("export").await.expect(200);
    let nodes = document["nodes"].as_array_mut().unwrap();
    let more = 10_001;
    nodes.extend(
        (0..more).map(|n| json!({"path": format!("acme/eu/t{n}"), "node_type": "team", "name": format!("Team {n}")})),
    );
    let done = import(&world, "", &document).await.expect(200);
    assert_eq!(done["changes"]["nodes"], counts(3, 0, 0, more));
    let again = world.get("export").await.expect(200);
    assert_eq!(again["nodes"].as_array().unwrap().len(), 10_004);
    let unchanged = import(&world, "", &again).await.expect(200);
    assert_eq!(unchanged["changes"]["nodes"], counts(10_004, 0, 0, 0));
}
