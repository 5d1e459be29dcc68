//! What operators and tools ask of the service itself: whether it lives, whether it is ready, what it can do and where.

use crate::discovery;
use crate::edge::refuse;
use crate::front;
use crate::incoming::Incoming;
use crate::metrics;
use crate::openapi::openapi_of;
use crate::problem::Problem;
use crate::readiness::run_checks;
use crate::reference;
use crate::router::Watch;
use crate::state::HttpState;
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web::Bytes;
use core::future::ready;
use serde::Serialize;
use std::rc::Rc;
use utoipa::ToSchema;

/// The OpenAPI document and the page that shows it to people.
pub(crate) struct Documents {
    openapi: Bytes,
    page: Bytes,
}

impl Documents {
    fn new(max_items: usize) -> Self {
        let document = openapi_of(max_items);
        Self {
            openapi: document.to_json().unwrap_or_default().into(),
            page: reference::page(&document).into(),
        }
    }
}

/// The documents of the service, written off the HTTP workers when one of them is first asked for.
async fn documents(state: &HttpState) -> Result<&Documents, Problem> {
    let max_items = state.max_items();
    let write = || async move {
        let written = tokio::task::spawn_blocking(move || Documents::new(max_items)).await;
        written.map_err(Problem::internal)
    };
    state.documents().get_or_try_init(write).await
}

async fn openapi(incoming: &Incoming, state: &HttpState) -> HttpResponse {
    match documents(state).await {
        Ok(documents) => HttpResponse::Ok()
            .content_type("application/json")
            .body(documents.openapi.clone()),
        Err(problem) => refuse(problem, incoming, state),
    }
}

async fn docs(incoming: &Incoming, state: &HttpState) -> HttpResponse {
    match documents(state).await {
        Ok(documents) => HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .insert_header((CONTENT_SECURITY_POLICY, reference::CONTENT_POLICY.as_str()))
            .body(documents.page.clone()),
        Err(problem) => refuse(problem, incoming, state),
    }
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
        "Whether the store and every other part that calls need can be reached, so that calls can be answered.",
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

/// What answers at the paths of this surface.
pub(crate) fn watches(state: &HttpState) -> Vec<(&'static str, Watch)> {
    let mut watches: Vec<(&str, Watch)> = vec![
        ("/", at_once(|_| front::answer())),
        ("/health/live", at_once(|_| HttpResponse::Ok().json(FINE))),
        (
            "/health/ready",
            Rc::new(|incoming, state| Box::pin(readiness(incoming, state))),
        ),
        (
            "/openapi.json",
            Rc::new(|incoming, state| Box::pin(openapi(incoming, state))),
        ),
        ("/docs", Rc::new(|incoming, state| Box::pin(docs(incoming, state)))),
        (discovery::PATH, at_once(discovery::answer)),
    ];
    if !state.metrics_apart() {
        watches.push(metrics_watch());
    }
    watches
}

/// What answers at the path of the metrics.
pub(crate) fn metrics_watch() -> (&'static str, Watch) {
    ("/metrics", at_once(metrics::answer))
}

fn at_once(answer: impl Fn(&HttpState) -> HttpResponse + 'static) -> Watch {
    Rc::new(move |_, state| Box::pin(ready(answer(state))))
}

async fn readiness(incoming: &Incoming, state: &HttpState) -> HttpResponse {
    match run_checks(state).await {
        Ok(()) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(FINE),
        Err(problem) => refuse(problem, incoming, state),
    }
}
