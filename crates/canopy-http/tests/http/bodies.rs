//! Bad bodies, queries and ids.

use crate::service::{ACC, Admin, Answer, ENV, Service, request};
use actix_web::http::Method;
use serde_json::json;

async fn post_raw(service: &Service, admin: &Admin, path: &str, media: &str, body: &[u8]) -> Answer {
    let request = request(Method::POST, path, &admin.token).insert_header(("content-type", media));
    service.send(request.set_payload(body.to_vec())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_told_apart_from_what_is_not_accepted() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/roles");
    for bad in [
        &b""[..],
        b"{",
        b"{} {}",
        b"{\"name\":\"\xff\"}",
        b"{\"name\":\"a\",\"name\":\"b\"}",
        b"nope",
    ] {
        let answer = post_raw(&service, &admin, &path, "application/json", bad).await;
        answer.refused(400, "request.malformed_json");
        assert!(answer.body["error"]["details"]["line"].is_number());
    }
    let deep = "[".repeat(200_000);
    post_raw(&service, &admin, &path, "application/json", deep.as_bytes())
        .await
        .refused(400, "request.malformed_json");
    let answer = post_raw(&service, &admin, &path, "application/json; charset=UTF-8", b"[]").await;
    answer.refused(400, "request.validation_failed");
    assert_eq!(answer.fields(), [" wrong_type"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_media_types_are_415() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/roles");
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "json",
        "",
    ] {
        let answer = post_raw(&service, &admin, &path, media, b"{\"name\":\"x\"}").await;
        answer.refused(415, "request.unsupported_media_type");
    }
    let packed = request(Method::POST, &path, &admin.token)
        .insert_header(("content-type", "application/json"))
        .insert_header(("content-encoding", "gzip"));
    service
        .send(packed.set_payload("{}"))
        .await
        .refused(415, "request.unsupported_media_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_a_request_come_at_once() {
    let (service, admin) = Service::with_acme().await;
    let batch = json!({
        "assignments": [
            { "identity_id": "x", "node_id": null, "role_id": 7, "effective_to": "tomorrow" },
            { "identity_id": "0198a7b1-7c3e-7000-8000-000000000001", "node_id": "0198a7b1-7c3e-7000-8000-000000000001",
              "role_id": "0198A7B1-7C3E-7000-8000-000000000001", "effective_from": "9999-12-31T23:59:59-01:00", "note": "" },
        ],
        "atomic": "no",
    });
    let answer = service
        .post(
            &format!("{ENV}/assignments/bulk-create?dry_run=true"),
            &admin.token,
            &batch,
        )
        .await;
    answer.refused(400, "request.validation_failed");
    assert_eq!(
        answer.fields(),
        [
            "/dry_run unknown_parameter",
            "/assignments/0/identity_id invalid_uuid",
            "/assignments/0/node_id required",
            "/assignments/0/role_id wrong_type",
            "/assignments/0/effective_to invalid_timestamp",
            "/assignments/1/effective_from out_of_range",
            "/assignments/1/note unknown_field",
            "/atomic wrong_type",
        ]
    );
    let error = &answer.body["error"];
    assert!(!error["message"].as_str().unwrap().contains("0198"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_at_least_one_item_and_at_most_ten_thousand() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/assignments/bulk-remove");
    let id = "0198a7b1-7c3e-7000-8000-000000000001";
    let ask = |count: usize| json!({ "assignment_ids": vec![id; count] });
    let empty = service.post(&path, &admin.token, &ask(0)).await;
    assert_eq!(
        (empty.status, empty.fields()),
        (400, vec!["/assignment_ids empty".to_owned()])
    );
    let long = service.post(&path, &admin.token, &ask(10_001)).await;
    assert_eq!(
        (long.status, long.fields()),
        (400, vec!["/assignment_ids too_many_items".to_owned()])
    );
    service
        .post(&path, &admin.token, &ask(10_000))
        .await
        .refused(404, "rbac.assignment_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_fields_that_are_not_supported_have_their_own_code() {
    let (service, admin) = Service::with_acme().await;
    let new = json!({ "email": "a@b.c", "first_name": "A", "last_name": "B", "password": "secret", "mfa": true });
    let answer = service.post(&format!("{ACC}/identities"), &admin.token, &new).await;
    answer.refused(400, "request.unsupported_field");
    assert_eq!(
        answer.fields(),
        ["/mfa unsupported_field", "/password unsupported_field"]
    );
    assert!(!answer.text.contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_ids_and_queries_are_400_and_unknown_ids_404() {
    let (service, admin) = Service::with_acme().await;
    let bad = service.get(&format!("{ENV}/roles/7"), &admin.token).await;
    bad.refused(400, "request.validation_failed");
    assert_eq!(bad.fields(), ["/roleId invalid_uuid"]);
    for unknown in [
        "0198a7b1-7c3e-7000-8000-000000000001",
        "00000000-0000-0000-0000-000000000000",
    ] {
        service
            .get(&format!("{ENV}/roles/{unknown}"), &admin.token)
            .await
            .refused(404, "rbac.role_not_found");
    }
    let list = format!("{ENV}/assignments/app-wide?page=0&take=101&sort_by=age&status=gone&role_id=x&x=1&page=2");
    let bad = service.get(&list, &admin.token).await;
    bad.refused(400, "request.validation_failed");
    assert_eq!(
        bad.fields(),
        [
            "/page repeated",
            "/take out_of_range",
            "/sort_by not_one_of",
            "/role_id invalid_uuid",
            "/status not_one_of",
            "/x unknown_parameter",
        ]
    );
    let far = service
        .get(&format!("{ENV}/assignments/app-wide?page=4294967295"), &admin.token)
        .await
        .expect(200);
    assert_eq!(far["items"], json!([]));
    let search = service
        .get(&format!("{ENV}/assignments/app-wide?q=%00"), &admin.token)
        .await;
    assert_eq!(search.fields(), ["/q control_character"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_needs_a_node_exactly_for_its_scope() {
    let (service, admin) = Service::with_acme().await;
    let path = format!("{ENV}/permissions/evaluate");
    let id = "0198a7b1-7c3e-7000-8000-000000000001";
    let ask = |scope: &str, node: Option<&str>| json!({ "identity_id": id, "permission": "no key at all", "scope": scope, "node_id": node });
    let missing = service.post(&path, &admin.token, &ask("node", None)).await;
    assert_eq!(
        (missing.status, missing.fields()),
        (400, vec!["/node_id required".to_owned()])
    );
    let extra = service.post(&path, &admin.token, &ask("app_wide", Some(id))).await;
    assert_eq!(
        (extra.status, extra.fields()),
        (400, vec!["/node_id not_allowed".to_owned()])
    );
    let wrong = service.post(&path, &admin.token, &ask("everywhere", None)).await;
    assert_eq!(wrong.fields(), ["/scope not_one_of"]);
    let unknown = service
        .post(&path, &admin.token, &ask("app_wide", None))
        .await
        .expect(200);
    assert_eq!(unknown["denial_reason"], "identity_not_found");
}
