//! Limits on callers, and what the service counts of itself.

use crate::service::{ACC, Answer, ENV, Service, request};
use actix_web::http::Method;
use actix_web::test::TestRequest;
use canopy_http::LimitOptions;
use core::num::NonZeroU32;
use serde_json::json;

fn limits(failed: u32, requests: Option<u32>, proxies: &[&str]) -> LimitOptions {
    LimitOptions {
        failed_authentications: NonZeroU32::new(failed).unwrap(),
        requests: requests.and_then(NonZeroU32::new),
        trusted_proxies: proxies.iter().map(|proxy| proxy.parse().unwrap()).collect(),
    }
}

fn from(call: TestRequest, address: &str) -> TestRequest {
    call.peer_addr(format!("{address}:4711").parse().unwrap())
}

async fn attempt(service: &Service, address: &str, token: &str) -> Answer {
    service.send(from(request(Method::GET, ACC, token), address)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_authentication_is_limited_by_client_address_and_hurts_nobody_else() {
    let (mut service, admin) = Service::with_acme().await;
    service.state = service.state.clone().with_limits(limits(3, None, &[]));
    let elsewhere = "192.0.2.2";
    for _ in 0..3 {
        attempt(&service, "192.0.2.1", "guess")
            .await
            .refused(401, "auth.invalid_token");
        // A good credential is no failure, and is never refused for those of others.
        attempt(&service, "192.0.2.1", &admin.token).await.expect(200);
    }
    for guess in ["guess", "other"] {
        let answer = attempt(&service, "192.0.2.1", guess).await;
        answer.refused(429, "request.rate_limited");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
        assert_eq!(answer.header("www-authenticate"), None);
    }
    attempt(&service, "192.0.2.1", &admin.token).await.expect(200);
    attempt(&service, elsewhere, "guess")
        .await
        .refused(401, "auth.invalid_token");
    // An API key is a credential as well.
    let key = from(
        TestRequest::with_uri("/api/v1/roles").insert_header(("x-api-key", "cnpy_x")),
        "192.0.2.1",
    );
    service.send(key).await.refused(429, "request.rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_credential_never_counts() {
    let (mut service, _) = Service::with_acme().await;
    service.state = service.state.clone().with_limits(limits(1, None, &[]));
    for _ in 0..5 {
        let call = from(TestRequest::with_uri(ACC), "192.0.2.1");
        service.send(call).await.refused(401, "auth.invalid_token");
    }
    attempt(&service, "192.0.2.1", "guess")
        .await
        .refused(401, "auth.invalid_token");
    attempt(&service, "192.0.2.1", "guess")
        .await
        .refused(429, "request.rate_limited");
    let call = from(TestRequest::with_uri(ACC), "192.0.2.1");
    service.send(call).await.refused(401, "auth.invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_the_client_counts_and_not_the_proxy() {
    let (mut service, _) = Service::with_acme().await;
    service.state = service.state.clone().with_limits(limits(1, None, &["10.0.0.0/8"]));
    let through = |client: &str| request(Method::GET, ACC, "guess").insert_header(("x-forwarded-for", client));
    let statuses = async |address: &str, client: &str| {
        let first = service.send(from(through(client), address)).await.status;
        (first, service.send(from(through(client), address)).await.status)
    };
    assert_eq!(statuses("10.0.0.1", "203.0.113.1").await, (401, 429));
    assert_eq!(statuses("10.0.0.1", "203.0.113.2").await, (401, 429));
    // Whoever comes directly cannot choose an address.
    assert_eq!(statuses("203.0.113.3", "203.0.113.4").await, (401, 429));
    assert_eq!(statuses("203.0.113.3", "203.0.113.5").await, (429, 429));
    // One IPv6 subscriber is one client.
    assert_eq!(statuses("10.0.0.1", "2001:db8::1").await, (401, 429));
    assert_eq!(statuses("10.0.0.1", "2001:db8::2").await, (429, 429));
    // A port is no part of an address.
    assert_eq!(statuses("10.0.0.1", "203.0.113.8:4711").await, (401, 429));
    assert_eq!(statuses("10.0.0.1", "203.0.113.8:4712").await, (429, 429));
    assert_eq!(statuses("10.0.0.1", "203.0.113.9:5000").await, (401, 429));
    assert_eq!(statuses("10.0.0.1", "[2001:db8::3]:1").await, (429, 429));
    let standard = |value: &str| request(Method::GET, ACC, "guess").insert_header(("forwarded", value.to_owned()));
    let asked = service.send(from(standard("for=\"203.0.113.9:1\";proto=https"), "10.0.0.1"));
    assert_eq!(asked.await.status, 429);
    let asked = service.send(from(standard("For=203.0.113.10"), "10.0.0.1"));
    assert_eq!(asked.await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_limited_by_credential_where_that_is_asked_for() {
    let (mut service, admin) = Service::with_acme().await;
    let zeta = service.account("zeta").await;
    for _ in 0..10 {
        service.get(ACC, &admin.token).await.expect(200);
    }
    service.state = service.state.clone().with_limits(limits(600, Some(2), &[]));
    service.get(ACC, &admin.token).await.expect(200);
    // An attempt that is refused for who makes it counts too.
    service
        .get("/portal/v1/accounts/zeta", &admin.token)
        .await
        .refused(404, "accounts.account_not_found");
    let answer = service.get(ACC, &admin.token).await;
    answer.refused(429, "request.rate_limited");
    assert!(answer.header("retry-after").is_some());
    service.get("/portal/v1/accounts/zeta", &zeta.token).await.expect(200);
    // Bad credentials are not told apart from each other here: they have a limit of their own.
    service.get(ACC, "guess").await.refused(401, "auth.invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_is_one_however_its_credential_is_written() {
    let (mut service, admin) = Service::with_acme().await;
    let environment = service.environment_id(&admin, ENV).await;
    let bound = service.bound_token(&admin, &environment);
    let made = json!({ "name": "Backend", "access_mode": "full_access" });
    let made = service
        .post(&format!("{ENV}/api-keys"), &admin.token, &made)
        .await
        .expect(201);
    let key = made["key"].as_str().unwrap().to_owned();
    service.state = service.state.clone().with_limits(limits(600, Some(2), &[]));
    let send = async |path: &str, name: &str, value: String| {
        service
            .send(TestRequest::with_uri(path).insert_header((name, value)))
            .await
    };
    let token = &admin.token;
    for (path, spelling, status) in [
        (ACC, format!("Bearer {token}"), 200),
        (ACC, format!("bearer   {token} "), 200),
        (ACC, format!("BEARER {token}"), 429),
        // Another token of the same caller.
        ("/api/v1/roles", format!("Bearer {bound}"), 429),
    ] {
        let answer = send(path, "authorization", spelling).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    for (spelling, status) in [(key.clone(), 200), (key.clone(), 200), (key, 429)] {
        assert_eq!(send("/api/v1/roles", "x-api-key", spelling).await.status, status);
    }
}

/// The value of a line of the metrics.
fn value(text: &str, line: &str) -> Option<f64> {
    let found = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' '));
    found.map(|value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_was_answered() {
    let (mut service, admin) = Service::with_acme().await;
    service.state = service.state.clone().with_limits(limits(1, None, &[]));
    service.get(ACC, &admin.token).await.expect(200);
    service.get(ACC, &admin.token).await.expect(200);
    service
        .get("/portal/v1/accounts/nowhere", &admin.token)
        .await
        .refused(404, "accounts.account_not_found");
    service.get(ACC, "guess").await.refused(401, "auth.invalid_token");
    service.get(ACC, "guess").await.refused(429, "request.rate_limited");
    service
        .get("/nothing", &admin.token)
        .await
        .refused(404, "request.route_not_found");
    let question = json!({
        "identity_id": "0198a7b1-7c3e-7000-8000-00000000ffff", "permission": "a.b", "scope": "app_wide",
    });
    service
        .post(&format!("{ENV}/permissions/evaluate"), &admin.token, &question)
        .await
        .expect(200);
    let answer = service.send(TestRequest::with_uri("/metrics")).await;
    assert_eq!(answer.status, 200);
    let media = answer.header("content-type").unwrap();
    assert!(media.starts_with("application/openmetrics-text"), "{media}");
    let text = &answer.text;
    assert!(text.ends_with("# EOF\n"), "{text}");
    for (line, expected) in [
        ("canopy_requests_total{operation=\"getAccount\",status=\"200\"}", 2.0),
        ("canopy_requests_total{operation=\"getAccount\",status=\"404\"}", 1.0),
        ("canopy_requests_total{operation=\"getAccount\",status=\"401\"}", 1.0),
        ("canopy_requests_total{operation=\"getAccount\",status=\"429\"}", 1.0),
        ("canopy_requests_total{operation=\"evaluate\",status=\"200\"}", 1.0),
        ("canopy_request_duration_seconds_count{operation=\"getAccount\"}", 5.0),
        ("canopy_refused_credentials_total", 2.0),
        ("canopy_limited_requests_total", 1.0),
        ("canopy_unrouted_requests_total", 1.0),
        ("canopy_dropped_refusals_total", 0.0),
        ("canopy_indexes", 1.0),
        ("canopy_index_revisions_behind", 0.0),
    ] {
        assert_eq!(value(text, line), Some(expected), "{line}\n{text}");
    }
    assert!(value(text, "canopy_index_bytes").unwrap() > 1000.0);
    // Nothing of a customer is in it.
    assert!(!text.contains("acme") && !text.contains("nowhere"));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_that_are_served_apart_are_not_served_here() {
    let mut service = Service::new();
    service.state = service.state.clone().with_metrics_apart();
    let answer = service.send(TestRequest::with_uri("/metrics")).await;
    answer.refused(404, "request.route_not_found");
}
