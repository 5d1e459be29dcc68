//! Members of an application, on both surfaces.

use super::membership::{self, MembershipBody};
use super::{ChangeIdentity, IdentityBody, TAG};
use crate::answer::{Created, Found, Listing, NoContent, PageOf, Representation};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::Body;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::route::assignment::AssignmentRow;
use crate::wire::{
    Components, Fault, Faults, Instant, Json, JsonPointer, PageNumber, Search, Take, Whole, WireValue, object, page,
    request_body, request_query,
};
use canopy_app::Mode;
use canopy_app::identity::{self, MemberAssignments};
use canopy_app::session::ApplicationReach;
use canopy_domain::assignment::listing::AssignmentView;
use canopy_domain::identity::create::NewIdentity;
use canopy_domain::identity::listing::{IdentityCounts, IdentityQuery, IdentitySort, IdentityStatus};
use canopy_domain::identity::membership::MembershipChange;
use canopy_domain::{
    ApplicationId, AvatarUrl, Email, ExternalId, IdentityId, JsonObject, NodeId, PageRequest, PersonName, RoleId,
    SortOrder,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const READ: &str = "identity.read";
    const ENDING: &[E] = &[E::IdentityNotFound, E::EnvironmentNotDefault];
    vec![
        Operation::get("/identities", "listApplicationIdentities")
            .summary(TAG, "List the members of the application, whatever their status.")
            .requires(READ)
            .errors(&[E::PortalOnly])
            .handler(get_list),
        Operation::post("/identities", "createApplicationIdentity")
            .summary(
                TAG,
                "Create an identity as a member of the application, with a first assignment if `role_id` and `node_id` \
                 are given. On the public surface, the assignment also requires the scope `assignment.manage`.",
            )
            .writes::<identity::CreateMember>()
            .errors(&[
                E::EmailTaken,
                E::ExternalIdTaken,
                E::NodeNotFound,
                E::RoleNotFound,
                E::SystemRoleNotAssignable,
                E::RoleInactive,
            ])
            .handler(post),
        Operation::get("/identities/summary", "summarizeApplicationIdentities")
            .summary(TAG, "Count the members of the application.")
            .requires(READ)
            .handler(get_summary),
        Operation::get("/identities/{identityId}", "getApplicationIdentity")
            .summary(TAG, "Get a member of the application.")
            .requires(READ)
            .errors(&[E::IdentityNotFound])
            .handler(get_one),
        Operation::get("/identities/{identityId}/detail", "getIdentityDetail")
            .summary(TAG, "Get a member of the application with its roles.")
            .requires(READ)
            .errors(&[E::IdentityNotFound])
            .handler(get_detail),
        Operation::get("/identities/{identityId}/assignments", "listIdentityAssignments")
            .summary(TAG, "List the assignments of a member in the application, by role.")
            .requires(READ)
            .errors(&[E::IdentityNotFound])
            .handler(get_assignments),
        Operation::patch("/identities/{identityId}", "changeApplicationIdentity")
            .summary(TAG, "Change a member of the application.")
            .writes::<identity::ChangeMember>()
            .errors(&[E::IdentityNotFound, E::EmailTaken, E::ExternalIdTaken, E::PortalOnly])
            .handler(patch),
        Operation::delete("/identities/{identityId}", "removeApplicationIdentity")
            .summary(
                membership::TAG,
                "Delete the membership of an identity in the application, with its assignments there.",
            )
            .writes::<identity::ChangeMembershipOfMember>()
            .errors(ENDING)
            .handler(delete),
        Operation::post("/identities/{identityId}/activate", "activateMembership")
            .summary(
                membership::TAG,
                "Activate the membership of a member of the application.",
            )
            .writes::<identity::ChangeMembershipOfMember>()
            .errors(ENDING)
            .handler(activate),
        Operation::post("/identities/{identityId}/deactivate", "deactivateMembership")
            .summary(
                membership::TAG,
                "Delete the membership of an identity in the application, with its assignments there.",
            )
            .writes::<identity::ChangeMembershipOfMember>()
            .errors(ENDING)
            .handler(deactivate),
        Operation::post("/identities/{identityId}/suspend", "suspendMembership")
            .summary(
                membership::TAG,
                "Suspend an active membership: it loses access and keeps its assignments.",
            )
            .writes::<identity::ChangeMembershipOfMember>()
            .errors(ENDING)
            .errors(&[E::MembershipNotActive])
            .handler(suspend),
    ]
}

/// An identity with its roles in the application.
#[derive(Serialize, ToSchema)]
struct IdentityDetail {
    id: Uuid,
    email: String,
    first_name: String,
    last_name: String,
    /// First and last name, separated by a space.
    name: String,
    avatar_url: Option<String>,
    external_id: Option<String>,
    /// Free-form metadata of the customer.
    #[schema(value_type = Option<std::collections::BTreeMap<String, serde_json::Value>>)]
    metadata: Option<Box<RawValue>>,
    /// False if the identity is switched off in the whole account.
    is_active: bool,
    /// True if the caller may change it.
    can_manage: bool,
    /// All its assignments in the application, whatever their windows, by the name of the role.
    roles: Vec<HeldRole>,
    created_at: Instant,
    updated_at: Instant,
}

/// A role of an identity at a node.
#[derive(Serialize, ToSchema)]
struct HeldRole {
    assignment_id: Uuid,
    /// The id of the role.
    id: Uuid,
    /// The name of the role.
    name: String,
    node_id: Uuid,
    node_name: String,
}

impl Representation for IdentityDetail {}

impl IdentityDetail {
    fn of(held: MemberAssignments) -> Self {
        let identity = held.identity;
        Self {
            id: identity.id.as_uuid(),
            name: identity.name(),
            email: identity.email.to_string(),
            first_name: identity.first_name.to_string(),
            last_name: identity.last_name.to_string(),
            avatar_url: identity.avatar_url.map(|url| url.to_string()),
            external_id: identity.external_id.map(|id| id.to_string()),
            metadata: identity.metadata.as_ref().map(object),
            is_active: identity.is_active,
            can_manage: held.can_manage,
            roles: held.assignments.iter().map(HeldRole::of).collect(),
            created_at: Instant(identity.created_at),
            updated_at: Instant(identity.updated_at),
        }
    }
}

impl HeldRole {
    fn of(view: &AssignmentView) -> Self {
        let key = view.assignment.key;
        Self {
            assignment_id: view.assignment.id.as_uuid(),
            id: key.role.as_uuid(),
            name: view.role_name.to_string(),
            node_id: key.node.as_uuid(),
            node_name: view.node_name.to_string(),
        }
    }
}

/// Counts of members.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the wire format names them")]
struct MemberSummary {
    total_count: u64,
    /// Number of members with access: active in the account and in the application.
    active_count: u64,
    /// Number of all others.
    inactive_count: u64,
    /// Number of members with an assignment in the application.
    assigned_count: u64,
    invited_count: u64,
    suspended_count: u64,
    deactivated_count: u64,
}

impl Representation for MemberSummary {}

impl MemberSummary {
    const fn of(counts: &IdentityCounts) -> Self {
        Self {
            total_count: counts.total,
            active_count: counts.active,
            inactive_count: counts.total.saturating_sub(counts.active),
            assigned_count: counts.assigned,
            invited_count: counts.invited,
            suspended_count: counts.suspended,
            deactivated_count: counts.deactivated,
        }
    }
}

request_query!(
    /// Selects and sorts members of an application.
    struct ListApplicationIdentities {
        /// The page number, counted from 1.
        page: PageNumber = Whole(1),
        /// Number of items per page.
        take: Take = Whole(PageRequest::DEFAULT_TAKE),
        /// Only identities whose name, email or external id contains each word.
        q: Search = Search::none(),
        /// The sort key.
        sort_by: IdentitySort = IdentitySort::CreatedAt,
        /// The sort direction.
        order: SortOrder = SortOrder::Ascending,
        /// Only active or only inactive identities.
        status: Option<IdentityStatus>,
        /// Only members with (or without) an assignment: in the application on the portal, in the environment of the
        /// credential on the public surface.
        has_any_assignment: Option<bool>,
        /// Only identities without any membership in this other application. Portal only.
        not_in_app: Option<ApplicationId>,
    }
);

request_body!(
    /// A member to create.
    struct CreateApplicationIdentity {
        /// Email address, unique in the account; stored in lower case.
        email: Email,
        /// First name.
        first_name: PersonName,
        /// Last name.
        last_name: PersonName,
        /// The URL of a picture.
        avatar_url: Option<AvatarUrl>,
        /// The id in the customer's directory, unique in the account.
        external_id: Option<ExternalId>,
        /// Free-form metadata of the customer.
        metadata: Option<JsonObject>,
        /// The role of its first assignment; requires `node_id`.
        role_id: Option<RoleId>,
        /// The node of its first assignment; requires `role_id`.
        node_id: Option<NodeId>,
    }
    unsupported ["password", "mfa"]
);

/// A member to create, with role and node or with neither.
#[derive(Debug)]
struct NewMember {
    identity: NewIdentity,
    first: Option<(RoleId, NodeId)>,
}

impl WireValue for NewMember {
    const UNSUPPORTED: bool = CreateApplicationIdentity::UNSUPPORTED;

    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let body = CreateApplicationIdentity::read(json, place, faults);
        // The pair is checked as it was sent, so that a fault in another member hides none.
        let lacking = match (json.given("role_id"), json.given("node_id")) {
            (Some(_), None) => Some(("node_id", "is required with `role_id`")),
            (None, Some(_)) => Some(("role_id", "is required with `node_id`")),
            _ => None,
        };
        if let Some((name, message)) = lacking {
            faults.add(&JsonPointer::Member(place, name), Fault::new("required", message));
            return None;
        }
        let body = body?;
        Some(Self {
            identity: NewIdentity {
                email: body.email,
                first_name: body.first_name,
                last_name: body.last_name,
                avatar_url: body.avatar_url,
                external_id: body.external_id,
                metadata: body.metadata,
            },
            first: body.role_id.zip(body.node_id),
        })
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        CreateApplicationIdentity::schema(components)
    }
}

async fn get_list(
    request: Request<ApplicationReach, (), ListApplicationIdentities>,
) -> Result<PageOf<IdentityBody>, Problem> {
    let (query, request) = request.take_query();
    let ApplicationReach { place, bound_to } = request.tenancy;
    let asked = IdentityQuery {
        member_of: Some(place.application),
        not_member_of: query.not_in_app,
        status: query.status,
        has_any_assignment: query.has_any_assignment,
        assigned_in: None,
        search: query.q.words(),
        sort: query.sort_by,
        order: query.order,
        page: page(query.page, query.take),
    };
    let page = asked.page;
    let members =
        request.run(move |app, _| async move { identity::list_members(&app, place.account, bound_to, &asked).await });
    Ok(PageOf::of(page, members.await?, IdentityBody::of))
}

async fn post(
    request: Request<ApplicationReach, (), (), Body<NewMember>>,
) -> Result<Repeatable<Created<IdentityBody>>, Problem> {
    let (Body(body), request) = request.take_body();
    let ApplicationReach { place, bound_to } = request.tenancy;
    let create = identity::CreateMember {
        application: place,
        bound_to,
        new: body.identity,
        first: body.first,
    };
    let show = |identity: canopy_domain::Identity| {
        Ok(Created {
            name: identity.id.to_string(),
            body: IdentityBody::of(identity),
        })
    };
    request.execute_once(create, Mode::Commit, show).await
}

async fn get_summary(request: Request<ApplicationReach>) -> Result<Found<MemberSummary>, Problem> {
    let ApplicationReach { place, bound_to } = request.tenancy;
    let counts = request.run(move |app, _| async move { identity::count_members(&app, place, bound_to).await });
    Ok(Found(MemberSummary::of(&counts.await?)))
}

async fn get_one(request: Request<ApplicationReach, IdentityId>) -> Result<Found<IdentityBody>, Problem> {
    let (place, id) = (request.tenancy.place, request.id);
    let found = request.run(move |app, _| async move { identity::get_member(&app, place, id).await });
    Ok(Found(IdentityBody::of(found.await?)))
}

async fn held(request: &Request<ApplicationReach, IdentityId>) -> Result<MemberAssignments, Problem> {
    let (ApplicationReach { place, bound_to }, id) = (request.tenancy, request.id);
    request
        .run(move |app, call| async move { identity::get_member_assignments(&app, &call, place, bound_to, id).await })
        .await
}

async fn get_detail(request: Request<ApplicationReach, IdentityId>) -> Result<Found<IdentityDetail>, Problem> {
    Ok(Found(IdentityDetail::of(held(&request).await?)))
}

async fn get_assignments(request: Request<ApplicationReach, IdentityId>) -> Result<Listing<AssignmentRow>, Problem> {
    let held = held(&request).await?;
    Ok(Listing::of(held.assignments, AssignmentRow::of(held.at)))
}

async fn patch(
    request: Request<ApplicationReach, IdentityId, (), Body<ChangeIdentity>>,
) -> Result<Found<IdentityBody>, Problem> {
    let (Body(body), request) = request.take_body();
    let ApplicationReach { place, bound_to } = request.tenancy;
    let change = identity::ChangeMember {
        application: place,
        bound_to,
        id: request.id,
        patch: body.into(),
    };
    Ok(Found(IdentityBody::of(request.execute(change).await?)))
}

async fn delete(request: Request<ApplicationReach, IdentityId>) -> Result<NoContent, Problem> {
    request.execute(change_of(&request, MembershipChange::End)).await?;
    Ok(NoContent)
}

type Changed = Repeatable<Found<MembershipBody>>;

async fn activate(request: Request<ApplicationReach, IdentityId>) -> Result<Changed, Problem> {
    change_to(request, MembershipChange::Activate).await
}

async fn deactivate(request: Request<ApplicationReach, IdentityId>) -> Result<Changed, Problem> {
    change_to(request, MembershipChange::End).await
}

async fn suspend(request: Request<ApplicationReach, IdentityId>) -> Result<Changed, Problem> {
    change_to(request, MembershipChange::Suspend).await
}

async fn change_to(
    request: Request<ApplicationReach, IdentityId>,
    asked: MembershipChange,
) -> Result<Changed, Problem> {
    request
        .execute_once(change_of(&request, asked), Mode::Commit, |membership| {
            Ok(Found(MembershipBody::of(&membership)))
        })
        .await
}

/// Returns the change to the membership that the path names.
fn change_of(
    request: &Request<ApplicationReach, IdentityId>,
    change: MembershipChange,
) -> identity::ChangeMembershipOfMember {
    let ApplicationReach { place, bound_to } = request.tenancy;
    identity::ChangeMembershipOfMember {
        application: place,
        bound_to,
        id: request.id,
        change,
    }
}
