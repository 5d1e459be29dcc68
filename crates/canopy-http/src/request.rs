//! A request as handlers get it: read step by step in the order of refusals, so that a stranger learns nothing but 401.

use crate::credential;
use crate::edge::request_id;
use crate::input::{BodyInput, PathInput, parse_json, read_body};
use crate::problem::Problem;
use crate::scope::{Level, Scope, Slugs};
use crate::state::HttpState;
use crate::wire::{Faults, Json, QueryInput, QueryReader};
use actix_web::HttpRequest;
use actix_web::web::{Bytes, Payload};
use canopy_app::{App, AppError, Call, scope};
use canopy_domain::port::{TokenClaims, TokenError};
use core::future::Future;
use std::sync::Arc;

/// A call that was read to its end: who makes it, where, and with what.
pub(crate) struct Request<S, P = (), Q = (), B = ()> {
    state: HttpState,
    call: Call,
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
    /// Reads a request: credential 401, principal 403, place 404, media type 415, size 413, path, query and body 400,
    /// `If-Match` 428.
    pub(crate) async fn receive(http: &HttpRequest, payload: Payload, state: &HttpState) -> Result<Self, Problem> {
        let (scope, call) = enter::<S>(http, state).await?;
        let raw = if B::HAS_BODY {
            read_body(http, payload, state.body_timeout()).await?
        } else {
            Bytes::new()
        };
        let json = if B::HAS_BODY { parse_json(&raw)? } else { Json::Null };
        let mut faults = Faults::default();
        let id = P::read(http, &mut faults);
        let query = Q::read(&QueryReader::decode(http.query_string()), &mut faults);
        let body = B::read(&json, &raw, &mut faults);
        let (Some(id), Some(query), Some(body), true) = (id, query, body, faults.is_empty()) else {
            return Err(faults.into());
        };
        drop(json);
        let body = B::complete(body, http)?;
        Ok(Self {
            state: state.clone(),
            call,
            scope,
            id,
            query,
            body,
        })
    }
}

/// Finds out who calls and where.
async fn enter<S: Scope>(http: &HttpRequest, state: &HttpState) -> Result<(S, Call), Problem> {
    let token = credential::bearer(http)?;
    let claims = verify(token, state).await?;
    let app = state.app().clone();
    let slugs = slugs(http, S::LEVEL);
    let entered = async move {
        let caller = scope::authenticate(&app, &claims).await?;
        S::find(app, caller, slugs).await
    };
    let (scope, caller) = state.run_quick(entered).await??;
    Ok((
        scope,
        Call {
            caller,
            request_id: request_id(http),
        },
    ))
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

fn slugs(http: &HttpRequest, level: Level) -> Slugs {
    let slug = |name: &str| http.match_info().get(name).unwrap_or_default().to_owned();
    match level {
        Level::Installation => Slugs::default(),
        Level::Account => Slugs {
            account: slug("accountSlug"),
            ..Slugs::default()
        },
        Level::Application => Slugs {
            account: slug("accountSlug"),
            application: slug("appSlug"),
            ..Slugs::default()
        },
        Level::Environment => Slugs {
            account: slug("accountSlug"),
            application: slug("appSlug"),
            environment: slug("envSlug"),
        },
    }
}

impl<S, P, Q, B> Request<S, P, Q, B> {
    /// The service, for what needs no waiting.
    pub(crate) fn app(&self) -> &App {
        self.state.app()
    }

    /// Runs a use case on the shared runtime, to its end.
    pub(crate) async fn run<T, F>(&self, use_case: impl FnOnce(App, Call) -> F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AppError>> + Send + 'static,
    {
        Ok(self
            .state
            .run(use_case(self.app().clone(), self.call.clone()))
            .await??)
    }

    /// The body, and the request without it.
    pub(crate) fn take_body(self) -> (B, Request<S, P, Q>) {
        let Self {
            state,
            call,
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
                scope,
                id,
                query: (),
                body,
            },
        )
    }
}
