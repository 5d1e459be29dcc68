use crate::world::{NOBODY, World, ids_of};
use serde_json::{Value, json};

fn names(page: &Value) -> Vec<String> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["identity"]["name"].as_str().unwrap().to_owned())
        .collect()
}

on_every_store! {
    async fn an_assignment_lives_from_creation_to_deletion(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        let mut new = world.item(&ada, &viewer);
        new["effective_from"] = json!("2026-01-01T01:00:00+01:00");
        new["effective_to"] = json!("2999-12-31T23:59:59.9999999Z");
        let answer = world.post("assignments", &new).await;
        let location = answer.header("location").unwrap().to_owned();
        let made = answer.expect(201);
        assert_eq!(made["effective_from"], "2026-01-01T00:00:00.000Z");
        assert_eq!(made["effective_to"], "2999-12-31T23:59:59.999Z");
        assert_eq!(world.admin.get(&location).await.expect(200), made);
        world.post("assignments", &world.item(&ada, &viewer)).await.refused(409, "rbac.assignment_conflict");
        assert!(world.may(&ada, "note.read").await);

        let patch = |body: Value| { let (admin, path) = (world.admin.clone(), location.clone());
            async move { admin.patch(&path, None, &body).await } };
        let endless = patch(json!({"effective_to": null})).await.expect(200);
        assert_eq!((&endless["role_id"], &endless["effective_to"]), (&json!(viewer), &Value::Null), "an absent role stays");
        patch(json!({"role_id": null})).await.refused(400, "request.validation_failed");
        patch(json!({"role_id": NOBODY})).await.refused(404, "rbac.role_not_found");
        let past = json!({"role_id": viewer, "effective_to": "2025-01-01T00:00:00Z"});
        patch(past).await.refused(400, "rbac.invalid_window");
        let changed = patch(json!({"role_id": editor, "effective_to": null})).await.expect(200);
        assert_eq!((&changed["role_id"], &changed["effective_to"]), (&json!(editor), &Value::Null));
        assert_eq!(changed["effective_from"], made["effective_from"], "an absent date stays");
        let reset = patch(json!({"role_id": editor, "effective_from": null})).await.expect(200);
        assert_eq!(reset["effective_from"], reset["created_at"]);
        assert!(world.may(&ada, "note.write").await);

        world.admin.delete(&location).await.expect(204);
        assert!(!world.may(&ada, "note.write").await);
        for gone in [world.admin.get(&location).await, world.admin.delete(&location).await, patch(json!({"role_id": editor})).await] {
            gone.refused(404, "rbac.assignment_not_found");
        }
    }

    async fn the_list_filters_sorts_searches_and_pages(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let people = world.members("Zoë", 25).await;
        let mut items: Vec<Value> = people.iter().map(|id| world.item(id, &viewer)).collect();
        let mut ended = world.item(&people[0], &editor);
        ended["effective_from"] = json!("2020-01-01T00:00:00Z");
        ended["effective_to"] = json!("2020-01-02T00:00:00Z");
        let mut later = world.item(&people[1], &editor);
        later["effective_from"] = json!("2999-01-01T00:00:00Z");
        items.extend([ended, later]);
        world.post("assignments/bulk-create", &json!({"assignments": items})).await.expect(200);
        let list = |query: &str| { let path = format!("assignments/app-wide?{query}"); let world = &world;
            async move { world.get(&path).await.expect(200) } };
        let count = |page: &Value| page["pagination"]["item_count"].as_u64().unwrap();

        for (query, expected) in [
            ("", 27), ("status=active", 25), ("status=expired", 1), ("status=scheduled", 1), ("q=editor", 2),
            ("q=ZO%C3%8B+24", 1), ("q=zo%C3%AB24%40EXAMPLE", 1), ("q=acme", 27), ("q=%25", 0), ("q=_", 0),
        ] {
            assert_eq!(count(&list(query).await), expected, "{query}");
        }
        assert_eq!(count(&list(&format!("role_id={editor}")).await), 2);
        assert_eq!(count(&list(&format!("role_id={NOBODY}")).await), 0);
        assert_eq!(count(&list(&format!("source_node_id={}", world.root)).await), 27);

        let first = list("sort_by=name&take=10").await;
        assert_eq!(first["pagination"], json!({"page": 1, "take": 10, "item_count": 27, "page_count": 3,
            "has_previous_page": false, "has_next_page": true}));
        let mut seen: Vec<String> = Vec::new();
        let mut ids = std::collections::BTreeSet::new();
        for page in 1..=3 {
            let page = list(&format!("sort_by=name&order=asc&take=10&page={page}")).await;
            seen.extend(names(&page));
            for row in page["items"].as_array().unwrap() {
                assert!(ids.insert(row["assignment"]["id"].to_string()), "no row comes twice");
            }
        }
        let mut sorted = seen.clone();
        sorted.sort();
        assert_eq!(seen, sorted);
        assert_eq!(ids.len(), 27);
        assert_eq!(names(&list("sort_by=name&order=desc&take=1").await), ["Zoë 9"]);
        assert_eq!(count(&list("page=99").await), 27);
        for bad in ["take=0", "take=101", "page=0", "page=x", "sort_by=colour", "order=up", "status=dead", "colour=red", "role_id=7"] {
            world.get(&format!("assignments/app-wide?{bad}")).await.refused(400, "request.validation_failed");
        }
        let row = &list("status=expired").await["items"][0];
        assert_eq!(row["assignment"]["status"], "expired");
        assert_eq!(row["assignment"]["access_type"], "direct");
        assert_eq!((&row["role"]["name"], &row["assignment"]["source_node_name"]), (&json!("Editor"), &json!("acme")));
        let summary = world.get("assignments/app-wide/summary").await.expect(200);
        assert_eq!(summary, json!({"active_count": 25, "scheduled_count": 1, "expired_count": 1,
            "expiring_soon_count": 0, "distinct_role_count": 2}));
    }

    async fn many_are_removed_or_changed_all_or_nothing(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let people = world.members("p", 3).await;
        let mut items: Vec<Value> = people.iter().map(|id| world.item(id, &viewer)).collect();
        items.push(world.item(&people[0], &editor));
        let ids = ids_of(&world.post("assignments/bulk-create", &json!({"assignments": items})).await.expect(200));

        let unknown = world.post("assignments/bulk-remove", &json!({"assignment_ids": [ids[0], NOBODY]})).await;
        unknown.refused(404, "rbac.assignment_not_found");
        assert_eq!(unknown.body["error"]["details"]["assignment_ids"], json!([NOBODY]));
        let change = |ids: Value, role: &str| { let (world, role) = (&world, role.to_owned());
            async move { world.post("assignments/bulk-change-role", &json!({"assignment_ids": ids, "role_id": role})).await } };
        change(json!([ids[0], ids[1]]), &editor).await.refused(409, "rbac.assignment_conflict");
        change(json!([ids[1], NOBODY]), &editor).await.refused(404, "rbac.assignment_not_found");
        change(json!([ids[1]]), NOBODY).await.refused(404, "rbac.role_not_found");
        world.admin.post(&format!("{}/identities/{}/suspend", world.app, people[1]), &json!({})).await.expect(200);
        let idle = change(json!([ids[2], ids[1]]), &editor).await;
        idle.refused(400, "identities.membership_not_active");
        assert_eq!(idle.body["error"]["details"]["assignment_ids"], json!([ids[1]]));
        let one = format!("assignments/{}", ids[1]);
        world.patch(&one, None, &json!({"role_id": editor})).await.refused(400, "identities.membership_not_active");
        // Access that is idle can still be shortened.
        let shorter = json!({"role_id": viewer, "effective_to": "2999-01-01T00:00:00Z"});
        world.patch(&one, None, &shorter).await.expect(200);
        world.admin.post(&format!("{}/identities/{}/activate", world.app, people[1]), &json!({})).await.expect(200);
        assert!(!world.may(&people[1], "note.write").await, "nothing was changed");
        let changed = change(json!([ids[1], ids[2]]), &editor).await.expect(200);
        assert_eq!(changed["updated"], 2);
        assert!(world.may(&people[1], "note.write").await);
        world.post("assignments/bulk-remove", &json!({"assignment_ids": ids})).await.expect(204);
        assert_eq!(world.assignments().await, 0);
    }
}
