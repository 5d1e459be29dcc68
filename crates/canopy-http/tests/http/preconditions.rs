//! `If-Match` on calls that do not need it, its spellings, and changes that leave alone what they do not name.

use crate::service::{ACC, APP, Admin, Answer, ENV, Service, request};
use actix_web::http::Method;
use serde_json::{Value, json};

impl Service {
    async fn change(&self, admin: &Admin, method: &Method, path: &str, version: &str, body: &Value) -> Answer {
        let asked = request(method.clone(), path, &admin.token).insert_header(("if-match", version));
        self.send(asked.set_json(body)).await
    }

    async fn role(&self, admin: &Admin) -> String {
        let role = json!({ "name": "Reader", "permission_keys": ["node.read"] });
        let made = self
            .post(&format!("{ENV}/roles"), &admin.token, &role)
            .await
            .expect(201);
        made["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_role_are_replaced_at_the_version_that_was_seen() {
    let (service, admin) = Service::with_acme().await;
    let role = service.role(&admin).await;
    let path = format!("{ENV}/roles/{role}/permissions");
    let seen = service.get(&path, &admin.token).await;
    assert_eq!(seen.header("etag"), Some("\"1\""));
    assert_eq!(seen.expect(200)["items"], json!(["node.read"]));
    let keys = json!({ "permission_keys": ["role.read", "audit.read"] });
    let put = |version: &'static str| service.change(&admin, &Method::PUT, &path, version, &keys);
    let replaced = put("\"1\"").await;
    assert_eq!(replaced.header("etag"), Some("\"2\""));
    let body = replaced.expect(200);
    assert_eq!(
        (&body["added"], &body["removed"]),
        (&json!(["audit.read", "role.read"]), &json!(["node.read"]))
    );
    for stale in ["\"1\"", "1", "W/\"1\"", "\"1\", \"7\"", "\"xyzzy\""] {
        let refused = put(stale).await;
        refused.refused(409, "request.version_mismatch");
        assert_eq!(refused.body["error"]["details"]["current_version"], 2, "{stale}");
    }
    put("zwei").await.refused(400, "request.validation_failed");
    for right in ["*", "2", "W/\"2\"", "\"1\", W/\"2\""] {
        let same = put(right).await;
        assert_eq!(same.header("etag"), Some("\"2\""), "{right}");
        assert_eq!(same.expect(200)["added"], json!([]));
    }
    // It is not needed.
    service
        .put(&path, &admin.token, &json!({ "permission_keys": [] }))
        .await
        .expect(200);
    let role = service
        .get(&format!("{ENV}/roles/{role}"), &admin.token)
        .await
        .expect(200);
    assert_eq!(role["version"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_has_a_version_judges_one_that_is_sent() {
    let (service, admin) = Service::with_acme().await;
    let token = admin.token.as_str();
    service
        .post(&format!("{APP}/environments"), token, &json!({ "name": "Spare" }))
        .await
        .expect(201);
    service
        .post(&format!("{ACC}/applications"), token, &json!({ "name": "Second" }))
        .await
        .expect(201);
    let spare = format!("{APP}/environments/spare");
    let document = service.get(&format!("{ENV}/export"), token).await.expect(200);
    let (patch, put, post, delete) = (Method::PATCH, Method::PUT, Method::POST, Method::DELETE);
    let no_body = json!({});
    let calls = [
        (&patch, spare.clone(), json!({ "name": "Other" }), 200),
        (
            &put,
            format!("{ENV}/access-model"),
            json!({ "model": "hierarchy" }),
            200,
        ),
        (&post, format!("{ENV}/import"), document, 200),
        (
            &put,
            format!("{APP}/default-environment"),
            json!({ "slug": "development" }),
            200,
        ),
        (&delete, spare, no_body.clone(), 204),
        (&delete, format!("{ACC}/applications/second"), no_body, 204),
    ];
    for (method, path, body, status) in calls {
        let stale = service.change(&admin, method, &path, "\"99\"", &body).await;
        stale.refused(409, "request.version_mismatch");
        let any = service.change(&admin, method, &path, "*", &body).await;
        assert_eq!(any.status, status, "{method} {path}: {}", any.text);
    }
    service
        .put(&format!("{ENV}/access-model"), token, &json!({ "model": "hierarchy" }))
        .await
        .expect(200);
    let revert = format!("{ENV}/revert-to-flat");
    for tail in ["", "?dry_run=true"] {
        let stale = service
            .change(&admin, &post, &format!("{revert}{tail}"), "\"99\"", &Value::Null)
            .await;
        stale.refused(409, "request.version_mismatch");
    }
    service
        .change(&admin, &post, &revert, "*", &Value::Null)
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_needs_a_version_in_one_of_its_spellings() {
    let (service, admin) = Service::with_acme().await;
    let role = service.role(&admin).await;
    let path = format!("{ENV}/roles/{role}");
    for (version, spelling) in [(1, "W/\"1\""), (2, "*"), (3, "\"9\", \"3\""), (4, "4")] {
        let body = json!({ "description": format!("at {version}") });
        let changed = service.change(&admin, &Method::PATCH, &path, spelling, &body).await;
        assert_eq!(changed.expect(200)["version"], version + 1, "{spelling}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_change_does_not_name_stays() {
    let (service, admin) = Service::with_acme().await;
    let token = admin.token.as_str();
    let role = service.role(&admin).await;
    let root = service.get(&format!("{ENV}/nodes"), token).await.expect(200)["tree"][0]["id"].clone();
    let person = json!({ "email": "a@x.org", "first_name": "A", "last_name": "B" });
    let person = service
        .post(&format!("{APP}/identities"), token, &person)
        .await
        .expect(201)["id"]
        .clone();
    let new = json!({ "identity_id": person, "role_id": role, "node_id": root,
        "effective_from": "2027-01-01T00:00:00Z", "effective_to": "2028-01-01T00:00:00Z" });
    let made = service
        .post(&format!("{ENV}/assignments"), token, &new)
        .await
        .expect(201);
    let path = format!("{ENV}/assignments/{}", made["id"].as_str().unwrap());
    let edited = async |body: Value| {
        let asked = request(Method::PATCH, &path, token).set_json(body);
        let after = service.send(asked).await.expect(200);
        assert_eq!(after["role_id"], role.as_str());
        (after["effective_from"].clone(), after["effective_to"].clone())
    };
    let (from, to) = (json!("2027-01-01T00:00:00.000Z"), json!("2027-06-01T00:00:00.000Z"));
    assert_eq!(
        edited(json!({ "effective_to": "2027-06-01T00:00:00Z" })).await,
        (from.clone(), to.clone())
    );
    assert_eq!(edited(json!({})).await, (from.clone(), to));
    assert_eq!(edited(json!({ "effective_to": null })).await, (from, Value::Null));
    assert_eq!(
        edited(json!({ "effective_from": null })).await,
        (made["created_at"].clone(), Value::Null)
    );

    // Numbers may be spelled as decimals where they are whole.
    let path = format!("{ENV}/hierarchy-schema");
    let before = service.get(&path, token).await.expect(200);
    let schema = async |body: Value| service.change(&admin, &Method::PATCH, &path, "*", &body).await;
    let text = |depth: &str| serde_json::from_str::<Value>(&format!("{{\"max_depth\":{depth}}}")).unwrap();
    let deeper = schema(text("12.0")).await.expect(200);
    assert_eq!(deeper["max_depth"], 12);
    for member in ["node_types", "allowed_children", "root_node_type"] {
        assert_eq!(deeper[member], before[member], "{member}");
    }
    assert_eq!(schema(text("1.3e1")).await.expect(200)["max_depth"], 13);
    for bad in ["12.5", "-1.0", "65.0", "1e300"] {
        schema(text(bad)).await.refused(400, "request.validation_failed");
    }
    let grown = schema(json!({ "node_types": ["root", "team"] })).await.expect(200);
    assert_eq!(
        (&grown["max_depth"], &grown["node_types"]),
        (&json!(13), &json!(["root", "team"]))
    );
    let rootless = schema(json!({ "node_types": ["team"] })).await;
    rootless.refused(400, "request.validation_failed");
    assert_eq!(rootless.fields(), ["/root_node_type unknown_node_type"]);
}
