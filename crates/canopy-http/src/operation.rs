//! Operations: one entry for each call of the service. Routes, the OpenAPI document and its checks are made from them.

use crate::answer::{Answer, Success};
use crate::edge::refuse;
use crate::error_code::ErrorCode;
use crate::input::{BodyInput, PathInput};
use crate::problem::Problem;
use crate::request::Request;
use crate::scope::{Level, Scope};
use crate::state::HttpState;
use crate::wire::{Components, QueryInput};
use actix_web::http::Method;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use core::future::Future;
use core::pin::Pin;
use std::collections::BTreeSet;
use std::rc::Rc;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::Object;
use utoipa::openapi::{RefOr, Schema};

/// A future that stays on the worker that read the request.
type Answering = Pin<Box<dyn Future<Output = HttpResponse>>>;

/// What answers the requests of an operation.
pub(crate) type Handler = Rc<dyn Fn(HttpRequest, Payload, HttpState) -> Answering>;

/// What an operation takes and gives, read off the types of its handler.
pub(crate) struct Shape {
    /// Where its places lie.
    pub(crate) level: Level,
    /// The id in its path: name and schema.
    pub(crate) id: Option<(&'static str, Object)>,
    /// The parameters of its query.
    pub(crate) query: Vec<Parameter>,
    /// Whether it needs `If-Match`.
    pub(crate) versioned: bool,
    /// Whether it takes an `Idempotency-Key`.
    pub(crate) repeatable: bool,
    /// Whether its body has members that are refused as unsupported.
    pub(crate) unsupported: bool,
    /// The schema of its body.
    pub(crate) body: fn(&mut Components) -> Option<RefOr<Schema>>,
    /// What it answers when it did what was asked.
    pub(crate) answers: fn(&mut Components) -> Vec<Success>,
}

/// One call of the service.
pub(crate) struct Operation {
    /// Its unique name, for generated clients.
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    /// The path behind the place.
    pub(crate) tail: &'static str,
    /// The area it is shown under.
    pub(crate) tag: &'static str,
    /// What it does, in one sentence.
    pub(crate) summary: &'static str,
    /// The system permission that opens it to API keys, where it is served on the public surface too.
    pub(crate) key_scope: Option<&'static str>,
    /// The codes of its rules; those that follow from its shape are added by [`Operation::codes`].
    rules: Vec<ErrorCode>,
    /// The codes of single items in the answer to a bulk call.
    pub(crate) item_rules: BTreeSet<ErrorCode>,
    pub(crate) shape: Shape,
    pub(crate) handler: Handler,
}

/// Begins the entry of an operation.
pub(crate) struct Draft {
    name: &'static str,
    method: Method,
    tail: &'static str,
    tag: &'static str,
    summary: &'static str,
    key_scope: Option<&'static str>,
    rules: Vec<ErrorCode>,
    item_rules: BTreeSet<ErrorCode>,
}

macro_rules! methods {
    ($($name:ident = $method:ident),+) => {
        $(pub(crate) fn $name(tail: &'static str, name: &'static str) -> Draft {
            Draft {
                name,
                method: Method::$method,
                tail,
                tag: "",
                summary: "",
                key_scope: None,
                rules: Vec::new(),
                item_rules: BTreeSet::new(),
            }
        })+
    };
}

impl Operation {
    methods!(get = GET, post = POST, put = PUT, patch = PATCH, delete = DELETE);

    /// The whole path on the portal surface.
    pub(crate) fn path(&self) -> String {
        format!("{}{}", self.shape.level.prefix(), self.tail)
    }

    /// Every code that the operation can answer.
    pub(crate) fn codes(&self) -> BTreeSet<ErrorCode> {
        codes_of(&self.shape, self.has_body(), &self.rules)
    }

    fn has_body(&self) -> bool {
        (self.shape.body)(&mut Components::default()).is_some()
    }
}

fn codes_of(shape: &Shape, has_body: bool, rules: &[ErrorCode]) -> BTreeSet<ErrorCode> {
    use ErrorCode as E;
    let mut codes: BTreeSet<ErrorCode> = rules.iter().copied().collect();
    codes.extend([
        E::TwoCredentials,
        E::InvalidToken,
        E::TokenExpired,
        E::WrongPrincipalType,
        E::ValidationFailed,
        E::Internal,
        E::Busy,
        E::Unavailable,
    ]);
    let places = [E::AccountNotFound, E::ApplicationNotFound, E::EnvironmentNotFound];
    codes.extend(places.iter().take(shape.level.slugs().len()));
    if has_body {
        codes.extend([E::UnsupportedMediaType, E::TooLarge, E::Timeout, E::MalformedJson]);
    }
    if shape.unsupported {
        codes.insert(E::UnsupportedField);
    }
    if shape.repeatable {
        codes.extend([E::IdempotencyKeyReused, E::IdempotencyInProgress]);
    }
    if shape.versioned {
        codes.extend([E::IfMatchRequired, E::VersionMismatch]);
    }
    codes
}

impl Draft {
    /// The area it is shown under, and what it does.
    pub(crate) const fn says(mut self, tag: &'static str, summary: &'static str) -> Self {
        self.tag = tag;
        self.summary = summary;
        self
    }

    /// Serves it on the public surface too, to keys with this scope.
    pub(crate) const fn needs(mut self, key_scope: &'static str) -> Self {
        self.key_scope = Some(key_scope);
        self
    }

    /// The codes of its rules.
    pub(crate) fn fails(mut self, rules: &[ErrorCode]) -> Self {
        self.rules.extend(rules);
        self
    }

    /// The codes of single items of a bulk call, besides that of items that others kept from being stored.
    pub(crate) fn item_fails(mut self, rules: &[ErrorCode]) -> Self {
        self.item_rules.extend(rules);
        self.item_rules.insert(ErrorCode::RolledBack);
        self
    }

    /// Ends the entry with the handler, whose types say what it takes and gives.
    pub(crate) fn by<S, P, Q, B, A, F>(self, handler: impl Fn(Request<S, P, Q, B>) -> F + Copy + 'static) -> Operation
    where
        S: Scope,
        P: PathInput + 'static,
        Q: QueryInput + 'static,
        B: BodyInput + 'static,
        A: Answer + 'static,
        F: Future<Output = Result<A, Problem>> + 'static,
    {
        let shape = Shape {
            level: S::LEVEL,
            id: P::NAME.zip(P::schema()),
            query: Q::parameters(),
            versioned: B::VERSIONED,
            repeatable: A::REPEATABLE,
            unsupported: B::UNSUPPORTED,
            body: B::schema,
            answers: A::describe,
        };
        let known: Rc<BTreeSet<ErrorCode>> = Rc::new(codes_of(&shape, B::HAS_BODY, &self.rules));
        let known_items = Rc::new(self.item_rules.clone());
        let name = self.name;
        let answer = move |http: HttpRequest, payload: Payload, state: HttpState| -> Answering {
            let (known, known_items) = (Rc::clone(&known), Rc::clone(&known_items));
            Box::pin(async move {
                let answered = match Request::receive(&http, payload, &state, A::REPEATABLE).await {
                    Ok(request) => handler(request).await,
                    Err(problem) => Err(problem),
                };
                match answered {
                    Ok(answer) => {
                        debug_assert!(
                            answer.item_codes().is_subset(&known_items),
                            "{name} does not document all of {:?}",
                            answer.item_codes()
                        );
                        answer.respond(http.path())
                    }
                    Err(problem) => {
                        debug_assert!(
                            known.contains(&problem.code),
                            "{name} does not document {:?}",
                            problem.code
                        );
                        refuse(problem, &http, &state)
                    }
                }
            })
        };
        Operation {
            name: self.name,
            method: self.method,
            tail: self.tail,
            tag: self.tag,
            summary: self.summary,
            key_scope: self.key_scope,
            rules: self.rules,
            item_rules: self.item_rules,
            shape,
            handler: Rc::new(answer),
        }
    }
}
