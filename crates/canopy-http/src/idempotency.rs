//! `Idempotency-Key`: which request a repetition repeats, and answers as they are kept and sent again.

use crate::answer::{Answer, Success};
use crate::error_code::ErrorCode;
use crate::wire::{Components, Fault, Faults, Place};
use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use canopy_app::Caller;
use canopy_domain::audit::Actor;
use canopy_domain::port::RequestIdentity;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The header by which a caller says that a request may be sent again.
pub(crate) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The header of an answer that was given before.
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key.
const MAX_KEY: usize = 255;

/// A request that may be sent again.
#[derive(Debug, Clone)]
pub(crate) struct RepeatableRequest {
    pub(crate) request: RequestIdentity,
    /// A digest of the body.
    pub(crate) body: [u8; 32],
    /// The path it is for.
    pub(crate) path: String,
}

/// The key of a request; what is wrong with it is noted.
pub(crate) fn key<'r>(request: &'r HttpRequest, faults: &mut Faults) -> Option<&'r str> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
    let value = values.next()?;
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
    if key.is_none() || values.next().is_some() {
        let fault = Fault::new("invalid_key", "must be 1 to 255 visible ASCII characters, once");
        faults.add(&Place::Member(&Place::Root, IDEMPOTENCY_KEY), fault);
        return None;
    }
    key
}

/// What tells this request from every other. `place` is what its path leads to.
pub(crate) fn identify(http: &HttpRequest, caller: &Caller, place: Uuid, key: &str, body: &[u8]) -> RepeatableRequest {
    let Actor { id, kind, .. } = caller.actor();
    let mut digest = Sha256::new();
    let path = http.uri().path_and_query().map_or("", |path| path.as_str());
    let account = caller.account().map(|id| id.to_string()).unwrap_or_default();
    let environment = caller
        .environment()
        .map(|place| place.environment.to_string())
        .unwrap_or_default();
    let method = http.method().as_str();
    let place = place.to_string();
    for part in [kind.as_str(), &id, &account, &environment, &place, method, path, key] {
        // With its length before it, no part can run into the next.
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    RepeatableRequest {
        request: RequestIdentity(digest.finalize().into()),
        body: Sha256::digest(body).into(),
        path: http.path().to_owned(),
    }
}

/// The answer to a request that may be sent again: given for the first time, or as it was given then.
pub(crate) enum Repeatable<A> {
    Fresh(A),
    Replayed(Kept),
}

/// An answer as it was kept.
pub(crate) struct Kept {
    head: Head,
    body: Bytes,
}

/// What stands before the body in an answer that is kept, on a line of its own.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    etag: Option<String>,
    location: Option<String>,
}

/// An answer as it is kept. `path` is that of its request.
pub(crate) fn keep<A: Answer>(answer: A, path: &str) -> Option<Vec<u8>> {
    let response = answer.kept().respond(path);
    let text = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let head = Head {
        status: response.status().as_u16(),
        etag: text(ETAG),
        location: text(LOCATION),
    };
    let mut kept = serde_json::to_vec(&head).ok()?;
    kept.push(b'\n');
    kept.extend(response.into_body().try_into_bytes().ok()?);
    Some(kept)
}

impl Kept {
    /// Reads what [`keep`] wrote.
    pub(crate) fn read(kept: Vec<u8>) -> Option<Self> {
        let end = kept.iter().position(|byte| *byte == b'\n')?;
        let head = serde_json::from_slice(kept.get(..end)?).ok()?;
        let body = Bytes::from(kept).split_off(end + 1);
        Some(Self { head, body })
    }

    fn respond(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.head.status).unwrap_or(StatusCode::OK);
        let mut response = HttpResponse::build(status);
        for (name, value) in [(ETAG, self.head.etag), (LOCATION, self.head.location)] {
            if let Some(value) = value {
                response.insert_header((name, value));
            }
        }
        response.insert_header((REPLAYED.clone(), "true"));
        if self.body.is_empty() {
            return response.finish();
        }
        response.insert_header((CONTENT_TYPE, "application/json"));
        response.body(self.body)
    }
}

impl<A: Answer> Answer for Repeatable<A> {
    const REPEATABLE: bool = true;

    fn describe(components: &mut Components) -> Vec<Success> {
        let mut successes = A::describe(components);
        for success in &mut successes {
            let meaning = "`true` where this is the answer to an earlier request with the same `Idempotency-Key`.";
            success.headers.push(("Idempotency-Replayed", meaning));
        }
        successes
    }

    fn respond(self, path: &str) -> HttpResponse {
        match self {
            Self::Fresh(answer) => answer.respond(path),
            Self::Replayed(kept) => kept.respond(),
        }
    }

    fn item_codes(&self) -> BTreeSet<ErrorCode> {
        match self {
            Self::Fresh(answer) => answer.item_codes(),
            Self::Replayed(_) => BTreeSet::new(),
        }
    }
}
