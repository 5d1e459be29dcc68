//! Identities and their memberships.

use super::hierarchy::only;
use crate::answer::{Created, Found, Made, PageOf, Representation};
use crate::bulk::{BulkAnswer, SentItems};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::{Body, Sent};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::scope::ApplicationReach;
use crate::wire::{
    Batch, Instant, PageNumber, Search, ShownMembership, Take, Whole, page, request_body, request_query,
};
use canopy_app::BulkMode;
use canopy_app::identity::{attach, bulk_create, get, list};
use canopy_app::tenancy::get::application_place;
use canopy_domain::identity::create::NewIdentity;
use canopy_domain::identity::listing::{IdentityQuery, IdentitySort, IdentityStatus};
use canopy_domain::{
    AccountId, ApplicationId, ApplicationPlace, AvatarUrl, Email, ExternalId, Identity, IdentityId, JsonObject,
    Membership, PageRequest, PersonName, SortOrder,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const IDENTITIES: &str = "Identities";
    const MEMBERSHIPS: &str = "Memberships";
    vec![
        Operation::get("/identities", "listAccountIdentities")
            .says(IDENTITIES, "List the identities of the account.")
            .by(list_of_account),
        Operation::post("/identities", "createIdentity")
            .says(
                IDENTITIES,
                "Make an identity, and a member of an application where one is named.",
            )
            .fails(&[E::EmailTaken, E::ExternalIdTaken, E::ApplicationNotFound])
            .by(post_identity),
        Operation::post("/identities/bulk-create", "bulkCreateIdentities")
            .says(IDENTITIES, "Make many identities.")
            .fails(&[E::ApplicationNotFound])
            .item_fails(&[E::EmailTaken, E::ExternalIdTaken, E::DuplicateIdentityInBatch])
            .by(post_identities),
        Operation::get("/identities/{identityId}", "getIdentity")
            .says(IDENTITIES, "Get an identity.")
            .fails(&[E::IdentityNotFound])
            .by(get_identity),
        Operation::post("/identities/{identityId}/app-memberships", "attachIdentity")
            .says(MEMBERSHIPS, "Make an identity an active member of an application.")
            .fails(&[E::IdentityNotFound, E::ApplicationNotFound, E::AlreadyMember])
            .by(post_membership),
        Operation::post("/app-memberships/bulk-attach", "bulkAttachIdentities")
            .says(MEMBERSHIPS, "Make many identities active members of the application.")
            .item_fails(&[E::IdentityNotFound, E::AlreadyMember, E::DuplicateIdentityInBatch])
            .by(post_memberships),
        Operation::get("/identities", "listApplicationIdentities")
            .says(
                IDENTITIES,
                "List the identities that are members of the application, in whatever state.",
            )
            .needs("identity.read")
            .by(list_of_application),
    ]
}

/// An identity.
#[derive(Serialize, ToSchema)]
#[schema(as = Identity)]
struct IdentityBody {
    id: Uuid,
    email: String,
    first_name: String,
    last_name: String,
    avatar_url: Option<String>,
    external_id: Option<String>,
    /// The account-wide switch.
    is_active: bool,
    created_at: Instant,
}

impl Representation for IdentityBody {}

impl IdentityBody {
    fn of(identity: Identity) -> Self {
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

/// An identity's place in an application.
#[derive(Serialize, ToSchema)]
#[schema(as = Membership)]
struct MembershipBody {
    id: Uuid,
    identity_id: Uuid,
    application_id: Uuid,
    status: ShownMembership,
    invited_at: Option<Instant>,
    activated_at: Option<Instant>,
    deactivated_at: Option<Instant>,
    created_at: Instant,
}

impl Representation for MembershipBody {}

impl MembershipBody {
    fn of(membership: &Membership) -> Self {
        Self {
            id: membership.id.as_uuid(),
            identity_id: membership.identity_id.as_uuid(),
            application_id: membership.application_id.as_uuid(),
            status: ShownMembership(membership.status),
            invited_at: membership.invited_at.map(Instant),
            activated_at: membership.activated_at.map(Instant),
            deactivated_at: membership.deactivated_at.map(Instant),
            created_at: Instant(membership.created_at),
        }
    }
}

request_query!(
    /// Which identities of an account, and how.
    struct ListAccountIdentities {
        /// Which page, counted from 1.
        page: PageNumber = Whole(1),
        /// How many items a page has.
        take: Take = Whole(PageRequest::DEFAULT_TAKE),
        /// Only those whose name or email contains this.
        q: Search = Search::none(),
        /// What to order by.
        sort_by: IdentitySort = IdentitySort::CreatedAt,
        /// In which direction.
        order: SortOrder = SortOrder::Ascending,
        /// Only those switched on, or off.
        status: Option<IdentityStatus>,
        /// Only those with (or without) an assignment anywhere in the account.
        has_any_assignment: Option<bool>,
        /// Only those without any membership in this application.
        not_in_app: Option<ApplicationId>,
    }
);

request_query!(
    /// Which members of an application, and how.
    struct ListApplicationIdentities {
        /// Which page, counted from 1.
        page: PageNumber = Whole(1),
        /// How many items a page has.
        take: Take = Whole(PageRequest::DEFAULT_TAKE),
        /// Only those whose name or email contains this.
        q: Search = Search::none(),
        /// What to order by.
        sort_by: IdentitySort = IdentitySort::CreatedAt,
        /// In which direction.
        order: SortOrder = SortOrder::Ascending,
        /// Only those switched on, or off.
        status: Option<IdentityStatus>,
        /// Only those with (or without) an assignment in the application.
        has_any_assignment: Option<bool>,
    }
);

request_body!(
    /// An identity to make.
    struct CreateIdentity {
        /// Mail address, unique in the account; stored in lower case.
        email: Email,
        /// First name.
        first_name: PersonName,
        /// Last name.
        last_name: PersonName,
        /// A picture.
        avatar_url: Option<AvatarUrl>,
        /// Its id in the customer's directory, unique in the account.
        external_id: Option<ExternalId>,
        /// What the customer keeps with it.
        metadata: Option<JsonObject>,
        /// An application in which it becomes an active member.
        application_id: Option<ApplicationId>,
    }
    unsupported ["password", "mfa"]
);

request_body!(
    /// An identity to make with others.
    struct CreateIdentityItem {
        /// Mail address, unique in the account; stored in lower case.
        email: Email,
        /// First name.
        first_name: PersonName,
        /// Last name.
        last_name: PersonName,
        /// A picture.
        avatar_url: Option<AvatarUrl>,
        /// Its id in the customer's directory, unique in the account.
        external_id: Option<ExternalId>,
        /// What the customer keeps with it.
        metadata: Option<JsonObject>,
    }
    unsupported ["password", "mfa"]
);

request_body!(
    /// Identities to make.
    struct BulkCreateIdentities {
        /// The identities.
        identities: Batch<CreateIdentityItem>,
        /// An application in which all of them become active members.
        application_id: Option<ApplicationId>,
        /// Whether one bad item keeps all from being stored.
        atomic: bool = false,
        /// Judges everything and writes nothing.
        dry_run: bool = false,
    }
    unsupported ["password", "mfa"]
);

request_body!(
    /// A membership to make.
    struct AttachIdentity {
        /// The application.
        application_id: ApplicationId,
    }
);

request_body!(
    /// Memberships to make.
    struct BulkAttachIdentities {
        /// The identities.
        identity_ids: Batch<IdentityId>,
        /// Whether one bad item keeps all from being stored.
        atomic: bool = false,
        /// Judges everything and writes nothing.
        dry_run: bool = false,
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
        search: query.q.folded(),
        sort: query.sort_by,
        order: query.order,
        page: page(query.page, query.take),
    };
    identities(&request, request.scope, asked).await
}

async fn list_of_application(
    request: Request<ApplicationReach, (), ListApplicationIdentities>,
) -> Result<PageOf<IdentityBody>, Problem> {
    let (query, request) = request.take_query();
    let asked = IdentityQuery {
        member_of: Some(request.scope.place.application),
        not_member_of: None,
        status: query.status,
        has_any_assignment: query.has_any_assignment,
        search: query.q.folded(),
        sort: query.sort_by,
        order: query.order,
        page: page(query.page, query.take),
    };
    identities(&request, request.scope.place.account, asked).await
}

async fn identities<S>(
    request: &Request<S>,
    account: AccountId,
    asked: IdentityQuery,
) -> Result<PageOf<IdentityBody>, Problem> {
    let page = asked.page;
    let found = request
        .run(move |app, _| async move { list::run(&app, account, &asked).await })
        .await?;
    Ok(PageOf::of(page, found, IdentityBody::of))
}

async fn post_identity(
    request: Request<AccountId, (), (), Body<CreateIdentity>>,
) -> Result<Repeatable<Created<IdentityBody>>, Problem> {
    let (Body(body), request) = request.take_body();
    let (account, application) = (request.scope, body.application_id);
    let new = [NewIdentity {
        email: body.email,
        first_name: body.first_name,
        last_name: body.last_name,
        avatar_url: body.avatar_url,
        external_id: body.external_id,
        metadata: body.metadata,
    }];
    let create = move |app, call| async move {
        bulk_create::run(&app, &call, account, application, &new, BulkMode::SINGLE).await
    };
    request
        .write(create, |made| {
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
    let (account, application) = (request.scope, body.application_id);
    let mode = BulkMode {
        atomic: body.atomic,
        dry_run: body.dry_run,
    };
    let items = body.identities.0.into_iter().map(|item| NewIdentity {
        email: item.email,
        first_name: item.first_name,
        last_name: item.last_name,
        avatar_url: item.avatar_url,
        external_id: item.external_id,
        metadata: item.metadata,
    });
    let items: Vec<NewIdentity> = items.collect();
    let create =
        move |app, call| async move { bulk_create::run(&app, &call, account, application, &items, mode).await };
    let sent = SentItems {
        raw,
        member: "identities",
    };
    request
        .once_only_if(mode.dry_run)
        .write(create, move |outcomes| {
            Ok(BulkAnswer::of(outcomes, mode.dry_run, sent.clone(), IdentityBody::of))
        })
        .await
}

async fn get_identity(request: Request<AccountId, IdentityId>) -> Result<Found<IdentityBody>, Problem> {
    let (account, id) = (request.scope, request.id);
    let found = request
        .run(move |app, _| async move { get::run(&app, account, id).await })
        .await?;
    Ok(Found(IdentityBody::of(found)))
}

async fn post_membership(
    request: Request<AccountId, IdentityId, (), Body<AttachIdentity>>,
) -> Result<Repeatable<Made<MembershipBody>>, Problem> {
    let (account, id, application) = (request.scope, request.id, request.body.0.application_id);
    let attach = move |app, call| async move {
        let place = application_place(&app, account, application).await?;
        attach::run(&app, &call, place, &[id], BulkMode::SINGLE).await
    };
    request
        .write(attach, |made| Ok(Made(MembershipBody::of(&only(made)?))))
        .await
}

async fn post_memberships(
    request: Request<ApplicationPlace, (), (), Sent<BulkAttachIdentities>>,
) -> Result<Repeatable<BulkAnswer<MembershipBody>>, Problem> {
    let (Sent { body, raw }, request) = request.take_body();
    let place = request.scope;
    let mode = BulkMode {
        atomic: body.atomic,
        dry_run: body.dry_run,
    };
    let ids = body.identity_ids.0;
    let attach = move |app, call| async move { attach::run(&app, &call, place, &ids, mode).await };
    let sent = SentItems {
        raw,
        member: "identity_ids",
    };
    request
        .once_only_if(mode.dry_run)
        .write(attach, move |outcomes| {
            Ok(BulkAnswer::of(outcomes, mode.dry_run, sent.clone(), |one| {
                MembershipBody::of(&one)
            }))
        })
        .await
}
