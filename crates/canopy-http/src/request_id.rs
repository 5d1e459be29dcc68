//! The id of a request: the caller's if it is valid, otherwise a new one.

use crate::state::HttpState;
use actix_web::http::header::{HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries the request id, in and out.
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of a caller's request id.
const MAX_REQUEST_ID: usize = 128;

/// Returns whether an id has 1 to 128 letters, digits, `.`, `_` and `-`.
pub(crate) fn is_sane(value: &HeaderValue) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let bytes = value.as_bytes();
    (1..=MAX_REQUEST_ID).contains(&bytes.len()) && bytes.iter().all(plain)
}

/// Mints a request id.
pub(crate) fn mint(state: &HttpState) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let text = state.app().mint().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_ids_are_taken_from_callers() {
        let (long, longest) = ("x".repeat(129), "x".repeat(128));
        for (text, sane) in [
            ("a.B_9-", true),
            ("", false),
            ("a b", false),
            ("ä", false),
            (&long, false),
            (&longest, true),
        ] {
            assert_eq!(
                is_sane(&HeaderValue::from_bytes(text.as_bytes()).unwrap()),
                sane,
                "{text}"
            );
        }
    }
}
