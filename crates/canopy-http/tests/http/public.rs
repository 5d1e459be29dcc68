//! The public surface: the same calls, in the environment that the credential names.

use crate::service::{ACC, ENV, Service, request};
use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::json;

const PRODUCTION: &str = "/portal/v1/accounts/acme/applications/default/environments/production";

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_whose_token_names_an_environment_works_in_that_one_alone() {
    let (service, admin) = Service::with_acme().await;
    let development = service.environment_id(&admin, ENV).await;
    let token = service.bound_token(&admin, &development);
    let made = service.post("/api/v1/roles", &token, &json!({ "name": "Clerk" })).await;
    let location = made.header("location").unwrap().to_owned();
    let role = made.expect(201);
    assert_eq!(location, format!("/api/v1/roles/{}", role["id"].as_str().unwrap()));
    assert_eq!(service.get(&location, &token).await.expect(200), role);
    let on_portal = location.replace("/api/v1", ENV);
    assert_eq!(service.get(&on_portal, &admin.token).await.expect(200), role);

    let production = service.environment_id(&admin, PRODUCTION).await;
    let other = service.bound_token(&admin, &production);
    service.get(&location, &other).await.refused(404, "rbac.role_not_found");
    let listed = service.get("/api/v1/roles?type=custom", &other).await.expect(200);
    assert_eq!(listed["items"], json!([]));
    // On the portal the path decides, whatever environment the token names.
    service.get(&on_portal, &other).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_all_levels_are_found_below_one_prefix() {
    let (service, admin) = Service::with_acme().await;
    let token = service.bound_token(&admin, &service.environment_id(&admin, ENV).await);
    for path in [
        "/identities",
        "/assignments/app-wide",
        "/assignments/app-wide/summary",
        "/roles",
        "/permissions",
        "/nodes",
    ] {
        service.get(&format!("/api/v1{path}"), &token).await.expect(200);
    }
    for (method, path, status, code) in [
        (Method::GET, "/nothing", 404, "request.route_not_found"),
        (Method::GET, "", 404, "request.route_not_found"),
        (Method::GET, "/setup-summaries", 404, "request.route_not_found"),
        (Method::POST, "/setup/access-bootstrap", 404, "request.route_not_found"),
        (Method::PUT, "/roles", 405, "request.method_not_allowed"),
    ] {
        let answer = service.send(request(method, &format!("/api/v1{path}"), &token)).await;
        answer.refused(status, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_call_is_told_in_the_order_of_refusals() {
    let (service, admin) = Service::with_acme().await;
    let environment = service.environment_id(&admin, ENV).await;
    let new = json!({ "email": "a@x.org", "first_name": "A", "last_name": "B" });
    let made = service
        .post(&format!("{ACC}/identities"), &admin.token, &new)
        .await
        .expect(201);
    let id = made["id"].as_str().unwrap();
    let rival = service.account("rival").await;
    for (token, status, code) in [
        (service.operator.clone(), 403, "auth.wrong_principal_type"),
        (admin.token.clone(), 401, "auth.invalid_token"),
        // Who may not call at all is told that, whatever its token names.
        (service.token_of_identity(&admin, id), 403, "auth.wrong_principal_type"),
        (
            service.bound_token_of_identity(&admin, id, &environment),
            403,
            "auth.wrong_principal_type",
        ),
        // The environment of another account, and one that there is not.
        (service.bound_token(&rival, &environment), 401, "auth.invalid_token"),
        (service.bound_token(&admin, id), 401, "auth.invalid_token"),
        ("no token".to_owned(), 401, "auth.invalid_token"),
    ] {
        // A body of the wrong kind is not looked at.
        let calls = [
            request(Method::GET, "/api/v1/roles", &token),
            request(Method::POST, "/api/v1/roles", &token),
        ];
        for call in calls {
            let answer = service.send(call).await;
            answer.refused(status, code);
            assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
        }
    }
    for (token, status, code) in [
        (service.operator.clone(), 403, "auth.wrong_principal_type"),
        (admin.token.clone(), 403, "auth.wrong_principal_type"),
        (
            service.bound_token(&admin, &environment),
            403,
            "auth.wrong_principal_type",
        ),
        (service.token_of_identity(&admin, id), 401, "auth.invalid_token"),
    ] {
        service.get("/api/v1/me", &token).await.refused(status, code);
    }
    let bare = service.send(TestRequest::get().uri("/api/v1/roles")).await;
    bare.refused(401, "auth.invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_are_refused_on_both_surfaces() {
    let (service, admin) = Service::with_acme().await;
    let token = service.bound_token(&admin, &service.environment_id(&admin, ENV).await);
    for path in ["/api/v1/roles".to_owned(), format!("{ENV}/roles")] {
        let both = request(Method::GET, &path, &token).insert_header(("x-api-key", "cnpy_x"));
        service.send(both).await.refused(400, "auth.two_credentials");
        let keys = TestRequest::with_uri(&path)
            .append_header(("x-api-key", "cnpy_x"))
            .append_header(("x-api-key", "cnpy_x"));
        service.send(keys).await.refused(400, "auth.two_credentials");
    }
}
