use crate::world::{NOBODY, World, ids_of};
use canopy_testkit::server::{Answer, Api};
use reqwest::Method;
use serde_json::{Value, json};

/// A tree in the environment of a world.
///
/// ```text
/// root ── eu ── berlin ── mitte
///     │      └─ paris
///     └── us
/// ```
pub struct Tree {
    pub world: World,
    pub eu: String,
    pub us: String,
    pub berlin: String,
    pub paris: String,
    pub mitte: String,
}

impl Tree {
    /// `root` over `unit` and `desk`, `unit` over `unit`; at most 5 deep.
    pub async fn grow(world: World) -> Self {
        let model = format!("{}/access-model", world.env);
        world
            .admin
            .put(&model, &json!({"model": "hierarchy"}))
            .await
            .expect(200);
        let schema = json!({
            "node_types": ["root", "unit", "desk"],
            "allowed_children": {"root": ["unit", "desk"], "unit": ["unit"]},
            "max_depth": 5,
            "root_node_type": "root",
        });
        let path = format!("{}/hierarchy-schema", world.env);
        let version = world.get("hierarchy-schema").await.expect(200)["version"].as_u64();
        world.admin.patch(&path, version, &schema).await.expect(200);
        let node = |name: &str, parent: Value| {
            let mut node = json!({"ref": name, "node_type": "unit", "name": name});
            node.as_object_mut()
                .unwrap()
                .extend(parent.as_object().unwrap().clone());
            node
        };
        let below = |parent: &str| json!({ "parent_ref": parent });
        let root = json!({ "parent_node_id": world.root });
        let nodes = json!({"nodes": [
            node("EU", root.clone()),
            node("US", root),
            node("Berlin", below("EU")),
            node("Paris", below("EU")),
            node("Mitte", below("Berlin")),
        ]});
        let made = ids_of(&world.post("nodes/bulk-create", &nodes).await.expect(200));
        let [eu, us, berlin, paris, mitte] = made.try_into().unwrap();
        Self {
            world,
            eu,
            us,
            berlin,
            paris,
            mitte,
        }
    }

    async fn send(&self, method: Method, tail: &str, version: Option<u64>, body: Option<&Value>) -> Answer {
        let path = format!("{}/nodes/{tail}", self.world.env);
        let mut request = self.world.admin.request(method, &path);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(version) = version {
            request = request.header("If-Match", format!("\"{version}\""));
        }
        Api::send(request).await
    }

    async fn node(&self, id: &str) -> Value {
        self.world.get(&format!("nodes/{id}")).await.expect(200)
    }

    async fn version(&self, id: &str) -> Option<u64> {
        self.node(id).await["version"].as_u64()
    }

    pub async fn patch(&self, id: &str, body: Value) -> Answer {
        self.send(Method::PATCH, id, self.version(id).await, Some(&body)).await
    }

    async fn move_to(&self, id: &str, parent: &str) -> Answer {
        let body = json!({ "parent_node_id": parent });
        self.send(Method::POST, &format!("{id}/move"), self.version(id).await, Some(&body))
            .await
    }

    async fn delete(&self, id: &str, query: &str) -> Answer {
        self.send(Method::DELETE, &format!("{id}{query}"), self.version(id).await, None)
            .await
    }

    pub async fn assign(&self, identity: &str, role: &str, node: &str) -> String {
        let new = json!({"identity_id": identity, "role_id": role, "node_id": node});
        let made = self.world.post("assignments", &new).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// The first reason why not, or null.
    async fn denial(&self, identity: &str, node: &str) -> Value {
        let question = json!({"identity_id": identity, "permission": "note.read", "scope": "node", "node_id": node});
        self.world.post("permissions/evaluate", &question).await.expect(200)["denial_reason"].clone()
    }
}

fn slugs(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["slug"].as_str().unwrap())
        .collect()
}

fn shape(node: &Value) -> Value {
    let children: Vec<Value> = node["children"].as_array().unwrap().iter().map(shape).collect();
    json!([node["slug"], children])
}

on_every_store! {
    async fn each_caller_is_told_what_it_may_change(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let world = &tree.world;
        let bound = server.admin_in(world.account, world.environment("development").await);
        for (client, nodes, assignments) in [
            (bound, true, true),
            (world.key(&[]).await, true, true),
            (world.key(&["node.manage"]).await, true, false),
            (world.key(&["node.read"]).await, false, false),
            (world.key(&["node.read", "assignment.manage"]).await, false, true),
        ] {
            let get = async |tail: &str| client.get(&format!("/api/v1/nodes{tail}")).await.expect(200);
            let one = get(&format!("/{}", tree.eu)).await;
            let whole = get("").await;
            let part = get(&format!("/{}/tree", tree.eu)).await;
            for shown in [&one, &whole["tree"][0], &whole["tree"][0]["children"][0], &part, &part["children"][0]] {
                let told = (&shown["can_manage"], &shown["can_access"], &shown["access_state"]);
                assert_eq!(told, (&json!(nodes), &json!(true), &json!("full")));
            }
            let summary = get(&format!("/{}/identities/summary", tree.eu)).await;
            assert_eq!(summary["can_manage_assignments"], assignments);
        }
        assert_eq!(tree.node(&tree.eu).await["can_manage"], true);
    }

    async fn a_node_is_changed_at_the_version_that_was_seen(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let body = json!({"name": " Grand Est ", "metadata": {"b": 1, "a": [null]}, "slug": "est"});
        let changed = tree.send(Method::PATCH, &tree.paris, Some(1), Some(&body)).await;
        assert_eq!(changed.header("etag"), Some("\"2\""));
        let changed = changed.expect(200);
        let shown = |field: &str| changed[field].clone();
        assert_eq!((shown("name"), shown("slug"), shown("status"), shown("version")), (json!("Grand Est"), json!("est"), json!("active"), json!(2)));
        assert_eq!((shown("metadata"), shown("parent_node_id")), (json!({"b": 1, "a": [null]}), json!(tree.eu)));
        let mut found = tree.node(&tree.paris).await;
        for extra in ["access_state", "can_access", "can_manage"] {
            assert!(found.as_object_mut().unwrap().remove(extra).is_some());
        }
        assert_eq!(found, changed);

        // What changes nothing keeps the version; null clears what can be cleared.
        assert_eq!(tree.patch(&tree.paris, json!({})).await.expect(200), changed);
        assert_eq!(tree.patch(&tree.paris, json!({"slug": "est", "status": "active", "parent_node_id": tree.eu})).await.expect(200), changed);
        let cleared = tree.patch(&tree.paris, json!({"metadata": null})).await.expect(200);
        assert_eq!((&cleared["metadata"], &cleared["version"]), (&json!({}), &json!(3)));
        for bad in [json!({"name": null}), json!({"slug": null}), json!({"status": null}), json!({"parent_node_id": null}),
                    json!({"status": "off"}), json!({"slug": "Üb"}), json!({"node_type": "desk"}), json!({"version": 3})] {
            tree.patch(&tree.paris, bad).await.refused(400, "request.validation_failed");
        }
        let body = json!({"name": "X"});
        tree.send(Method::PATCH, &tree.paris, None, Some(&body)).await.refused(428, "request.if_match_required");
        let stale = tree.send(Method::PATCH, &tree.paris, Some(2), Some(&body)).await;
        stale.refused(409, "request.version_mismatch");
        assert_eq!(stale.body["error"]["details"], json!({"current_version": 3}));
        tree.patch(&tree.paris, json!({"slug": "berlin"})).await.refused(409, "nodes.slug_taken");
        tree.send(Method::PATCH, NOBODY, Some(1), Some(&body)).await.refused(404, "nodes.node_not_found");
        assert_eq!(tree.version(&tree.paris).await, Some(3), "a refusal changes nothing");
        let root = tree.patch(&tree.world.root, json!({"name": "Holding", "slug": "holding"})).await.expect(200);
        assert_eq!((&root["name"], &root["parent_node_id"]), (&json!("Holding"), &Value::Null));
    }

    async fn a_switched_off_node_lets_nobody_in_at_once(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let (viewer, _) = tree.world.bootstrap().await;
        let ada = tree.world.members("ada", 1).await.remove(0);
        tree.assign(&ada, &viewer, &tree.eu).await;
        for _ in 0..3 {
            assert_eq!(tree.denial(&ada, &tree.mitte).await, Value::Null);
            tree.patch(&tree.berlin, json!({"status": "inactive"})).await.expect(200);
            for (node, expected) in [
                (&tree.mitte, json!("node_inactive")), (&tree.berlin, json!("node_inactive")),
                (&tree.paris, Value::Null), (&tree.eu, Value::Null),
            ] {
                assert_eq!(tree.denial(&ada, node).await, expected);
            }
            tree.patch(&tree.berlin, json!({"status": "active"})).await.expect(200);
        }
    }

    async fn a_moved_node_takes_all_below_it_and_their_access_along_at_once(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let (viewer, _) = tree.world.bootstrap().await;
        let [ada, bob]: [String; 2] = tree.world.members("p", 2).await.try_into().unwrap();
        tree.assign(&ada, &viewer, &tree.eu).await;
        tree.assign(&bob, &viewer, &tree.us).await;
        for _ in 0..2 {
            assert_eq!(tree.denial(&ada, &tree.mitte).await, Value::Null);
            assert_eq!(tree.denial(&bob, &tree.mitte).await, "no_grant");
            let moved = tree.move_to(&tree.berlin, &tree.us).await;
            assert!(moved.header("etag").is_some());
            assert_eq!(moved.expect(200)["parent_node_id"], json!(tree.us));
            assert_eq!(tree.denial(&ada, &tree.mitte).await, "no_grant");
            assert_eq!(tree.denial(&bob, &tree.mitte).await, Value::Null);
            let ancestors = tree.world.get(&format!("nodes/{}/ancestors", tree.mitte)).await.expect(200);
            assert_eq!(slugs(&ancestors), ["acme", "us", "berlin"]);
            // A PATCH moves as well.
            tree.patch(&tree.berlin, json!({"parent_node_id": tree.eu})).await.expect(200);
        }
    }

    async fn a_move_keeps_the_rules_of_the_tree(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let make = |parent: &str, kind: &str, name: &str| {
            let (world, new) = (&tree.world, json!({"parent_node_id": parent, "node_type": kind, "name": name}));
            async move { world.post("nodes", &new).await.expect(201)["id"].as_str().unwrap().to_owned() }
        };
        let desk = make(&tree.world.root, "desk", "Desk").await;
        let deep = make(&tree.mitte, "unit", "Deep").await;
        let other_berlin = make(&tree.us, "unit", "Berlin").await;
        let before = tree.world.get("nodes").await.expect(200);
        for (node, parent, status, code) in [
            (&tree.world.root, &tree.us, 400, "nodes.root_stays"),
            (&tree.eu, &tree.eu, 400, "nodes.cycle"),
            (&tree.eu, &deep, 400, "nodes.cycle"),
            (&desk, &tree.eu, 400, "nodes.child_type_not_allowed"),
            (&tree.us, &desk, 400, "nodes.child_type_not_allowed"),
            // eu ── berlin ── mitte ── deep below us ── berlin would be six deep.
            (&tree.eu, &other_berlin, 400, "nodes.max_depth_exceeded"),
            (&other_berlin, &tree.eu, 409, "nodes.slug_taken"),
        ] {
            tree.move_to(node, parent).await.refused(status, code);
            tree.patch(node, json!({"parent_node_id": parent})).await.refused(status, code);
        }
        tree.move_to(&tree.us, NOBODY).await.refused(404, "nodes.parent_not_found");
        let body = json!({"parent_node_id": tree.us});
        let path = format!("{}/move", tree.paris);
        tree.send(Method::POST, &path, None, Some(&body)).await.refused(428, "request.if_match_required");
        tree.send(Method::POST, &path, Some(9), Some(&body)).await.refused(409, "request.version_mismatch");
        tree.send(Method::POST, &format!("{NOBODY}/move"), Some(1), Some(&body)).await.refused(404, "nodes.node_not_found");
        tree.send(Method::POST, &path, Some(1), Some(&json!({}))).await.refused(400, "request.validation_failed");
        assert_eq!(tree.world.get("nodes").await.expect(200), before, "refusals change nothing");
        // With another slug it fits, and to where it stands it may always go.
        tree.patch(&other_berlin, json!({"parent_node_id": tree.eu, "slug": "berlin-2"})).await.expect(200);
        let same = tree.move_to(&tree.paris, &tree.eu).await.expect(200);
        assert_eq!(same["version"], 1);
    }

    async fn what_stands_around_a_node_is_read_in_parts(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let part = tree.world.get(&format!("nodes/{}/tree", tree.eu)).await.expect(200);
        assert_eq!(shape(&part), json!(["eu", [["berlin", [["mitte", []]]], ["paris", []]]]));
        assert_eq!((&part["parent_node_id"], &part["access_state"]), (&json!(tree.world.root), &json!("full")));
        let whole = tree.world.get(&format!("nodes/{}/tree", tree.world.root)).await.expect(200);
        assert_eq!(whole, tree.world.get("nodes").await.expect(200)["tree"][0]);
        let children = tree.world.get(&format!("nodes/{}/children", tree.eu)).await.expect(200);
        assert_eq!(slugs(&children), ["berlin", "paris"]);
        assert_eq!(slugs(&tree.world.get(&format!("nodes/{}/children", tree.mitte)).await.expect(200)), [""; 0]);
        let ancestors = tree.world.get(&format!("nodes/{}/ancestors", tree.mitte)).await.expect(200);
        assert_eq!(slugs(&ancestors), ["acme", "eu", "berlin"]);
        assert_eq!(slugs(&tree.world.get(&format!("nodes/{}/ancestors", tree.world.root)).await.expect(200)), [""; 0]);
        let rival = World::new(&server, "rival").await;
        for id in [NOBODY, &rival.root] {
            for part in ["", "/tree", "/children", "/ancestors", "/identities", "/identities/summary"] {
                tree.world.get(&format!("nodes/{id}{part}")).await.refused(404, "nodes.node_not_found");
            }
            tree.send(Method::DELETE, id, Some(1), None).await.refused(404, "nodes.node_not_found");
        }
    }

    async fn a_node_goes_alone_or_with_all_that_hangs_on_it(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let (viewer, editor) = tree.world.bootstrap().await;
        let ada = tree.world.members("ada", 1).await.remove(0);
        tree.assign(&ada, &viewer, &tree.mitte).await;
        tree.assign(&ada, &editor, &tree.eu).await;
        let kept = tree.assign(&ada, &viewer, &tree.us).await;
        assert_eq!(tree.denial(&ada, &tree.mitte).await, Value::Null);
        for (node, children, assignments) in [(&tree.eu, 2, 1), (&tree.mitte, 0, 1), (&tree.berlin, 1, 0)] {
            let used = tree.delete(node, "").await;
            used.refused(409, "nodes.node_in_use");
            assert_eq!(used.body["error"]["details"], json!({"child_count": children, "assignment_count": assignments}));
        }
        tree.delete(&tree.world.root, "?force=true").await.refused(400, "nodes.root_stays");
        tree.send(Method::DELETE, &tree.paris, None, None).await.refused(428, "request.if_match_required");
        tree.send(Method::DELETE, &format!("{}?force=true", tree.eu), Some(7), None).await.refused(409, "request.version_mismatch");
        assert_eq!(tree.world.assignments().await, 3, "refusals change nothing");

        tree.delete(&tree.paris, "").await.expect(204);
        tree.delete(&tree.eu, "?force=true").await.expect(204);
        for gone in [&tree.eu, &tree.berlin, &tree.mitte, &tree.paris] {
            tree.world.get(&format!("nodes/{gone}")).await.refused(404, "nodes.node_not_found");
            assert_eq!(tree.denial(&ada, gone).await, "node_not_found");
        }
        assert_eq!(tree.denial(&ada, &tree.us).await, Value::Null);
        assert_eq!(tree.world.assignments().await, 1);
        tree.world.get(&format!("assignments/{kept}")).await.expect(200);
        // The place is free again.
        let again = json!({"parent_node_id": tree.world.root, "node_type": "unit", "name": "EU", "slug": "eu"});
        tree.world.post("nodes", &again).await.expect(201);
    }

    async fn people_at_a_node_come_from_it_and_from_above(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let (viewer, editor) = tree.world.bootstrap().await;
        let [ada, bob, cleo]: [String; 3] = tree.world.members("p", 3).await.try_into().unwrap();
        tree.assign(&ada, &viewer, &tree.world.root).await;
        tree.assign(&bob, &editor, &tree.eu).await;
        tree.assign(&bob, &viewer, &tree.berlin).await;
        tree.assign(&cleo, &viewer, &tree.mitte).await;
        let list = |query: &str| { let (world, path) = (&tree.world, format!("nodes/{}/identities?{query}", tree.berlin));
            async move { world.get(&path).await.expect(200) } };
        let rows = |page: &Value| -> Vec<(String, String, String)> {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            page["items"].as_array().unwrap().iter().map(|row| {
                (text(&row["identity"]["name"]), text(&row["assignment"]["source_node_name"]), text(&row["assignment"]["access_type"]))
            }).collect()
        };
        let row = |name: &str, node: &str, access: &str| (name.to_owned(), node.to_owned(), access.to_owned());
        let (top, eu, own) = (row("p 0", "acme", "inherited"), row("p 1", "EU", "inherited"), row("p 1", "Berlin", "direct"));
        for (query, expected) in [
            ("", vec![&top, &eu, &own]),
            ("order=desc", vec![&own, &eu, &top]),
            ("sort_by=access_type", vec![&own, &top, &eu]),
            ("sort_by=access_type&order=desc", vec![&eu, &top, &own]),
            ("sort_by=role", vec![&eu, &top, &own]),
            ("sort_by=name&order=desc", vec![&own, &eu, &top]),
            ("access_type=direct", vec![&own]),
            ("access_type=inherited", vec![&top, &eu]),
            ("status=expired", vec![]),
            ("status=active&take=1&page=2", vec![&eu]),
            ("q=EDITOR", vec![&eu]),
            ("q=acme", vec![&top]),
        ] {
            assert_eq!(rows(&list(query).await).iter().collect::<Vec<_>>(), expected, "{query}");
        }
        assert_eq!(rows(&list(&format!("source_node_id={}", tree.eu)).await), std::slice::from_ref(&eu));
        assert_eq!(rows(&list(&format!("role_id={editor}")).await), [eu]);
        assert_eq!(list("take=2").await["pagination"]["item_count"], 3);
        for bad in ["access_type=both", "sort_by=node", "status=x", "take=0", "x=1"] {
            let path = format!("nodes/{}/identities?{bad}", tree.berlin);
            tree.world.get(&path).await.refused(400, "request.validation_failed");
        }
        tree.world.get("assignments/app-wide?sort_by=access_type").await.refused(400, "request.validation_failed");
        let mut summary = tree.world.get(&format!("nodes/{}/identities/summary", tree.berlin)).await.expect(200);
        let recent: Vec<Value> = summary["recent_identities"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        assert_eq!(recent, ["p 1", "p 0"]);
        summary.as_object_mut().unwrap().remove("recent_identities");
        assert_eq!(summary, json!({"direct_count": 1, "inherited_count": 2, "can_manage_assignments": true, "active_count": 3,
            "scheduled_count": 0, "expired_count": 0, "expiring_soon_count": 0, "distinct_role_count": 2}));
    }

    async fn a_revert_reseats_everything_at_the_root(server) {
        let tree = Tree::grow(World::new(&server, "acme").await).await;
        let (viewer, editor) = tree.world.bootstrap().await;
        let [ada, bob, cleo]: [String; 3] = tree.world.members("p", 3).await.try_into().unwrap();
        let stays = tree.assign(&ada, &viewer, &tree.world.root).await;
        tree.assign(&ada, &viewer, &tree.berlin).await;
        tree.assign(&bob, &viewer, &tree.mitte).await;
        let off = tree.assign(&cleo, &viewer, &tree.paris).await;
        let mut ended = json!({"identity_id": bob, "role_id": editor, "node_id": tree.us});
        ended["effective_from"] = json!("2020-01-01T00:00:00Z");
        ended["effective_to"] = json!("2020-02-01T00:00:00Z");
        tree.world.post("assignments", &ended).await.expect(201);
        tree.patch(&tree.paris, json!({"status": "inactive"})).await.expect(200);
        assert_eq!(tree.denial(&bob, &tree.world.root).await, "no_grant");
        let expected = json!({"assignments_moved": 1, "assignments_deduplicated": 1, "assignments_expired_dropped": 1,
            "assignments_inactive_dropped": 1, "nodes_deleted": 5, "schema_cleared": true, "identities_gaining_reach": 1});

        let before = tree.world.get("nodes").await.expect(200);
        let dry = tree.world.post("revert-to-flat?dry_run=true", &Value::Null).await;
        assert_eq!(dry.expect(200), expected);
        assert_eq!(tree.world.get("nodes").await.expect(200), before, "a dry run writes nothing");
        assert_eq!(tree.world.assignments().await, 5);
        let reverted = tree.world.post("revert-to-flat", &Value::Null).await;
        assert_eq!(reverted.expect(200), expected);

        assert_eq!(tree.denial(&bob, &tree.world.root).await, Value::Null);
        assert_eq!(tree.denial(&cleo, &tree.world.root).await, "no_grant");
        assert_eq!(tree.denial(&bob, &tree.mitte).await, "node_not_found");
        assert_eq!(tree.world.assignments().await, 2);
        tree.world.get(&format!("assignments/{stays}")).await.expect(200);
        tree.world.get(&format!("assignments/{off}")).await.refused(404, "rbac.assignment_not_found");
        let after = tree.world.get("nodes").await.expect(200);
        assert_eq!((&after["tree"][0]["node_type"], &after["tree"][0]["children"]), (&json!("root"), &json!([])));
        let model = tree.world.get("access-model").await.expect(200);
        assert_eq!(model, json!({"model": "flat"}));
        assert_eq!(tree.world.get("hierarchy-schema").await.expect(200)["node_types"], json!(["root"]));
        for query in ["", "?dry_run=true"] {
            let again = tree.world.post(&format!("revert-to-flat{query}"), &Value::Null).await;
            again.refused(400, "hierarchy.already_flat");
        }
        let node = json!({"parent_node_id": tree.world.root, "node_type": "root", "name": "N"});
        tree.world.post("nodes", &node).await.refused(400, "hierarchy.flat");
        // And back again.
        Tree::grow(tree.world).await;
    }
}
