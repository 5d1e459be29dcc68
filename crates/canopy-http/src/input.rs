//! Inputs of a request besides its credential and tenancy: an id in the path, a body, an expected version.

use crate::body_budget::SMALL_BODY_BYTES;
use crate::connection::Connection;
use crate::connection::refusal::too_many_connections;
use crate::error_code::ErrorCode;
use crate::if_match;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::state::HttpState;
use crate::surface::Surface;
use crate::wire::{
    Components, Fault, Faults, Json, JsonError, JsonPointer, Lists, MAX_DEPTH, MAX_VALUES, ObjectStream, WireText,
    WireValue,
};
use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::web::{Bytes, BytesMut};
use canopy_domain::audit::AuditEventId;
use canopy_domain::port::Share;
use canopy_domain::{
    AccountId, ApiKeyId, ApplicationId, AssignmentId, Expected, IdentityId, NodeId, PermissionId, RoleId,
};
use core::future::Future;
use core::task::Poll;
use core::time::Duration;
use futures_util::{TryStreamExt as _, poll};
use sha2::{Digest as _, Sha256};
use std::rc::Rc;
use tokio::time::{Instant, timeout_at};
use utoipa::openapi::schema::Object;
use utoipa::openapi::{RefOr, Schema};

/// Maximum size of a body in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// The ids in the path behind the tenancy: none, one or two.
pub(crate) trait PathInput: Sized {
    /// Reads the parameters; notes their faults.
    fn read(incoming: &Incoming, faults: &mut Faults) -> Option<Self>;

    /// Returns their names and schemas.
    fn parameters() -> Vec<(&'static str, Object)>;
}

impl PathInput for () {
    fn read(_: &Incoming, _: &mut Faults) -> Option<Self> {
        Some(())
    }

    fn parameters() -> Vec<(&'static str, Object)> {
        Vec::new()
    }
}

impl<A: PathInput, B: PathInput> PathInput for (A, B) {
    fn read(incoming: &Incoming, faults: &mut Faults) -> Option<Self> {
        let (first, second) = (A::read(incoming, faults), B::read(incoming, faults));
        first.zip(second)
    }

    fn parameters() -> Vec<(&'static str, Object)> {
        let mut parameters = A::parameters();
        parameters.extend(B::parameters());
        parameters
    }
}

macro_rules! path_ids {
    ($($type:ty = $name:literal),+) => {
        $(impl PathInput for $type {
            fn read(incoming: &Incoming, faults: &mut Faults) -> Option<Self> {
                let text = <$type as WireText>::parse(incoming.named($name));
                faults.keep(&JsonPointer::Member(&JsonPointer::Root, $name), text)
            }

            fn parameters() -> Vec<(&'static str, Object)> {
                vec![($name, <$type as WireText>::describe())]
            }
        })+
    };
}

path_ids!(
    ApiKeyId = "apiKeyId",
    ApplicationId = "appId",
    AssignmentId = "assignmentId",
    AuditEventId = "auditEventId",
    IdentityId = "identityId",
    NodeId = "nodeId",
    PermissionId = "permissionId",
    RoleId = "roleId"
);

/// A body, or none.
pub(crate) trait BodyInput: Sized {
    /// The part that is read before the rest of the request is validated.
    type Draft: Send + 'static;
    /// True if a body is read.
    const HAS_BODY: bool;
    /// True if the body may be omitted.
    const OPTIONAL: bool = false;
    /// Maximum number of JSON values in the body.
    const MAX_VALUES: usize = MAX_VALUES;
    /// True if `If-Match` is required.
    const VERSIONED: bool;
    /// True if the body has members that are refused as unsupported.
    const UNSUPPORTED: bool = false;

    /// Reads the body; notes its faults.
    fn read(json: &Json<'_>, raw: &Bytes, faults: &mut Faults) -> Option<Self::Draft>;

    /// True if it is [received](Self::receive) in pieces instead of read as a whole.
    const STREAMED: bool = false;

    /// Receives and reads a streamed body; notes the faults of its fields.
    async fn receive(_: BodySource<'_>, _: &mut Faults) -> Result<Received<Self::Draft>, Problem> {
        Err(Problem::internal(
            "a body that is not streamed was received as a stream",
        ))
    }

    /// Returns whether a call with this body writes nothing, as a dry run does.
    fn writes_nothing(_: &Self::Draft) -> bool {
        false
    }

    /// Completes a valid body with values of the headers.
    fn complete(draft: Self::Draft, request: &HttpRequest) -> Result<Self, Problem>;

    /// Returns its schema.
    fn schema(components: &mut Components) -> Option<RefOr<Schema>>;
}

/// The source of a body and its limits.
pub(crate) struct BodySource<'r> {
    pub(crate) incoming: &'r Incoming,
    pub(crate) payload: Payload,
    pub(crate) surface: Surface,
    pub(crate) state: &'r HttpState,
    /// The tenant whose body memory it uses.
    pub(crate) account: Option<AccountId>,
    /// True if its digest is needed.
    pub(crate) is_digested: bool,
}

/// A received body.
pub(crate) struct Received<D> {
    /// The body, unless it has faults.
    pub(crate) draft: Option<D>,
    /// Its SHA-256, if it is needed.
    pub(crate) digest: [u8; 32],
}

impl BodyInput for () {
    type Draft = ();
    const HAS_BODY: bool = false;
    const VERSIONED: bool = false;

    fn read(_: &Json<'_>, _: &Bytes, _: &mut Faults) -> Option<()> {
        Some(())
    }

    fn complete((): (), _: &HttpRequest) -> Result<Self, Problem> {
        Ok(())
    }

    fn schema(_: &mut Components) -> Option<RefOr<Schema>> {
        None
    }
}

/// A JSON body. An `OPTIONAL` body, none of whose members is required, may be omitted; that equals an empty object.
#[derive(Debug)]
pub(crate) struct Body<T, const OPTIONAL: bool = false>(pub(crate) T);

impl<T: WireValue + Send + 'static, const OPTIONAL: bool> BodyInput for Body<T, OPTIONAL> {
    type Draft = T;
    const HAS_BODY: bool = true;
    const OPTIONAL: bool = OPTIONAL;
    const MAX_VALUES: usize = T::MAX_VALUES;
    const VERSIONED: bool = false;
    const UNSUPPORTED: bool = T::UNSUPPORTED;

    fn read(json: &Json<'_>, _: &Bytes, faults: &mut Faults) -> Option<T> {
        T::read(json, &JsonPointer::Root, faults)
    }

    fn writes_nothing(draft: &T) -> bool {
        draft.writes_nothing()
    }

    fn complete(draft: T, _: &HttpRequest) -> Result<Self, Problem> {
        Ok(Self(draft))
    }

    fn schema(components: &mut Components) -> Option<RefOr<Schema>> {
        Some(T::schema(components))
    }
}

/// A JSON body with the bytes it was read from, for responses that echo parts of it.
#[derive(Debug)]
pub(crate) struct Sent<T> {
    pub(crate) body: T,
    pub(crate) raw: Bytes,
}

impl<T: WireValue + Send + 'static> BodyInput for Sent<T> {
    type Draft = Self;
    const HAS_BODY: bool = true;
    const VERSIONED: bool = false;
    const UNSUPPORTED: bool = T::UNSUPPORTED;

    fn read(json: &Json<'_>, raw: &Bytes, faults: &mut Faults) -> Option<Self> {
        T::read(json, &JsonPointer::Root, faults).map(|body| Self { body, raw: raw.clone() })
    }

    fn writes_nothing(draft: &Self) -> bool {
        draft.body.writes_nothing()
    }

    fn complete(draft: Self, _: &HttpRequest) -> Result<Self, Problem> {
        Ok(draft)
    }

    fn schema(components: &mut Components) -> Option<RefOr<Schema>> {
        Some(T::schema(components))
    }
}

/// A body with the versions of `If-Match`.
#[derive(Debug)]
pub(crate) struct IfMatch<B> {
    pub(crate) input: B,
    pub(crate) version: Expected,
}

impl<B: BodyInput> BodyInput for IfMatch<B> {
    type Draft = B::Draft;
    const HAS_BODY: bool = B::HAS_BODY;
    const OPTIONAL: bool = B::OPTIONAL;
    const MAX_VALUES: usize = B::MAX_VALUES;
    const VERSIONED: bool = true;
    const UNSUPPORTED: bool = B::UNSUPPORTED;

    fn read(json: &Json<'_>, raw: &Bytes, faults: &mut Faults) -> Option<B::Draft> {
        B::read(json, raw, faults)
    }

    fn writes_nothing(draft: &B::Draft) -> bool {
        B::writes_nothing(draft)
    }

    fn complete(draft: B::Draft, request: &HttpRequest) -> Result<Self, Problem> {
        let version = if_match::required(request)?;
        Ok(Self {
            input: B::complete(draft, request)?,
            version,
        })
    }

    fn schema(components: &mut Components) -> Option<RefOr<Schema>> {
        B::schema(components)
    }
}

/// Returns whether a request has a body. A body of zero bytes is none, whatever its media type.
pub(crate) fn has_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    match headers.get(CONTENT_LENGTH) {
        Some(length) => length != "0",
        None => headers.contains_key(TRANSFER_ENCODING) || headers.contains_key(CONTENT_TYPE),
    }
}

/// Refuses a body of another media type, then one with a too large announced size. Returns the announced number of
/// bytes.
fn check_head(request: &HttpRequest, surface: Surface, max_bytes: usize) -> Result<Option<u64>, Problem> {
    if !is_json(request) {
        return Err(match surface {
            Surface::Portal(_) | Surface::Public => Problem::new(
                ErrorCode::UnsupportedMediaType,
                "the body must be sent as application/json",
            ),
            // AuthZEN treats it as a bad request like any other.
            Surface::AuthZen => Problem::field(
                "Content-Type",
                Fault::new("unsupported_media_type", "must be application/json"),
            ),
        });
    }
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > max_bytes as u64) {
        return Err(too_large(max_bytes));
    }
    Ok(announced)
}

/// An object that is parsed as its body arrives.
struct Streamed<L> {
    stream: ObjectStream<L>,
    faults: Faults,
    digest: Option<Sha256>,
}

impl<L: Lists> Streamed<L> {
    fn take(&mut self, piece: &[u8]) -> Result<(), JsonError> {
        if let Some(digest) = &mut self.digest {
            digest.update(piece);
        }
        self.stream.push(piece, &mut self.faults)
    }
}

/// Bytes of a streamed body that are parsed in one piece, off the HTTP workers. A smaller body is parsed where it
/// arrives.
const STREAMED_PIECE: usize = 64 * 1024;

/// Parses an object as its body arrives, of at most `max_bytes` bytes; notes the faults of its fields. The body is
/// admitted against the body memory of its tenant and of all before any of it is read.
pub(crate) async fn read_stream<L: Lists + Send + 'static>(
    source: BodySource<'_>,
    max_bytes: usize,
    stream: ObjectStream<L>,
    faults: &mut Faults,
) -> Result<(ObjectStream<L>, [u8; 32]), Problem> {
    let BodySource {
        incoming,
        payload,
        surface,
        state,
        account,
        is_digested,
    } = source;
    let announced = check_head(&incoming.http, surface, max_bytes)?;
    let weight = announced.unwrap_or(max_bytes as u64);
    if weight > SMALL_BODY_BYTES as u64 {
        incoming.hold_body(state.bodies().admit(account, weight).await?);
    }
    let mut reader = BodyReader {
        connection: incoming.connection().cloned(),
        payload,
        received: 0,
        max_bytes,
        clock: None,
        timeout: state.body_timeout(),
    };
    let mut streamed = Streamed {
        stream,
        faults: core::mem::take(faults),
        digest: is_digested.then(Sha256::new),
    };
    let tenant = account.map_or(Share::Installation, Share::Account);
    let mut held = BytesMut::new();
    let read = |error| unread(error, usize::MAX);
    while let Some(piece) = reader.next().await? {
        held.extend_from_slice(&piece);
        if held.len() < STREAMED_PIECE {
            continue;
        }
        let piece = held.split().freeze();
        let working = state.app().long_work().perform(tenant, move |_| {
            let taken = streamed.take(&piece);
            Ok((streamed, taken))
        });
        let (back, taken) = state.run_here(working).await?;
        streamed = back;
        taken.map_err(read)?;
    }
    streamed.take(&held).map_err(read)?;
    incoming.finish_body();
    *faults = streamed.faults;
    let digest = streamed.digest.map_or([0; 32], |digest| digest.finalize().into());
    Ok((streamed.stream, digest))
}

/// Refuses a body of another media type, then one with a too large announced size. Admits it against the body memory of
/// its tenant and of all, and reads it before the deadline.
pub(crate) async fn read_body(
    incoming: &Incoming,
    payload: Payload,
    surface: Surface,
    (state, account): (&HttpState, Option<AccountId>),
) -> Result<Bytes, Problem> {
    let announced = check_head(&incoming.http, surface, MAX_BODY_BYTES)?;
    if let Some(length) = announced
        && length > SMALL_BODY_BYTES as u64
    {
        incoming.hold_body(state.bodies().admit(account, length).await?);
    }
    let bytes = BodyReader {
        connection: incoming.connection().cloned(),
        payload,
        received: 0,
        max_bytes: MAX_BODY_BYTES,
        clock: None,
        timeout: state.body_timeout(),
    };
    let bytes = bytes.read(|| async {
        if incoming.body_permit().is_none() {
            // Its final size is unknown. Waiting while holding a part would block others, so the maximum is admitted at
            // once.
            incoming.hold_body(state.bodies().admit(account, MAX_BODY_BYTES as u64).await?);
        }
        Ok(())
    });
    let bytes = bytes.await?;
    incoming.finish_body();
    Ok(bytes)
}

fn too_large(max_bytes: usize) -> Problem {
    Problem::new(ErrorCode::TooLarge, "the body is too large").with("max_bytes", max_bytes)
}

/// Minimum rate of a body after [`GRACE`], in bytes per second.
const MIN_BODY_RATE: u64 = 16 * 1024;

/// The time before [`MIN_BODY_RATE`] applies to a body.
const GRACE: Duration = Duration::from_secs(10);

/// Reads a body that must come at a minimum rate and before a deadline.
struct BodyReader {
    connection: Option<Rc<Connection>>,
    payload: Payload,
    received: usize,
    max_bytes: usize,
    /// The instant of the first wait. Most bodies are complete already, so there is nothing to time.
    clock: Option<Instant>,
    timeout: Duration,
}

/// Marks a connection as one that waits for a body, until this is dropped.
struct WaitsForBody(Rc<Connection>);

impl WaitsForBody {
    fn new(connection: Rc<Connection>) -> Self {
        connection.wait_for_body();
        Self(connection)
    }
}

impl Drop for WaitsForBody {
    fn drop(&mut self) {
        self.0.resume_request();
    }
}

impl BodyReader {
    /// Returns the deadline of the next piece.
    fn deadline(&mut self) -> Instant {
        let begun = *self.clock.get_or_insert_with(Instant::now);
        let earned = Duration::from_millis(self.received as u64 * 1_000 / MIN_BODY_RATE);
        // Each `MAX_BODY_BYTES` of a larger body get the time of a whole one.
        let parts = u32::try_from(self.received.saturating_sub(1) / MAX_BODY_BYTES + 1).unwrap_or(u32::MAX);
        begun + self.timeout.saturating_mul(parts).min(GRACE + earned)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let piece = match poll!(self.payload.try_next()) {
            Poll::Ready(piece) => piece,
            Poll::Pending => {
                let deadline = self.deadline();
                let late = |_| Problem::new(ErrorCode::Timeout, "the body did not arrive in time");
                let _waiting = self.connection.clone().map(WaitsForBody::new);
                timeout_at(deadline, self.payload.try_next()).await.map_err(late)?
            }
        };
        let piece = piece.map_err(|error| {
            if self
                .connection
                .as_ref()
                .is_some_and(|connection| connection.is_evicted())
            {
                return too_many_connections();
            }
            let mut problem = Problem::new(ErrorCode::MalformedJson, "the body ended early");
            problem.cause = Some(error.to_string().into());
            problem
        })?;
        self.received += piece.as_ref().map_or(0, Bytes::len);
        if self.received > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        Ok(piece)
    }

    /// Reads the whole body, and copies it only if it comes in pieces. A body that is not small is `admitted` before
    /// more of it is read.
    async fn read<F>(mut self, admitted: impl Fn() -> F) -> Result<Bytes, Problem>
    where
        F: Future<Output = Result<(), Problem>>,
    {
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if first.is_empty() {
                first = piece;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&piece);
            }
            if self.received > SMALL_BODY_BYTES {
                admitted().await?;
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let encoded = request
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|value| value != "identity");
    let Some(text) = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let mut parts = text.split(';').map(str::trim);
    let json = parts
        .next()
        .is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let utf8 = parts
        .filter(|part| !part.is_empty())
        .all(|part| match part.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        });
    json && utf8 && !encoded
}

/// Parses a JSON body of at most `max_values` values.
pub(crate) fn parse_json(raw: &Bytes, max_values: usize) -> Result<Json<'_>, Problem> {
    Json::parse(raw, max_values).map_err(|error| unread(error, max_values))
}

/// Returns the problem of a body that could not be parsed.
pub(crate) fn unread(error: JsonError, max_values: usize) -> Problem {
    match error {
        JsonError::Malformed(at) => Problem::new(ErrorCode::MalformedJson, "the body is not one JSON text")
            .with("line", at.line)
            .with("column", at.column),
        JsonError::TooDeep { path } => {
            let mut faults = Faults::default();
            faults.add_at(path, Fault::too_deep(MAX_DEPTH));
            faults.into()
        }
        JsonError::TooManyValues => {
            let mut faults = Faults::default();
            faults.add(&JsonPointer::Root, Fault::too_many_values(max_values));
            faults.into()
        }
    }
}
