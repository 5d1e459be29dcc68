//! Calls of end users about themselves.

use super::access::decision::{DecisionBody, KeysBody, ScopeWord, note_misfit, target_of};
use super::access::{Asked, ListHeld, answer, held};
use super::identity::IdentityBody;
use crate::answer::{Found, Judged};
use crate::error_code::ErrorCode as E;
use crate::input::Body;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Components, Faults, Json, JsonPointer, Text, WireValue, request_body};
use canopy_app::decisions::Consistency;
use canopy_app::identity::get_myself;
use canopy_app::session::EndUser;
use canopy_domain::access::Target;
use canopy_domain::{NodeId, Timestamp};
use utoipa::openapi::{RefOr, Schema};

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "Myself";
    vec![
        Operation::get("/me", "getMyself")
            .summary(TAG, "Get the identity of the token.")
            .for_identities()
            .handler(get_me),
        Operation::get("/me/permissions", "listMyPermissions")
            .summary(
                TAG,
                "List the effective permissions of the caller at a node, or at any active node.",
            )
            .for_identities()
            .errors(&[E::EnvironmentNotFound])
            .handler(list_mine),
        Operation::post("/me/evaluate", "evaluateMyself")
            .summary(
                TAG,
                "Check whether the caller has a permission at a target, now or at another instant.",
            )
            .for_identities()
            .errors(&[E::EnvironmentNotFound])
            .handler(evaluate_me),
    ]
}

request_body!(
    /// A check of the caller.
    struct EvaluateMyself {
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

/// A check whose members are consistent.
#[derive(Debug)]
struct AskedOfMe {
    permission: String,
    target: Target,
    at: Option<Timestamp>,
    consistency: Consistency,
}

impl WireValue for AskedOfMe {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let body = EvaluateMyself::read(json, place, faults);
        note_misfit(json, place, faults);
        let body = body?;
        Some(Self {
            target: target_of(body.scope, body.node_id)?,
            permission: body.permission.0,
            at: body.at,
            consistency: body.consistency,
        })
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        EvaluateMyself::schema(components)
    }
}

async fn get_me(request: Request<EndUser>) -> Result<Found<IdentityBody>, Problem> {
    let EndUser { place, identity } = request.tenancy;
    let found = request
        .run(move |app, _| async move { get_myself(&app, place.account, identity).await })
        .await?;
    Ok(Found(IdentityBody::of(found)))
}

async fn list_mine(request: Request<EndUser, (), ListHeld>) -> Result<Judged<KeysBody<'static>>, Problem> {
    let EndUser { place, identity } = request.tenancy;
    let node = request.query.node_id;
    held(&request, place.into(), identity, node).await
}

async fn evaluate_me(
    request: Request<EndUser, (), (), Body<AskedOfMe>>,
) -> Result<Judged<DecisionBody<'static>>, Problem> {
    let (Body(mine), request) = request.take_body();
    let EndUser { place, identity } = request.tenancy;
    let asked = Asked::new(identity, mine.permission, mine.target).on(mine.at, mine.consistency);
    answer(&request, &place.into(), &asked).await
}
