//! Checks: may this identity do this at this target?

pub(super) mod decision;
mod explanation;
mod reverse;

use crate::answer::Judged;
use crate::error_code::ErrorCode as E;
use crate::input::Body;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Batch, Components, Faults, Json, JsonPointer, Text, WireValue, request_body, request_query};
use canopy_app::access::{OwnedQuestion, effective, evaluate, evaluate_many, explain};
use canopy_app::decisions::Consistency;
use canopy_app::session::AskedEnvironment;
use canopy_domain::access::Target;
use canopy_domain::{IdentityId, NodeId, Timestamp};
use decision::{AllDecisions, DecisionBody, KeysBody, ScopeWord, note_misfit, target_of};
use explanation::ExplanationBody;
use utoipa::openapi::{RefOr, Schema};

const TAG: &str = "Evaluation";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/permissions/evaluate", "evaluate")
            .summary(TAG, "Check whether an identity has a permission at a target, now or at another instant.")
            .requires_check()
            .errors(&[E::EnvironmentNotFound])
            .handler(evaluate),
        Operation::post("/permissions/evaluate/bulk", "evaluateMany")
            .summary(TAG, "Evaluate many checks in order, at one instant and one revision.")
            .requires_check()
            .errors(&[E::EnvironmentNotFound, E::AnswerTooLarge])
            .handler(evaluate_many),
        Operation::post("/permissions/explain", "explain")
            .summary(
                TAG,
                "Explain a check: list the assignments that grant it, and the near misses with their reasons; at most 1,000 of each, by id.",
            )
            .requires_check()
            .errors(&[E::EnvironmentNotFound])
            .handler(explain),
        Operation::get("/identities/{identityId}/permissions", "listIdentityPermissions")
            .summary(
                TAG,
                "List the effective permissions of an identity at a node, or at any active node; an empty list for unknown ids.",
            )
            .requires("access.evaluate")
            .errors(&[E::EnvironmentNotFound])
            .handler(list_held),
        Operation::get("/identities/{identityId}/nodes", reverse::NODES)
            .summary(
                TAG,
                "List the nodes at which an identity has a permission, by id; an empty list for unknown ids or keys.",
            )
            .requires_check()
            .errors(&[E::EnvironmentNotFound])
            .handler(reverse::list_nodes),
        Operation::get("/nodes/{nodeId}/who-can", reverse::WHO_CAN)
            .summary(
                TAG,
                "List the identities that have a permission at a node, by id; an empty list for unknown ids or keys.",
            )
            .requires_check()
            .errors(&[E::EnvironmentNotFound])
            .handler(reverse::list_holders),
    ]
}

request_body!(
    /// A check.
    struct Evaluate {
        /// The identity.
        identity_id: IdentityId,
        /// The key of the permission.
        permission: Text,
        /// The scope of the check.
        scope: ScopeWord,
        /// The node; required for the scope `node`, forbidden for `app_wide`.
        node_id: Option<NodeId>,
        /// The instant at which windows are evaluated. Default: now.
        at: Option<Timestamp>,
        /// The consistency: `strong` sees every write that was acknowledged before.
        consistency: Consistency = Consistency::Strong,
    }
);

request_body!(
    /// An item of a bulk check.
    struct EvaluateItem {
        /// The identity.
        identity_id: IdentityId,
        /// The key of the permission.
        permission: Text,
        /// The scope of the check.
        scope: ScopeWord,
        /// The node; required for the scope `node`, forbidden for `app_wide`.
        node_id: Option<NodeId>,
    }
);

request_body!(
    /// Several checks.
    struct EvaluateMany {
        /// The checks.
        evaluations: Batch<AskedItem>,
        /// The instant at which windows are evaluated. Default: now.
        at: Option<Timestamp>,
        /// The consistency: `strong` sees every write that was acknowledged before.
        consistency: Consistency = Consistency::Strong,
    }
);

request_query!(
    /// The node for which permissions are listed.
    pub(super) struct ListHeld {
        /// The node. Default: any active node.
        node_id: Option<NodeId>,
    }
);

/// A check whose members are consistent.
#[derive(Debug)]
struct AskedItem(OwnedQuestion);

/// A check with its instant and consistency.
#[derive(Debug)]
pub(super) struct Asked {
    item: OwnedQuestion,
    at: Option<Timestamp>,
    consistency: Consistency,
}

impl WireValue for AskedItem {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let body = EvaluateItem::read(json, place, faults);
        note_misfit(json, place, faults);
        let body = body?;
        Some(Self(OwnedQuestion {
            identity: body.identity_id,
            target: target_of(body.scope, body.node_id)?,
            permission: body.permission.0,
        }))
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        EvaluateItem::schema(components)
    }
}

impl WireValue for Asked {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let body = Evaluate::read(json, place, faults);
        note_misfit(json, place, faults);
        let body = body?;
        let target = target_of(body.scope, body.node_id)?;
        Some(Self::new(body.identity_id, body.permission.0, target).on(body.at, body.consistency))
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        Evaluate::schema(components)
    }
}

impl Asked {
    /// Creates a check at the current instant.
    pub(super) const fn new(identity: IdentityId, permission: String, target: Target) -> Self {
        Self {
            item: OwnedQuestion {
                identity,
                permission,
                target,
            },
            at: None,
            consistency: Consistency::Strong,
        }
    }

    /// Returns the check with this instant and consistency.
    pub(super) const fn on(mut self, at: Option<Timestamp>, consistency: Consistency) -> Self {
        self.at = at;
        self.consistency = consistency;
        self
    }
}

async fn evaluate(
    request: Request<AskedEnvironment, (), (), Body<Asked>>,
) -> Result<Judged<DecisionBody<'static>>, Problem> {
    answer(&request, &request.tenancy, &request.body.0).await
}

/// Answers a check in an environment.
pub(super) async fn answer<S, P, Q, B>(
    request: &Request<S, P, Q, B>,
    environment: &AskedEnvironment,
    asked: &Asked,
) -> Result<Judged<DecisionBody<'static>>, Problem> {
    let (who, question) = (request.asker(environment), asked.item.as_question());
    let show = |found: &evaluate::Evaluation<'_>| {
        let body = DecisionBody::new(&question, found.decision, &found.granting_roles);
        Judged::new(&body, found.revision)
    };
    let asking = evaluate::evaluate(request.app(), who, &question, asked.at, asked.consistency, show);
    request.ask_here(asking).await
}

/// Maximum number of grants, and of near misses, in an explanation.
const MAX_EXPLAINED: usize = 1_000;

async fn explain(
    request: Request<AskedEnvironment, (), (), Body<Asked>>,
) -> Result<Judged<ExplanationBody<'static>>, Problem> {
    let (Body(Asked { item, at, consistency }), request) = request.take_body();
    let who = request.asker(&request.tenancy);
    let asking = explain::explain_decision(
        request.app(),
        who,
        item,
        (at, MAX_EXPLAINED),
        consistency,
        |item, explanation, revision| {
            let question = item.as_question();
            Judged::new(&ExplanationBody::new(&question, explanation), revision)
        },
    );
    request.ask_here(asking).await
}

async fn evaluate_many(
    request: Request<AskedEnvironment, (), (), Body<EvaluateMany>>,
) -> Result<Judged<AllDecisions>, Problem> {
    let (Body(body), request) = request.take_body();
    let questions = body.evaluations.0.into_iter().map(|item| item.0).collect();
    let bounds = (body.at, request.max_answer_bytes());
    let who = request.asker(&request.tenancy);
    let asking = evaluate_many::evaluate_many(
        request.app(),
        who,
        questions,
        bounds,
        body.consistency,
        AllDecisions::write,
    );
    request.ask_here(asking).await
}

async fn list_held(
    request: Request<AskedEnvironment, IdentityId, ListHeld>,
) -> Result<Judged<KeysBody<'static>>, Problem> {
    let (environment, identity, node) = (request.tenancy.clone(), request.id, request.query.node_id);
    held(&request, environment, identity, node).await
}

/// Returns the keys of the permissions of an identity.
pub(super) async fn held<S, P, Q>(
    request: &Request<S, P, Q>,
    environment: AskedEnvironment,
    identity: IdentityId,
    node: Option<NodeId>,
) -> Result<Judged<KeysBody<'static>>, Problem> {
    let asked = effective::get_effective_access(request.app(), request.asker(&environment), identity, node);
    let held = request.ask_here(asked).await?;
    Ok(Judged::new(&KeysBody::new(&held.keys), held.revision))
}
