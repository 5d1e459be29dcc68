//! Identities and memberships.

use crate::world::{NOBODY, World};
use canopy_domain::port::{PrincipalKind, TokenClaims};
use canopy_testkit::server::{Answer, Api, TestServer};
use serde_json::{Value, json};
use uuid::Uuid;

/// Returns the reason for which the identity may not read notes at the root; null if it may.
async fn denial(world: &World, identity: &str) -> Value {
    let question = json!({"identity_id": identity, "permission": "note.read", "scope": "node", "node_id": world.root});
    let answer = world.post("permissions/evaluate", &question).await.expect(200);
    answer["denial_reason"].clone()
}

/// Members who may read notes at the root.
async fn readers(world: &World, number: usize) -> Vec<String> {
    let viewer = world.role("Viewer").await;
    let people = world.members("reader", number).await;
    let items: Vec<Value> = people.iter().map(|id| world.item(id, &viewer)).collect();
    let made = world
        .post("assignments/bulk-create", &json!({"assignments": items}))
        .await;
    made.expect(200);
    people
}

fn person(email: &str) -> Value {
    json!({"email": email, "first_name": "Ada", "last_name": "Lovelace"})
}

fn id_of(thing: &Value) -> String {
    thing["id"].as_str().unwrap().to_owned()
}

fn uuid(text: &Value) -> Uuid {
    text.as_str().unwrap().parse().unwrap()
}

/// An admin's client on the public surface, bound to this environment of the world.
async fn bound(server: &TestServer, world: &World, environment: &str) -> Api {
    let environment = world
        .admin
        .get(&format!("{}/environments/{environment}", world.app))
        .await;
    let environment = uuid(&environment.expect(200)["id"]);
    let account = uuid(&world.admin.get(&world.app).await.expect(200)["account_id"]);
    let claims = TokenClaims {
        subject: "admin".into(),
        principal: PrincipalKind::Admin,
        account: Some(account.into()),
        environment: Some(environment.into()),
        expires_at: server.app().now().plus_seconds(3_600),
    };
    server.anonymous().with_token(server.sign(&claims))
}

on_every_store! {
    async fn the_next_check_knows_of_every_change_to_a_member(server) {
        let world = World::new(&server, "acme").await;
        world.bootstrap().await;
        let people = readers(&world, 3).await;
        let (ada, alan, grace) = (&people[0], &people[1], &people[2]);
        let member = |id: &str, what: &str| format!("{}/identities/{id}/{what}", world.app);
        let post = async |path: String| world.admin.post(&path, &Value::Null).await.expect(200)["status"].clone();
        assert_eq!(denial(&world, ada).await, Value::Null);

        assert_eq!(post(member(ada, "suspend")).await, "suspended");
        assert_eq!(denial(&world, ada).await, "membership_inactive");
        assert_eq!(world.assignments().await, 3, "its assignments are kept");
        assert_eq!(post(member(ada, "activate")).await, "active");
        assert_eq!(denial(&world, ada).await, Value::Null, "and hold again");

        assert_eq!(post(member(ada, "deactivate")).await, "deactivated");
        assert_eq!(denial(&world, ada).await, "membership_inactive");
        assert_eq!(world.assignments().await, 2, "its assignments are gone");
        assert_eq!(post(member(ada, "deactivate")).await, "deactivated", "nothing is left to do");
        world.admin.post(&member(ada, "suspend"), &Value::Null).await.refused(400, "identities.membership_not_active");
        let viewer = world.role("Viewer").await;
        world.post("assignments", &world.item(ada, &viewer)).await.refused(400, "identities.membership_not_active");
        assert_eq!(post(member(ada, "activate")).await, "active");
        assert_eq!(denial(&world, ada).await, "no_grant");
        world.post("assignments", &world.item(ada, &viewer)).await.expect(201);

        let status = format!("{}/identities/{ada}/status", world.acc);
        for (is_active, reason) in [(false, json!("identity_inactive")), (true, Value::Null)] {
            let switched = world.admin.patch(&status, None, &json!({"is_active": is_active})).await.expect(200);
            assert_eq!(switched["is_active"], is_active);
            assert_eq!(denial(&world, ada).await, reason);
        }

        world.admin.delete(&format!("{}/identities/{alan}", world.app)).await.expect(204);
        assert_eq!(denial(&world, alan).await, "membership_inactive");
        world.admin.delete(&format!("{}/identities/{ada}", world.acc)).await.expect(204);
        assert_eq!(denial(&world, ada).await, "identity_not_found");
        let application = id_of(&world.admin.get(&world.app).await.expect(200));
        let detach = format!("{}/identities/{grace}/app-memberships/{application}", world.acc);
        world.admin.delete(&detach).await.expect(204);
        assert_eq!(denial(&world, grace).await, "membership_inactive");
        assert_eq!(world.assignments().await, 0);
        let attach = format!("{}/identities/{grace}/app-memberships", world.acc);
        let revived = world.admin.post(&attach, &json!({"application_id": application})).await.expect(201);
        assert_eq!((&revived["status"], &revived["deactivated_at"]), (&json!("active"), &Value::Null));
        assert_eq!(denial(&world, grace).await, "no_grant");
    }

    async fn a_member_is_made_with_its_first_role_or_not_at_all(server) {
        let world = World::new(&server, "acme").await;
        let rival = World::new(&server, "rival").await;
        let (viewer, _) = world.bootstrap().await;
        let path = format!("{}/identities", world.app);
        let made = |email: &str, role: &str, node: &str| {
            let mut body = person(email);
            (body["role_id"], body["node_id"]) = (json!(role), json!(node));
            let (admin, path) = (world.admin.clone(), path.clone());
            async move { admin.post(&path, &body).await }
        };
        let admin_role = world.role("Environment Admin").await;
        for (role, node, status, code) in [
            (viewer.as_str(), NOBODY, 404, "nodes.node_not_found"),
            (NOBODY, NOBODY, 404, "nodes.node_not_found"),
            (&viewer, &rival.root, 404, "nodes.node_not_found"),
            (NOBODY, &world.root, 404, "rbac.role_not_found"),
            (&admin_role, &world.root, 400, "rbac.system_role_not_assignable"),
        ] {
            made("ada@x", role, node).await.refused(status, code);
        }
        for lonely in ["role_id", "node_id"] {
            let mut body = person("ada@x");
            body[lonely] = json!(viewer);
            world.admin.post(&path, &body).await.refused(400, "request.validation_failed");
        }
        let nobody = world.admin.get(&format!("{}/identities", world.acc)).await.expect(200);
        assert_eq!(nobody["items"], json!([]), "nothing is left of what was refused");

        let answer = made("Ada@X", &viewer, &world.root).await;
        let location = answer.header("location").unwrap().to_owned();
        let ada = answer.expect(201);
        assert_eq!(ada["email"], "ada@x");
        assert_eq!(world.admin.get(&location).await.expect(200), ada);
        assert_eq!(denial(&world, &id_of(&ada)).await, Value::Null);
        made("ada@x", &viewer, &world.root).await.refused(409, "identities.email_taken");
        let plain = world.admin.post(&path, &person("bob@x")).await.expect(201);
        assert_eq!(denial(&world, &id_of(&plain)).await, "no_grant");

        let detail = world.admin.get(&format!("{path}/{}/detail", id_of(&ada))).await.expect(200);
        assert_eq!((&detail["name"], &detail["can_manage"]), (&json!("Ada Lovelace"), &json!(true)));
        let rows = world.admin.get(&format!("{path}/{}/assignments", id_of(&ada))).await.expect(200);
        let row = &rows["items"][0];
        let role = json!([{"assignment_id": row["assignment"]["id"], "id": viewer, "name": "Viewer", "node_id": world.root, "node_name": "acme"}]);
        assert_eq!(detail["roles"], role);
        assert_eq!((&row["assignment"]["status"], &row["identity"]["email"]), (&json!("active"), &json!("ada@x")));
    }

    async fn an_identity_is_changed_and_deleted_in_its_account(server) {
        let world = World::new(&server, "acme").await;
        let path = format!("{}/identities", world.acc);
        let ada = world.admin.post(&path, &json!({"email": "ada@x", "first_name": "Ada", "last_name": "L", "external_id": "1", "metadata": {"a": 1}})).await.expect(201);
        let bob = world.admin.post(&path, &json!({"email": "bob@x", "first_name": "Bob", "last_name": "B"})).await.expect(201);
        let at = format!("{path}/{}", id_of(&ada));
        let change = |path: &str, body: Value| { let (admin, path) = (world.admin.clone(), path.to_owned());
            async move { admin.patch(&path, None, &body).await } };
        assert_eq!(change(&at, json!({})).await.expect(200), ada);
        change(&at, json!({"email": "BOB@x"})).await.refused(409, "identities.email_taken");
        let bobs = format!("{path}/{}", id_of(&bob));
        change(&bobs, json!({"external_id": "1"})).await.refused(409, "identities.external_id_taken");
        for bad in [json!({"email": null}), json!({"first_name": null}), json!({"is_active": null}), json!({"name": "X"}), json!({"email": "x"})] {
            change(&at, bad).await.refused(400, "request.validation_failed");
        }
        change(&at, json!({"password": "x"})).await.refused(400, "request.unsupported_field");
        let changed = change(&at, json!({"email": "New@x", "last_name": "King", "external_id": null, "avatar_url": "http://a", "is_active": false})).await.expect(200);
        assert_eq!(changed["email"], "new@x");
        assert_eq!((&changed["external_id"], &changed["avatar_url"], &changed["is_active"]), (&Value::Null, &json!("http://a"), &json!(false)));
        assert_eq!(world.admin.get(&at).await.expect(200), changed);
        change(&bobs, json!({"external_id": "1", "email": "ada@x"})).await.expect(200);
        change(&format!("{bobs}/status"), json!({})).await.refused(400, "request.validation_failed");

        world.admin.delete(&at).await.expect(204);
        for gone in [world.admin.get(&at).await, world.admin.delete(&at).await, change(&at, json!({})).await,
                     change(&format!("{at}/status"), json!({"is_active": true})).await] {
            gone.refused(404, "identities.identity_not_found");
        }
        world.admin.post(&path, &person("new@x")).await.expect(201);
    }

    async fn below_an_application_only_its_members_are_there(server) {
        let world = World::new(&server, "acme").await;
        let rival = World::new(&server, "rival").await;
        let stranger = world.admin.post(&format!("{}/identities", world.acc), &person("s@x")).await.expect(201);
        let theirs = rival.members("spy", 1).await.remove(0);
        let application = id_of(&world.admin.get(&world.app).await.expect(200));
        let foreign = id_of(&rival.admin.get(&rival.app).await.expect(200));
        for id in [id_of(&stranger), theirs.clone(), NOBODY.to_owned()] {
            let at = format!("{}/identities/{id}", world.app);
            let mut answers: Vec<Answer> = Vec::new();
            for tail in ["", "/detail", "/assignments"] {
                answers.push(world.admin.get(&format!("{at}{tail}")).await);
            }
            for tail in ["/activate", "/deactivate", "/suspend"] {
                answers.push(world.admin.post(&format!("{at}{tail}"), &Value::Null).await);
            }
            answers.push(world.admin.patch(&at, None, &json!({"first_name": "X"})).await);
            answers.push(world.admin.delete(&at).await);
            for answer in answers {
                answer.refused(404, "identities.identity_not_found");
            }
        }
        let detach = |id: &str, application: &str| { let (admin, path) = (world.admin.clone(), format!("{}/identities/{id}/app-memberships/{application}", world.acc));
            async move { admin.delete(&path).await } };
        detach(&id_of(&stranger), &application).await.refused(404, "identities.membership_not_found");
        detach(&theirs, &application).await.refused(404, "identities.identity_not_found");
        for absent in [foreign.as_str(), NOBODY] {
            detach(&id_of(&stranger), absent).await.refused(404, "applications.application_not_found");
        }
        assert_eq!(rival.admin.get(&format!("{}/identities/{theirs}", rival.app)).await.expect(200)["id"], theirs);
    }

    async fn identities_and_members_are_counted_and_filtered(server) {
        let world = World::new(&server, "acme").await;
        world.bootstrap().await;
        let people = readers(&world, 3).await;
        let idle = world.members("idle", 2).await;
        world.admin.post(&format!("{}/identities", world.acc), &person("s@x")).await.expect(201);
        let off = json!({"is_active": false});
        world.admin.patch(&format!("{}/identities/{}/status", world.acc, people[0]), None, &off).await.expect(200);
        for (id, what) in [(&people[1], "suspend"), (&idle[0], "deactivate")] {
            world.admin.post(&format!("{}/identities/{id}/{what}", world.app), &Value::Null).await.expect(200);
        }
        let account = world.admin.get(&format!("{}/identities/summary", world.acc)).await.expect(200);
        assert_eq!(account, json!({"total_count": 6, "active_count": 5, "inactive_count": 1, "assigned_count": 3}));
        let members = world.admin.get(&format!("{}/identities/summary", world.app)).await.expect(200);
        assert_eq!(members, json!({"total_count": 5, "active_count": 2, "inactive_count": 3, "assigned_count": 3,
            "invited_count": 0, "suspended_count": 1, "deactivated_count": 1}));
        let application = id_of(&world.admin.get(&world.app).await.expect(200));
        let count = async |base: &str, query: &str| {
            let page = world.admin.get(&format!("{base}/identities?{query}")).await.expect(200);
            page["pagination"]["item_count"].as_u64().unwrap()
        };
        for (query, in_account, in_application) in [
            ("", 6, 5), ("status=inactive", 1, 1), ("has_any_assignment=true", 3, 3), ("has_any_assignment=false", 3, 2),
            ("q=reader1", 1, 1), (&format!("not_in_app={application}"), 1, 0), (&format!("not_in_app={NOBODY}"), 6, 5),
            ("sort_by=email&order=desc&take=2&page=2", 6, 5),
        ] {
            assert_eq!(count(&world.acc, query).await, in_account, "{query}");
            assert_eq!(count(&world.app, query).await, in_application, "{query}");
        }
    }

    async fn a_credential_of_one_environment_reaches_no_other(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, _) = world.bootstrap().await;
        let ada = readers(&world, 1).await.remove(0);
        let (development, production) = (bound(&server, &world, "development").await, bound(&server, &world, "production").await);
        let at = format!("/api/v1/identities/{ada}");

        let roles = async |api: &Api| {
            let (detail, rows) = (api.get(&format!("{at}/detail")).await.expect(200), api.get(&format!("{at}/assignments")).await.expect(200));
            (detail["roles"].as_array().unwrap().len(), rows["items"].as_array().unwrap().len())
        };
        assert_eq!((roles(&development).await, roles(&production).await), ((1, 1), (0, 0)));
        for (api, assigned) in [(&development, 1), (&production, 0)] {
            assert_eq!(api.get("/api/v1/identities/summary").await.expect(200)["assigned_count"], assigned);
            let page = api.get("/api/v1/identities?has_any_assignment=true").await.expect(200);
            assert_eq!(page["pagination"]["item_count"], assigned);
            api.get(&format!("/api/v1/identities?not_in_app={NOBODY}")).await.refused(403, "auth.portal_only");
        }
        for reaching in [json!({"email": "new@x"}), json!({"is_active": false}), json!({"external_id": null})] {
            production.patch(&at, None, &reaching).await.refused(403, "auth.portal_only");
        }
        let changed = development.patch(&at, None, &json!({"first_name": "Changed"})).await.expect(200);
        assert_eq!(production.get(&at).await.expect(200), changed);

        // The default environment is production.
        for what in ["activate", "deactivate", "suspend"] {
            let path = format!("{at}/{what}");
            development.post(&path, &Value::Null).await.refused(403, "auth.environment_not_default");
        }
        development.delete(&at).await.refused(403, "auth.environment_not_default");
        assert_eq!(denial(&world, &ada).await, Value::Null);
        production.post(&format!("{at}/suspend"), &Value::Null).await.expect(200);
        assert_eq!(denial(&world, &ada).await, "membership_inactive");
        production.delete(&at).await.expect(204);
        assert_eq!(world.assignments().await, 0, "assignments go in all environments");

        // A node of another environment is not there.
        let mut member = person("bob@x");
        (member["role_id"], member["node_id"]) = (json!(viewer), json!(world.root));
        production.post("/api/v1/identities", &member).await.refused(404, "nodes.node_not_found");
        let bob = id_of(&development.post("/api/v1/identities", &member).await.expect(201));
        assert_eq!(denial(&world, &bob).await, Value::Null);
    }

    async fn deactivating_beside_those_who_assign_leaves_nothing_behind(server) {
        let world = World::new(&server, "acme").await;
        let (viewer, editor) = world.bootstrap().await;
        let people = world.members("p", 8).await;
        let mut calls = tokio::task::JoinSet::new();
        for id in &people {
            for role in [&viewer, &editor] {
                let (admin, path) = (world.admin.clone(), format!("{}/assignments/bulk-create", world.env));
                let body = json!({"assignments": [world.item(id, role)]});
                calls.spawn(async move { admin.post(&path, &body).await.status });
            }
            let (admin, path) = (world.admin.clone(), format!("{}/identities/{id}/deactivate", world.app));
            calls.spawn(async move { admin.post(&path, &Value::Null).await.status });
        }
        while let Some(status) = calls.join_next().await {
            assert!([200, 207].contains(&status.unwrap()));
        }
        assert_eq!(world.assignments().await, 0);
        for id in &people {
            assert_eq!(denial(&world, id).await, "membership_inactive");
        }
    }
}
