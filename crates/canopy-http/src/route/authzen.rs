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
            .summary(TAG, "May this subject do this with this resource, now?")
            .on_authzen()
            .errors(&[E::EnvironmentNotFound])
            .handler(evaluate_one),
        Operation::post("/evaluations", "evaluateAccesses")
            .summary(
                TAG,
                "Answer several questions at one instant and one revision, in their order: all of them, or up to the first no or yes.",
            )
            .on_authzen()
            .errors(&[E::EnvironmentNotFound])
            .handler(evaluate_all),
    ];
    operations.extend(search::operations());
    operations
}

/// A type, a name or an action. One that is longer than any that means something is read as an empty one, which means nothing
/// either.
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
        /// `user` or `identity`; nobody is of another type.
        kind as "type": Term,
        /// The identity's id, its external id or its mail address.
        id: Term,
    }
    ignores others
);

request_body!(
    /// The action.
    struct Action {
        /// The key of a permission, or what stands in it behind the resource's type and a dot.
        name: Term,
    }
    ignores others
);

request_body!(
    /// With what: a node.
    struct Resource {
        /// The type of the node, or `node` for any.
        kind as "type": Term,
        /// The node's id, the slugs on the way to it from the root with `/` between them, or its slug where no other of the type
        /// has it.
        id: Term,
    }
    ignores others
);

request_body!(
    /// A question.
    struct AccessEvaluation {
        /// The identity.
        subject: Subject,
        /// Does what.
        action: Action,
        /// With what.
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
    /// An action, or none.
    struct PartOfAction {
        /// The name.
        name: Option<Term>,
    }
    ignores others
);

request_body!(
    /// A question, or a part of one.
    struct PartOfEvaluation {
        /// The identity.
        subject: Option<PartOfEntity>,
        /// Does what.
        action: Option<PartOfAction>,
        /// With what.
        resource: Option<PartOfEntity>,
    }
    ignores others
);

request_body!(
    /// The options.
    struct Options {
        /// Which of the questions are answered.
        semantic as "evaluations_semantic": Semantic = Semantic::ExecuteAll,
    }
    ignores others
);

request_body!(
    /// Several questions, or one where there are no `evaluations`.
    struct AccessEvaluations {
        /// The default subject of each question.
        subject: Option<PartOfEntity>,
        /// Does what, in each question that does not say so itself.
        action: Option<PartOfAction>,
        /// With what, in each question that does not say so itself.
        resource: Option<PartOfEntity>,
        /// The questions. One that lacks something is answered with no.
        evaluations: Option<Each<PartOfEvaluation>>,
        /// The options.
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

/// The defaults of the questions of a request.
struct Defaults {
    subject: Option<PartOfEntity>,
    action: Option<PartOfAction>,
    resource: Option<PartOfEntity>,
}

impl Defaults {
    /// The whole question, or what it lacks. Type and id are taken one by one; questions share the texts of the defaults.
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

/// Type and id, as far as they are given.
fn both(part: Option<PartOfEntity>, default: Option<&PartOfEntity>) -> (Option<Term>, Option<Term>) {
    let (kind, id) = part.map_or((None, None), |part| (part.kind, part.id));
    (
        kind.or_else(|| default?.kind.clone()),
        id.or_else(|| default?.id.clone()),
    )
}

/// A text for people that names the part that a question lacks.
type Lack = Cow<'static, str>;

/// Several questions, or one.
#[derive(Debug)]
enum Asked {
    One(Evaluation),
    All {
        evaluations: Evaluations,
        /// The places of those that lack something, with what that is.
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

/// The word for a verdict.
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

/// An error of a question.
#[derive(Serialize, ToSchema)]
struct AccessError<'a> {
    /// The status that the question alone would have been answered with.
    status: u16,
    /// The message, for people.
    message: &'a str,
}

/// More about a decision.
#[derive(Serialize, ToSchema)]
struct AccessContext<'a> {
    // The reason, for programs. Said here and not in the document: beside an inlined schema, a description becomes another.
    #[schema(inline)]
    reason: Reason,
    /// The error of the question, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    error: Option<AccessError<'a>>,
}

/// A decision.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessDecision)]
struct DecisionBody<'a> {
    /// Yes or no.
    decision: bool,
    /// Why.
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

/// Decisions in the order of their questions; one alone where it was asked alone.
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
    let verdict = verdict.ok_or_else(|| Problem::internal("a question was not answered"))?;
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
