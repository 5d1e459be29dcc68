//! `Idempotency-Key`: the identity of repeatable requests, and stored responses.

use crate::answer::{Answer, Success};
use crate::bulk::{self, SentItems};
use crate::error_code::ErrorCode;
use crate::rendered::{Rendered, TooLarge};
use crate::wire::{Components, Fault, Faults, JsonPointer};
use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, HeaderValue, LOCATION};
use actix_web::web::Bytes;
use canopy_app::Caller;
use canopy_domain::audit::Actor;
use canopy_domain::port::RequestIdentity;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;
use uuid::Uuid;

/// The header that makes a request repeatable.
pub(crate) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The header that marks a replayed response.
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Maximum length of a key in characters.
const MAX_KEY: usize = 255;

/// A request that may be repeated.
#[derive(Debug, Clone)]
pub(crate) struct RepeatableRequest {
    pub(crate) request: RequestIdentity,
    /// A digest of the body.
    pub(crate) body: [u8; 32],
    /// The path of the request.
    pub(crate) path: String,
    /// The body.
    pub(crate) sent: Bytes,
}

/// Reads the key of a request; notes its faults.
pub(crate) fn key<'r>(request: &'r HttpRequest, faults: &mut Faults) -> Option<&'r str> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
    let value = values.next()?;
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
    if key.is_none() || values.next().is_some() {
        let fault = Fault::new("invalid_key", "must be 1 to 255 visible ASCII characters, once");
        faults.add(&JsonPointer::Member(&JsonPointer::Root, IDEMPOTENCY_KEY), fault);
        return None;
    }
    key
}

/// Returns the digest of a body.
pub(crate) fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// Returns the identity of this request for idempotency. `place` is the id that its path resolves to.
pub(crate) fn identify(
    http: &HttpRequest,
    caller: &Caller,
    place: Uuid,
    key: &str,
    (sent, body): (&Bytes, [u8; 32]),
) -> RepeatableRequest {
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
        // The length before each part keeps parts from running into each other.
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    RepeatableRequest {
        request: RequestIdentity(digest.finalize().into()),
        body,
        path: http.path().to_owned(),
        sent: sent.clone(),
    }
}

/// The response to a repeatable request: new or replayed.
pub(crate) enum Repeatable<A> {
    Fresh(A),
    Replayed(Kept),
}

/// A stored response.
pub(crate) struct Kept {
    head: Head,
    body: Bytes,
}

/// The header line before the body of a stored response.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    etag: Option<String>,
    location: Option<String>,
    /// The member of the body whose items belong into the results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Cow<'static, str>>,
}

/// Renders a response for storage. `path` is that of its request.
pub(crate) fn keep<A: Answer>(answer: A, path: &str) -> Option<Vec<u8>> {
    let input = answer.kept_input();
    let rendered = answer.kept().render(path, usize::MAX).ok()?;
    let text = |name: HeaderName| {
        let (_, value) = rendered.headers.iter().flatten().find(|(one, _)| *one == name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    let head = Head {
        status: rendered.status.as_u16(),
        etag: text(ETAG),
        location: text(LOCATION),
        input,
    };
    let mut kept = serde_json::to_vec(&head).ok()?;
    kept.reserve_exact(rendered.body.len() + 1);
    kept.push(b'\n');
    kept.extend_from_slice(&rendered.body);
    Some(kept)
}

impl Kept {
    /// Reads the output of [`keep`], for a repetition with this body.
    pub(crate) fn read(kept: Vec<u8>, sent: &Bytes) -> Option<Self> {
        let end = kept.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(kept.get(..end)?).ok()?;
        let body = Bytes::from(kept).split_off(end + 1);
        let body = match &head.input {
            None => body,
            Some(member) => bulk::with_inputs(
                &body,
                &SentItems {
                    raw: sent.clone(),
                    member: member.clone(),
                },
            )?
            .into(),
        };
        Some(Self { head, body })
    }

    fn render(self) -> Rendered {
        let status = StatusCode::from_u16(self.head.status).unwrap_or(StatusCode::OK);
        let mut rendered = Rendered {
            body: self.body,
            ..Rendered::empty(status)
        };
        for (name, value) in [(ETAG, self.head.etag), (LOCATION, self.head.location)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                rendered = rendered.with(name, value);
            }
        }
        rendered.with(REPLAYED.clone(), HeaderValue::from_static("true"))
    }
}

impl<A: Answer> Answer for Repeatable<A> {
    const REPEATABLE: bool = true;

    fn describe(components: &mut Components) -> Vec<Success> {
        let mut successes = A::describe(components);
        for success in &mut successes {
            let meaning = "`true` if the response is replayed from an earlier request with the same `Idempotency-Key`.";
            success.headers.push(("Idempotency-Replayed", meaning));
        }
        successes
    }

    fn weight(&self) -> usize {
        match self {
            Self::Fresh(answer) => answer.weight(),
            Self::Replayed(_) => 0,
        }
    }

    fn render(self, path: &str, max_bytes: usize) -> Result<Rendered, TooLarge> {
        match self {
            Self::Fresh(answer) => answer.render(path, max_bytes),
            Self::Replayed(kept) => Ok(kept.render()),
        }
    }

    fn item_codes(&self) -> BTreeSet<ErrorCode> {
        match self {
            Self::Fresh(answer) => answer.item_codes(),
            Self::Replayed(_) => BTreeSet::new(),
        }
    }
}
