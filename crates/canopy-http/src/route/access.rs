//! Questions: may this identity do this there?

use crate::answer::Judged;
use crate::input::Body;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{
    Components, Fault, Faults, Json, Name, Place, ShownReason, WireText, WireValue, not_one_of, request_body, words,
};
use canopy_app::access::evaluate::{self, Evaluation};
use canopy_app::decisions::Consistency;
use canopy_domain::access::{Question, Scope};
use canopy_domain::{EnvironmentPlace, IdentityId, NodeId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/permissions/evaluate", "evaluate")
            .says(
                "Evaluation",
                "May this identity do this there, now or at another instant?",
            )
            .needs("access.evaluate")
            .by(evaluate),
    ]
}

/// An answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Decision)]
struct DecisionBody<'a> {
    allowed: bool,
    /// The permission that was asked about.
    permission: &'a str,
    #[schema(inline)]
    scope_evaluated: ScopeWord,
    /// The node that was asked about; null for `app_wide`.
    effective_node_id: Option<Uuid>,
    /// The names of all roles that grant it, sorted.
    #[schema(value_type = Vec<String>)]
    granting_roles: Vec<&'a str>,
    /// The first reason that applies; null when allowed.
    denial_reason: Option<ShownReason>,
}

/// Where access is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ScopeWord {
    /// At one node: assignments at it and at all nodes above count.
    Node,
    /// At any active node of the environment.
    AppWide,
}

macro_rules! local_words {
    ($type:ident { $($variant:ident = $word:literal),+ }) => {
        impl WireText for $type {
            fn parse(text: &str) -> Result<Self, Fault> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(not_one_of([$($word),+].into_iter())),
                }
            }

            fn describe() -> Object {
                words([$($word),+].into_iter())
            }

            fn word(&self) -> Option<&'static str> {
                Some(match self {
                    $(Self::$variant => $word,)+
                })
            }
        }
    };
}

local_words!(ScopeWord { Node = "node", AppWide = "app_wide" });
local_words!(Consistency { Strong = "strong", Eventual = "eventual" });

request_body!(
    /// A question.
    struct Evaluate {
        /// Who would do it.
        identity_id: IdentityId,
        /// The key of the permission.
        permission: Name,
        /// Where.
        scope: ScopeWord,
        /// The node; needed for the scope `node`, forbidden for `app_wide`.
        node_id: Option<NodeId>,
        /// The instant at which windows are judged; now where it is not given.
        at: Option<Timestamp>,
        /// Whether the answer must see every write that was answered before.
        consistency: Consistency = Consistency::Strong,
    }
);

/// A question whose members fit together.
#[derive(Debug)]
struct Asked {
    identity: IdentityId,
    permission: String,
    scope: Scope,
    at: Option<Timestamp>,
    consistency: Consistency,
}

impl WireValue for Asked {
    fn read(json: &Json<'_>, place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        let body = Evaluate::read(json, place, faults);
        // Whether the two fit together is judged as they were sent, so also where another member is bad.
        let word = match json.given("scope") {
            Some(Json::String(word)) => ScopeWord::parse(word).ok(),
            _ => None,
        };
        let misfit = match (word, json.given("node_id")) {
            (Some(ScopeWord::Node), None) => Some(Fault::new("required", "is required with the scope `node`")),
            (Some(ScopeWord::AppWide), Some(_)) => {
                Some(Fault::new("not_allowed", "is not allowed with the scope `app_wide`"))
            }
            _ => None,
        };
        if let Some(fault) = misfit {
            faults.add(&Place::Member(place, "node_id"), fault);
        }
        let body = body?;
        let scope = match (body.scope, body.node_id) {
            (ScopeWord::Node, Some(node)) => Some(Scope::Node(node)),
            (ScopeWord::AppWide, None) => Some(Scope::AppWide),
            _ => None,
        };
        Some(Self {
            identity: body.identity_id,
            permission: body.permission.0,
            scope: scope?,
            at: body.at,
            consistency: body.consistency,
        })
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        Evaluate::schema(components)
    }
}

impl Asked {
    fn question(&self) -> Question<'_> {
        Question {
            identity: self.identity,
            permission: &self.permission,
            scope: self.scope,
        }
    }
}

type Answered = Judged<DecisionBody<'static>>;

fn show(asked: &Asked, evaluation: &Evaluation<'_>) -> Answered {
    let (scope_evaluated, node) = match asked.scope {
        Scope::Node(node) => (ScopeWord::Node, Some(node)),
        Scope::AppWide => (ScopeWord::AppWide, None),
    };
    let body = DecisionBody {
        allowed: evaluation.decision.is_allowed(),
        permission: &asked.permission,
        scope_evaluated,
        effective_node_id: node.map(|node| node.as_uuid()),
        granting_roles: evaluation.granting_roles.iter().map(|name| name.as_str()).collect(),
        denial_reason: evaluation.decision.denial_reason().map(ShownReason),
    };
    Judged::new(&body, evaluation.revision)
}

async fn evaluate(request: Request<EnvironmentPlace, (), (), Body<Asked>>) -> Result<Answered, Problem> {
    let environment = request.scope.environment;
    let (Body(asked), request) = request.take_body();
    let (question, at, consistency) = (asked.question(), asked.at, asked.consistency);
    let at_once = evaluate::at_once(request.app(), environment, &question, at, consistency, |found| {
        show(&asked, found)
    });
    if let Some(answer) = at_once {
        return Ok(answer);
    }
    let waiting = request.run(move |app, _| async move {
        let (question, at, consistency) = (asked.question(), asked.at, asked.consistency);
        evaluate::run(&app, environment, &question, at, consistency, |found| {
            show(&asked, found)
        })
        .await
    });
    waiting.await
}
