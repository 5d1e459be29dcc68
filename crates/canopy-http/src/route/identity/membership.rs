//! Memberships of the identities of an account: creation and end.

use crate::answer::{Made, NoContent, Representation};
use crate::bulk::{BulkAnswer, SentItems, only};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::{Body, Sent};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Batch, Instant, ShownMembership, request_body};
use canopy_app::tenancy::find_application;
use canopy_app::{Mode, identity};
use canopy_domain::identity::membership::MembershipChange;
use canopy_domain::{AccountId, ApplicationId, ApplicationRef, IdentityId, Membership};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// The OpenAPI tag of these calls.
pub(super) const TAG: &str = "Memberships";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/identities/{identityId}/app-memberships", "attachIdentity")
            .summary(TAG, "Create a membership of an identity in an application.")
            .errors(&[E::IdentityNotFound, E::ApplicationNotFound, E::AlreadyMember])
            .handler(post_membership),
        Operation::delete("/identities/{identityId}/app-memberships/{appId}", "detachIdentity")
            .summary(
                TAG,
                "Delete the membership of an identity in an application, with its assignments there.",
            )
            .errors(&[E::IdentityNotFound, E::ApplicationNotFound, E::MembershipNotFound])
            .handler(delete_membership),
        Operation::post("/app-memberships/bulk-attach", "bulkAttachIdentities")
            .summary(TAG, "Create memberships of many identities in the application.")
            .errors(&[E::TooManyChanges])
            .item_errors(&[E::IdentityNotFound, E::AlreadyMember, E::DuplicateIdentityInBatch])
            .handler(post_memberships),
    ]
}

/// The membership of an identity in an application.
#[derive(Serialize, ToSchema)]
#[schema(as = Membership)]
pub(super) struct MembershipBody {
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
    pub(super) fn of(membership: &Membership) -> Self {
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

request_body!(
    /// A membership to create.
    struct AttachIdentity {
        /// The application.
        application_id: ApplicationId,
    }
);

request_body!(
    /// Memberships to create.
    struct BulkAttachIdentities {
        /// The identities.
        identity_ids: Batch<IdentityId>,
        /// True to store no item if one of them is refused.
        atomic: bool = false,
        /// True to validate everything and write nothing.
        dry_run: bool = false,
    }
    writes nothing with dry_run
);

async fn delete_membership(request: Request<AccountId, (IdentityId, ApplicationId)>) -> Result<NoContent, Problem> {
    let (account, (id, application)) = (request.tenancy, request.id);
    let place = request
        .run(move |app, _| async move { find_application(&app, account, application).await })
        .await?;
    let end = identity::ChangeMembership {
        application: place,
        id,
        change: MembershipChange::End,
    };
    request.execute(end).await?;
    Ok(NoContent)
}

async fn post_membership(
    request: Request<AccountId, IdentityId, (), Body<AttachIdentity>>,
) -> Result<Repeatable<Made<MembershipBody>>, Problem> {
    let (account, id, application) = (request.tenancy, request.id, request.body.0.application_id);
    let place = request
        .run(move |app, _| async move { find_application(&app, account, application).await })
        .await?;
    let attach = identity::AttachIdentities {
        application: place,
        ids: vec![id],
        atomic: true,
    };
    request
        .execute_once(attach, Mode::Commit, |made| Ok(Made(MembershipBody::of(&only(made)?))))
        .await
}

async fn post_memberships(
    request: Request<ApplicationRef, (), (), Sent<BulkAttachIdentities>>,
) -> Result<Repeatable<BulkAnswer<MembershipBody>>, Problem> {
    let (Sent { body, raw }, request) = request.take_body();
    let dry_run = body.dry_run;
    let attach = identity::AttachIdentities {
        application: request.tenancy,
        ids: body.identity_ids.0,
        atomic: body.atomic,
    };
    let sent = SentItems {
        raw,
        member: "identity_ids".into(),
    };
    request
        .execute_once(attach, Mode::dry_run_if(dry_run), move |outcomes| {
            Ok(BulkAnswer::of(outcomes, dry_run, sent.clone(), |one| {
                MembershipBody::of(&one)
            }))
        })
        .await
}
