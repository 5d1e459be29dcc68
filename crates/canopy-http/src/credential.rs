//! The credential of a request.

use crate::error_code::ErrorCode;
use crate::problem::Problem;
use crate::surface::Surface;
use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use canopy_domain::port::TokenError;

/// The header that carries API keys.
static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A credential as it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sent<'r> {
    /// An access token.
    Token(&'r str),
    /// An API key; empty where the header is no text.
    Key(&'r str),
}

/// The credential of a request.
///
/// # Errors
/// 400 for more than one; 401 for none and for one of a kind that the surface does not take.
pub(crate) fn read(request: &HttpRequest, surface: Surface) -> Result<Sent<'_>, Problem> {
    let headers = request.headers();
    let (mut tokens, mut keys) = (headers.get_all(AUTHORIZATION), headers.get_all(&API_KEY));
    let (token, key) = (tokens.next(), keys.next());
    if (token.is_some() && key.is_some()) || tokens.next().is_some() || keys.next().is_some() {
        return Err(Problem::new(
            ErrorCode::TwoCredentials,
            "the request carries more than one credential",
        ));
    }
    if surface.takes_keys()
        && let Some(key) = key
    {
        return Ok(Sent::Key(text(key).unwrap_or_default()));
    }
    let invalid = || Problem::from(TokenError::Invalid);
    let value = token.and_then(text).ok_or_else(invalid)?;
    let (scheme, token) = value.split_once(' ').ok_or_else(invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Sent::Token(token.trim()))
    } else {
        Err(invalid())
    }
}

/// Returns the presented credential without verifying it; `None` for a request without one.
pub(crate) fn presented(request: &HttpRequest) -> Option<&[u8]> {
    let headers = request.headers();
    let value = headers.get(&API_KEY).or_else(|| headers.get(AUTHORIZATION));
    value.map(HeaderValue::as_bytes)
}

/// The text of a header. It may have letters that no credential has, which whoever reads it will refuse.
fn text(value: &HeaderValue) -> Option<&str> {
    core::str::from_utf8(value.as_bytes()).ok()
}
