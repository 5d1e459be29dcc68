//! Explanations: decisions with every assignment that led to them.

use super::decision::DecisionBody;
use crate::wire::{Instant, ShownShortfall, ShownStatus};
use canopy_domain::NodeId;
use canopy_domain::access::{BearingGrant, Explanation, Question, Shortfall};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A decision, and the assignments that bear on it.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(super) struct ExplanationBody<'a> {
    #[serde(flatten)]
    decision: DecisionBody<'a>,
    /// The assignments that grant the permission, by id, at most 1,000; empty if denied.
    grants: Vec<GrantBody<'a>>,
    /// The other assignments of roles with the permission, by id, at most 1,000.
    near_misses: Vec<NearMissBody<'a>>,
    /// Total number of assignments that grant the permission.
    grant_count: usize,
    /// Total number of near misses.
    near_miss_count: usize,
    /// True if all grants and near misses are listed.
    complete: bool,
}

/// An assignment that bears on a decision.
#[derive(Serialize, ToSchema)]
#[schema(as = BearingGrant)]
struct GrantBody<'a> {
    assignment_id: Uuid,
    role_id: Uuid,
    role_name: &'a str,
    /// The node at which the role is assigned.
    node_id: Uuid,
    /// The nodes from the root to that node, both included.
    node_path: Vec<Uuid>,
    effective_from: Instant,
    effective_to: Option<Instant>,
    /// The status of the window at the checked instant.
    status: ShownStatus,
}

/// An assignment that does not grant the permission, with the reason.
#[derive(Serialize, ToSchema)]
#[schema(as = NearMiss)]
struct NearMissBody<'a> {
    #[serde(flatten)]
    grant: GrantBody<'a>,
    /// The first reason that applies.
    reason: ShownShortfall,
}

impl<'a> ExplanationBody<'a> {
    pub(super) fn new(question: &Question<'a>, explanation: &'a Explanation<'a>) -> Self {
        Self {
            decision: DecisionBody::new(question, explanation.decision, &explanation.granting_roles),
            grants: explanation.grants.iter().map(GrantBody::new).collect(),
            near_misses: explanation.near_misses.iter().map(NearMissBody::new).collect(),
            grant_count: explanation.grant_count,
            near_miss_count: explanation.near_miss_count,
            complete: explanation.grants.len() == explanation.grant_count
                && explanation.near_misses.len() == explanation.near_miss_count,
        }
    }
}

impl<'a> GrantBody<'a> {
    fn new(grant: &BearingGrant<'a>) -> Self {
        Self {
            assignment_id: grant.id.as_uuid(),
            role_id: grant.role.as_uuid(),
            role_name: grant.role_name.as_str(),
            node_id: grant.node.as_uuid(),
            node_path: grant.path.iter().map(NodeId::as_uuid).collect(),
            effective_from: Instant(grant.window.from()),
            effective_to: grant.window.to().map(Instant),
            status: ShownStatus(grant.status),
        }
    }
}

impl<'a> NearMissBody<'a> {
    fn new((grant, shortfall): &(BearingGrant<'a>, Shortfall)) -> Self {
        Self {
            grant: GrantBody::new(grant),
            reason: ShownShortfall(*shortfall),
        }
    }
}
