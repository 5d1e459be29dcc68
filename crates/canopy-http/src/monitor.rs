//! What operators and tools ask of the service itself: whether it lives, whether it is ready, what it can do and where.

use crate::discovery;
use crate::edge::refuse;
use crate::metrics;
use crate::openapi::openapi_of;
use crate::problem::Problem;
use crate::reference;
use crate::router::{GET_AND_HEAD, get_or_head, refusing_others};
use crate::state::HttpState;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use serde::Serialize;
use std::sync::{Arc, LazyLock};
use utoipa::ToSchema;

/// The document and its page for people, written when one of them is first asked for.
type Written = Arc<LazyLock<(String, String), Box<dyn FnOnce() -> (String, String) + Send>>>;

fn written(max_items: usize) -> Written {
    Arc::new(LazyLock::new(Box::new(move || {
        let document = openapi_of(max_items);
        (document.to_json().unwrap_or_default(), reference::page(&document))
    })))
}

/// A sign of life.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

const FINE: Health = Health { status: "ok" };

/// The paths of this surface, with a name and what they answer.
pub(crate) const PATHS: [(&str, &str, &str); 6] = [
    ("/health/live", "getLiveness", "Whether the process answers at all."),
    (
        "/health/ready",
        "getReadiness",
        "Whether the store can be reached, so that calls can be answered.",
    ),
    (
        "/metrics",
        "getMetrics",
        "What the service counts of itself, in the text format of OpenMetrics.",
    ),
    ("/openapi.json", "getOpenApi", "This document."),
    ("/docs", "getReference", "This document for people."),
    (
        discovery::PATH,
        "getAccessConfiguration",
        "Where the calls of OpenID AuthZEN are, for programs that speak it.",
    ),
];

/// The resources of this surface.
pub(crate) fn resources(state: &HttpState) -> Vec<Resource> {
    let (ready, discovered) = (state.clone(), state.clone());
    let document = written(state.max_items());
    let page = Arc::clone(&document);
    let resources = [
        web::resource("/health/live").route(get_or_head().to(|| async { HttpResponse::Ok().json(FINE) })),
        web::resource("/health/ready")
            .route(get_or_head().to(move |request: HttpRequest| readiness(request, ready.clone()))),
        web::resource("/openapi.json").route(get_or_head().to(move || {
            let response = HttpResponse::Ok()
                .content_type("application/json")
                .body(document.0.clone());
            async { response }
        })),
        web::resource("/docs").route(get_or_head().to(move || {
            let response = HttpResponse::Ok()
                .content_type("text/html; charset=utf-8")
                .insert_header((CONTENT_SECURITY_POLICY, reference::CONTENT_POLICY.as_str()))
                .body(page.1.clone());
            async { response }
        })),
        web::resource(discovery::PATH).route(get_or_head().to(move || {
            let response = discovery::answer(&discovered);
            async { response }
        })),
    ];
    let apart = state.metrics_apart();
    resources
        .into_iter()
        .chain((!apart).then(|| metrics(state)))
        .map(|resource| refusing_others(resource, GET_AND_HEAD.to_owned(), state))
        .collect()
}

/// The metrics, where they are not left to a server of their own.
fn metrics(state: &HttpState) -> Resource {
    let state = state.clone();
    web::resource("/metrics").route(get_or_head().to(move || {
        let response = metrics::answer(&state);
        async { response }
    }))
}

/// The metrics alone.
pub(crate) fn metrics_resource(state: &HttpState) -> Resource {
    refusing_others(metrics(state), GET_AND_HEAD.to_owned(), state)
}

async fn readiness(request: HttpRequest, state: HttpState) -> HttpResponse {
    let app = state.app().clone();
    let ping = state.run(async move { app.ping().await }).await;
    match ping.and_then(|pinged| pinged.map_err(Problem::from)) {
        Ok(()) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(FINE),
        Err(problem) => refuse(problem, &request, &state),
    }
}
