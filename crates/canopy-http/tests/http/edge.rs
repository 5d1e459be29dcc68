//! Properties of every response, and the order in which requests are refused.

use crate::service::{ACC, ENV, Service, request};
use actix_web::http::Method;
use actix_web::test::TestRequest;
use canopy_http::{ServerOptions, server};
use serde_json::json;
use std::net::TcpListener;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MAX: usize = 8 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn every_error_has_the_one_shape() {
    let (service, admin) = Service::with_acme().await;
    let given =
        request(Method::GET, &format!("{ENV}/roles/7?x=1"), &admin.token).insert_header(("x-request-id", "abc-1.2_3"));
    let answer = service.send(given).await;
    assert_eq!(answer.header("x-request-id"), Some("abc-1.2_3"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = answer.body["error"].as_object().unwrap();
    let keys: Vec<&str> = error.keys().map(String::as_str).collect();
    let mut expected = [
        "statusCode",
        "code",
        "message",
        "details",
        "path",
        "method",
        "timestamp",
        "request_id",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(error["statusCode"], 400);
    assert_eq!(error["path"], format!("{ENV}/roles/7"));
    assert_eq!(
        (&error["method"], &error["request_id"]),
        (&json!("GET"), &json!("abc-1.2_3"))
    );
    assert_eq!(error["timestamp"], "2026-04-20T12:00:00.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_that_is_not_sane_is_replaced() {
    let service = Service::new();
    for bad in ["", "a b", "ä", "a/b", &"x".repeat(129)] {
        let answer = service
            .send(TestRequest::get().uri("/nowhere").insert_header(("x-request-id", bad)))
            .await;
        let id = answer.header("x-request-id").unwrap();
        assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
        assert_eq!(answer.body["error"]["request_id"], id);
    }
    let alive = service.send(TestRequest::get().uri("/health/live")).await;
    assert!(alive.header("x-request-id").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_and_wrong_methods_come_before_the_credential() {
    let service = Service::new();
    for path in [
        "/index.html",
        "/nowhere",
        "/portal/v1",
        "/portal/v2/accounts",
        &format!("{ENV}/nothing"),
        &format!("{ENV}/roles/"),
    ] {
        service
            .send(TestRequest::get().uri(path))
            .await
            .refused(404, "request.route_not_found");
    }
    for (method, path, allow) in [
        (Method::DELETE, format!("{ENV}/roles"), "GET, HEAD, POST"),
        (Method::GET, format!("{ENV}/assignments/bulk-create"), "POST"),
        (Method::POST, "/health/live".to_owned(), "GET, HEAD"),
        (Method::PATCH, "/portal/v1/accounts".to_owned(), "GET, HEAD, POST"),
    ] {
        let answer = service.send(TestRequest::with_uri(&path).method(method)).await;
        answer.refused(405, "request.method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_refused_in_one_order() {
    let (service, admin) = Service::with_acme().await;
    let identity = json!({ "email": "a@b.c", "first_name": "A", "last_name": "B" });
    let made = service
        .post(&format!("{ACC}/identities"), &admin.token, &identity)
        .await
        .expect(201);
    let user = service.token_of_identity(&admin, made["id"].as_str().unwrap());
    let nowhere = ENV.replace("acme", "nowhere");
    // Each request has every fault from its place in the order on.
    let send = |token: &str, env: &str, media: &str, size: usize| {
        let mut all = TestRequest::post()
            .uri(&format!("{env}/roles?x=1"))
            .insert_header(("content-type", media));
        if !token.is_empty() {
            all = all.insert_header(("authorization", format!("Bearer {token}")));
        }
        service.send(all.set_payload(vec![b'{'; size]))
    };
    send("", &nowhere, "text/plain", MAX + 1)
        .await
        .refused(401, "auth.invalid_token");
    send("junk", &nowhere, "text/plain", MAX + 1)
        .await
        .refused(401, "auth.invalid_token");
    send(&user, &nowhere, "text/plain", MAX + 1)
        .await
        .refused(403, "auth.wrong_principal_type");
    send(&admin.token, &nowhere, "text/plain", MAX + 1)
        .await
        .refused(404, "accounts.account_not_found");
    send(&admin.token, ENV, "text/plain", MAX + 1)
        .await
        .refused(415, "request.unsupported_media_type");
    send(&admin.token, ENV, "application/json", MAX + 1)
        .await
        .refused(413, "request.too_large");
    send(&admin.token, ENV, "application/json", MAX)
        .await
        .refused(400, "request.malformed_json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_account_looks_exactly_like_an_absent_one() {
    let (service, admin) = Service::with_acme().await;
    service.account("globex").await;
    let body = |slug: &str| {
        let path = ENV.replace("acme", slug);
        let asked =
            request(Method::GET, &format!("{path}/roles"), &admin.token).insert_header(("x-request-id", "same"));
        let answer = service.send(asked);
        async move {
            let answer = answer.await;
            answer.refused(404, "accounts.account_not_found");
            answer.text.replace(&path, "")
        }
    };
    let (foreign, absent, odd) = (body("globex").await, body("hooli").await, body("NO_SLUG").await);
    assert_eq!(foreign, absent);
    assert_eq!(absent, odd);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_without_a_credential() {
    let service = Service::new();
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(
            service.send(TestRequest::get().uri(path)).await.expect(200),
            json!({ "status": "ok" })
        );
    }
}

/// Speaks raw HTTP to a real socket.
async fn exchange(service: &Service, head: String, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let running = server(listener, service.state.clone(), &ServerOptions::default()).unwrap();
    let handle = running.handle();
    let ended = tokio::spawn(running);
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let writing = tokio::spawn(async move {
        writer.write_all(head.as_bytes()).await.ok();
        writer.write_all(&body).await.ok();
        writer
    });
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = reader.read(&mut chunk).await {
        answer.extend_from_slice(&chunk[..read]);
        if answer.ends_with(b"}}") {
            break;
        }
    }
    drop(writing.await);
    handle.stop(true).await;
    ended.await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_path_leads_to_is_answered_like_everything_else() {
    let service = Service::new();
    let answer = exchange(&service, "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), Vec::new()).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(
        answer.contains("x-request-id: ") && answer.contains("request.route_not_found"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_the_body() {
    let (service, admin) = Service::with_acme().await;
    let head = |path: &str| {
        let token = &admin.token;
        format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n")
    };
    let version = format!("{ENV}/hierarchy-schema");
    for (path, status, expected) in [
        ("/health/ready", "200", "content-length: 15"),
        (&version, "200", "etag: \"1\""),
        (&format!("{ENV}/roles/7"), "400", "content-type: application/json"),
    ] {
        let answer = exchange(&service, head(path), Vec::new()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(expected) && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    let post_only = exchange(&service, head(&format!("{ENV}/permissions/evaluate")), Vec::new()).await;
    assert!(post_only.starts_with("HTTP/1.1 405 "), "{post_only}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_or_never_ends_is_refused_without_internals() {
    let (mut service, admin) = Service::with_acme().await;
    service.state = service
        .state
        .clone()
        .with_body_timeout(std::time::Duration::from_millis(100));
    let head = |more: &str| {
        let token = &admin.token;
        format!(
            "POST {ENV}/roles HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n{more}\r\n\r\n"
        )
    };
    let late = exchange(&service, head("content-length: 20"), b"{\"name\":".to_vec()).await;
    assert!(
        late.starts_with("HTTP/1.1 408 ") && late.contains("request.timeout"),
        "{late}"
    );
    let cut = exchange(
        &service,
        head("transfer-encoding: chunked"),
        b"2\r\n{}\r\nzz\r\n".to_vec(),
    )
    .await;
    assert!(cut.starts_with("HTTP/1.1 400 "), "{cut}");
    assert!(!cut.contains("reason"), "{cut}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_body_is_answered_on_a_real_socket_announced_or_not() {
    let (service, admin) = Service::with_acme().await;
    let head = |more: &str| {
        format!(
            "POST {ENV}/roles HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n{more}\r\n\r\n",
            admin.token
        )
    };
    let announced = exchange(
        &service,
        head(&format!("content-length: {}", MAX + 1)),
        vec![b' '; MAX + 1],
    )
    .await;
    assert!(
        announced.starts_with("HTTP/1.1 413 ") && announced.contains("request.too_large"),
        "{announced}"
    );
    let mut chunks = format!("{:x}\r\n", MAX + 1).into_bytes();
    chunks.extend(vec![b' '; MAX + 1]);
    chunks.extend(b"\r\n0\r\n\r\n");
    let streamed = exchange(&service, head("transfer-encoding: chunked"), chunks).await;
    assert!(
        streamed.starts_with("HTTP/1.1 413 ") && streamed.contains("request.too_large"),
        "{streamed}"
    );
}
