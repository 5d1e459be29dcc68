//! Changing and deleting roles and permissions.

use crate::world::{NOBODY, World};
use serde_json::{Value, json};

async fn permission(world: &World, key: &str) -> Value {
    let listed = world.get(&format!("permissions?q={key}")).await.expect(200);
    listed["items"][0].clone()
}

on_every_store! {
    async fn a_change_to_a_role_is_seen_by_the_next_check(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        world.post("assignments", &world.item(&ada, &viewer)).await.expect(201);
        assert!(world.may(&ada, "note.read").await);
        let tail = format!("roles/{viewer}");
        let off = world.patch(&tail, Some(1), &json!({"is_active": false, "description": " Looks "})).await;
        assert_eq!(off.header("etag"), Some("\"2\""));
        let off = off.expect(200);
        assert_eq!((&off["name"], &off["description"], &off["is_active"], &off["version"]),
            (&json!("Viewer"), &json!("Looks"), &json!(false), &json!(2)));
        assert!(!world.may(&ada, "note.read").await);
        let on = world.patch(&tail, Some(2), &json!({"is_active": true, "name": "Reader", "description": null})).await.expect(200);
        assert_eq!((&on["name"], &on["description"], &on["version"]), (&json!("Reader"), &Value::Null, &json!(3)));
        assert!(world.may(&ada, "note.read").await);
        let question = json!({"identity_id": ada, "permission": "note.read", "scope": "app_wide"});
        let decision = world.post("permissions/evaluate", &question).await.expect(200);
        assert_eq!(decision["granting_roles"], json!(["Reader"]));
        // Its own name in another case is free, another role's is not; what is there already changes nothing.
        assert_eq!(world.patch(&tail, Some(3), &json!({"name": "READER"})).await.expect(200)["version"], 4);
        world.patch(&tail, Some(4), &json!({"name": "eDITOR"})).await.refused(409, "rbac.role_name_taken");
        assert_eq!(world.patch(&tail, Some(4), &json!({"name": "READER"})).await.expect(200)["version"], 4);
        let stale = world.patch(&tail, Some(3), &json!({"name": "X"})).await;
        stale.refused(409, "request.version_mismatch");
        assert_eq!(stale.body["error"]["details"]["current_version"], 4);
        world.patch(&tail, None, &json!({"name": "X"})).await.refused(428, "request.if_match_required");
        for (bad, code) in [(json!({"name": null}), "required"), (json!({"is_active": null}), "required"), (json!({"key": "x"}), "unknown_field")] {
            let refused = world.patch(&tail, Some(4), &bad).await;
            refused.refused(400, "request.validation_failed");
            assert_eq!(refused.body["error"]["details"]["fields"][0]["code"], code);
        }
        world.patch(&format!("roles/{NOBODY}"), Some(1), &json!({})).await.refused(404, "rbac.role_not_found");
        let admin = world.role("Environment Admin").await;
        world.patch(&format!("roles/{admin}"), Some(1), &json!({"name": "X"})).await.refused(403, "rbac.system_role");
        world.delete(&format!("roles/{admin}?force=true"), Some(1)).await.refused(403, "rbac.system_role");
        assert_eq!(world.get(&format!("roles/{editor}")).await.expect(200)["version"], 1);
    }

    async fn a_role_that_is_assigned_goes_with_its_assignments_or_not_at_all(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let people = world.members("p", 2).await;
        for person in &people {
            world.post("assignments", &world.item(person, &viewer)).await.expect(201);
        }
        world.post("assignments", &world.item(&people[0], &editor)).await.expect(201);
        let tail = format!("roles/{viewer}");
        let refused = world.delete(&tail, Some(1)).await;
        refused.refused(409, "rbac.role_in_use");
        assert_eq!(refused.body["error"]["details"]["assignment_count"], 2);
        world.delete(&tail, Some(2)).await.refused(409, "request.version_mismatch");
        world.delete(&tail, None).await.refused(428, "request.if_match_required");
        assert_eq!(world.assignments().await, 3);
        assert!(world.may(&people[1], "note.read").await);
        assert_eq!(world.delete(&format!("{tail}?force=true"), Some(1)).await.status, 204);
        assert!(!world.may(&people[1], "note.read").await && world.may(&people[0], "note.read").await);
        assert_eq!(world.assignments().await, 1);
        world.get(&tail).await.refused(404, "rbac.role_not_found");
        world.delete(&tail, Some(1)).await.refused(404, "rbac.role_not_found");
        let again = world.post("roles", &json!({"name": "viewer"})).await.expect(201);
        let again = again["id"].as_str().unwrap().to_owned();
        assert_eq!(world.delete(&format!("roles/{again}"), Some(1)).await.status, 204);
    }

    async fn a_permission_that_roles_bundle_is_taken_from_them_or_stays(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        world.post("assignments", &world.item(&ada, &editor)).await.expect(201);
        let read = permission(&world, "note.read").await;
        let tail = format!("permissions/{}", read["id"].as_str().unwrap());
        let changed = world.patch(&tail, Some(1), &json!({"description": "Reads", "category": "Notes"})).await;
        assert_eq!(changed.header("etag"), Some("\"2\""));
        let changed = changed.expect(200);
        assert_eq!((&changed["key"], &changed["description"], &changed["category"], &changed["version"]),
            (&json!("note.read"), &json!("Reads"), &json!("Notes"), &json!(2)));
        assert_eq!(world.patch(&tail, Some(2), &json!({"category": null})).await.expect(200)["category"], Value::Null);
        assert!(world.may(&ada, "note.read").await);
        world.patch(&tail, Some(2), &json!({"category": "X"})).await.refused(409, "request.version_mismatch");
        world.patch(&tail, None, &json!({"category": "X"})).await.refused(428, "request.if_match_required");
        world.patch(&tail, Some(3), &json!({"key": "note.see"})).await.refused(400, "request.validation_failed");
        let refused = world.delete(&tail, Some(3)).await;
        refused.refused(409, "rbac.permission_in_use");
        let mut bundling = vec![viewer.clone(), editor.clone()];
        bundling.sort();
        assert_eq!(refused.body["error"]["details"]["role_ids"], json!(bundling));
        assert_eq!(world.delete(&format!("{tail}?force=true"), Some(3)).await.status, 204);
        assert!(!world.may(&ada, "note.read").await && world.may(&ada, "note.write").await);
        let role = world.get(&format!("roles/{editor}")).await.expect(200);
        assert_eq!(role["version"], 2, "it bundles less than whoever read it knows");
        assert_eq!(world.get(&format!("roles/{editor}/permissions")).await.expect(200)["items"], json!(["note.write"]));
        world.get(&tail).await.refused(404, "rbac.permission_not_found");
        // A key that is made anew is a new permission.
        world.post("permissions", &json!({"permissions": [{"key": "note.read"}]})).await.expect(201);
        assert!(!world.may(&ada, "note.read").await);
        let unused = permission(&world, "note.read").await["id"].as_str().unwrap().to_owned();
        assert_eq!(world.delete(&format!("permissions/{unused}"), Some(1)).await.status, 204);
        let system = permission(&world, "audit.read").await["id"].as_str().unwrap().to_owned();
        let tail = format!("permissions/{system}");
        world.patch(&tail, Some(1), &json!({"category": "X"})).await.refused(403, "rbac.system_permission");
        world.delete(&format!("{tail}?force=true"), Some(1)).await.refused(403, "rbac.system_permission");
    }
}
