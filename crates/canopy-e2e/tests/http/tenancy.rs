//! Changing and deleting accounts, applications and environments.

use crate::world::World;
use serde_json::{Value, json};

/// The number of calls that create something of one name at once.
const AT_ONCE: usize = 16;

/// Creates something of one name many times at once; the slugs that were given are the name's and those with numbers.
async fn all_get_slugs(client: &canopy_testkit::server::Api, path: &str, body: &Value) {
    let created: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (client, path, body) = (client.clone(), path.to_owned(), body.clone());
            tokio::spawn(async move {
                let created = client.post(&path, &body).await.expect(201);
                // An environment is answered together with what was made beside it.
                created.get("environment").unwrap_or(&created)["slug"].clone()
            })
        })
        .collect();
    let mut slugs = Vec::new();
    for one in created {
        slugs.push(one.await.unwrap().as_str().unwrap().to_owned());
    }
    slugs.sort();
    let numbered = (2..=AT_ONCE).map(|number| format!("meanwhile-{number}"));
    let mut expected: Vec<String> = std::iter::once("meanwhile".to_owned()).chain(numbered).collect();
    expected.sort();
    assert_eq!(slugs, expected, "{path}");
}

on_every_store! {
    async fn equal_names_at_once_get_slugs_of_their_own(server) {
        let world = World::new(&server, "acme").await;
        let body = json!({"name": "Meanwhile"});
        all_get_slugs(&server.operator(), "/portal/v1/accounts", &body).await;
        all_get_slugs(&world.admin, &format!("{}/applications", world.acc), &body).await;
        all_get_slugs(&world.admin, &format!("{}/environments", world.app), &body).await;
        let tree = crate::hierarchy::Tree::grow(world).await;
        let node = json!({"name": "Meanwhile", "node_type": "unit", "parent_node_id": tree.eu});
        all_get_slugs(&tree.world.admin, &format!("{}/nodes", tree.world.env), &node).await;
    }

    async fn an_account_and_an_application_change_at_the_version_that_was_seen(server) {
        let world = World::new(&server, "acme").await;
        let changed = world.admin.patch(&world.acc, Some(1), &json!({"settings": {"theme": "dark"}})).await;
        assert_eq!(changed.header("etag"), Some("\"2\""));
        let changed = changed.expect(200);
        assert_eq!((&changed["name"], &changed["slug"], &changed["settings"]), (&json!("acme"), &json!("acme"), &json!({"theme": "dark"})));
        world.admin.patch(&world.acc, Some(1), &json!({"name": "X"})).await.refused(409, "request.version_mismatch");
        world.admin.patch(&world.acc, None, &json!({"name": "X"})).await.refused(428, "request.if_match_required");
        world.admin.patch(&world.acc, Some(2), &json!({"slug": "x"})).await.refused(400, "request.validation_failed");
        let changed = world.admin.patch(&world.acc, Some(2), &json!({"name": "Acme Inc", "settings": null})).await.expect(200);
        assert_eq!((&changed["name"], &changed["settings"], &changed["version"]), (&json!("Acme Inc"), &json!({}), &json!(3)));

        let second = json!({"name": "Second"});
        world.admin.post(&format!("{}/applications", world.acc), &second).await.expect(201);
        world.admin.patch(&world.app, Some(1), &json!({"slug": "second"})).await.refused(409, "applications.slug_taken");
        world.admin.patch(&world.app, None, &json!({"slug": "x"})).await.refused(428, "request.if_match_required");
        let renamed = world.admin.patch(&world.app, Some(1), &json!({"slug": "first"})).await.expect(200);
        assert_eq!((&renamed["slug"], &renamed["name"], &renamed["version"]), (&json!("first"), &json!("Default"), &json!(2)));
        world.admin.get(&world.app).await.refused(404, "applications.application_not_found");
        world.get("roles").await.refused(404, "applications.application_not_found");
        world.admin.get(&format!("{}/applications/first/environments/development/roles", world.acc)).await.expect(200);
    }

    async fn an_environment_is_found_by_its_new_slug_alone(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        world.post("assignments", &world.item(&ada, &viewer)).await.expect(201);
        assert!(world.may(&ada, "note.read").await);
        world.admin.patch(&world.env, None, &json!({"slug": "production"})).await.refused(409, "environments.slug_taken");
        let renamed = world.admin.patch(&world.env, None, &json!({"slug": "staging", "name": "Staging"})).await.expect(200);
        assert_eq!((&renamed["slug"], &renamed["name"], &renamed["version"]), (&json!("staging"), &json!("Staging"), &json!(2)));
        let ask = json!({"identity_id": ada, "permission": "note.read", "scope": "app_wide"});
        world.post("permissions/evaluate", &ask).await.refused(404, "environments.environment_not_found");
        let staging = format!("{}/environments/staging", world.app);
        let decision = world.admin.post(&format!("{staging}/permissions/evaluate"), &ask).await.expect(200);
        assert_eq!(decision["allowed"], true);
        // The old slug is free for another environment, which is not the old one.
        world.admin.post(&format!("{}/environments", world.app), &json!({"name": "Development"})).await.expect(201);
        let decision = world.post("permissions/evaluate", &ask).await.expect(200);
        assert_eq!(decision["denial_reason"], "permission_not_found");
    }

    async fn a_deleted_environment_is_gone_with_everything_in_it(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        world.post("assignments", &world.item(&ada, &viewer)).await.expect(201);
        assert!(world.may(&ada, "note.read").await);
        let production = format!("{}/environments/production", world.app);
        world.admin.delete(&production).await.refused(400, "environments.default_environment");
        assert_eq!(world.admin.delete(&world.env).await.status, 204);
        let ask = json!({"identity_id": ada, "permission": "note.read", "scope": "app_wide"});
        for refused in [
            world.post("permissions/evaluate", &ask).await,
            world.get("roles").await,
            world.admin.get(&world.env).await,
            world.admin.delete(&world.env).await,
        ] {
            refused.refused(404, "environments.environment_not_found");
        }
        world.admin.delete(&production).await.refused(400, "environments.last_environment");
        // One of the same slug starts anew; identities and memberships stay.
        world.admin.post(&format!("{}/environments", world.app), &json!({"name": "Development"})).await.expect(201);
        assert_eq!(world.assignments().await, 0);
        assert_eq!(world.get("permissions?source=custom").await.expect(200)["items"], json!([]));
        let decision = world.post("permissions/evaluate", &ask).await.expect(200);
        assert_eq!(decision["denial_reason"], "permission_not_found");
        // Another one can be made the default, and the first one deleted.
        let put = format!("{}/default-environment", world.app);
        world.admin.put(&put, &json!({"slug": "nowhere"})).await.refused(404, "environments.environment_not_found");
        let development = world.admin.get(&world.env).await.expect(200);
        let application = world.admin.put(&put, &json!({"slug": "development"})).await.expect(200);
        assert_eq!((&application["default_environment_id"], &application["version"]), (&development["id"], &json!(2)));
        assert_eq!(world.admin.put(&put, &json!({"slug": "development"})).await.expect(200)["version"], 2);
        assert_eq!(world.admin.delete(&production).await.status, 204);
    }

    async fn a_deleted_application_is_gone_and_its_people_stay(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let ada = world.members("ada", 1).await.remove(0);
        world.post("assignments", &world.item(&ada, &viewer)).await.expect(201);
        assert!(world.may(&ada, "note.read").await);
        world.admin.delete(&world.app).await.refused(400, "applications.last_application");
        world.admin.post(&format!("{}/applications", world.acc), &json!({"name": "Second"})).await.expect(201);
        assert_eq!(world.admin.delete(&world.app).await.status, 204);
        for refused in [world.get("roles").await, world.admin.get(&world.app).await, world.admin.delete(&world.app).await] {
            refused.refused(404, "applications.application_not_found");
        }
        let people = world.admin.get(&format!("{}/identities", world.acc)).await.expect(200);
        assert_eq!(people["pagination"]["item_count"], 1);
        // An application of the same slug knows nobody.
        world.admin.post(&format!("{}/applications", world.acc), &json!({"name": "Default"})).await.expect(201);
        let ask = json!({"identity_id": ada, "permission": "note.read", "scope": "app_wide"});
        let decision = world.post("permissions/evaluate", &ask).await.expect(200);
        assert_eq!((&decision["allowed"], &decision["denial_reason"]), (&json!(false), &json!("identity_not_found")));
        let rest: Vec<Value> = world.admin.get(&format!("{}/applications", world.acc)).await.expect(200)["items"].as_array().unwrap().clone();
        assert_eq!(rest.len(), 2);
    }

    async fn nobody_changes_or_deletes_what_is_anothers(server) {
        let world = World::new(&server, "acme").await;
        let rival = World::new(&server, "rival").await;
        for path in [&rival.acc, &rival.app, &rival.env] {
            world.admin.patch(path, Some(1), &json!({"name": "X"})).await.refused(404, "accounts.account_not_found");
        }
        for path in [&rival.app, &rival.env] {
            world.admin.delete(path).await.refused(404, "accounts.account_not_found");
        }
        world.admin.put(&format!("{}/default-environment", rival.app), &json!({"slug": "development"})).await
            .refused(404, "accounts.account_not_found");
        rival.get("roles").await.expect(200);
    }
}
