//! A request before authentication: its head, its id, and its route.

use crate::body_budget::BodyPermit;
use crate::connection::Connection;
use crate::request_id::{REQUEST_ID, is_sane, mint};
use crate::state::HttpState;
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use core::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;

/// A path with names for some of its segments.
#[derive(Debug, Default)]
pub(crate) struct Pattern {
    text: String,
    /// Each name with the index of its segment.
    names: Vec<(String, usize)>,
}

impl Pattern {
    /// Parses a pattern such as `/nodes/{nodeId}`.
    pub(crate) fn new(text: String) -> Self {
        let segments = text.split('/').enumerate();
        let name = |(place, segment): (usize, &str)| {
            let name = segment.strip_prefix('{')?.strip_suffix('}')?;
            Some((name.to_owned(), place))
        };
        let names = segments.filter_map(name).collect();
        Self { text, names }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// A request before authentication and validation.
pub(crate) struct Incoming {
    pub(crate) http: HttpRequest,
    id: HeaderValue,
    /// The pattern of its route; empty for an unknown route.
    pattern: Rc<Pattern>,
    /// True if its credential is valid.
    has_caller: Cell<bool>,
    /// True if its body was read to the end.
    body_is_read: Cell<bool>,
    /// Memory reserved for its body.
    body_permit: OnceCell<Arc<BodyPermit>>,
}

impl Incoming {
    pub(crate) fn new(http: HttpRequest, state: &HttpState) -> Self {
        let given = http.headers().get(&REQUEST_ID).filter(|value| is_sane(value));
        let id = given.cloned().unwrap_or_else(|| mint(state));
        Self {
            http,
            id,
            pattern: Rc::default(),
            has_caller: Cell::new(false),
            body_is_read: Cell::new(false),
            body_permit: OnceCell::new(),
        }
    }

    /// Returns its connection; `None` in tests without one.
    pub(crate) fn connection(&self) -> Option<&Rc<Connection>> {
        self.http.conn_data::<Rc<Connection>>()
    }

    /// Marks the credential as valid.
    pub(crate) fn accept_caller(&self) {
        self.has_caller.set(true);
    }

    /// Returns whether the credential was found valid.
    pub(crate) fn has_caller(&self) -> bool {
        self.has_caller.get()
    }

    /// Marks the body as completely read.
    pub(crate) fn finish_body(&self) {
        self.body_is_read.set(true);
        if let Some(connection) = self.connection() {
            connection.finish_body();
        }
    }

    /// Returns whether the request has a body that was not read to its end.
    pub(crate) fn has_unread_body(&self) -> bool {
        !self.body_is_read.get() && has_body(self.http.headers())
    }

    /// Holds memory for the body until the request is answered.
    pub(crate) fn hold_body(&self, permit: BodyPermit) {
        self.body_permit.set(Arc::new(permit)).ok();
    }

    /// Returns the memory for the body, for work that outlives the request.
    pub(crate) fn body_permit(&self) -> Option<Arc<BodyPermit>> {
        self.body_permit.get().cloned()
    }

    /// Sets the pattern of its route.
    pub(crate) fn lead_to(&mut self, pattern: &Rc<Pattern>) {
        self.pattern = Rc::clone(pattern);
    }

    /// Returns the id of the request.
    pub(crate) fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    /// Returns the id as a header value.
    pub(crate) fn id_header(&self) -> HeaderValue {
        self.id.clone()
    }

    /// Returns the pattern that its path matches.
    pub(crate) fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// Returns the path with percent-encoding resolved, except that of `/`, `%` and `+`.
    pub(crate) fn decoded_path(&self) -> &str {
        self.http.match_info().as_str()
    }

    /// Returns the path segment for a name of the pattern; empty if the pattern has no such name.
    pub(crate) fn named(&self, name: &str) -> &str {
        let known = self.pattern.names.iter().find(|(known, _)| known == name);
        let mut segments = self.decoded_path().as_bytes().split(|byte| *byte == b'/');
        let segment = known.and_then(|(_, place)| segments.nth(*place));
        core::str::from_utf8(segment.unwrap_or_default()).unwrap_or_default()
    }
}

/// Returns whether the headers announce a body of at least one byte.
fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH);
    length.is_some_and(|length| length != "0") || headers.contains_key(TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn names_stand_for_the_segments_at_their_places() {
        let pattern = Pattern::new("/accounts/{accountSlug}/nodes/{nodeId}".to_owned());
        let request = TestRequest::with_uri("/accounts/ac%20me/nodes/a%2Fb?x=1").to_http_request();
        let incoming = Incoming {
            http: request,
            id: HeaderValue::from_static("x"),
            pattern: Rc::new(pattern),
            has_caller: Cell::new(false),
            body_is_read: Cell::new(false),
            body_permit: OnceCell::new(),
        };
        assert_eq!(incoming.named("accountSlug"), "ac me");
        assert_eq!(incoming.named("nodeId"), "a%2Fb");
        assert_eq!(incoming.named("roleId"), "");
    }
}
