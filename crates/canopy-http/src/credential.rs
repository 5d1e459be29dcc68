//! The credential of a request.

use crate::error_code::ErrorCode;
use crate::problem::Problem;
use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use canopy_domain::port::TokenError;

/// The header that carries API keys.
static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The bearer token of a request to the portal surface.
///
/// # Errors
/// 400 for more than one credential; 401 for none and for one of another kind, API keys among them.
pub(crate) fn bearer(request: &HttpRequest) -> Result<&str, Problem> {
    let headers = request.headers();
    if count(headers, &AUTHORIZATION) + count(headers, &API_KEY) > 1 {
        return Err(Problem::new(
            ErrorCode::TwoCredentials,
            "the request carries more than one credential",
        ));
    }
    let invalid = || Problem::from(TokenError::Invalid);
    let value = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(invalid)?;
    let (scheme, token) = value.split_once(' ').ok_or_else(invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(invalid())
    }
}

fn count(headers: &HeaderMap, name: &HeaderName) -> usize {
    headers.get_all(name).count()
}
