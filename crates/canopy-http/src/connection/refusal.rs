//! Responses to unreadable heads and to connections past the limit.
//!
//! The HTTP parser answers a bad head by itself, with a status and no body. The stream replaces these responses.

use crate::error_body::{ErrorBody, Refused};
use crate::error_code::ErrorCode;
use crate::log_budget::Lines;
use crate::problem::Problem;
use crate::request_id::mint;
use crate::state::HttpState;
use actix_web::http::StatusCode;

pub(crate) fn slow_head() -> Problem {
    Problem::new(ErrorCode::Timeout, "the head of the request did not arrive in time")
}

pub(crate) fn long_uri() -> Problem {
    Problem::new(ErrorCode::UriTooLong, "the URI of the request is too long").with("max_bytes", super::MAX_HEAD_BYTES)
}

pub(crate) fn large_head() -> Problem {
    Problem::new(ErrorCode::HeadTooLarge, "the head of the request is too large")
        .with("max_bytes", super::MAX_HEAD_BYTES)
        .with("max_headers", MAX_HEADERS)
}

pub(crate) fn malformed_head() -> Problem {
    Problem::new(
        ErrorCode::MalformedHead,
        "the head of the request is not valid HTTP/1.1",
    )
}

pub(crate) fn broken_body() -> Problem {
    Problem::new(
        ErrorCode::MalformedHead,
        "the framing of the request's body is not valid HTTP/1.1",
    )
}

pub(crate) fn too_many_connections() -> Problem {
    Problem::new(ErrorCode::Busy, "the service has too many connections; try again later")
}

/// Maximum number of headers that the parser accepts.
const MAX_HEADERS: usize = 96;

/// Renders a refusal as bytes, then logs and counts it. The connection ends with it.
pub(crate) fn write(problem: Problem, state: &HttpState) -> Vec<u8> {
    state.metrics().unparsed_requests.inc();
    let status = StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let retry_after = problem.retry_after();
    let id = mint(state);
    let id = id.to_str().unwrap_or_default();
    if state.log_budget().admits(Lines::Strangers) {
        tracing::info!(
            request_id = id,
            status = status.as_u16(),
            code = problem.code.as_str(),
            "unreadable request refused"
        );
    }
    let refused = Refused {
        path: "",
        method: "",
        id,
    };
    let body = ErrorBody::of(problem, &refused, state.app().now());
    let body = serde_json::to_string(&body).unwrap_or_default();
    let retry_after = retry_after.map_or_else(String::new, |seconds| format!("retry-after: {seconds}\r\n"));
    let reason = status.canonical_reason().unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 {} {reason}\r\ncontent-length: {length}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         x-request-id: {id}\r\n{retry_after}\r\n{body}",
        status.as_u16()
    )
    .into_bytes()
}

const END: &[u8] = b"\r\n\r\n";
const BEGIN: &[u8] = b"HTTP/1.1 ";
const REQUEST_ID: &[u8] = b"\r\nx-request-id: ";

/// Returns the offset of the parser's own response in the bytes to send, if they end with one.
///
/// Every response of the service carries a request id; the parser's responses have none. They have no body and are the
/// last of their connection.
pub(crate) fn parser_answer(bytes: &[u8]) -> Option<usize> {
    if !bytes.ends_with(END) {
        return None;
    }
    let begin = bytes.windows(BEGIN.len()).rposition(|window| window == BEGIN)?;
    let head = bytes.get(begin..)?;
    let is_own = head.windows(REQUEST_ID.len()).any(|window| window == REQUEST_ID);
    (!is_own && matches!(status(head), 400 | 408 | 431 | 500)).then_some(begin)
}

/// Returns the status of a response; 0 for bytes that are none.
pub(crate) fn status(answer: &[u8]) -> u16 {
    let digits = answer.get(BEGIN.len()..BEGIN.len() + 3);
    let text = digits.and_then(|digits| core::str::from_utf8(digits).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answers_of_the_parser_are_replaced() {
        let own = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nx-request-id: 1\r\n\r\n";
        let parsers = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        assert_eq!(parser_answer(own), None);
        assert_eq!(parser_answer(parsers), Some(0));
        assert_eq!(status(parsers), 431);
        assert_eq!(parser_answer(&[&own[..], &parsers[..]].concat()), Some(own.len()));
        for other in [
            &b"HTTP/1.1 100 Continue\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"\r\n\r\n",
            b"",
        ] {
            assert_eq!(parser_answer(other), None);
        }
    }
}
