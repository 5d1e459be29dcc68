//! The way back to a flat environment.

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
                "Make a hierarchy flat: all assignments are reseated at the root, all other nodes and the schema go. This \
                 widens access.",
            )
            .errors(&[E::AlreadyFlat])
            .judges_version()
            .handler(revert_to_flat),
    ]
}

request_query!(
    /// The body of a call that makes an environment flat.
    struct RevertToFlat {
        /// Counts everything and writes nothing.
        dry_run: bool = false,
    }
    writes nothing with dry_run
);

/// The effect, or with `dry_run` the expected effect, of making an environment flat.
#[derive(Serialize, ToSchema)]
#[schema(as = RevertCounts)]
struct RevertBody {
    /// Moved from another node to the root.
    assignments_moved: usize,
    /// Merged into another one of the same identity and role.
    assignments_deduplicated: usize,
    /// Dropped because their window had ended.
    assignments_expired_dropped: usize,
    /// Dropped because they were at or below an inactive node.
    assignments_inactive_dropped: usize,
    nodes_deleted: usize,
    /// Whether there was a schema besides that of a new environment.
    schema_cleared: bool,
    /// Identities that hold a role at the root, now or later, when they did not hold it there before.
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
