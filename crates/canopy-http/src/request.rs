//! A request as handlers get it: read step by step in the order of refusals, so that a stranger learns nothing but 401.

use crate::answer::Answer;
use crate::credential::{self, Credential};
use crate::cursor::CursorKey;
use crate::edge::request_id;
use crate::idempotency::{self, Kept, Repeatable, RepeatableRequest};
use crate::input::{BodyInput, PathInput, has_body, parse_json, read_body};
use crate::operation::Needs;
use crate::problem::Problem;
use crate::scope::{Scope, Surface, Way};
use crate::state::HttpState;
use crate::wire::{Faults, Json, QueryInput, QueryReader};
use actix_web::HttpRequest;
use actix_web::web::{Bytes, Payload};
use canopy_app::access::{Asker, Fenced};
use canopy_app::api_key::authenticate;
use canopy_app::decisions::Consistency;
use canopy_app::scope::AskedEnvironment;
use canopy_app::{App, AppError, Call, Caller, Encode, RepetitionError, scope};
use canopy_domain::api_key::AreaScope;
use canopy_domain::port::{TokenClaims, TokenError};
use core::any::Any;
use core::future::Future;
use std::sync::Arc;

/// A call that was read to its end: who makes it, where, and with what.
pub(crate) struct Request<S, P = (), Q = (), B = ()> {
    state: HttpState,
    call: Call,
    /// What tells it from other requests, where it may be sent again.
    repeatable: Option<RepeatableRequest>,
    /// The place it is about.
    pub(crate) scope: S,
    /// The id in its path.
    pub(crate) id: P,
    /// Its query.
    pub(crate) query: Q,
    /// Its body.
    pub(crate) body: B,
}

impl<S: Scope, P: PathInput, Q: QueryInput, B: BodyInput> Request<S, P, Q, B> {
    /// Reads a request, which may be `repeatable`: credential 401, principal 403, place 404, key scope 403, media type
    /// 415 (400 where the standard has it so), size 413, path, query and body 400, `If-Match` 428. The caller is `known` from the moment its credential is
    /// accepted.
    pub(crate) async fn receive<W: Way<S>>(
        http: &HttpRequest,
        payload: Payload,
        state: &HttpState,
        (surface, needs, repeatable): (Surface, Needs, bool),
        known: &mut Option<Caller>,
    ) -> Result<Self, Problem> {
        let (scope, call) = enter::<S, W>(http, state, surface, known).await?;
        // Who has a key that is no good any more learns that, and not what else is wrong; likewise a name in the path.
        let key_holder = matches!(call.caller, Caller::ApiKey { .. }).then(|| call.caller.clone());
        let unconfirmed = W::unconfirmed(&scope).map(|asked| (asked, call.caller.clone()));
        let read = async {
            needs.check(&call.caller)?;
            Self::read(http, payload, state, (scope, call), (surface, repeatable)).await
        };
        match (read.await, key_holder) {
            (Err(problem), Some(caller)) => {
                let app = state.app().clone();
                let confirmed = state.run_quick(async move { authenticate::confirm(&app, &caller).await });
                if let Err(gone) = confirmed.await? {
                    *known = None;
                    return Err(gone.into());
                }
                Err(problem)
            }
            (Err(problem), None) => {
                if let Some((asked, caller)) = unconfirmed {
                    let app = state.app().clone();
                    let confirmed = state.run_quick(async move { scope::confirm(&app, &caller, &asked).await });
                    confirmed.await??;
                }
                Err(problem)
            }
            (read, _) => read,
        }
    }

    /// Reads what comes behind the question who calls and where.
    async fn read(
        http: &HttpRequest,
        payload: Payload,
        state: &HttpState,
        (scope, call): (S, Call),
        (surface, repeatable): (Surface, bool),
    ) -> Result<Self, Problem> {
        let is_sent = B::HAS_BODY && (!B::OPTIONAL || has_body(http));
        let raw = if is_sent {
            read_body(http, payload, surface, state.body_timeout()).await?
        } else {
            Bytes::new()
        };
        let json = if is_sent {
            parse_json(&raw, B::MAX_VALUES)?
        } else {
            Json::Object(Vec::new())
        };
        let mut faults = Faults::of_lists_up_to(state.max_items());
        let id = P::read(http, &mut faults);
        let query = Q::read(&QueryReader::decode(http.query_string()), &mut faults);
        let body = B::read(&json, &raw, &mut faults);
        let key = if repeatable {
            idempotency::key(http, &mut faults)
        } else {
            None
        };
        let (Some(id), Some(query), Some(body), true) = (id, query, body, faults.is_empty()) else {
            return Err(faults.into());
        };
        drop(json);
        let body = B::complete(body, http)?;
        let repeatable = key.map(|key| idempotency::identify(http, &call.caller, scope.id(), key, &raw));
        Ok(Self {
            state: state.clone(),
            call,
            repeatable,
            scope,
            id,
            query,
            body,
        })
    }
}

/// A credential that is worth asking the store about.
enum Presented {
    Token(TokenClaims),
    Key(String),
}

/// Finds out who calls and where.
async fn enter<S: Send + 'static, W: Way<S>>(
    http: &HttpRequest,
    state: &HttpState,
    surface: Surface,
    known: &mut Option<Caller>,
) -> Result<(S, Call), Problem> {
    let presented = match credential::read(http, surface)? {
        Credential::Token(token) => Presented::Token(verify(token, state).await?),
        Credential::Key(text) => Presented::Key(text.to_owned()),
    };
    let app = state.app().clone();
    let slugs = W::slugs(http);
    let entered = async move {
        let caller = match presented {
            Presented::Token(claims) => scope::authenticate(&app, &claims).await?,
            Presented::Key(text) => authenticate::run(&app, &text).await?,
        };
        let found = W::find(app.clone(), caller.clone(), slugs).await;
        if found.is_err() {
            authenticate::confirm(&app, &caller).await?;
        }
        Ok::<_, AppError>((caller, found))
    };
    let (caller, found) = state.run_quick(entered).await??;
    let admitted = state.limits().admit(&caller);
    *known = Some(caller);
    admitted?;
    let (scope, caller) = found?;
    Ok((scope, Call::new(caller, request_id(http))))
}

/// Verifies a token. Where its key is not known, another process of the installation may have registered it.
async fn verify(token: &str, state: &HttpState) -> Result<TokenClaims, Problem> {
    let verified = state.tokens().verify(token, state.app().now());
    if verified != Err(TokenError::Invalid) {
        return Ok(verified?);
    }
    let (tokens, refused) = (Arc::clone(state.tokens()), token.to_owned());
    let look = async move { tokens.look_for_key(&refused).await };
    if state.run_quick(look).await?.map_err(AppError::from)? {
        return Ok(state.tokens().verify(token, state.app().now())?);
    }
    Err(TokenError::Invalid.into())
}

impl<S, P, Q, B> Request<S, P, Q, B> {
    /// What seals and opens cursors.
    pub(crate) async fn cursors(&self) -> Result<CursorKey, Problem> {
        let app = self.app().clone();
        let secret = self.state.run_quick(async move { app.cursor_secret().await }).await??;
        Ok(CursorKey::new(&secret))
    }

    /// Whether the scopes of the caller, if it has any, open an area.
    pub(crate) fn may(&self, area: AreaScope) -> bool {
        scope::opened(&self.call.caller, area).is_ok()
    }

    /// The service, for what needs no waiting.
    pub(crate) fn app(&self) -> &App {
        self.state.app()
    }

    /// Who asks about this environment, for questions, which confirm by themselves that the asker is good.
    pub(crate) const fn asker<'a>(&'a self, environment: &'a AskedEnvironment) -> Asker<'a> {
        Asker {
            caller: &self.call.caller,
            environment,
        }
    }

    /// Waits for the fence of a question, if there is one to wait for.
    pub(crate) async fn fence(
        &self,
        environment: &AskedEnvironment,
        consistency: Consistency,
    ) -> Result<Option<Fenced>, Problem> {
        let fencing = self.asker(environment).fence(self.app(), consistency);
        Ok(self.state.run_here(fencing).await?)
    }

    /// Runs a question on the shared runtime, to its end. It is an [`Asker`] that asks it.
    pub(crate) async fn ask<T, F>(&self, question: impl FnOnce(App, Call) -> F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AppError>> + Send + 'static,
    {
        let question = question(self.app().clone(), self.call.clone());
        Ok(self.state.run(question).await??)
    }

    /// Runs a use case on the shared runtime, to its end.
    pub(crate) async fn run<T, F>(&self, use_case: impl FnOnce(App, Call) -> F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AppError>> + Send + 'static,
    {
        Ok(self.run_as(self.call.clone(), use_case).await??)
    }

    /// Runs a use case for a caller of whom it is certain, now that the request has come in whole, that it may call.
    async fn run_as<T, F>(
        &self,
        call: Call,
        use_case: impl FnOnce(App, Call) -> F,
    ) -> Result<Result<T, AppError>, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AppError>> + Send + 'static,
    {
        let (app, caller) = (self.app().clone(), call.caller.clone());
        let work = use_case(app.clone(), call);
        let confirmed = async move {
            authenticate::confirm(&app, &caller).await?;
            work.await
        };
        self.state.run(confirmed).await
    }

    /// Runs a use case that writes as [`run`](Self::run) does, and shows what it answers. Where the request may be sent
    /// again, the answer is kept with what was written; where it was answered before, it is answered so again.
    pub(crate) async fn write<T, A, F>(
        &self,
        use_case: impl FnOnce(App, Call) -> F,
        show: impl Fn(T) -> Result<A, Problem> + Send + Sync + 'static,
    ) -> Result<Repeatable<A>, Problem>
    where
        T: Clone + Send + 'static,
        A: Answer,
        F: Future<Output = Result<T, AppError>> + Send + 'static,
    {
        let Some(repeatable) = &self.repeatable else {
            return Ok(Repeatable::Fresh(show(self.run(use_case).await?)?));
        };
        let show = Arc::new(show);
        let (encoder, path) = (Arc::clone(&show), repeatable.path.clone());
        let encode: Encode = Arc::new(move |outcome: &dyn Any| {
            let outcome: &T = outcome.downcast_ref()?;
            idempotency::keep(encoder(outcome.clone()).ok()?, &path)
        });
        let call = Call {
            repeatable: Some(canopy_app::Repeatable {
                request: repeatable.request,
                body: repeatable.body,
                encode,
            }),
            ..self.call.clone()
        };
        match self.run_as(call, use_case).await? {
            Ok(outcome) => Ok(Repeatable::Fresh(show(outcome)?)),
            Err(AppError::Repetition(RepetitionError::Answered(kept))) => {
                let kept =
                    Kept::read(kept).ok_or_else(|| Problem::internal("an answer was kept that cannot be read"))?;
                Ok(Repeatable::Replayed(kept))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The same request, standing for itself: where it writes nothing, there is nothing to repeat.
    pub(crate) fn once_only_if(mut self, alone: bool) -> Self {
        if alone {
            self.repeatable = None;
        }
        self
    }

    /// The body, and the request without it.
    pub(crate) fn take_body(self) -> (B, Request<S, P, Q>) {
        let Self {
            state,
            call,
            repeatable,
            scope,
            id,
            query,
            body,
        } = self;
        (
            body,
            Request {
                state,
                call,
                repeatable,
                scope,
                id,
                query,
                body: (),
            },
        )
    }

    /// The query, and the request without it.
    pub(crate) fn take_query(self) -> (Q, Request<S, P, (), B>) {
        let Self {
            state,
            call,
            repeatable,
            scope,
            id,
            query,
            body,
        } = self;
        (
            query,
            Request {
                state,
                call,
                repeatable,
                scope,
                id,
                query: (),
                body,
            },
        )
    }
}
