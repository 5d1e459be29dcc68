//! The people at a node and their roles.

use super::TAG;
use crate::answer::{Found, PageOf, Representation};
use crate::error_code::ErrorCode as E;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::route::assignment::{AssignmentRow, RowIdentity};
use crate::wire::{PageNumber, Search, Take, Whole, page, request_query};
use canopy_app::hierarchy;
use canopy_domain::api_key::AreaScope;
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSort, HeldAt};
use canopy_domain::{AccessType, AssignmentStatus, EnvironmentRef, NodeId, PageRequest, RoleId, SortOrder};
use serde::Serialize;
use utoipa::ToSchema;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/nodes/{nodeId}/identities", "listNodeIdentities")
            .summary(
                TAG,
                "List the assignments that hold at a node, direct and inherited, with their identities.",
            )
            .requires("node.read")
            .errors(&[E::NodeNotFound])
            .handler(list_identities),
        Operation::get("/nodes/{nodeId}/identities/summary", "summarizeNodeIdentities")
            .summary(TAG, "Count the assignments that hold at a node.")
            .requires("node.read")
            .errors(&[E::NodeNotFound])
            .handler(get_summary),
    ]
}

request_query!(
    /// Selects and sorts the assignments that hold at a node.
    struct ListNodeIdentities {
        /// The page number, counted from 1.
        page: PageNumber = Whole(1),
        /// Number of items per page.
        take: Take = Whole(PageRequest::DEFAULT_TAKE),
        /// Only assignments where the name, email or external id of the identity, or the name of the role or source
        /// node, contains each word.
        q: Search = Search::none(),
        /// The sort key.
        sort_by: AssignmentSort = AssignmentSort::CreatedAt,
        /// The sort direction.
        order: SortOrder = SortOrder::Ascending,
        /// Only assignments of this role.
        role_id: Option<RoleId>,
        /// Only direct assignments, or only inherited ones.
        access_type: Option<AccessType>,
        /// Only assignments with this status now.
        status: Option<AssignmentStatus>,
        /// Only assignments at this node.
        source_node_id: Option<NodeId>,
    }
);

/// Counts of the assignments that hold at a node.
#[derive(Serialize, ToSchema)]
struct NodeIdentitiesSummary {
    /// Number of assignments at the node.
    direct_count: u64,
    /// Number of assignments at its ancestors.
    inherited_count: u64,
    /// True if the caller may change them.
    can_manage_assignments: bool,
    active_count: u64,
    scheduled_count: u64,
    expired_count: u64,
    /// Number of active assignments that end within seven days.
    expiring_soon_count: u64,
    /// Number of roles with at least one holder.
    distinct_role_count: u64,
    /// The identities of the latest assignments, newest first; at most five, each once.
    recent_identities: Vec<RowIdentity>,
}

impl Representation for NodeIdentitiesSummary {}

async fn list_identities(
    request: Request<EnvironmentRef, NodeId, ListNodeIdentities>,
) -> Result<PageOf<AssignmentRow>, Problem> {
    let (query, request) = request.take_query();
    let place = request.tenancy;
    let at = HeldAt {
        node: request.id,
        access_type: query.access_type,
    };
    let asked = AssignmentQuery {
        held_at: Some(at),
        role: query.role_id,
        status: query.status,
        source_node: query.source_node_id,
        search: query.q.words(),
        sort: query.sort_by,
        order: query.order,
        page: page(query.page, query.take),
    };
    let page = asked.page;
    let (found, now) = request
        .run(move |app, _| async move { hierarchy::list_node_assignments(&app, &place, at, asked).await })
        .await?;
    Ok(PageOf::of(page, found, AssignmentRow::of(now)))
}

async fn get_summary(request: Request<EnvironmentRef, NodeId>) -> Result<Found<NodeIdentitiesSummary>, Problem> {
    let (place, id) = (request.tenancy, request.id);
    let summary = request
        .run(move |app, _| async move { hierarchy::summarize_node_assignments(&app, &place, id).await })
        .await?;
    Ok(Found(NodeIdentitiesSummary {
        direct_count: summary.direct,
        inherited_count: summary.inherited,
        can_manage_assignments: request.may(AreaScope::AssignmentManage),
        active_count: summary.counts.active,
        scheduled_count: summary.counts.scheduled,
        expired_count: summary.counts.expired,
        expiring_soon_count: summary.counts.expiring_soon,
        distinct_role_count: summary.counts.distinct_roles,
        recent_identities: summary.recent.into_iter().map(RowIdentity::of).collect(),
    }))
}
