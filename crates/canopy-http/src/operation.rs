//! Operations: one entry for each call of the service. Routes, the OpenAPI document and its checks are built from them.

use crate::answer::{Answer, Success};
use crate::attempt::Attempt;
use crate::edge::refuse;
use crate::error_code::ErrorCode;
use crate::handler::{Answering, Handler};
use crate::incoming::Incoming;
use crate::input::{BodyInput, PathInput};
use crate::problem::Problem;
use crate::request::{Request, Served};
use crate::state::HttpState;
use crate::surface::Surface;
use crate::wire::{Components, QueryInput};
use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::Method;
use canopy_app::Write;
use canopy_app::session::{ByCredential, ByPath, FromCredential, FromPath, Locate, Requires, Tenancy};
use canopy_domain::api_key::AreaScope;
use canopy_domain::port::Share;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::collections::BTreeSet;
use std::rc::Rc;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::Object;
use utoipa::openapi::{RefOr, Required, Schema};

/// The inputs and outputs of an operation, derived from the types of its handler.
pub(crate) struct Shape {
    /// The ids in its path: names and schemas.
    pub(crate) ids: Vec<(&'static str, Object)>,
    /// The parameters of its query.
    pub(crate) query: Vec<Parameter>,
    /// Its use of `If-Match`.
    pub(crate) precondition: Precondition,
    /// True if it accepts an `Idempotency-Key`.
    pub(crate) repeatable: bool,
    /// True if its body has members that are refused as unsupported.
    pub(crate) unsupported: bool,
    /// The requirement of its body.
    pub(crate) body_required: Required,
    /// The schema of its body.
    pub(crate) body: fn(&mut Components) -> Option<RefOr<Schema>>,
    /// Its successful responses.
    pub(crate) answers: fn(&mut Components) -> Vec<Success>,
}

/// The use of `If-Match` by an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precondition {
    Ignored,
    /// Checked if it is sent.
    Optional,
    Required,
}

/// One call of the service.
pub(crate) struct Operation {
    /// Its unique name, for generated clients.
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    /// Its tag in the document.
    pub(crate) tag: &'static str,
    /// Its summary, in one sentence.
    pub(crate) summary: &'static str,
    /// The codes of single items in the response to a bulk call.
    pub(crate) item_rules: BTreeSet<ErrorCode>,
    pub(crate) shape: Shape,
    /// Its surfaces; at least one.
    pub(crate) mounts: Vec<Mount>,
}

/// An operation on one surface.
pub(crate) struct Mount {
    /// The name of the operation.
    pub(crate) operation: &'static str,
    pub(crate) surface: Surface,
    /// The path behind the tenancy.
    pub(crate) tail: &'static str,
    /// The key scope that it requires.
    pub(crate) requires: Requires,
    /// Every code that it can return here.
    pub(crate) codes: Rc<BTreeSet<ErrorCode>>,
    pub(crate) handler: Handler,
}

impl Mount {
    /// Returns the whole path.
    pub(crate) fn path(&self) -> String {
        format!("{}{}", self.surface.prefix(), self.tail)
    }
}

/// Serves an operation on the portal surface only.
pub(crate) struct OnPortal;

/// Serves an operation on both surfaces, with one handler.
pub(crate) struct OnBoth {
    requires: Requires,
    public_tail: &'static str,
}

/// Serves an operation on one surface only, where the credential names the tenancy.
pub(crate) struct ByCredentialAlone {
    surface: Surface,
    requires: Requires,
}

/// The entry of an operation before its handler is set. `M` selects its surfaces.
pub(crate) struct Draft<M> {
    name: &'static str,
    method: Method,
    tail: &'static str,
    tag: &'static str,
    summary: &'static str,
    /// The codes of its rules. [`codes_of`] adds those that follow from its shape.
    rules: Vec<ErrorCode>,
    item_rules: BTreeSet<ErrorCode>,
    conditional: bool,
    /// True if it only reads, so that its work is cancelled once the caller has hung up.
    is_question: bool,
    mounted: M,
}

macro_rules! methods {
    ($($name:ident = $method:ident),+) => {
        $(pub(crate) fn $name(tail: &'static str, name: &'static str) -> Draft<OnPortal> {
            Draft {
                name,
                method: Method::$method,
                tail,
                tag: "",
                summary: "",
                rules: Vec::new(),
                item_rules: BTreeSet::new(),
                conditional: false,
                is_question: false,
                mounted: OnPortal,
            }
        })+
    };
}

impl Operation {
    methods!(get = GET, post = POST, put = PUT, patch = PATCH, delete = DELETE);
}

fn codes_of(
    surface: Surface,
    requires: Requires,
    shape: &Shape,
    has_body: bool,
    rules: &[ErrorCode],
) -> BTreeSet<ErrorCode> {
    use ErrorCode as E;
    let mut codes: BTreeSet<ErrorCode> = rules.iter().copied().collect();
    codes.extend([
        E::TwoCredentials,
        E::InvalidToken,
        E::TokenExpired,
        E::WrongPrincipalType,
        E::ValidationFailed,
        E::RateLimited,
        E::AnswerTooLarge,
        E::Internal,
        E::Busy,
        E::Unavailable,
    ]);
    let places = [E::AccountNotFound, E::ApplicationNotFound, E::EnvironmentNotFound];
    codes.extend(places.iter().take(surface.slugs().len()));
    if surface.takes_keys() {
        codes.insert(E::InvalidApiKey);
        if requires != Requires::NoScope {
            codes.insert(E::ScopeMissing);
        }
    }
    if surface.takes_keys() || surface.slugs().len() == 3 {
        codes.insert(E::IndexTooLarge);
    }
    if has_body {
        codes.extend([E::TooLarge, E::Timeout, E::MalformedJson]);
        if surface != Surface::AuthZen {
            codes.insert(E::UnsupportedMediaType);
        }
    }
    if shape.unsupported {
        codes.insert(E::UnsupportedField);
    }
    if shape.repeatable {
        codes.extend([
            E::IdempotencyKeyReused,
            E::IdempotencyInProgress,
            E::KeptAnswersFull,
            E::IndexFull,
        ]);
    }
    match shape.precondition {
        Precondition::Ignored => {}
        Precondition::Optional => {
            codes.insert(E::VersionMismatch);
        }
        Precondition::Required => codes.extend([E::IfMatchRequired, E::VersionMismatch]),
    }
    codes
}

impl<M> Draft<M> {
    /// Sets its tag and its summary.
    pub(crate) const fn summary(mut self, tag: &'static str, summary: &'static str) -> Self {
        self.tag = tag;
        self.summary = summary;
        self
    }

    /// Sets the codes of its rules.
    pub(crate) fn errors(mut self, rules: &[ErrorCode]) -> Self {
        self.rules.extend(rules);
        self
    }

    /// Checks `If-Match` if it is sent: the call changes a versioned resource but does not require it.
    pub(crate) const fn judges_version(mut self) -> Self {
        self.conditional = true;
        self
    }

    /// Sets the codes of single items of a bulk call. The code of items that failed because of others is added.
    pub(crate) fn item_errors(mut self, rules: &[ErrorCode]) -> Self {
        self.item_rules.extend(rules);
        self.item_rules.insert(ErrorCode::RolledBack);
        self
    }

    fn mounted<N>(self, mounted: N) -> Draft<N> {
        Draft {
            name: self.name,
            method: self.method,
            tail: self.tail,
            tag: self.tag,
            summary: self.summary,
            rules: self.rules,
            item_rules: self.item_rules,
            conditional: self.conditional,
            is_question: self.is_question,
            mounted,
        }
    }

    /// Serves the operation at one place of one surface, which locates places by `L`.
    fn mount<L, S, P, Q, B, A, F>(
        &self,
        (surface, tail, requires): (Surface, &'static str, Requires),
        handler: impl Fn(Request<S, P, Q, B>) -> F + Copy + 'static,
    ) -> Mount
    where
        L: Locate<S>,
        S: Tenancy,
        P: PathInput + 'static,
        Q: QueryInput + 'static,
        B: BodyInput + 'static,
        A: Answer + 'static,
        F: Future<Output = Result<A, Problem>> + 'static,
    {
        let shape = shape::<P, Q, B, A>(self.conditional);
        let (conditional, is_question) = (self.conditional, self.is_question);
        let codes = Rc::new(codes_of(surface, requires, &shape, B::HAS_BODY, &self.rules));
        let known = Rc::clone(&codes);
        let known_items = Rc::new(self.item_rules.clone());
        let name = self.name;
        let handler = borrowing(move |incoming, payload, state| {
            let (known, known_items) = (Rc::clone(&known), Rc::clone(&known_items));
            Box::pin(async move {
                let mut caller = None;
                let served = Served {
                    surface,
                    requires,
                    repeatable: A::REPEATABLE,
                    conditional,
                };
                let received = Request::receive::<L>(incoming, payload, state, served, &mut caller).await;
                let (answered, tenant) = match received {
                    Ok(request) => {
                        let tenant = request.tenancy.share();
                        let answering = handler(request);
                        let answered = if is_question {
                            match unless_hung_up(incoming, answering).await {
                                Some(answered) => answered,
                                None => return refuse(hung_up(), incoming, state),
                            }
                        } else {
                            answering.await
                        };
                        (answered, tenant)
                    }
                    Err(problem) => (Err(problem), Share::Installation),
                };
                match answered {
                    Ok(answer) => {
                        debug_assert!(
                            answer.item_codes().is_subset(&known_items),
                            "{name} does not document all of {:?}",
                            answer.item_codes()
                        );
                        match sent(answer, incoming, state, tenant).await {
                            Ok(response) => response,
                            Err(problem) => refuse(problem, incoming, state),
                        }
                    }
                    Err(problem) => {
                        debug_assert!(
                            known.contains(&problem.code),
                            "{name} does not document {:?}",
                            problem.code
                        );
                        let attempt = Attempt {
                            caller: caller.as_ref(),
                            operation: name,
                        };
                        refuse(attempt.refused(problem, incoming, state), incoming, state)
                    }
                }
            })
        });
        Mount {
            operation: name,
            surface,
            tail,
            requires,
            codes,
            handler,
        }
    }

    fn served(self, shape: Shape, mounts: Vec<Mount>) -> Operation {
        Operation {
            name: self.name,
            method: self.method,
            tag: self.tag,
            summary: self.summary,
            item_rules: self.item_rules,
            shape,
            mounts,
        }
    }
}

fn hung_up() -> Problem {
    Problem::new(
        ErrorCode::Timeout,
        "the connection was closed before the answer was ready",
    )
}

/// Waits for a response. Returns `None` and cancels the work once the caller has closed the connection.
async fn unless_hung_up<T>(incoming: &Incoming, answering: impl Future<Output = T>) -> Option<T> {
    let mut answering = pin!(answering);
    // The end of the connection wakes the task that reads it, which is this one.
    poll_fn(|context| {
        if let Poll::Ready(answered) = answering.as_mut().poll(context) {
            return Poll::Ready(Some(answered));
        }
        match incoming.connection() {
            Some(connection) if connection.has_hung_up() => Poll::Ready(None),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Renders a response, on a thread for long work if it is large. Only responses of calls that change nothing are
/// bounded: a change is not undone because its response is large.
async fn sent<A: Answer + 'static>(
    answer: A,
    incoming: &Incoming,
    state: &HttpState,
    share: Share,
) -> Result<HttpResponse, Problem> {
    /// Rendering this many bytes takes about a quarter of a millisecond.
    const SMALL: usize = 128 * 1024;
    let max_bytes = if A::REPEATABLE {
        usize::MAX
    } else {
        state.max_answer_bytes()
    };
    let path = incoming.http.path();
    let rendered = if answer.weight() <= SMALL {
        answer.render(path, max_bytes)
    } else {
        let path = path.to_owned();
        let work = state
            .app()
            .long_work()
            .perform(share, move |_| Ok(answer.render(&path, max_bytes)));
        state.run_here(work).await?
    };
    rendered?.into_response(state.in_flight(), share)
}

/// Helps the compiler to see that the response borrows from the request.
fn borrowing(answer: impl for<'r> Fn(&'r Incoming, Payload, &'r HttpState) -> Answering<'r> + 'static) -> Handler {
    Rc::new(answer)
}

fn shape<P: PathInput, Q: QueryInput, B: BodyInput, A: Answer>(conditional: bool) -> Shape {
    Shape {
        ids: P::parameters(),
        query: Q::parameters(),
        precondition: match (B::VERSIONED, conditional) {
            (true, _) => Precondition::Required,
            (false, true) => Precondition::Optional,
            (false, false) => Precondition::Ignored,
        },
        repeatable: A::REPEATABLE,
        unsupported: B::UNSUPPORTED,
        body_required: if B::OPTIONAL { Required::False } else { Required::True },
        body: B::schema,
        answers: A::describe,
    }
}

impl Draft<OnPortal> {
    /// Serves it on the public surface too, with the same handler, for admins and for keys whose scopes open this area.
    pub(crate) fn requires(self, key_scope: &'static str) -> Draft<OnBoth> {
        let area = AreaScope::parse(key_scope);
        debug_assert!(area.is_some(), "{key_scope} is no system permission");
        let public_tail = self.tail;
        self.mounted(OnBoth {
            // An unknown scope would be one that no key has.
            requires: area.map_or(Requires::UnknownScope, Requires::Area),
            public_tail,
        })
    }

    /// Like [`requires`](Self::requires), with the requirement of the write that the handler executes.
    pub(crate) fn writes<W: Write>(self) -> Draft<OnBoth> {
        let public_tail = self.tail;
        self.mounted(OnBoth {
            requires: W::REQUIRES.map_or(Requires::UnknownScope, Requires::Area),
            public_tail,
        })
    }

    /// Serves it on the public surface too, with the same handler, for admins and for keys with a scope that allows
    /// checks.
    pub(crate) fn requires_check(mut self) -> Draft<OnBoth> {
        self.is_question = true;
        let public_tail = self.tail;
        self.mounted(OnBoth {
            requires: Requires::Checks,
            public_tail,
        })
    }

    /// Serves it on the public surface instead, for end users.
    pub(crate) fn for_identities(self) -> Draft<ByCredentialAlone> {
        self.mounted(ByCredentialAlone {
            surface: Surface::Public,
            requires: Requires::NoScope,
        })
    }

    /// Serves it on the AuthZEN surface instead, for admins and for keys with a scope that allows checks.
    pub(crate) fn on_authzen(mut self) -> Draft<ByCredentialAlone> {
        self.is_question = true;
        self.mounted(ByCredentialAlone {
            surface: Surface::AuthZen,
            requires: Requires::Checks,
        })
    }

    /// Completes the entry with the handler, whose types declare its inputs and outputs.
    pub(crate) fn handler<S, P, Q, B, A, F>(
        self,
        handler: impl Fn(Request<S, P, Q, B>) -> F + Copy + 'static,
    ) -> Operation
    where
        S: FromPath,
        P: PathInput + 'static,
        Q: QueryInput + 'static,
        B: BodyInput + 'static,
        A: Answer + 'static,
        F: Future<Output = Result<A, Problem>> + 'static,
    {
        let portal = (Surface::Portal(S::LEVEL), self.tail, Requires::NoScope);
        let shape = shape::<P, Q, B, A>(self.conditional);
        let mounts = vec![self.mount::<ByPath, S, P, Q, B, A, F>(portal, handler)];
        self.served(shape, mounts)
    }
}

impl Draft<OnBoth> {
    /// Sets the path on the public surface, where it differs.
    pub(crate) const fn publicly_at(mut self, tail: &'static str) -> Self {
        self.mounted.public_tail = tail;
        self
    }

    /// Completes the entry with the handler, whose types declare its inputs and outputs.
    pub(crate) fn handler<S, P, Q, B, A, F>(
        self,
        handler: impl Fn(Request<S, P, Q, B>) -> F + Copy + 'static,
    ) -> Operation
    where
        S: FromPath + FromCredential,
        P: PathInput + 'static,
        Q: QueryInput + 'static,
        B: BodyInput + 'static,
        A: Answer + 'static,
        F: Future<Output = Result<A, Problem>> + 'static,
    {
        let portal = (Surface::Portal(S::LEVEL), self.tail, Requires::NoScope);
        let public = (Surface::Public, self.mounted.public_tail, self.mounted.requires);
        let shape = shape::<P, Q, B, A>(self.conditional);
        let mounts = vec![
            self.mount::<ByPath, S, P, Q, B, A, F>(portal, handler),
            self.mount::<ByCredential, S, P, Q, B, A, F>(public, handler),
        ];
        self.served(shape, mounts)
    }
}

impl Draft<ByCredentialAlone> {
    /// Completes the entry with the handler, whose types declare its inputs and outputs.
    pub(crate) fn handler<S, P, Q, B, A, F>(
        self,
        handler: impl Fn(Request<S, P, Q, B>) -> F + Copy + 'static,
    ) -> Operation
    where
        S: FromCredential,
        P: PathInput + 'static,
        Q: QueryInput + 'static,
        B: BodyInput + 'static,
        A: Answer + 'static,
        F: Future<Output = Result<A, Problem>> + 'static,
    {
        let at = (self.mounted.surface, self.tail, self.mounted.requires);
        let shape = shape::<P, Q, B, A>(self.conditional);
        let mounts = vec![self.mount::<ByCredential, S, P, Q, B, A, F>(at, handler)];
        self.served(shape, mounts)
    }
}
