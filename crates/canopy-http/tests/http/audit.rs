//! The audit log as its readers see it.

use crate::service::{ACC, ENV, Service, request};
use actix_web::http::Method;
use serde_json::{Value, json};

const LOG: &str = "/portal/v1/accounts/acme/audit-log";
const PRODUCTION: &str = "/portal/v1/accounts/acme/applications/default/environments/production";

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|event| event["id"].as_str().unwrap()).collect()
}

/// Roles in two environments, so that there is something to read: the whole log, newest first.
async fn filled(service: &Service, token: &str, roles: usize) -> Value {
    for number in 0..roles {
        let environment = [ENV, PRODUCTION][number % 2];
        let role = json!({ "name": format!("Role {number}") });
        service
            .post(&format!("{environment}/roles"), token, &role)
            .await
            .expect(201);
    }
    service.get(&format!("{LOG}?limit=200"), token).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_part_by_part_without_gap_or_repetition() {
    let (service, admin) = Service::with_acme().await;
    let whole = filled(&service, &admin.token, 9).await;
    assert_eq!(whole["next_cursor"], Value::Null);
    assert_eq!(whole["items"].as_array().unwrap().len(), 10);
    assert_eq!(whole["items"][0]["resource_label"], "Role 8");
    for limit in [1, 3, 5, 10] {
        let mut parts: Vec<String> = Vec::new();
        let mut path = format!("{LOG}?limit={limit}");
        loop {
            let part = service.get(&path, &admin.token).await.expect(200);
            assert!(ids(&part).len() <= limit);
            parts.extend(ids(&part).iter().map(ToString::to_string));
            // What comes later does not move what is being read.
            let Some(cursor) = part["next_cursor"].as_str() else {
                break;
            };
            path = format!("{LOG}?limit={limit}&cursor={cursor}");
        }
        assert_eq!(parts, ids(&whole), "{limit}");
    }
    let first = service.get(LOG, &admin.token).await.expect(200);
    assert_eq!(ids(&first), ids(&whole), "fifty are the default");
    let part = service.get(&format!("{LOG}?limit=4"), &admin.token).await.expect(200);
    let cursor = part["next_cursor"].as_str().unwrap();
    service
        .post(&format!("{ENV}/roles"), &admin.token, &json!({ "name": "Late" }))
        .await
        .expect(201);
    let next = service
        .get(&format!("{LOG}?limit=200&cursor={cursor}"), &admin.token)
        .await
        .expect(200);
    assert_eq!(ids(&next), ids(&whole)[4..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_query_and_its_reader_alone() {
    let (service, admin) = Service::with_acme().await;
    filled(&service, &admin.token, 4).await;
    let zeta = service.account("zeta").await;
    let token = admin.token.as_str();
    let part = service
        .get(&format!("{LOG}?limit=2&category=catalog"), token)
        .await
        .expect(200);
    let cursor = part["next_cursor"].as_str().unwrap();
    let good = format!("{LOG}?category=catalog&cursor={cursor}");
    assert_eq!(ids(&service.get(&good, token).await.expect(200)).len(), 2);
    // How many are asked for at once is not part of the question.
    service.get(&format!("{good}&limit=1"), token).await.expect(200);
    let environment = service.environment_id(&admin, ENV).await;
    let bound = service.bound_token(&admin, &environment);
    for (path, token) in [
        (format!("{LOG}?cursor={cursor}"), token),
        (format!("{LOG}?category=setup&cursor={cursor}"), token),
        (format!("{LOG}?category=catalog&q=a&cursor={cursor}"), token),
        (format!("{LOG}?category=catalog&outcome=success&cursor={cursor}"), token),
        (
            format!("{LOG}?category=catalog&to=2027-01-01T00:00:00Z&cursor={cursor}"),
            token,
        ),
        (
            format!("{LOG}?category=catalog&environment_id={environment}&cursor={cursor}"),
            token,
        ),
        (format!("{LOG}?category=catalog&cursor={cursor}A"), token),
        (format!("{LOG}?category=catalog&cursor=x"), token),
        (format!("{LOG}?category=catalog&cursor="), token),
        (
            format!("/portal/v1/accounts/zeta/audit-log?category=catalog&cursor={cursor}"),
            &zeta.token,
        ),
        (format!("/api/v1/audit-events?category=catalog&cursor={cursor}"), &bound),
    ] {
        let answer = service.get(&path, token).await;
        answer.refused(400, "request.validation_failed");
        assert_eq!(answer.fields(), ["/cursor invalid_cursor"], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_the_log() {
    let (service, admin) = Service::with_acme().await;
    let whole = filled(&service, &admin.token, 4).await;
    let environment = service.environment_id(&admin, ENV).await;
    let newest = &whole["items"][0];
    let text = |name: &str| newest[name].as_str().unwrap().to_owned();
    let count = async |query: &str| {
        let page = service.get(&format!("{LOG}?{query}"), &admin.token).await.expect(200);
        ids(&page).len()
    };
    for (query, expected) in [
        ("action=role.create".to_owned(), 4),
        ("action=role.created".to_owned(), 0),
        ("category=catalog".to_owned(), 4),
        ("category=tenancy&actor_type=operator&actor_id=root".to_owned(), 1),
        ("severity=critical".to_owned(), 0),
        ("outcome=denied".to_owned(), 0),
        ("resource_type=role".to_owned(), 4),
        (format!("resource_id={}", text("resource_id")), 1),
        (format!("correlation_id={}", text("correlation_id")), 1),
        (format!("environment_id={environment}&action=role.create"), 2),
        ("q=rOLE%203".to_owned(), 1),
        ("from=2026-04-20T12:00:00Z".to_owned(), 5),
        ("to=2026-04-20T12:00:00Z".to_owned(), 0),
        ("from=2026-04-20T12:00:00.001Z".to_owned(), 0),
    ] {
        assert_eq!(count(&query).await, expected, "{query}");
    }
    let path = format!("{LOG}?from=x&category=a&limit=201&actor_id=&environment_id=1&page=1");
    let answer = service.get(&path, &admin.token).await;
    answer.refused(400, "request.validation_failed");
    assert_eq!(answer.fields().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_is_read_by_its_id_in_its_own_account_alone() {
    let (service, admin) = Service::with_acme().await;
    let whole = filled(&service, &admin.token, 2).await;
    let zeta = service.account("zeta").await;
    let event = &whole["items"][0];
    let id = event["id"].as_str().unwrap();
    assert_eq!(
        service.get(&format!("{LOG}/{id}"), &admin.token).await.expect(200),
        *event
    );
    assert_eq!(
        service.get(&format!("{LOG}/{id}"), &service.operator).await.expect(200),
        *event
    );
    let foreign = service
        .get(&format!("/portal/v1/accounts/zeta/audit-log/{id}"), &zeta.token)
        .await;
    foreign.refused(404, "audit.event_not_found");
    for path in [LOG.to_owned(), format!("{LOG}/{id}")] {
        service
            .get(&path, &zeta.token)
            .await
            .refused(404, "accounts.account_not_found");
        let identity = service.token_of_identity(&admin, "0198a7b1-7c3e-7000-8000-00000000ffff");
        service.get(&path, &identity).await.refused(401, "auth.invalid_token");
    }
    service
        .get(&format!("{LOG}/7"), &admin.token)
        .await
        .refused(400, "request.validation_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_surface_shows_the_environment_of_the_credential_alone() {
    let (service, admin) = Service::with_acme().await;
    let whole = filled(&service, &admin.token, 4).await;
    let development = service.environment_id(&admin, ENV).await;
    let production = service.environment_id(&admin, PRODUCTION).await;
    let token = service.bound_token(&admin, &development);
    let own = service.get("/api/v1/audit-events", &token).await.expect(200);
    assert_eq!(ids(&own).len(), 2);
    assert!(
        own["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|event| event["environment_id"] == *development)
    );
    let path = format!("/api/v1/audit-events?environment_id={development}");
    assert_eq!(service.get(&path, &token).await.expect(200), own);
    for (environment, expected) in [
        (&production, 0),
        (&"0198a7b1-7c3e-7000-8000-00000000ffff".to_owned(), 0),
    ] {
        let path = format!("/api/v1/audit-events?environment_id={environment}");
        assert_eq!(ids(&service.get(&path, &token).await.expect(200)).len(), expected);
    }
    for event in whole["items"].as_array().unwrap() {
        let path = format!("/api/v1/audit-events/{}", event["id"].as_str().unwrap());
        let answer = service.get(&path, &token).await;
        if event["environment_id"] == *development {
            assert_eq!(answer.expect(200), *event);
        } else {
            answer.refused(404, "audit.event_not_found");
        }
    }
    let part = service.get("/api/v1/audit-events?limit=1", &token).await.expect(200);
    let cursor = part["next_cursor"].as_str().unwrap();
    let path = format!("/api/v1/audit-events?cursor={cursor}");
    assert_eq!(ids(&service.get(&path, &token).await.expect(200)), ids(&own)[1..]);
    // The same cursor says nothing to a credential of the other environment.
    let other = service.bound_token(&admin, &production);
    service
        .get(&path, &other)
        .await
        .refused(400, "request.validation_failed");
}

/// The refused attempts of an account, once there are so many. They are written a moment after the answer.
async fn refusals(service: &Service, log: &str, token: &str, number: usize) -> Vec<Value> {
    loop {
        let page = service
            .get(&format!("{log}?outcome=denied&limit=200"), token)
            .await
            .expect(200);
        let items = page["items"].as_array().unwrap();
        if items.len() >= number {
            return items.clone();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_attempts_are_kept_in_the_account_of_the_actor() {
    let (service, admin) = Service::with_acme().await;
    let zeta = service.account("zeta").await;
    let body = json!({ "name": "Mine" });
    let attempts = [
        // Another account, which looks as if it were not there, and one that is not there.
        (
            Method::GET,
            "/portal/v1/accounts/acme/audit-log",
            "listAuditEvents",
            "accounts.account_not_found",
        ),
        (
            Method::GET,
            "/portal/v1/accounts/nowhere",
            "getAccount",
            "accounts.account_not_found",
        ),
        // What operators alone may do.
        (
            Method::POST,
            "/portal/v1/accounts",
            "createAccount",
            "auth.wrong_principal_type",
        ),
    ];
    for (method, path, _, code) in &attempts {
        let status = if code.starts_with("auth") { 403 } else { 404 };
        let call = request(method.clone(), path, &zeta.token).insert_header(("x-request-id", "attempt"));
        let call = if *method == Method::POST {
            call.set_json(&body)
        } else {
            call
        };
        service.send(call).await.refused(status, code);
    }
    let log = "/portal/v1/accounts/zeta/audit-log";
    let kept = refusals(&service, log, &zeta.token, attempts.len()).await;
    assert_eq!(kept.len(), attempts.len());
    for (event, (_, _, operation, code)) in kept.iter().rev().zip(&attempts) {
        assert_eq!(event["action"], "access.refuse");
        assert_eq!(
            (&event["category"], &event["severity"]),
            (&json!("access"), &json!("warning"))
        );
        assert_eq!(
            (&event["resource_type"], &event["resource_id"]),
            (&json!("operation"), &json!(operation))
        );
        assert_eq!(event["metadata"], json!({ "code": code }));
        assert_eq!(
            (&event["actor_id"], &event["actor_type"]),
            (&json!("ann"), &json!("admin"))
        );
        assert_eq!(
            (&event["correlation_id"], &event["revision"]),
            (&json!("attempt"), &Value::Null)
        );
    }
    // Nothing of it is in the account that was tried.
    let page = service
        .get(&format!("{LOG}?outcome=denied"), &admin.token)
        .await
        .expect(200);
    assert_eq!(page["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_user_who_tries_the_portal_is_kept_too_but_a_rule_or_a_bad_credential_is_not() {
    let (service, admin) = Service::with_acme().await;
    let new = json!({ "email": "a@x.org", "first_name": "A", "last_name": "B" });
    let made = service
        .post(&format!("{ACC}/identities"), &admin.token, &new)
        .await
        .expect(201);
    let identity = made["id"].as_str().unwrap();
    service
        .get(&format!("{ENV}/roles/7"), &admin.token)
        .await
        .refused(400, "request.validation_failed");
    let absent = "0198a7b1-7c3e-7000-8000-00000000ffff";
    service
        .get(&format!("{ENV}/roles/{absent}"), &admin.token)
        .await
        .refused(404, "rbac.role_not_found");
    service
        .get(&format!("{ACC}/applications/nothing"), &admin.token)
        .await
        .refused(404, "applications.application_not_found");
    service.get(ACC, "no token").await.refused(401, "auth.invalid_token");
    let token = service.token_of_identity(&admin, identity);
    service.get(ACC, &token).await.refused(403, "auth.wrong_principal_type");
    let kept = refusals(&service, LOG, &admin.token, 1).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (&kept[0]["actor_id"], &kept[0]["actor_type"]),
        (&json!(identity), &json!("identity"))
    );
}
