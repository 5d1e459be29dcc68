//! Identities of an account. Calls below an application are in `member`, memberships are in `membership`.

mod member;
mod membership;

use crate::answer::{Created, Found, NoContent, PageOf, Representation};
use crate::bulk::{BulkAnswer, SentItems, only};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::{Body, Sent};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Batch, Given, Instant, PageNumber, Search, Take, Whole, page, request_body, request_query};
use canopy_app::{Mode, identity};
use canopy_domain::identity::change::IdentityPatch;
use canopy_domain::identity::create::NewIdentity;
use canopy_domain::identity::listing::{IdentityCounts, IdentityQuery, IdentitySort, IdentityStatus};
use canopy_domain::{
    AccountId, ApplicationId, AvatarUrl, Edit, Email, ExternalId, Identity, IdentityId, JsonObject, PageRequest,
    PersonName, SortOrder,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    let mut operations = of_account();
    operations.extend(membership::operations());
    operations.extend(member::operations());
    operations
}

/// The OpenAPI tag of these calls.
const TAG: &str = "Identities";

fn of_account() -> Vec<Operation> {
    vec![
        Operation::get("/identities", "listAccountIdentities")
            .summary(TAG, "List the identities of the account.")
            .handler(list_of_account),
        Operation::post("/identities", "createIdentity")
            .summary(
                TAG,
                "Create an identity, with `application_id` as a member of that application.",
            )
            .errors(&[E::EmailTaken, E::ExternalIdTaken, E::ApplicationNotFound])
            .handler(post_identity),
        Operation::post("/identities/bulk-create", "bulkCreateIdentities")
            .summary(TAG, "Create many identities.")
            .errors(&[E::ApplicationNotFound, E::TooManyChanges])
            .item_errors(&[E::EmailTaken, E::ExternalIdTaken, E::DuplicateIdentityInBatch])
            .handler(post_identities),
        Operation::get("/identities/summary", "summarizeAccountIdentities")
            .summary(TAG, "Count the identities of the account.")
            .handler(get_summary),
        Operation::get("/identities/{identityId}", "getIdentity")
            .summary(TAG, "Get an identity.")
            .errors(&[E::IdentityNotFound])
            .handler(get_identity),
        Operation::patch("/identities/{identityId}", "changeIdentity")
            .summary(TAG, "Change an identity.")
            .errors(&[E::IdentityNotFound, E::EmailTaken, E::ExternalIdTaken])
            .handler(patch_identity),
        Operation::patch("/identities/{identityId}/status", "switchIdentity")
            .summary(TAG, "Switch an identity on or off in all applications.")
            .errors(&[E::IdentityNotFound])
            .handler(patch_status),
        Operation::delete("/identities/{identityId}", "deleteIdentity")
            .summary(TAG, "Delete an identity with all its memberships and assignments.")
            .errors(&[E::IdentityNotFound])
            .handler(delete_identity),
    ]
}

/// An identity.
#[derive(Serialize, ToSchema)]
#[schema(as = Identity)]
pub(super) struct IdentityBody {
    id: Uuid,
    email: String,
    first_name: String,
    last_name: String,
    avatar_url: Option<String>,
    external_id: Option<String>,
    /// False if the identity is switched off in the whole account.
    is_active: bool,
    created_at: Instant,
}

impl Representation for IdentityBody {}

impl IdentityBody {
    pub(super) fn of(identity: Identity) -> Self {
        Self {
            id: identity.id.as_uuid(),
            email: identity.email.to_string(),
            first_name: identity.first_name.to_string(),
            last_name: identity.last_name.to_string(),
            avatar_url: identity.avatar_url.map(|url| url.to_string()),
            external_id: identity.external_id.map(|id| id.to_string()),
            is_active: identity.is_active,
            created_at: Instant(identity.created_at),
        }
    }
}

/// Counts of identities.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the wire format names them")]
struct IdentitySummary {
    total_count: u64,
    /// Number of active identities.
    active_count: u64,
    /// Number of all others.
    inactive_count: u64,
    /// Number of identities with an assignment.
    assigned_count: u64,
}

impl Representation for IdentitySummary {}

impl IdentitySummary {
    const fn of(counts: &IdentityCounts) -> Self {
        Self {
            total_count: counts.total,
            active_count: counts.active,
            inactive_count: counts.total.saturating_sub(counts.active),
            assigned_count: counts.assigned,
        }
    }
}

request_query!(
    /// Selects and sorts identities of an account.
    struct ListAccountIdentities {
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
        /// Only those with (or without) an assignment anywhere in the account.
        has_any_assignment: Option<bool>,
        /// Only those without any membership in this application.
        not_in_app: Option<ApplicationId>,
    }
);

request_body!(
    /// An identity to create.
    struct CreateIdentity {
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
        /// The application in which it becomes an active member.
        application_id: Option<ApplicationId>,
    }
    unsupported ["password", "mfa"]
);

request_body!(
    /// An item of a bulk call: an identity to create.
    struct CreateIdentityItem {
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
    }
    unsupported ["password", "mfa"]
);

request_body!(
    /// Identities to create.
    struct BulkCreateIdentities {
        /// The identities.
        identities: Batch<CreateIdentityItem>,
        /// The application in which all of them become active members.
        application_id: Option<ApplicationId>,
        /// True to store no item if one of them is refused.
        atomic: bool = false,
        /// True to validate everything and write nothing.
        dry_run: bool = false,
    }
    unsupported ["password", "mfa"]
    writes nothing with dry_run
);

request_body!(
    /// A change to an identity. Absent members stay as they are.
    struct ChangeIdentity {
        /// Email address, unique in the account; stored in lower case.
        email: Given<Email>,
        /// First name.
        first_name: Given<PersonName>,
        /// Last name.
        last_name: Given<PersonName>,
        /// The URL of a picture; null for none.
        avatar_url: Edit<AvatarUrl>,
        /// The id in the customer's directory, unique in the account; null for none.
        external_id: Edit<ExternalId>,
        /// Free-form metadata of the customer; null for none.
        metadata: Edit<JsonObject>,
        /// False if the identity is switched off in the whole account.
        is_active: Given<bool>,
    }
    unsupported ["password", "mfa"]
);

impl From<ChangeIdentity> for IdentityPatch {
    fn from(body: ChangeIdentity) -> Self {
        Self {
            email: body.email.0,
            first_name: body.first_name.0,
            last_name: body.last_name.0,
            avatar_url: body.avatar_url,
            external_id: body.external_id,
            metadata: body.metadata,
            is_active: body.is_active.0,
        }
    }
}

request_body!(
    /// Switches an identity on or off in the whole account.
    struct SwitchIdentity {
        /// True to switch it on.
        is_active: bool,
    }
);

async fn list_of_account(
    request: Request<AccountId, (), ListAccountIdentities>,
) -> Result<PageOf<IdentityBody>, Problem> {
    let (query, request) = request.take_query();
    let asked = IdentityQuery {
        member_of: None,
        not_member_of: query.not_in_app,
        status: query.status,
        has_any_assignment: query.has_any_assignment,
        assigned_in: None,
        search: query.q.words(),
        sort: query.sort_by,
        order: query.order,
        page: page(query.page, query.take),
    };
    let (account, page) = (request.tenancy, asked.page);
    let found = request.run(move |app, _| async move { identity::list_identities(&app, account, &asked).await });
    Ok(PageOf::of(page, found.await?, IdentityBody::of))
}

async fn post_identity(
    request: Request<AccountId, (), (), Body<CreateIdentity>>,
) -> Result<Repeatable<Created<IdentityBody>>, Problem> {
    let (Body(body), request) = request.take_body();
    let (account, application) = (request.tenancy, body.application_id);
    let new = vec![NewIdentity {
        email: body.email,
        first_name: body.first_name,
        last_name: body.last_name,
        avatar_url: body.avatar_url,
        external_id: body.external_id,
        metadata: body.metadata,
    }];
    let create = identity::CreateIdentities {
        account,
        application,
        items: new,
        atomic: true,
    };
    request
        .execute_once(create, Mode::Commit, |made| {
            let identity = only(made)?;
            Ok(Created {
                name: identity.id.to_string(),
                body: IdentityBody::of(identity),
            })
        })
        .await
}

async fn post_identities(
    request: Request<AccountId, (), (), Sent<BulkCreateIdentities>>,
) -> Result<Repeatable<BulkAnswer<IdentityBody>>, Problem> {
    let (Sent { body, raw }, request) = request.take_body();
    let (account, application) = (request.tenancy, body.application_id);
    let (atomic, dry_run) = (body.atomic, body.dry_run);
    let items = body.identities.0.into_iter().map(|item| NewIdentity {
        email: item.email,
        first_name: item.first_name,
        last_name: item.last_name,
        avatar_url: item.avatar_url,
        external_id: item.external_id,
        metadata: item.metadata,
    });
    let create = identity::CreateIdentities {
        account,
        application,
        items: items.collect(),
        atomic,
    };
    let sent = SentItems {
        raw,
        member: "identities".into(),
    };
    request
        .execute_once(create, Mode::dry_run_if(dry_run), move |outcomes| {
            Ok(BulkAnswer::of(outcomes, dry_run, sent.clone(), IdentityBody::of))
        })
        .await
}

async fn get_identity(request: Request<AccountId, IdentityId>) -> Result<Found<IdentityBody>, Problem> {
    let (account, id) = (request.tenancy, request.id);
    let found = request
        .run(move |app, _| async move { identity::get_identity(&app, account, id).await })
        .await?;
    Ok(Found(IdentityBody::of(found)))
}

async fn get_summary(request: Request<AccountId>) -> Result<Found<IdentitySummary>, Problem> {
    let account = request.tenancy;
    let counts = request
        .run(move |app, _| async move { identity::count_identities(&app, account).await })
        .await?;
    Ok(Found(IdentitySummary::of(&counts)))
}

async fn patch_identity(
    request: Request<AccountId, IdentityId, (), Body<ChangeIdentity>>,
) -> Result<Found<IdentityBody>, Problem> {
    let (Body(body), request) = request.take_body();
    change_identity(&request, body.into()).await
}

async fn patch_status(
    request: Request<AccountId, IdentityId, (), Body<SwitchIdentity>>,
) -> Result<Found<IdentityBody>, Problem> {
    let (Body(body), request) = request.take_body();
    let asked = IdentityPatch {
        is_active: Some(body.is_active),
        ..IdentityPatch::default()
    };
    change_identity(&request, asked).await
}

async fn change_identity(
    request: &Request<AccountId, IdentityId>,
    asked: IdentityPatch,
) -> Result<Found<IdentityBody>, Problem> {
    let change = identity::ChangeIdentity {
        account: request.tenancy,
        id: request.id,
        patch: asked,
    };
    Ok(Found(IdentityBody::of(request.execute(change).await?)))
}

async fn delete_identity(request: Request<AccountId, IdentityId>) -> Result<NoContent, Problem> {
    let delete = identity::DeleteIdentity {
        account: request.tenancy,
        id: request.id,
    };
    request.execute(delete).await?;
    Ok(NoContent)
}
