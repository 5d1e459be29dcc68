//! OpenID AuthZEN Authorization API 1.0: evaluations. Its words for things of this service are in `canopy_app::authzen::terms`.

mod search;

use crate::answer::Judged;
use crate::error_code::ErrorCode as E;
use crate::input::Body;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{
    Components, Each, Fault, Faults, Json, JsonPointer, Text, WireText, WireValue, not_one_of, request_body, words,
};
use canopy_app::authzen::Entity;
use canopy_app::authzen::evaluate::{self, Evaluated, Evaluation, Evaluations};
use canopy_app::authzen::terms::{MAX_TERM_BYTES, Semantic, Verdict};
use canopy_app::session::AskedEnvironment;
use canopy_domain::Revision;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::sync::Arc;
use utoipa::openapi::schema::Object;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

const TAG: &str = "AuthZEN";

pub(super) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        Operation::post("/evaluation", "evaluateAccess")
            .summary(TAG, "Check whether a subject may perform an action on a resource now.")
            .on_authzen()
            .errors(&[E::EnvironmentNotFound])
            .handler(evaluate_one),
        Operation::post("/evaluations", "evaluateAccesses")
            .summary(
                TAG,
                "Evaluate several checks in order, at one instant and one revision: all of them, or up to the first deny or permit.",
            )
            .on_authzen()
            .errors(&[E::EnvironmentNotFound])
            .handler(evaluate_all),
    ];
    operations.extend(search::operations());
    operations
}

/// A type, a name or an action. A text longer than any valid term is read as an empty one, which is equally unknown.
#[derive(Debug, Clone)]
struct Term(Arc<str>);

impl WireText for Term {
    fn parse(text: &str) -> Result<Self, Fault> {
        let is_sane = text.len() <= MAX_TERM_BYTES;
        Ok(Self(if is_sane { text.into() } else { Arc::default() }))
    }

    fn describe() -> Object {
        Text::describe()
    }
}

request_body!(
    /// The subject: an identity.
    struct Subject {
        /// `user` or `identity`; no subject has another type.
        kind as "type": Term,
        /// The identity's id, its external id or its email address.
        id: Term,
    }
    ignores others
);

request_body!(
    /// The action.
    struct Action {
        /// The permission key, or its part after the resource's type and a dot.
        name: Term,
    }
    ignores others
);

request_body!(
    /// The resource: a node.
    struct Resource {
        /// The type of the node, or `node` for any.
        kind as "type": Term,
        /// The node's id, the slugs from the root to it separated by `/`, or its slug if no other node of the type has
        /// it.
        id: Term,
    }
    ignores others
);

request_body!(
    /// A check.
    struct AccessEvaluation {
        /// The subject.
        subject: Subject,
        /// The action.
        action: Action,
        /// The resource.
        resource: Resource,
    }
    ignores others
);

request_body!(
    /// A subject or resource, or a part of one.
    struct PartOfEntity {
        /// The type.
        kind as "type": Option<Term>,
        /// The name.
        id: Option<Term>,
    }
    ignores others
);

request_body!(
    /// An action, or an empty one.
    struct PartOfAction {
        /// The name.
        name: Option<Term>,
    }
    ignores others
);

request_body!(
    /// A check, or a part of one.
    struct PartOfEvaluation {
        /// The subject.
        subject: Option<PartOfEntity>,
        /// The action.
        action: Option<PartOfAction>,
        /// The resource.
        resource: Option<PartOfEntity>,
    }
    ignores others
);

request_body!(
    /// The options of the request.
    struct Options {
        /// Selects the checks that are answered: all, or those up to the first deny or permit.
        semantic as "evaluations_semantic": Semantic = Semantic::ExecuteAll,
    }
    ignores others
);

request_body!(
    /// Several checks, or one if there are no `evaluations`.
    struct AccessEvaluations {
        /// The default subject.
        subject: Option<PartOfEntity>,
        /// The default action.
        action: Option<PartOfAction>,
        /// The default resource.
        resource: Option<PartOfEntity>,
        /// The checks. A check that lacks a part is answered with `false`.
        evaluations: Option<Each<PartOfEvaluation>>,
        /// The options of the request.
        options: Option<Options>,
    }
    ignores others
);

impl WireText for Semantic {
    fn parse(text: &str) -> Result<Self, crate::wire::Fault> {
        Self::parse(text).ok_or_else(|| not_one_of(Self::ALL.iter().map(|one| one.as_str())))
    }

    fn describe() -> Object {
        words(Self::ALL.iter().map(|one| one.as_str()))
    }

    fn word(&self) -> Option<&'static str> {
        Some(self.as_str())
    }
}

fn entity(kind: Term, id: Term) -> Entity {
    Entity { kind: kind.0, id: id.0 }
}

impl From<AccessEvaluation> for Evaluation {
    fn from(body: AccessEvaluation) -> Self {
        Self {
            subject: entity(body.subject.kind, body.subject.id),
            action: body.action.name.0,
            resource: entity(body.resource.kind, body.resource.id),
        }
    }
}

/// The defaults of the checks of a request.
struct Defaults {
    subject: Option<PartOfEntity>,
    action: Option<PartOfAction>,
    resource: Option<PartOfEntity>,
}

impl Defaults {
    /// Returns the complete check, or the part that it lacks. Type and id default one by one; checks share the texts of
    /// the defaults.
    fn complete(&self, part: PartOfEvaluation) -> Result<Evaluation, Lack> {
        let action = part.action.and_then(|action| action.name);
        let default = || self.action.as_ref()?.name.clone();
        let action = action.or_else(default).ok_or("/action/name is required")?;
        let (type_of_subject, id_of_subject) = both(part.subject, self.subject.as_ref());
        let (type_of_resource, id_of_resource) = both(part.resource, self.resource.as_ref());
        Ok(Evaluation {
            subject: entity(
                type_of_subject.ok_or("/subject/type is required")?,
                id_of_subject.ok_or("/subject/id is required")?,
            ),
            action: action.0,
            resource: entity(
                type_of_resource.ok_or("/resource/type is required")?,
                id_of_resource.ok_or("/resource/id is required")?,
            ),
        })
    }
}

/// Returns type and id, as far as they are given.
fn both(part: Option<PartOfEntity>, default: Option<&PartOfEntity>) -> (Option<Term>, Option<Term>) {
    let (kind, id) = part.map_or((None, None), |part| (part.kind, part.id));
    (
        kind.or_else(|| default?.kind.clone()),
        id.or_else(|| default?.id.clone()),
    )
}

/// A text for people that names the part that a check lacks.
type Lack = Cow<'static, str>;

/// Several checks, or one.
#[derive(Debug)]
enum Asked {
    One(Evaluation),
    All {
        evaluations: Evaluations,
        /// The indexes of incomplete checks, with the part that each lacks.
        lacks: Vec<(usize, Lack)>,
        semantic: Semantic,
    },
}

impl WireValue for Asked {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let is_one = match json.given("evaluations") {
            None => true,
            Some(Json::Array(items)) => items.is_empty(),
            Some(_) => false,
        };
        if is_one {
            let body = AccessEvaluation::read(json, place, faults)?;
            return Some(Self::One(body.into()));
        }
        let body = AccessEvaluations::read(json, place, faults)?;
        let defaults = Defaults {
            subject: body.subject,
            action: body.action,
            resource: body.resource,
        };
        let semantic = body.options.map_or(Semantic::ExecuteAll, |options| options.semantic);
        let parts = body.evaluations.map(|each| each.0).unwrap_or_default();
        let mut evaluations = Evaluations::with_capacity(parts.len());
        let mut lacks = Vec::new();
        for (index, part) in parts.into_iter().enumerate() {
            let whole = part.map_err(Lack::from).and_then(|part| defaults.complete(part));
            evaluations.push(whole.map_err(|lack| lacks.push((index, lack))).ok());
        }
        Some(Self::All {
            evaluations,
            lacks,
            semantic,
        })
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        AccessEvaluations::schema(components)
    }
}

/// The wire form of a verdict.
struct Reason(Verdict);

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl PartialSchema for Reason {
    fn schema() -> RefOr<Schema> {
        words(Verdict::all().map(Verdict::as_str)).into()
    }
}

impl ToSchema for Reason {
    fn name() -> Cow<'static, str> {
        "AccessReason".into()
    }
}

/// An error of one check.
#[derive(Serialize, ToSchema)]
struct AccessError<'a> {
    /// The status with which the check alone would have been answered.
    status: u16,
    /// The message, for people.
    message: &'a str,
}

/// Details of a decision.
#[derive(Serialize, ToSchema)]
struct AccessContext<'a> {
    // The reason, for programs. Not a doc comment: beside an inlined schema, a description becomes another schema.
    #[schema(inline)]
    reason: Reason,
    /// The error of the check, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    error: Option<AccessError<'a>>,
}

/// A decision.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessDecision)]
struct DecisionBody<'a> {
    /// True if allowed.
    decision: bool,
    /// The reason.
    #[schema(inline)]
    context: AccessContext<'a>,
}

impl<'a> DecisionBody<'a> {
    fn new(verdict: Verdict, wrong: Option<&'a str>) -> Self {
        Self {
            decision: verdict.is_permitted(),
            context: AccessContext {
                reason: Reason(verdict),
                error: wrong.map(|message| AccessError { status: 400, message }),
            },
        }
    }
}

/// Decisions in the order of their checks; a single decision for a single check.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AccessDecisions)]
enum DecisionsBody<'a> {
    One(DecisionBody<'a>),
    All { evaluations: Vec<DecisionBody<'a>> },
}

async fn judge<B>(
    request: &Request<AskedEnvironment, (), (), B>,
    items: Evaluations,
    semantic: Semantic,
) -> Result<Evaluated, Problem> {
    let asking = evaluate::evaluate(request.app(), request.asker(&request.tenancy), items, semantic);
    request.ask_here(asking).await
}

async fn judge_one<B>(
    request: &Request<AskedEnvironment, (), (), B>,
    question: Evaluation,
) -> Result<(DecisionBody<'static>, Revision), Problem> {
    let items = Evaluations::from_iter([Some(question)]);
    let evaluated = judge(request, items, Semantic::ExecuteAll).await?;
    let verdict = evaluated.verdicts.first().copied();
    let verdict = verdict.ok_or_else(|| Problem::internal("a check has no decision"))?;
    Ok((DecisionBody::new(verdict, None), evaluated.revision))
}

async fn evaluate_one(
    request: Request<AskedEnvironment, (), (), Body<AccessEvaluation>>,
) -> Result<Judged<DecisionBody<'static>>, Problem> {
    let (Body(body), request) = request.take_body();
    let (body, revision) = judge_one(&request, body.into()).await?;
    Ok(Judged::new(&body, revision))
}

async fn evaluate_all(
    request: Request<AskedEnvironment, (), (), Body<Asked>>,
) -> Result<Judged<DecisionsBody<'static>>, Problem> {
    let (Body(asked), request) = request.take_body();
    let (evaluations, lacks, semantic) = match asked {
        Asked::One(question) => {
            let (body, revision) = judge_one(&request, question).await?;
            return Ok(Judged::new(&DecisionsBody::One(body), revision));
        }
        Asked::All {
            evaluations,
            lacks,
            semantic,
        } => (evaluations, lacks, semantic),
    };
    let evaluated = judge(&request, evaluations, semantic).await?;
    let mut lacks = lacks.iter().peekable();
    let show = |(index, verdict): (usize, &Verdict)| {
        let lack = lacks.next_if(|(place, _)| *place == index);
        DecisionBody::new(*verdict, lack.map(|(_, lack)| lack.as_ref()))
    };
    let evaluations = evaluated.verdicts.iter().enumerate().map(show).collect();
    let body = DecisionsBody::All { evaluations };
    Ok(Judged::new(&body, evaluated.revision))
}
