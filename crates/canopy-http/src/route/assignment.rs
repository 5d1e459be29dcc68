//! Assignments.

use crate::answer::{Created, Found, NoContent, PageOf, Representation};
use crate::bulk::{BulkAnswer, SentItems, only};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::{Body, Sent};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{
    Batch, Fault, Given, Instant, PageNumber, Search, ShownAccessType, ShownStatus, Take, Whole, WireText, not_one_of,
    page, request_body, request_query, words,
};
use canopy_app::{Mode, assignment};
use canopy_domain::assignment::bulk_create::NewAssignment;
use canopy_domain::assignment::change::AssignmentPatch;
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSort, AssignmentView, IdentitySummary};
use canopy_domain::{
    Assignment, AssignmentId, AssignmentKey, AssignmentStatus, Edit, EnvironmentRef, IdentityId, NodeId, PageRequest,
    RoleId, SortOrder, Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "Assignments";
    const READ: &str = "assignment.read";
    const ITEM_RULES: &[E] = &[
        E::IdentityNotFound,
        E::NodeNotFound,
        E::RoleNotFound,
        E::SystemRoleNotAssignable,
        E::RoleInactive,
        E::MembershipNotActive,
        E::InvalidWindow,
        E::AssignmentConflict,
    ];
    const ROLE_RULES: &[E] = &[
        E::AssignmentNotFound,
        E::RoleNotFound,
        E::SystemRoleNotAssignable,
        E::RoleInactive,
        E::MembershipNotActive,
        E::AssignmentConflict,
    ];
    vec![
        Operation::get("/assignments/app-wide", "listAssignments")
            .summary(TAG, "List the assignments of the environment.")
            .requires(READ)
            .handler(list_assignments),
        Operation::get("/assignments/app-wide/summary", "summarizeAssignments")
            .summary(TAG, "Count the assignments of the environment.")
            .requires(READ)
            .handler(get_summary),
        Operation::post("/assignments", "createAssignment")
            .summary(
                TAG,
                "Create an assignment of a role to an identity at a node and all nodes below it.",
            )
            .writes::<assignment::CreateAssignments>()
            .errors(ITEM_RULES)
            .handler(post_assignment),
        Operation::post("/assignments/bulk-create", "bulkCreateAssignments")
            .summary(TAG, "Create many assignments, all or none unless `atomic` is false.")
            .writes::<assignment::CreateAssignments>()
            .item_errors(ITEM_RULES)
            .item_errors(&[E::DuplicateAssignmentInBatch])
            .handler(post_assignments),
        Operation::post("/assignments/bulk-remove", "bulkRemoveAssignments")
            .summary(TAG, "Delete many assignments, all or none.")
            .writes::<assignment::RemoveAssignments>()
            .errors(&[E::AssignmentNotFound])
            .handler(remove_assignments),
        Operation::post("/assignments/bulk-change-role", "bulkChangeRole")
            .summary(TAG, "Change the role of many assignments, all or none.")
            .writes::<assignment::ChangeAssignmentRoles>()
            .errors(ROLE_RULES)
            .handler(change_roles),
        Operation::get("/assignments/{assignmentId}", "getAssignment")
            .summary(TAG, "Get an assignment.")
            .requires(READ)
            .errors(&[E::AssignmentNotFound])
            .handler(get_assignment),
        Operation::patch("/assignments/{assignmentId}", "changeAssignment")
            .summary(TAG, "Change the role or the window of an assignment.")
            .writes::<assignment::ChangeAssignment>()
            .errors(ROLE_RULES)
            .errors(&[E::InvalidWindow])
            .handler(patch_assignment),
        Operation::delete("/assignments/{assignmentId}", "removeAssignment")
            .summary(TAG, "Delete an assignment.")
            .writes::<assignment::RemoveAssignment>()
            .errors(&[E::AssignmentNotFound])
            .handler(delete_assignment),
    ]
}

/// An assignment.
#[derive(Serialize, ToSchema)]
#[schema(as = Assignment)]
struct AssignmentBody {
    id: Uuid,
    identity_id: Uuid,
    application_node_id: Uuid,
    role_id: Uuid,
    effective_from: Instant,
    /// The end of its window; null if it never ends.
    effective_to: Option<Instant>,
    created_at: Instant,
    updated_at: Instant,
}

impl Representation for AssignmentBody {}

impl AssignmentBody {
    fn of(assignment: &Assignment) -> Self {
        Self {
            id: assignment.id.as_uuid(),
            identity_id: assignment.key.identity.as_uuid(),
            application_node_id: assignment.key.node.as_uuid(),
            role_id: assignment.key.role.as_uuid(),
            effective_from: Instant(assignment.window.from()),
            effective_to: assignment.window.to().map(Instant),
            created_at: Instant(assignment.created_at),
            updated_at: Instant(assignment.updated_at),
        }
    }
}

/// An assignment in a list, with the labels that people need to read it.
#[derive(Serialize, ToSchema)]
pub(super) struct AssignmentRow {
    identity: RowIdentity,
    role: RowRole,
    assignment: RowAssignment,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AssignmentRowIdentity)]
pub(super) struct RowIdentity {
    id: Uuid,
    first_name: String,
    last_name: String,
    name: String,
    email: String,
    avatar_url: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AssignmentRowRole)]
struct RowRole {
    id: Uuid,
    name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AssignmentRowAssignment)]
struct RowAssignment {
    id: Uuid,
    /// The node of the assignment.
    source_node_id: Uuid,
    source_node_name: String,
    access_type: ShownAccessType,
    effective_from: Instant,
    /// The end of its window; null if it never ends.
    effective_to: Option<Instant>,
    status: ShownStatus,
    created_at: Instant,
}

impl RowIdentity {
    pub(super) fn of(identity: IdentitySummary) -> Self {
        Self {
            id: identity.id.as_uuid(),
            name: format!("{} {}", identity.first_name, identity.last_name),
            first_name: identity.first_name.to_string(),
            last_name: identity.last_name.to_string(),
            email: identity.email.to_string(),
            avatar_url: identity.avatar_url.map(|url| url.to_string()),
        }
    }
}

impl AssignmentRow {
    pub(super) fn of(now: Timestamp) -> impl Fn(AssignmentView) -> Self {
        move |view| {
            let assignment = view.assignment;
            Self {
                identity: RowIdentity::of(view.identity),
                role: RowRole {
                    id: assignment.key.role.as_uuid(),
                    name: view.role_name.to_string(),
                },
                assignment: RowAssignment {
                    id: assignment.id.as_uuid(),
                    source_node_id: assignment.key.node.as_uuid(),
                    source_node_name: view.node_name.to_string(),
                    access_type: ShownAccessType(view.access_type),
                    effective_from: Instant(assignment.window.from()),
                    effective_to: assignment.window.to().map(Instant),
                    status: ShownStatus(assignment.window.status_at(now)),
                    created_at: Instant(assignment.created_at),
                },
            }
        }
    }
}

/// Counts of assignments.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the wire format names them")]
struct AssignmentSummary {
    active_count: u64,
    scheduled_count: u64,
    expired_count: u64,
    /// Number of active assignments that end within seven days.
    expiring_soon_count: u64,
    /// Number of roles with at least one assignment.
    distinct_role_count: u64,
}

impl Representation for AssignmentSummary {}

/// The effect of a change of role.
#[derive(Serialize, ToSchema)]
struct RoleChanged {
    message: &'static str,
    /// Number of changed assignments.
    updated: usize,
}

impl Representation for RoleChanged {}

/// The sort keys for the assignments of a whole environment, where all access is direct.
#[derive(Debug)]
struct AppWideSort(AssignmentSort);

impl AppWideSort {
    const ALL: [AssignmentSort; 3] = [AssignmentSort::Name, AssignmentSort::Role, AssignmentSort::CreatedAt];

    fn words() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|one| one.as_str())
    }
}

impl WireText for AppWideSort {
    fn parse(text: &str) -> Result<Self, Fault> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.map(Self).ok_or_else(|| not_one_of(Self::words()))
    }

    fn describe() -> Object {
        words(Self::words())
    }

    fn word(&self) -> Option<&'static str> {
        Some(self.0.as_str())
    }
}

request_query!(
    /// Selects and sorts assignments.
    struct ListAssignments {
        /// The page number, counted from 1.
        page: PageNumber = Whole(1),
        /// Number of items per page.
        take: Take = Whole(PageRequest::DEFAULT_TAKE),
        /// Only assignments where the name, email or external id of the identity, or the name of the role or node,
        /// contains each word.
        q: Search = Search::none(),
        /// The sort key.
        sort_by: AppWideSort = AppWideSort(AssignmentSort::CreatedAt),
        /// The sort direction.
        order: SortOrder = SortOrder::Ascending,
        /// Only assignments of this role.
        role_id: Option<RoleId>,
        /// Only assignments with this status now.
        status: Option<AssignmentStatus>,
        /// Only assignments at this node.
        source_node_id: Option<NodeId>,
    }
);

request_body!(
    /// An assignment to create.
    struct CreateAssignment {
        /// The identity.
        identity_id: IdentityId,
        /// The node; the assignment also holds at all nodes below it.
        node_id: NodeId,
        /// The role.
        role_id: RoleId,
        /// The begin of its window. Default: now.
        effective_from: Option<Timestamp>,
        /// The end of its window. Default: never.
        effective_to: Option<Timestamp>,
    }
);

request_body!(
    /// Assignments to create.
    struct BulkCreateAssignments {
        /// The assignments.
        assignments: Batch<CreateAssignment>,
        /// True to store no item if one of them is refused.
        atomic: bool = true,
        /// True to validate everything and write nothing.
        dry_run: bool = false,
    }
    writes nothing with dry_run
);

request_body!(
    /// Assignments to delete.
    struct BulkRemoveAssignments {
        /// The ids of the assignments.
        assignment_ids: Batch<AssignmentId>,
    }
);

request_body!(
    /// Assignments whose role changes.
    struct BulkChangeRole {
        /// The ids of the assignments.
        assignment_ids: Batch<AssignmentId>,
        /// The new role.
        role_id: RoleId,
    }
);

request_body!(
    /// A change to an assignment.
    struct ChangeAssignment {
        /// The new role.
        role_id: Given<RoleId>,
        /// The begin of its window; null for the time of its creation.
        effective_from: Edit<Timestamp>,
        /// The end of its window; null for never.
        effective_to: Edit<Timestamp>,
    }
);

impl From<CreateAssignment> for NewAssignment {
    fn from(body: CreateAssignment) -> Self {
        Self {
            key: AssignmentKey {
                identity: body.identity_id,
                role: body.role_id,
                node: body.node_id,
            },
            from: body.effective_from,
            to: body.effective_to,
        }
    }
}

async fn list_assignments(
    request: Request<EnvironmentRef, (), ListAssignments>,
) -> Result<PageOf<AssignmentRow>, Problem> {
    let (query, request) = request.take_query();
    let place = request.tenancy;
    let asked = AssignmentQuery {
        held_at: None,
        role: query.role_id,
        status: query.status,
        source_node: query.source_node_id,
        search: query.q.words(),
        sort: query.sort_by.0,
        order: query.order,
        page: page(query.page, query.take),
    };
    let page = asked.page;
    let (found, now) = request
        .run(move |app, _| async move { assignment::list_assignments(&app, &place, &asked).await })
        .await?;
    Ok(PageOf::of(page, found, AssignmentRow::of(now)))
}

async fn get_summary(request: Request<EnvironmentRef>) -> Result<Found<AssignmentSummary>, Problem> {
    let place = request.tenancy;
    let counts = request
        .run(move |app, _| async move { assignment::summarize_assignments(&app, &place).await })
        .await?;
    Ok(Found(AssignmentSummary {
        active_count: counts.active,
        scheduled_count: counts.scheduled,
        expired_count: counts.expired,
        expiring_soon_count: counts.expiring_soon,
        distinct_role_count: counts.distinct_roles,
    }))
}

async fn post_assignment(
    request: Request<EnvironmentRef, (), (), Body<CreateAssignment>>,
) -> Result<Repeatable<Created<AssignmentBody>>, Problem> {
    let (Body(body), request) = request.take_body();
    let create = assignment::CreateAssignments {
        environment: request.tenancy,
        items: vec![NewAssignment::from(body)],
        atomic: true,
    };
    request
        .execute_once(create, Mode::Commit, |made| {
            let assignment = only(made)?;
            Ok(Created {
                name: assignment.id.to_string(),
                body: AssignmentBody::of(&assignment),
            })
        })
        .await
}

async fn post_assignments(
    request: Request<EnvironmentRef, (), (), Sent<BulkCreateAssignments>>,
) -> Result<Repeatable<BulkAnswer<AssignmentBody>>, Problem> {
    let (Sent { body, raw }, request) = request.take_body();
    let dry_run = body.dry_run;
    let create = assignment::CreateAssignments {
        environment: request.tenancy,
        items: body.assignments.0.into_iter().map(NewAssignment::from).collect(),
        atomic: body.atomic,
    };
    let sent = SentItems {
        raw,
        member: "assignments".into(),
    };
    request
        .execute_once(create, Mode::dry_run_if(dry_run), move |outcomes| {
            Ok(BulkAnswer::of(outcomes, dry_run, sent.clone(), |one| {
                AssignmentBody::of(&one)
            }))
        })
        .await
}

async fn remove_assignments(
    request: Request<EnvironmentRef, (), (), Body<BulkRemoveAssignments>>,
) -> Result<Repeatable<NoContent>, Problem> {
    let (Body(body), request) = request.take_body();
    let remove = assignment::RemoveAssignments {
        environment: request.tenancy,
        ids: body.assignment_ids.0,
    };
    request.execute_once(remove, Mode::Commit, |()| Ok(NoContent)).await
}

async fn change_roles(
    request: Request<EnvironmentRef, (), (), Body<BulkChangeRole>>,
) -> Result<Repeatable<Found<RoleChanged>>, Problem> {
    let (Body(body), request) = request.take_body();
    let change = assignment::ChangeAssignmentRoles {
        environment: request.tenancy,
        ids: body.assignment_ids.0,
        role: body.role_id,
    };
    request
        .execute_once(change, Mode::Commit, |updated| {
            Ok(Found(RoleChanged {
                message: "the role of the assignments was changed",
                updated,
            }))
        })
        .await
}

async fn get_assignment(request: Request<EnvironmentRef, AssignmentId>) -> Result<Found<AssignmentBody>, Problem> {
    let (place, id) = (request.tenancy, request.id);
    let found = request
        .run(move |app, _| async move { assignment::get_assignment(&app, &place, id).await })
        .await?;
    Ok(Found(AssignmentBody::of(&found)))
}

async fn patch_assignment(
    request: Request<EnvironmentRef, AssignmentId, (), Body<ChangeAssignment>>,
) -> Result<Found<AssignmentBody>, Problem> {
    let (Body(body), request) = request.take_body();
    let change = assignment::ChangeAssignment {
        environment: request.tenancy,
        id: request.id,
        patch: AssignmentPatch {
            role: body.role_id.0,
            from: body.effective_from,
            to: body.effective_to,
        },
    };
    Ok(Found(AssignmentBody::of(&request.execute(change).await?)))
}

async fn delete_assignment(request: Request<EnvironmentRef, AssignmentId>) -> Result<NoContent, Problem> {
    let remove = assignment::RemoveAssignment {
        environment: request.tenancy,
        id: request.id,
    };
    request.execute(remove).await?;
    Ok(NoContent)
}
