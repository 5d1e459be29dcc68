//! A request as handlers get it: read step by step in the order of refusals, so that a stranger learns nothing but 401.

use crate::answer::Answer;
use crate::body_budget::BodyPermit;
use crate::credential::{self, Sent};
use crate::cursor::CursorKey;
use crate::idempotency::{self, Kept, Repeatable, RepeatableRequest};
use crate::if_match;
use crate::incoming::Incoming;
use crate::input::{BodyInput, BodySource, PathInput, Received, has_body, parse_json, read_body};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::surface::{self, Surface};
use crate::wire::{Faults, Json, QueryInput, QueryReader};
use actix_web::dev::Payload;
use actix_web::web::Bytes;
use canopy_app::access::Asker;
use canopy_app::long_work::{Pace, Stopped};
use canopy_app::session::{AskedEnvironment, Basis, Credential, Locate, Requires, Tenancy};
use canopy_app::{App, AppError, Call, Caller, Mode, RepetitionError, Write};
use canopy_domain::Expected;
use canopy_domain::api_key::AreaScope;
use canopy_domain::port::{Share, TokenError, VerifiedToken};
use core::future::Future;
use std::sync::Arc;
use uuid::Uuid;

/// A call that was read to its end: who makes it, where, and with what.
pub(crate) struct Request<S, P = (), Q = (), B = ()> {
    state: HttpState,
    call: Call,
    /// Its identity for idempotency, if it is repeatable.
    repeatable: Option<RepeatableRequest>,
    /// Memory for its body, for as long as anything works on it.
    body_permit: Option<Arc<BodyPermit>>,
    /// The account, application or environment that the call is about.
    pub(crate) tenancy: S,
    /// The id in its path.
    pub(crate) id: P,
    /// Its query.
    pub(crate) query: Q,
    /// Its body.
    pub(crate) body: B,
}

/// The way that a call is served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    pub(crate) surface: Surface,
    pub(crate) requires: Requires,
    /// True if it takes an `Idempotency-Key`.
    pub(crate) repeatable: bool,
    /// True if `If-Match` is judged where it is sent, though it is not needed.
    pub(crate) conditional: bool,
}

impl<S: Tenancy, P: PathInput, Q: QueryInput, B: BodyInput> Request<S, P, Q, B> {
    /// Reads a request: credential 401, principal 403, place 404, key scope 403, media type
    /// 415 (400 where the standard has it so), size 413, path, query and body 400, `If-Match` 428. The caller is `known` from the moment its credential is
    /// accepted.
    pub(crate) async fn receive<L: Locate<S>>(
        incoming: &Incoming,
        payload: Payload,
        state: &HttpState,
        served: Served,
        known: &mut Option<Caller>,
    ) -> Result<Self, Problem> {
        let (tenancy, call) = enter::<S, L>(incoming, state, served.surface, known).await?;
        let read = async {
            served.requires.check(&call.caller)?;
            let of = (&call.caller, tenancy.id(), tenancy.share(), served);
            Read::<P, Q, B>::read(incoming, payload, state, of).await
        };
        match read.await {
            Ok(read) => Ok(Self {
                state: state.clone(),
                call: Call {
                    expected: read.expected,
                    ..call
                },
                repeatable: read.repeatable,
                body_permit: incoming.body_permit(),
                tenancy,
                id: read.id,
                query: read.query,
                body: read.body,
            }),
            Err(problem) => {
                let unconfirmed = L::unconfirmed(&tenancy).cloned();
                Err(confirm_refusal(problem, state, call.caller, unconfirmed, known).await)
            }
        }
    }
}

/// What is said instead of a problem with the rest of the request: who has a key that is no good any more learns that, and
/// not what else is wrong; likewise a name in the path.
async fn confirm_refusal(
    problem: Problem,
    state: &HttpState,
    caller: Caller,
    unconfirmed: Option<AskedEnvironment>,
    known: &mut Option<Caller>,
) -> Problem {
    let app = state.app().clone();
    let is_key = matches!(caller, Caller::ApiKey { .. });
    let confirming = async move {
        let basis = unconfirmed.as_ref().map_or(Basis::Key, Basis::Path);
        app.sessions().confirm(&caller, basis).await
    };
    match state.run_quick(confirming).await {
        Ok(Ok(())) => problem,
        Ok(Err(gone)) => {
            if is_key {
                *known = None;
            }
            gone.into()
        }
        Err(failed) => failed,
    }
}

/// The parts of a request besides its caller and tenancy.
struct Read<P, Q, B> {
    repeatable: Option<RepeatableRequest>,
    expected: Expected,
    id: P,
    query: Q,
    body: B,
}

impl<P: PathInput, Q: QueryInput, B: BodyInput> Read<P, Q, B> {
    async fn read(
        incoming: &Incoming,
        payload: Payload,
        state: &HttpState,
        (caller, place, share, served): (&Caller, Uuid, Share, Served),
    ) -> Result<Self, Problem> {
        let http = &incoming.http;
        let mut faults = Faults::of_lists_up_to(state.max_items()).of_catalogs_up_to(state.app().catalog_limits());
        let id = P::read(incoming, &mut faults);
        let query = Q::read(&QueryReader::decode(http.query_string()), &mut faults);
        let is_keyed = served.repeatable && http.headers().contains_key(idempotency::IDEMPOTENCY_KEY);
        let (body, raw, digest, mut faults) = if B::STREAMED {
            let source = BodySource {
                incoming,
                payload,
                surface: served.surface,
                state,
                account: caller.account(),
                is_digested: is_keyed,
            };
            let Received { draft, digest } = B::receive(source, &mut faults).await?;
            (draft, Bytes::new(), digest, faults)
        } else {
            let is_sent = B::HAS_BODY && (!B::OPTIONAL || has_body(http));
            let raw = if is_sent {
                read_body(incoming, payload, served.surface, (state, caller.account())).await?
            } else {
                Bytes::new()
            };
            let JsonBody { draft, digest, faults } = if raw.len() <= SMALL_BODY {
                read_json::<B>(&raw, is_keyed, faults)?
            } else {
                let raw = raw.clone();
                let reading = state
                    .app()
                    .long_work()
                    .perform(share, move |_| Ok(read_json::<B>(&raw, is_keyed, faults)));
                state.run_here(reading).await??
            };
            (draft, raw, digest, faults)
        };
        // What writes nothing may be sent again anyway.
        let writes_nothing =
            query.as_ref().is_some_and(Q::writes_nothing) || body.as_ref().is_some_and(B::writes_nothing);
        let key = if served.repeatable && !writes_nothing {
            idempotency::key(http, &mut faults)
        } else {
            None
        };
        let (Some(id), Some(query), Some(body), true) = (id, query, body, faults.is_empty()) else {
            return Err(faults.into());
        };
        let expected = if served.conditional {
            if_match::expected(http)?.unwrap_or_default()
        } else {
            Expected::Any
        };
        let body = B::complete(body, http)?;
        let repeatable = key.map(|key| idempotency::identify(http, caller, place, key, (&raw, digest)));
        Ok(Self {
            repeatable,
            expected,
            id,
            query,
            body,
        })
    }
}

/// A body of so many bytes is read in about a quarter of a millisecond; a larger one on a thread for long work.
const SMALL_BODY: usize = 64 * 1024;

/// A JSON body that was read.
struct JsonBody<D> {
    draft: Option<D>,
    /// Zeros where the request has no `Idempotency-Key`.
    digest: [u8; 32],
    /// The faults of the request up to the end of the body.
    faults: Faults,
}

/// Reads a JSON body and adds its faults to those found before.
fn read_json<B: BodyInput>(raw: &Bytes, is_keyed: bool, mut faults: Faults) -> Result<JsonBody<B::Draft>, Problem> {
    let json = if raw.is_empty() && (!B::HAS_BODY || B::OPTIONAL) {
        Json::Object(Vec::new())
    } else {
        parse_json(raw, B::MAX_VALUES)?
    };
    let draft = B::read(&json, raw, &mut faults);
    let digest = if is_keyed { idempotency::digest(raw) } else { [0; 32] };
    Ok(JsonBody { draft, digest, faults })
}

/// Finds out who calls and where.
async fn enter<S: Send + 'static, L: Locate<S>>(
    incoming: &Incoming,
    state: &HttpState,
    surface: Surface,
    known: &mut Option<Caller>,
) -> Result<(S, Call), Problem> {
    let sent = credential::read(&incoming.http, surface)?;
    let refused = |error: &AppError| match (sent, error) {
        (Sent::Token(token), AppError::Token(error)) => {
            state.refused_credentials().record(token, *error, incoming.id());
        }
        (Sent::Key(text), AppError::InvalidApiKey) => {
            state.refused_credentials().record_key(text, incoming.id());
        }
        _ => {}
    };
    let credential = match sent {
        Sent::Token(token) => Credential::Token(verify(token, state, incoming.id()).await?),
        Sent::Key(text) => Credential::Key(text),
    };
    let slugs = surface::slugs(incoming, surface);
    let recalled = state.app().sessions().recall::<L, S>(&credential, slugs);
    let entered = if let Some(entered) = recalled {
        entered
    } else {
        let (app, credential, slugs) = (state.app().clone(), credential.into_owned(), slugs.to_owned());
        let entering = async move { app.sessions().enter::<L, S>(&credential, slugs.as_ref()).await };
        state.run_quick(entering).await?.inspect_err(refused)?
    };
    incoming.accept_caller();
    let admitted = state.limits().admit(&entered.caller);
    *known = Some(entered.caller.clone());
    admitted?;
    let tenancy = entered.tenancy.inspect_err(refused)?;
    Ok((tenancy, Call::new(entered.caller, incoming.id().to_owned())))
}

/// Verifies a token. Where its key is not known, it may have become known to its source.
async fn verify(token: &str, state: &HttpState, request_id: &str) -> Result<VerifiedToken, Problem> {
    let mut verified = state.tokens().verify(token, state.app().now());
    if verified == Err(TokenError::UnknownKey) {
        let (tokens, refused) = (Arc::clone(state.tokens()), token.to_owned());
        let look = async move { tokens.look_for_key(&refused).await };
        if state.run_quick(look).await?.map_err(AppError::from)? {
            verified = state.tokens().verify(token, state.app().now());
        }
    }
    verified.map_err(|error| {
        state.refused_credentials().record(token, error, request_id);
        error.into()
    })
}

impl<S, P, Q, B> Request<S, P, Q, B> {
    /// The key that seals and opens cursors.
    pub(crate) async fn cursors(&self) -> Result<CursorKey, Problem> {
        let app = self.app().clone();
        let secret = self.state.run_quick(async move { app.cursor_secret().await }).await??;
        Ok(CursorKey::new(&secret))
    }

    /// Whether the scopes of the caller, if it has any, open an area.
    pub(crate) fn may(&self, area: AreaScope) -> bool {
        Requires::Area(area).check(&self.call.caller).is_ok()
    }

    /// The largest document of an environment, in bytes.
    pub(crate) fn import_bytes(&self) -> u64 {
        u64::try_from(self.state.import_bytes()).unwrap_or(u64::MAX)
    }

    /// The service, for what needs no waiting.
    pub(crate) fn app(&self) -> &App {
        self.state.app()
    }

    /// The most bytes that the answer may have.
    pub(crate) fn max_answer_bytes(&self) -> usize {
        self.state.max_answer_bytes()
    }

    /// Who asks about this environment, for questions, which confirm by themselves that the asker is good.
    pub(crate) const fn asker<'a>(&'a self, environment: &'a AskedEnvironment) -> Asker<'a> {
        Asker {
            caller: &self.call.caller,
            environment,
        }
    }

    /// Waits for a question here, on the worker that read it: for one that is quick to judge. It is an [`Asker`] that asks it.
    pub(crate) async fn ask_here<T>(&self, question: impl Future<Output = Result<T, AppError>>) -> Result<T, Problem> {
        Ok(self.state.run_here(question).await?)
    }

    /// Runs long work of the call's tenant off the HTTP workers. It stops when the caller has gone.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Pace) -> Result<T, Stopped> + Send + 'static,
    ) -> Result<T, Problem>
    where
        S: Tenancy,
    {
        let running = self.app().long_work().perform(self.tenancy.share(), work);
        Ok(self.state.run_here(running).await?)
    }

    /// Runs a use case on the shared runtime, to its end.
    pub(crate) async fn run<T, F>(&self, use_case: impl FnOnce(App, Call) -> F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AppError>> + Send + 'static,
    {
        Ok(self.run_confirmed(use_case).await??)
    }

    /// Runs a use case for a caller of whom it is certain, now that the request has come in whole, that it may call.
    async fn run_confirmed<T, F>(&self, use_case: impl FnOnce(App, Call) -> F) -> Result<Result<T, AppError>, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AppError>> + Send + 'static,
    {
        let call = self.call.clone();
        let (app, caller) = (self.app().clone(), call.caller.clone());
        let body_permit = self.body_permit.clone();
        let work = use_case(app.clone(), call);
        let confirmed = async move {
            app.sessions().confirm(&caller, Basis::Key).await?;
            let done = work.await;
            drop(body_permit);
            done
        };
        self.state.run(confirmed).await
    }

    /// Carries out a write of a request that cannot be sent again by an `Idempotency-Key`.
    pub(crate) async fn execute<W: Write + 'static>(&self, write: W) -> Result<W::Outcome, Problem> {
        self.run(move |app, call| async move { app.execute(&call, &write, Mode::Commit).await })
            .await
    }

    /// Carries out a write and shows its outcome. Where the request may be sent again, the answer is kept with what was
    /// written; where it was answered before, it is answered so again. A dry run writes nothing, so there is nothing to
    /// repeat.
    pub(crate) async fn execute_once<W, A>(
        &self,
        write: W,
        mode: Mode,
        show: impl Fn(W::Outcome) -> Result<A, Problem> + Send + Sync + 'static,
    ) -> Result<Repeatable<A>, Problem>
    where
        W: Write + 'static,
        A: Answer,
    {
        let repeatable = self.repeatable.as_ref().filter(|_| mode == Mode::Commit);
        let Some(repeatable) = repeatable else {
            let outcome = self.run(move |app, call| async move { app.execute(&call, &write, mode).await });
            return Ok(Repeatable::Fresh(show(outcome.await?)?));
        };
        let show = Arc::new(show);
        let (encoder, path) = (Arc::clone(&show), repeatable.path.clone());
        let once = canopy_app::Repeatable {
            request: repeatable.request,
            body: repeatable.body,
            encode: Arc::new(move |outcome: &W::Outcome| idempotency::keep(encoder(outcome.clone()).ok()?, &path)),
        };
        let execute = move |app: App, call: Call| async move { app.execute_once(&call, &write, &once).await };
        match self.run_confirmed(execute).await? {
            Ok(outcome) => Ok(Repeatable::Fresh(show(outcome)?)),
            Err(AppError::Repetition(RepetitionError::Answered(kept))) => {
                let kept = Kept::read(kept, &repeatable.sent)
                    .ok_or_else(|| Problem::internal("an answer was kept that cannot be read"))?;
                Ok(Repeatable::Replayed(kept))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The body, and the request without it.
    pub(crate) fn take_body(self) -> (B, Request<S, P, Q>) {
        self.split(|query, body| (body, query, ()))
    }

    /// The query, and the request without it.
    pub(crate) fn take_query(self) -> (Q, Request<S, P, (), B>) {
        self.split(|query, body| (query, (), body))
    }

    /// A part of query and body, and the request with what is left of them.
    fn split<T, R, C>(self, split: impl FnOnce(Q, B) -> (T, R, C)) -> (T, Request<S, P, R, C>) {
        let (part, query, body) = split(self.query, self.body);
        let rest = Request {
            state: self.state,
            call: self.call,
            repeatable: self.repeatable,
            body_permit: self.body_permit,
            tenancy: self.tenancy,
            id: self.id,
            query,
            body,
        };
        (part, rest)
    }
}
