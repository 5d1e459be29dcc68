use crate::world::World;
use serde_json::{Value, json};

/// The catalog of a large cloud provider in numbers: 13,790 keys, 2,461 roles, the first of which bundles 13,568 keys, and
/// 165,179 pairs in all.
fn cloud_catalog() -> Value {
    const KEYS: usize = 13_790;
    const ROLES: usize = 2_461;
    const LARGEST: usize = 13_568;
    const PAIRS: usize = 165_179;
    let key = |number: usize| format!("service{}.action{}", number % 394, number / 394);
    let resources = (0..394).map(|service| {
        let actions: Vec<String> = (service..KEYS)
            .step_by(394)
            .map(|number| format!("action{}", number / 394))
            .collect();
        json!({"name": format!("service{service}"), "actions": actions})
    });
    let (each, more) = ((PAIRS - LARGEST) / (ROLES - 1), (PAIRS - LARGEST) % (ROLES - 1));
    let roles = (0..ROLES).map(|role| {
        let count = match role {
            0 => LARGEST,
            small => each + usize::from(small <= more),
        };
        let keys: Vec<String> = (0..count).map(|one| key((role * 61 + one) % KEYS)).collect();
        json!({"name": format!("Role {role}"), "permission_keys": keys})
    });
    json!({"resources": resources.collect::<Vec<_>>(), "roles": roles.collect::<Vec<_>>()})
}

on_every_store! {
    async fn a_catalog_as_large_as_that_of_a_cloud_provider_fits(server) {
        let world = World::new(&server, "acme").await;
        let mut body = cloud_catalog();
        let counts = world.post("setup/access-bootstrap", &body).await.expect(201);
        let expected = json!({"permissions_created": 13_790, "roles_created": 2_461, "skipped_permissions": 0, "skipped_roles": 0});
        assert_eq!(counts, expected);
        let roles = world.get("roles?type=custom").await.expect(200)["items"].take();
        let roles = roles.as_array().unwrap();
        assert_eq!(roles.iter().map(|role| role["permission_count"].as_u64().unwrap()).sum::<u64>(), 165_179);
        let role = |name: &str| roles.iter().find(|role| role["name"] == name).unwrap()["id"].as_str().unwrap().to_owned();
        let (largest, small) = (role("Role 0"), role("Role 2460"));
        let people = world.members("p", 2).await;
        world.post("assignments", &world.item(&people[0], &largest)).await.expect(201);
        world.post("assignments", &world.item(&people[1], &small)).await.expect(201);
        let last = body["roles"][2_460]["permission_keys"][0].as_str().unwrap().to_owned();
        assert!(world.may(&people[1], &last).await);
        // The largest role has the first 13,568 keys, in the order of the catalog.
        let key = |number: usize| format!("service{}.action{}", number % 394, number / 394);
        assert!(world.may(&people[0], &key(13_567)).await && !world.may(&people[0], &key(13_568)).await);
        // What it bundles is listed and replaced as a whole, and given to another one.
        let path = format!("roles/{largest}/permissions");
        let bundled = world.get(&path).await.expect(200);
        let bundled = bundled["items"].as_array().or_else(|| bundled.as_array()).unwrap().len();
        assert_eq!(bundled, 13_568);
        let mut keys = body["roles"][0]["permission_keys"].take();
        keys.as_array_mut().unwrap().pop();
        world.admin.put(&format!("{}/{path}", world.env), &json!({"permission_keys": keys})).await.expect(200);
        assert!(!world.may(&people[0], &key(13_567)).await && world.may(&people[0], &key(13_566)).await);
        world.post("roles", &json!({"name": "Another", "permission_keys": keys})).await.expect(201);
        let gain = json!({"resources": [], "role_permissions": [{"role_id": small, "permission_keys": keys}]});
        assert_eq!(world.post("setup/resource-permissions", &gain).await.expect(201)["roles_updated"], 1);
        assert!(world.may(&people[1], &key(13_566)).await);
    }

    async fn more_keys_than_a_catalog_may_have_are_refused_before_they_are_made(server) {
        let world = World::new(&server, "acme").await;
        let actions: Vec<String> = (0..50_001).map(|number| format!("a{number}")).collect();
        let body = |actions: &[String]| json!({"resources": [{"name": "s", "actions": actions}], "roles": []});
        let refused = world.post("setup/access-bootstrap", &body(&actions)).await;
        refused.refused(400, "request.validation_failed");
        assert_eq!(refused.body["error"]["details"]["fields"][0]["code"], "too_many_items");
        // With those of the system it is the catalog that would be too large.
        let refused = world.post("setup/access-bootstrap", &body(&actions[1..])).await;
        refused.refused(400, "setup.catalog_too_large");
        assert_eq!(refused.body["error"]["details"], json!({"keys": 50_014, "max_keys": 50_000}));
        assert_eq!(world.get("permissions?source=custom").await.expect(200)["items"], json!([]));
    }

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
