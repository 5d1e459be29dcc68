//! The calls, one after the other, as a client makes them.

use crate::service::{ACC, APP, ENV, Service, request};
use actix_web::http::Method;
use serde_json::{Value, json};

fn id(body: &Value) -> &str {
    body["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_works_from_an_empty_store_to_a_decision() {
    let (service, admin) = Service::with_acme().await;
    let token = admin.token.as_str();

    let bootstrap = json!({
        "resources": [{ "name": "note", "actions": ["read", "write"] }],
        "roles": [{ "name": "Editor", "permission_keys": ["note.read", "note.write"] }],
    });
    let path = format!("{ENV}/setup/access-bootstrap");
    let counts = service.post(&path, token, &bootstrap).await.expect(201);
    let expected =
        json!({ "permissions_created": 2, "roles_created": 1, "skipped_permissions": 0, "skipped_roles": 0 });
    assert_eq!(counts, expected);
    let again = service.post(&path, token, &bootstrap).await;
    again.refused(409, "setup.already_bootstrapped");
    assert_eq!(
        again.body["error"]["details"],
        json!({ "custom_permission_count": 2, "custom_role_count": 1 })
    );

    let roles = service
        .get(&format!("{ENV}/roles?type=custom"), token)
        .await
        .expect(200);
    let role = &roles["items"][0];
    assert_eq!(
        (role["name"].as_str(), role["permission_count"].as_u64()),
        (Some("Editor"), Some(2))
    );

    let apps = service.get(&format!("{ACC}/applications"), token).await.expect(200);
    let new = json!({ "email": "Ada@Example.com ", "first_name": "Ada", "last_name": "L", "application_id": id(&apps["items"][0]) });
    let ada = service
        .post(&format!("{ACC}/identities"), token, &new)
        .await
        .expect(201);
    assert_eq!(ada["email"], "ada@example.com");

    let tree = service.get(&format!("{ENV}/nodes"), token).await.expect(200);
    let root = &tree["tree"][0];
    assert_eq!(
        (
            root["slug"].as_str(),
            root["parent_node_id"].is_null(),
            root["access_state"].as_str()
        ),
        (Some("acme"), true, Some("full"))
    );
    assert_eq!(tree["scope"]["scope_root_node_ids"], json!([id(root)]));

    let question = json!({ "identity_id": id(&ada), "permission": "note.write", "scope": "node", "node_id": id(root) });
    let evaluate = format!("{ENV}/permissions/evaluate");
    let before = service.post(&evaluate, token, &question).await.expect(200);
    assert_eq!(
        (&before["allowed"], &before["denial_reason"]),
        (&json!(false), &json!("no_grant"))
    );

    let item = json!({ "identity_id": id(&ada), "node_id": id(root), "role_id": id(role) });
    let batch = json!({ "assignments": [item] });
    let bulk = format!("{ENV}/assignments/bulk-create");
    let made = service.post(&bulk, token, &batch).await.expect(200);
    assert_eq!(made["summary"], json!({ "total": 1, "succeeded": 1, "failed": 0 }));
    assert_eq!(made["results"][0]["input"], item);
    assert_eq!(made["results"][0]["data"]["effective_from"], "2026-04-20T12:00:00.000Z");
    assert_eq!(made["results"][0]["data"]["effective_to"], Value::Null);

    let after = service.post(&evaluate, token, &question).await;
    assert!(after.header("canopy-revision").unwrap().parse::<u64>().unwrap() > 1);
    let expected = json!({
        "allowed": true, "permission": "note.write", "scope_evaluated": "node", "effective_node_id": id(root),
        "granting_roles": ["Editor"], "denial_reason": null,
    });
    assert_eq!(after.expect(200), expected);

    let twice = service
        .post(&bulk, token, &json!({ "assignments": [item, item] }))
        .await
        .expect(207);
    assert_eq!(twice["summary"]["succeeded"], 0);
    assert_eq!(twice["results"][0]["error"]["code"], "rbac.assignment_conflict");
    assert_eq!(twice["results"][1]["error"]["details"]["first_index"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_batch_names_its_culprit_in_every_item() {
    let (service, admin) = Service::with_acme().await;
    let new = |email: &str| json!({ "email": email, "first_name": "A", "last_name": "B" });
    let batch = json!({ "identities": [new("a@x.org"), new("b@x.org"), new("a@x.org")], "atomic": true });
    let path = format!("{ACC}/identities/bulk-create");
    let answer = service.post(&path, &admin.token, &batch).await.expect(207);
    assert_eq!(answer["summary"], json!({ "total": 3, "succeeded": 0, "failed": 3 }));
    assert_eq!(answer["results"][0]["code"], 424);
    assert_eq!(answer["results"][0]["error"]["details"], json!({ "caused_by": [2] }));
    assert_eq!(answer["results"][2]["error"]["code"], "identities.duplicate_in_batch");
    // Here a batch is not atomic unless it says so, and a dry run writes nothing.
    let batch = json!({ "identities": [new("a@x.org"), new("a@x.org")], "dry_run": true });
    let answer = service.post(&path, &admin.token, &batch).await.expect(207);
    assert_eq!(
        (&answer["results"][0]["code"], answer["results"][0].get("data")),
        (&json!(200), None)
    );
    let page = service
        .get(&format!("{ACC}/identities"), &admin.token)
        .await
        .expect(200);
    assert_eq!(page["pagination"]["item_count"], 0);
    assert_eq!(page["pagination"]["page_count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_cannot_join_an_application_that_there_is_not() {
    let (service, admin) = Service::with_acme().await;
    let new = json!({ "email": "a@x.org", "first_name": "A", "last_name": "B" });
    let batch = json!({ "identities": [new], "application_id": "0198a7b1-7c3e-7000-8000-00000000ffff" });
    let path = format!("{ACC}/identities/bulk-create");
    let answer = service.post(&path, &admin.token, &batch).await;
    answer.refused(404, "applications.application_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hierarchy_grows_by_schema_and_references() {
    let (service, admin) = Service::with_acme().await;
    let token = admin.token.as_str();
    service
        .put(&format!("{ENV}/access-model"), token, &json!({ "model": "hierarchy" }))
        .await
        .expect(200);
    let path = format!("{ENV}/hierarchy-schema");
    let before = service.get(&path, token).await;
    assert_eq!(before.header("etag"), Some("\"2\""));
    let schema = json!({
        "node_types": ["company", "region", "team"], "allowed_children": { "company": ["region"], "region": ["team"] },
        "max_depth": 3, "root_node_type": "company",
    });
    let change = |version: &str| {
        let asked = request(Method::PATCH, &path, token).set_json(&schema);
        service.send(if version.is_empty() {
            asked
        } else {
            asked.insert_header(("if-match", version))
        })
    };
    change("").await.refused(428, "request.if_match_required");
    change("zwei").await.refused(400, "request.validation_failed");
    let stale = change("1").await;
    stale.refused(409, "request.version_mismatch");
    assert_eq!(stale.body["error"]["details"], json!({ "current_version": 2 }));
    for overlong in ["99999999999", "\"99999999999999999999999\""] {
        change(overlong).await.refused(409, "request.version_mismatch");
    }
    let changed = change("\"2\"").await;
    assert_eq!(changed.header("etag"), Some("\"3\""));
    assert_eq!(changed.expect(200)["allowed_children"]["region"], json!(["team"]));
    // The schema that it has already changes nothing, but is still meant for a version.
    change("2").await.refused(409, "request.version_mismatch");
    assert_eq!(change("3").await.header("etag"), Some("\"3\""));
    assert_eq!(service.get(&path, token).await.header("etag"), Some("\"3\""));

    let tree = service.get(&format!("{ENV}/nodes"), token).await.expect(200);
    let root = id(&tree["tree"][0]).to_owned();
    assert_eq!(tree["tree"][0]["node_type"], "company");
    let nodes = json!({ "nodes": [
        { "parent_ref": "eu", "node_type": "team", "name": "Berlin" },
        { "ref": "eu", "parent_node_id": root, "node_type": "region", "name": "EU", "metadata": { "b": 1, "a": [1.5] } },
    ]});
    let made = service
        .post(&format!("{ENV}/nodes/bulk-create"), token, &nodes)
        .await
        .expect(200);
    let (berlin, eu) = (&made["results"][0]["data"], &made["results"][1]["data"]);
    assert_eq!(berlin["parent_node_id"], eu["id"]);
    assert_eq!(eu["metadata"], json!({ "b": 1, "a": [1.5] }));
    let one = service.get(&format!("{ENV}/nodes/{}", id(berlin)), token).await;
    assert_eq!(one.header("etag"), Some("\"1\""));
    assert_eq!(one.expect(200)["can_manage"], true);
    let deep = json!({ "parent_node_id": id(berlin), "node_type": "team", "name": "X" });
    service
        .post(&format!("{ENV}/nodes"), token, &deep)
        .await
        .refused(400, "nodes.child_type_not_allowed");
    let tree = service.get(&format!("{ENV}/nodes"), token).await.expect(200);
    assert_eq!(tree["tree"][0]["children"][0]["children"][0]["slug"], "berlin");
    assert_eq!(tree["scope"]["accessible_node_ids"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_is_found_where_location_says() {
    let (service, admin) = Service::with_acme().await;
    let token = admin.token.as_str();
    for (path, body) in [
        (format!("{ACC}/applications"), json!({ "name": "Notes App" })),
        (format!("{APP}/environments"), json!({ "name": "Staging" })),
        (
            format!("{ENV}/roles"),
            json!({ "name": "Viewer", "permission_keys": ["node.read"] }),
        ),
        (
            format!("{ACC}/identities"),
            json!({ "email": "a@b.c", "first_name": "A", "last_name": "B" }),
        ),
    ] {
        let made = service.post(&path, token, &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let found = service.get(made.header("location").unwrap(), token).await;
        let whole = made.body.get("environment").unwrap_or(&made.body);
        assert_eq!(&found.expect(200), whole);
    }
    let permissions = json!({ "permissions": [{ "key": "a.b", "category": "x" }, { "key": "a.c" }] });
    let made = service
        .post(&format!("{ENV}/permissions"), token, &permissions)
        .await
        .expect(201);
    let one = format!("{ENV}/permissions/{}", id(&made["items"][0]));
    assert_eq!(service.get(&one, token).await.expect(200), made["items"][0]);
    let again = service.post(&format!("{ENV}/permissions"), token, &permissions).await;
    again.refused(409, "rbac.permission_key_taken");
    assert_eq!(again.body["error"]["details"]["permission_keys"], json!(["a.b", "a.c"]));
    let found = service
        .get(&format!("{ENV}/permissions?source=custom&category=x"), token)
        .await
        .expect(200);
    assert_eq!(found["items"], json!([made["items"][0]]));
    let summaries = service.get(&format!("{ACC}/setup-summaries"), token).await.expect(200);
    assert_eq!(summaries["items"].as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_lives_from_post_to_delete() {
    let (service, admin) = Service::with_acme().await;
    let token = admin.token.as_str();
    let app = service.get(APP, token).await.expect(200);
    let ada = json!({ "email": "a@b.c", "first_name": "Ada", "last_name": "B" });
    let ada = service
        .post(&format!("{ACC}/identities"), token, &ada)
        .await
        .expect(201);
    let attach = format!("{ACC}/identities/{}/app-memberships", id(&ada));
    let membership = service
        .post(&attach, token, &json!({ "application_id": id(&app) }))
        .await
        .expect(201);
    assert_eq!(
        (&membership["status"], &membership["invited_at"]),
        (&json!("active"), &Value::Null)
    );
    service
        .post(&attach, token, &json!({ "application_id": id(&app) }))
        .await
        .refused(409, "identities.already_member");
    let bulk = json!({ "identity_ids": [id(&ada)] });
    let answer = service
        .post(&format!("{APP}/app-memberships/bulk-attach"), token, &bulk)
        .await
        .expect(207);
    assert_eq!(answer["results"][0]["input"], json!(id(&ada)));
    let role = json!({ "name": "Viewer", "permission_keys": ["node.read"] });
    let role = service.post(&format!("{ENV}/roles"), token, &role).await.expect(201);
    let root = service.get(&format!("{ENV}/nodes"), token).await.expect(200)["tree"][0].clone();
    let new = json!({
        "identity_id": id(&ada), "node_id": id(&root), "role_id": id(&role),
        "effective_from": "2026-05-01T00:00:00+02:00", "effective_to": "2026-06-01T00:00:00Z",
    });
    let made = service.post(&format!("{ENV}/assignments"), token, &new).await;
    let path = made.header("location").unwrap().to_owned();
    let made = made.expect(201);
    assert_eq!(made["effective_from"], "2026-04-30T22:00:00.000Z");
    assert_eq!(service.get(&path, token).await.expect(200), made);
    let clash = service.post(&format!("{ENV}/assignments"), token, &new).await;
    clash.refused(409, "rbac.assignment_conflict");
    assert_eq!(clash.body["error"]["details"]["assignment_id"], made["id"]);

    let list = service
        .get(&format!("{ENV}/assignments/app-wide?q=ada&status=scheduled"), token)
        .await
        .expect(200);
    let row = &list["items"][0];
    assert_eq!(
        (&row["identity"]["name"], &row["role"]["name"]),
        (&json!("Ada B"), &json!("Viewer"))
    );
    assert_eq!(
        (&row["assignment"]["status"], &row["assignment"]["access_type"]),
        (&json!("scheduled"), &json!("direct"))
    );
    let expected = json!({ "page": 1, "take": 20, "item_count": 1, "page_count": 1, "has_previous_page": false, "has_next_page": false });
    assert_eq!(list["pagination"], expected);

    let cleared = json!({ "role_id": id(&role), "effective_from": null, "effective_to": null });
    let patched = service
        .send(request(Method::PATCH, &path, token).set_json(&cleared))
        .await
        .expect(200);
    assert_eq!(
        (&patched["effective_from"], &patched["effective_to"]),
        (&made["created_at"], &Value::Null)
    );
    let summary = service
        .get(&format!("{ENV}/assignments/app-wide/summary"), token)
        .await
        .expect(200);
    assert_eq!(summary["active_count"], 1);

    let many = json!({ "assignment_ids": [id(&made)], "role_id": id(&role) });
    let changed = service
        .post(&format!("{ENV}/assignments/bulk-change-role"), token, &many)
        .await
        .expect(200);
    assert_eq!(changed["updated"], 0);
    let none = "0198a7b1-7c3e-7000-8000-00000000ffff";
    let many = json!({ "assignment_ids": [id(&made), none] });
    let unknown = service
        .post(&format!("{ENV}/assignments/bulk-remove"), token, &many)
        .await;
    unknown.refused(404, "rbac.assignment_not_found");
    assert_eq!(unknown.body["error"]["details"]["assignment_ids"], json!([none]));
    assert_eq!(service.delete(&path, token).await.status, 204);
    service
        .get(&path, token)
        .await
        .refused(404, "rbac.assignment_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_resource_permissions_change_together_or_not_at_all() {
    let (service, admin) = Service::with_acme().await;
    let token = admin.token.as_str();
    let role = service
        .post(&format!("{ENV}/roles"), token, &json!({ "name": "Viewer" }))
        .await
        .expect(201);
    let path = format!("{ENV}/setup/resource-permissions");
    let gain = json!({
        "resources": [{ "name": "doc", "actions": ["read"] }],
        "role_permissions": [{ "role_id": id(&role), "permission_keys": ["doc.read", "node.read"] }],
    });
    let counts = service.post(&path, token, &gain).await.expect(201);
    assert_eq!(
        counts,
        json!({ "permissions_created": 1, "skipped_permissions": 0, "roles_updated": 1 })
    );
    let keys = format!("{ENV}/roles/{}/permissions", id(&role));
    assert_eq!(
        service.get(&keys, token).await.expect(200)["items"],
        json!(["doc.read", "node.read"])
    );
    service
        .put(&keys, token, &json!({ "permission_keys": ["doc.read"] }))
        .await
        .expect(200);
    let unknown = service
        .put(&keys, token, &json!({ "permission_keys": ["b.b", "a.a"] }))
        .await;
    unknown.refused(400, "rbac.unknown_permission_keys");
    assert_eq!(
        unknown.body["error"]["details"]["permission_keys"],
        json!(["a.a", "b.b"])
    );
    let bad = json!({ "resources": [{ "name": "doc x", "actions": ["read", "write"] }], "role_permissions": [] });
    let bad = service.post(&path, token, &bad).await;
    bad.refused(400, "request.validation_failed");
    assert_eq!(bad.fields(), ["/resources/0/name invalid_permission_key"]);
}
