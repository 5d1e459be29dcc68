//! The edge: properties of every response, whichever code returns it. Error bodies and the request log.

use crate::error_body::{ErrorBody, Refused};
use crate::error_code::ErrorCode;
use crate::incoming::Incoming;
use crate::log_budget::Lines;
use crate::problem::Problem;
use crate::state::HttpState;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use std::time::Instant;

/// The internal cause of an error for the log, attached to the response.
struct Refusal {
    code: ErrorCode,
    cause: Option<String>,
}

/// Returns the response for a problem.
pub(crate) fn refuse(mut problem: Problem, incoming: &Incoming, state: &HttpState) -> HttpResponse {
    let status = StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let retry_after = problem.retry_after();
    let mut response = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        state.metrics().limited_requests.inc();
    }
    if let Some(seconds) = retry_after {
        response.insert_header((RETRY_AFTER, seconds));
    }
    let refusal = Refusal {
        code: problem.code,
        cause: problem.cause.take().map(|cause| chain(cause.as_ref())),
    };
    let refused = Refused {
        path: incoming.http.path(),
        method: incoming.http.method().as_str(),
        id: incoming.id(),
    };
    let mut response = response.json(ErrorBody::of(problem, &refused, state.app().now()));
    response.extensions_mut().insert(refusal);
    response
}

/// Returns the response to a method that a path does not support.
pub(crate) fn refuse_method(allow: &str, incoming: &Incoming, state: &HttpState) -> HttpResponse {
    state.metrics().unrouted_requests.inc();
    let problem = Problem::new(ErrorCode::MethodNotAllowed, "this path does not support this method");
    let mut response = refuse(problem, incoming, state);
    if let Ok(value) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// Returns the response to an unknown path.
pub(crate) fn refuse_route(incoming: &Incoming, state: &HttpState) -> HttpResponse {
    state.metrics().unrouted_requests.inc();
    refuse(
        Problem::new(ErrorCode::RouteNotFound, "no route has this path"),
        incoming,
        state,
    )
}

/// Formats an error and all its causes for the log.
fn chain(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// Logs one line per request: failures of the service as errors, refusals as information, all else for debugging.
/// Failures and refusals have a budget of lines; lines past it are counted.
pub(crate) fn log(incoming: &Incoming, response: &HttpResponse, begun: Instant, state: &HttpState) {
    let status = response.status().as_u16();
    let lines = match status {
        500.. => Some(Lines::Failures),
        400.. if incoming.has_caller() => Some(Lines::Callers),
        400.. => Some(Lines::Strangers),
        _ => None,
    };
    if lines.is_some_and(|lines| !state.log_budget().admits(lines)) {
        return;
    }
    let level = match status {
        500.. => tracing::Level::ERROR,
        400.. => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    macro_rules! line {
        ($level:ident) => {
            if tracing::enabled!(tracing::Level::$level) {
                let extensions = response.extensions();
                let refusal = extensions.get::<Refusal>();
                tracing::event!(
                    tracing::Level::$level,
                    request_id = incoming.id(),
                    method = %incoming.http.method(),
                    route = incoming.pattern(),
                    status,
                    micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
                    code = refusal.map(|refusal| refusal.code.as_str()),
                    cause = refusal.and_then(|refusal| refusal.cause.as_deref()),
                    "answered"
                );
            }
        };
    }
    match level {
        tracing::Level::ERROR => line!(ERROR),
        tracing::Level::INFO => line!(INFO),
        _ => line!(DEBUG),
    }
}
