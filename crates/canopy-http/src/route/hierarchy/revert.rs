//! Conversion of an environment to the flat model.

use crate::answer::{Found, Representation};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::request_query;
use canopy_app::{Mode, hierarchy};
use canopy_domain::EnvironmentRef;
use canopy_domain::hierarchy::revert::RevertCounts;
use serde::Serialize;
use utoipa::ToSchema;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/revert-to-flat", "revertToFlat")
            .summary(
                "Environments",
                "Convert a hierarchy to the flat model: move all assignments to the root, delete all other nodes and the schema. This \
                 widens access.",
            )
            .errors(&[E::AlreadyFlat])
            .judges_version()
            .handler(revert_to_flat),
    ]
}

request_query!(
    /// The body of a call that converts an environment to the flat model.
    struct RevertToFlat {
        /// True to count everything and write nothing.
        dry_run: bool = false,
    }
    writes nothing with dry_run
);

/// The effect, or with `dry_run` the expected effect, of the conversion to the flat model.
#[derive(Serialize, ToSchema)]
#[schema(as = RevertCounts)]
struct RevertBody {
    /// Number of assignments moved from another node to the root.
    assignments_moved: usize,
    /// Number of assignments merged into another one of the same identity and role.
    assignments_deduplicated: usize,
    /// Number of assignments deleted because their window had ended.
    assignments_expired_dropped: usize,
    /// Number of assignments deleted because they were at or below an inactive node.
    assignments_inactive_dropped: usize,
    nodes_deleted: usize,
    /// True if the schema differed from that of a new environment.
    schema_cleared: bool,
    /// Number of identities that get a role at the root, now or later, that they did not have there before.
    identities_gaining_reach: usize,
}

impl Representation for RevertBody {}

impl From<RevertCounts> for RevertBody {
    fn from(counts: RevertCounts) -> Self {
        Self {
            assignments_moved: counts.moved,
            assignments_deduplicated: counts.deduplicated,
            assignments_expired_dropped: counts.expired_dropped,
            assignments_inactive_dropped: counts.inactive_dropped,
            nodes_deleted: counts.nodes_deleted,
            schema_cleared: counts.schema_cleared,
            identities_gaining_reach: counts.identities_gaining_reach,
        }
    }
}

async fn revert_to_flat(
    request: Request<EnvironmentRef, (), RevertToFlat>,
) -> Result<Repeatable<Found<RevertBody>>, Problem> {
    let revert = hierarchy::RevertToFlat {
        environment: request.tenancy,
    };
    request
        .execute_once(revert, Mode::dry_run_if(request.query.dry_run), |counts| {
            Ok(Found(RevertBody::from(counts)))
        })
        .await
}
