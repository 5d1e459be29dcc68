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
                "List who holds what at a node: the assignments made there and those made above.",
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
    /// Which of the assignments that hold at a node, and how.
    struct ListNodeIdentities {
        /// Which page, counted from 1.
        page: PageNumber = Whole(1),
        /// Number of items per page.
        take: Take = Whole(PageRequest::DEFAULT_TAKE),
        /// Only those in which each word is found: in the name, email or external id of the identity, or in the name of the role or source node.
        q: Search = Search::none(),
        /// The sort key.
        sort_by: AssignmentSort = AssignmentSort::CreatedAt,
        /// In which direction.
        order: SortOrder = SortOrder::Ascending,
        /// Only those with this role.
        role_id: Option<RoleId>,
        /// Only those made at the node, or only those made above.
        access_type: Option<AccessType>,
        /// Only those in this state now.
        status: Option<AssignmentStatus>,
        /// Only those made at this node.
        source_node_id: Option<NodeId>,
    }
);

/// The assignments that hold at a node, in numbers.
#[derive(Serialize, ToSchema)]
struct NodeIdentitiesSummary {
    /// Made at the node.
    direct_count: u64,
    /// Made above.
    inherited_count: u64,
    /// Whether the caller may change them.
    can_manage_assignments: bool,
    active_count: u64,
    scheduled_count: u64,
    expired_count: u64,
    /// Active and ending within seven days.
    expiring_soon_count: u64,
    /// Number of roles with at least one holder.
    distinct_role_count: u64,
    /// Whose assignments were made last, newest first; at most five, each once.
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
