use crate::world::World;
use serde_json::json;

on_every_store! {
    async fn of_two_bootstraps_at_once_one_wins(server) {
        let world = World::new(&server, "acme").await;
        let body = |role: &str| json!({
            "resources": [{"name": "a", "actions": ["b", "c"]}],
            "roles": [{"name": role, "permission_keys": ["a.b"]}],
        });
        let (one_body, other_body) = (body("One"), body("Other"));
        let (one, other) = tokio::join!(
            world.post("setup/access-bootstrap", &one_body),
            world.post("setup/access-bootstrap", &other_body)
        );
        let (won, lost) = if one.status == 201 { (one, other) } else { (other, one) };
        assert_eq!(won.expect(201)["permissions_created"], 2);
        lost.refused(409, "setup.already_bootstrapped");
        let details = &lost.body["error"]["details"];
        let counts: Vec<u64> = details.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).collect();
        assert_eq!(counts.iter().sum::<u64>(), 3, "two permissions and one role: {details}");
    }

    async fn a_refused_bootstrap_leaves_nothing(server) {
        let world = World::new(&server, "acme").await;
        let role = |keys: &[&str]| json!([{"name": "R", "permission_keys": keys}]);
        for (body, code) in [
            (json!({"resources": [], "roles": role(&["no.such", "role.read", "a.a"])}), "rbac.unknown_permission_keys"),
            (json!({"resources": [], "roles": []}), "request.validation_failed"),
            (json!({"resources": [], "roles": [{"name": "R", "permission_keys": []}, {"name": "r ", "permission_keys": []}]}),
             "rbac.duplicate_role_name"),
            (json!({"resources": [{"name": "a b", "actions": ["c"]}], "roles": []}), "request.validation_failed"),
            (json!({"resources": [{"name": "a", "actions": ["c"]}]}), "request.validation_failed"),
        ] {
            let answer = world.post("setup/access-bootstrap", &body).await;
            answer.refused(400, code);
            if code == "rbac.unknown_permission_keys" {
                assert_eq!(answer.body["error"]["details"]["permission_keys"], json!(["a.a", "no.such"]));
            }
        }
        assert_eq!(world.get("permissions?source=custom").await.expect(200)["items"], json!([]));
        world.bootstrap().await;
    }

    async fn resource_permissions_add_and_never_take(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        world.post("assignments", &world.item(&ada, &viewer)).await.expect(201);
        assert!(!world.may(&ada, "note.share").await);
        let body = json!({
            "resources": [{"name": "note", "actions": ["share", "read"]}],
            "role_permissions": [
                {"role_id": viewer, "permission_keys": ["note.share"]},
                {"role_id": editor, "permission_keys": ["note.read"]},
            ],
        });
        let counts = world.post("setup/resource-permissions", &body).await.expect(201);
        assert_eq!(counts, json!({"permissions_created": 1, "skipped_permissions": 1, "roles_updated": 1}));
        assert!(world.may(&ada, "note.share").await && world.may(&ada, "note.read").await);
        let admin = world.role("Environment Admin").await;
        for (role, keys, status, code) in [
            (crate::world::NOBODY, "x.y", 404, "rbac.role_not_found"),
            (admin.as_str(), "x.y", 400, "rbac.unknown_permission_keys"),
            (admin.as_str(), "note.read", 403, "rbac.system_role"),
        ] {
            let body = json!({"resources": [], "role_permissions": [{"role_id": role, "permission_keys": [keys]}]});
            world.post("setup/resource-permissions", &body).await.refused(status, code);
        }
    }

    async fn summaries_tell_how_far_each_environment_is(server) {
        let world = World::new(&server, "acme").await;
        world.bootstrap().await;
        world.members("p", 3).await;
        let summaries = world.admin.get(&format!("{}/setup-summaries", world.acc)).await.expect(200);
        let items = summaries["items"].as_array().unwrap();
        let told: Vec<_> = items.iter().map(|one| {
            (one["environment_slug"].as_str().unwrap(), one["is_complete"].as_bool().unwrap(), one["identities_count"].as_u64().unwrap())
        }).collect();
        assert_eq!(told, [("development", true, 3), ("production", false, 3)]);
    }
}
