//! Endpoints about the service itself: liveness, readiness, metrics and API descriptions.

use crate::discovery;
use crate::documents::Documents;
use crate::edge::refuse;
use crate::front;
use crate::handler::Watch;
use crate::incoming::Incoming;
use crate::metrics::{CONTENT_TYPE, Reading};
use crate::openapi::openapi_of;
use crate::problem::Problem;
use crate::readiness::{CHECK_DEADLINE, not_ready};
use crate::reference;
use crate::service_paths::Health;
use crate::state::HttpState;
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use core::future::ready;
use std::rc::Rc;
use tokio::time::timeout;

fn write_documents(max_items: usize) -> Documents {
    let document = openapi_of(max_items);
    Documents {
        openapi: document.to_json().unwrap_or_default().into(),
        page: reference::page(&document).into(),
    }
}

/// Returns the documents of the service. They are rendered off the HTTP workers at the first request.
async fn documents(state: &HttpState) -> Result<&Documents, Problem> {
    let max_items = state.max_items();
    let write = || async move {
        let written = tokio::task::spawn_blocking(move || write_documents(max_items)).await;
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

const FINE: Health = Health { status: "ok" };

/// Returns the handlers of this surface.
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

/// Returns the handler of the metrics path.
pub(crate) fn metrics_watch() -> (&'static str, Watch) {
    ("/metrics", at_once(metrics))
}

fn at_once(answer: impl Fn(&HttpState) -> HttpResponse + 'static) -> Watch {
    Rc::new(move |_, state| Box::pin(ready(answer(state))))
}

/// Renders the metrics of the service.
fn metrics(state: &HttpState) -> HttpResponse {
    let reading = Reading {
        indexes: state.app().decisions().census(),
        dropped_refusals: state.refusals().dropped(),
        log_lines_left_out: state.log_budget().left_out(),
        log_lines_lost: state.lost_log_lines(),
    };
    match state.metrics().encode(&reading) {
        Ok(text) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn readiness(incoming: &Incoming, state: &HttpState) -> HttpResponse {
    match run_checks(state).await {
        Ok(()) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(FINE),
        Err(problem) => refuse(problem, incoming, state),
    }
}

/// Runs every check, the store's first.
///
/// # Errors
/// The first failure, answered with 503.
async fn run_checks(state: &HttpState) -> Result<(), Problem> {
    let app = state.app().clone();
    let ping = state.run(async move { timeout(CHECK_DEADLINE, app.ping()).await });
    match ping.await? {
        Ok(pinged) => pinged?,
        Err(_) => return Err(not_ready("store", "the store did not answer in time".to_owned())),
    }
    for check in state.readiness_checks() {
        state.run(check.run()).await??;
    }
    Ok(())
}
