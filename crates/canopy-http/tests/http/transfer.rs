//! Bounds of exports, imports and copies.

use crate::service::{APP, Admin, Answer, ENV, Service, request};
use actix_web::http::Method;
use actix_web::web::Bytes;
use serde_json::{Value, json};

/// A service that takes documents of so many bytes.
async fn service(import_bytes: Option<usize>) -> (Service, Admin) {
    let mut service = Service::new();
    if let Some(bytes) = import_bytes {
        service.state = service.state.with_import_bytes(bytes);
    }
    let admin = service.account("acme").await;
    (service, admin)
}

/// A document with so many teams, each with so many bytes of metadata.
fn document(teams: usize, bytes: usize) -> String {
    let mut nodes = vec![r#"{"path":"acme","node_type":"root","name":"acme"}"#.to_owned()];
    let filler = "x".repeat(bytes);
    nodes.extend((0..teams).map(|n| {
        format!(r#"{{"path":"acme/t{n:06}","node_type":"team","name":"Team {n}","metadata":{{"a":"{filler}"}}}}"#)
    }));
    with_nodes(&nodes.join(","))
}

fn with_nodes(nodes: &str) -> String {
    format!(
        r#"{{"format_version":1,"access_model":"hierarchy","hierarchy_schema":{{"node_types":["root","team"],
        "allowed_children":{{"root":["team"],"team":["team"]}},"max_depth":64,"root_node_type":"root"}},"permissions":[],"roles":[],"nodes":[{nodes}]}}"#
    )
}

async fn import(service: &Service, admin: &Admin, text: String, key: Option<&'static str>) -> Answer {
    let mut sent = request(Method::POST, &format!("{ENV}/import"), &admin.token);
    sent = sent.insert_header(("content-type", "application/json"));
    if let Some(key) = key {
        sent = sent.insert_header(("idempotency-key", key));
    }
    service.send(sent.set_payload(Bytes::from(text))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_may_be_larger_than_the_body_of_another_call() {
    let (service, admin) = service(None).await;
    let text = document(700, 14_000);
    assert!(text.len() > 8 * 1024 * 1024);
    let done = import(&service, &admin, text, None).await.expect(200);
    assert_eq!(
        done["changes"]["nodes"],
        json!({"kept": 1, "changed": 0, "removed": 0, "added": 700})
    );
    let exported = service.get(&format!("{ENV}/export"), &admin.token).await;
    assert_eq!(exported.status, 200);
    assert!(exported.text.len() > 8 * 1024 * 1024);
    let again = import(&service, &admin, exported.text, None).await.expect(200);
    assert_eq!(
        again["changes"]["nodes"],
        json!({"kept": 701, "changed": 0, "removed": 0, "added": 0})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_an_import_is_refused_with_the_bound() {
    const MAX: usize = 100_000;
    let (service, admin) = service(Some(MAX)).await;
    let refused = import(&service, &admin, document(10, 15_000), None).await;
    refused.refused(413, "request.too_large");
    assert_eq!(refused.body["error"]["details"]["max_bytes"], MAX);
    // As much as fits comes in and goes out again.
    import(&service, &admin, document(6, 15_000), None).await.expect(200);
    let exported = service.get(&format!("{ENV}/export"), &admin.token).await;
    assert_eq!(exported.status, 200, "{}", exported.text);
    let copy = |slug: &str| json!({"name": slug, "slug": slug, "copy_from": "development"});
    service
        .post(&format!("{APP}/environments"), &admin.token, &copy("fits"))
        .await
        .expect(201);
    // Other calls make it grow past that; then nothing is read of it.
    let tree = service.get(&format!("{ENV}/nodes"), &admin.token).await.expect(200);
    let root = tree["tree"][0]["id"].clone();
    let node =
        json!({"parent_node_id": root, "node_type": "team", "name": "More", "metadata": {"a": "x".repeat(15_000)}});
    service
        .post(&format!("{ENV}/nodes"), &admin.token, &node)
        .await
        .expect(201);
    for refused in [
        service.get(&format!("{ENV}/export"), &admin.token).await,
        service
            .post(&format!("{APP}/environments"), &admin.token, &copy("late"))
            .await,
    ] {
        refused.refused(409, "environments.environment_too_large");
        assert_eq!(refused.body["error"]["details"], json!({"max_bytes": MAX}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_number_of_contradictions_is_told_and_all_are_counted() {
    let (service, admin) = service(None).await;
    let keys: Vec<String> = (0..10_000).map(|n| format!("\"no.k{n}\"")).collect();
    let keys = keys.join(",");
    let roles: Vec<String> = (0..20)
        .map(|n| format!(r#"{{"name":"R{n}","permission_keys":[{keys}]}}"#))
        .collect();
    let text = document(0, 0).replace("\"roles\":[]", &format!("\"roles\":[{}]", roles.join(",")));
    let refused = import(&service, &admin, text, None).await;
    refused.refused(400, "request.validation_failed");
    let fields = refused.fields();
    assert_eq!(fields.len(), 1_000);
    assert_eq!(fields[999], "/roles/0/permission_keys/999 unknown_permission_key");
    assert_eq!(refused.body["error"]["details"]["omitted"], 199_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_as_long_as_the_deepest_tree_makes_them() {
    let (service, admin) = service(None).await;
    let root = r#"{"path":"acme","node_type":"root","name":"acme"}"#;
    let at = |path: &str| with_nodes(&format!(r#"{root},{{"path":"{path}","node_type":"team","name":"T"}}"#));
    let refused = import(&service, &admin, at(&"a/".repeat(4 * 1024 * 1024)), None).await;
    refused.refused(400, "request.validation_failed");
    assert_eq!(refused.fields(), ["/nodes/1/path too_long"]);
    let refused = import(&service, &admin, at("acme/A"), None).await;
    assert_eq!(refused.fields(), ["/nodes/1/path invalid_slug"]);
    // One node at each depth, with slugs as long as they may be.
    let slug = "s".repeat(100);
    let mut path = slug.clone();
    let mut nodes = vec![format!(r#"{{"path":"{path}","node_type":"root","name":"N"}}"#)];
    for _ in 1..64 {
        path = format!("{path}/{slug}");
        nodes.push(format!(r#"{{"path":"{path}","node_type":"team","name":"N"}}"#));
    }
    let done = import(&service, &admin, with_nodes(&nodes.join(",")), None)
        .await
        .expect(200);
    assert_eq!(done["changes"]["nodes"]["added"], 63);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_with_the_parts_of_a_document_is_told_at_once() {
    let (service, admin) = service(None).await;
    let text = r#"{"nodes":[{"path":"acme","node_type":"root","name":" "},7,{"path":"acme/a"}],"format_version":2,
        "roles":[{"name":"R","permission_keys":["x"]}],"permissions":"none","webhooks":null,"more":[1]}"#;
    let refused = import(&service, &admin, text.to_owned(), None).await;
    refused.refused(400, "request.validation_failed");
    assert_eq!(
        refused.fields(),
        [
            "/nodes/0/name empty",
            "/nodes/1 wrong_type",
            "/nodes/2/node_type required",
            "/nodes/2/name required",
            "/roles/0/permission_keys/0 invalid_permission_key",
            "/format_version out_of_range",
            "/access_model required",
            "/hierarchy_schema required",
            "/permissions wrong_type",
            "/more unknown_field",
        ]
    );
    let refused = import(&service, &admin, "{\"nodes\":[\n{\"path\":]}".to_owned(), None).await;
    refused.refused(400, "request.malformed_json");
    let details = &refused.body["error"]["details"];
    assert_eq!((&details["line"], &details["column"]), (&json!(2), &json!(9)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_import_is_known_by_its_body() {
    let (service, admin) = service(None).await;
    let first = import(&service, &admin, document(3, 10), Some("k")).await;
    assert_eq!(
        (first.status, first.header("idempotency-replayed")),
        (200, None),
        "{}",
        first.text
    );
    let again = import(&service, &admin, document(3, 10), Some("k")).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (200, Some("true"))
    );
    assert_eq!(again.text, first.text);
    let other = import(&service, &admin, document(4, 10), Some("k")).await;
    other.refused(422, "request.idempotency_key_reused");
    let nodes: Value = service.get(&format!("{ENV}/export"), &admin.token).await.expect(200);
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 4);
}
