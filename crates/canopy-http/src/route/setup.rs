//! Setting up an environment's catalog and roles.

use crate::answer::{Listing, Made, Representation};
use crate::error_code::ErrorCode as E;
use crate::input::Body;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Fault, Faults, Name, Place, request_body};
use canopy_app::setup::{bootstrap, resource_permissions, summaries};
use canopy_domain::setup::bootstrap::{BootstrapRequest, BootstrapRole};
use canopy_domain::setup::resource_permissions::ResourcePermissionsRequest;
use canopy_domain::setup::{Resource, SetupSummary};
use canopy_domain::{AccountId, Description, EnvironmentPlace, PermissionKey, RoleId, RoleName};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "Setup";
    vec![
        Operation::post("/setup/access-bootstrap", "bootstrapAccess")
            .says(
                TAG,
                "Make the catalog and roles of a fresh environment, all or nothing.",
            )
            .fails(&[E::AlreadyBootstrapped, E::DuplicateRoleName, E::UnknownPermissionKeys])
            .by(post_bootstrap),
        Operation::post("/setup/resource-permissions", "addResourcePermissions")
            .says(
                TAG,
                "Add permissions to an environment in use, and to its roles, all or nothing.",
            )
            .fails(&[E::RoleNotFound, E::SystemRole, E::UnknownPermissionKeys])
            .by(post_resource_permissions),
        Operation::get("/setup-summaries", "listSetupSummaries")
            .says(TAG, "List how far each environment of the account is set up.")
            .by(list_summaries),
    ]
}

request_body!(
    /// A resource with the actions on it; each action makes the key `name.action`.
    struct ResourceActions {
        /// The part of the keys before the last one.
        name: Name,
        /// The parts behind it.
        actions: Vec<Name>,
    }
);

request_body!(
    /// The catalog and roles of a fresh environment.
    struct Bootstrap {
        /// What there is to be allowed.
        resources: Vec<ResourceActions>,
        /// The roles.
        roles: Vec<BootstrapRoleBody>,
    }
);

request_body!(
    /// A role to make.
    struct BootstrapRoleBody {
        /// Its name.
        name: RoleName,
        /// What it is for, for people.
        description: Option<Description>,
        /// The keys it bundles: of this request, or system keys.
        permission_keys: Vec<PermissionKey>,
    }
);

request_body!(
    /// What an environment in use gains.
    struct AddResourcePermissions {
        /// What there is to be allowed.
        resources: Vec<ResourceActions>,
        /// What roles gain.
        role_permissions: Vec<RoleGain>,
    }
);

request_body!(
    /// What a role gains.
    struct RoleGain {
        /// The role.
        role_id: RoleId,
        /// The keys it bundles afterwards, besides those it has.
        permission_keys: Vec<PermissionKey>,
    }
);

/// What a bootstrap did.
#[derive(Serialize, ToSchema)]
struct BootstrapCounts {
    permissions_created: usize,
    roles_created: usize,
    /// Keys that existed already or were repeated.
    skipped_permissions: usize,
    /// Roles with the name of a system role.
    skipped_roles: usize,
}

/// What an addition did.
#[derive(Serialize, ToSchema)]
struct ResourcePermissionsCounts {
    permissions_created: usize,
    /// Keys that existed already or were repeated.
    skipped_permissions: usize,
    /// Roles that gained at least one key.
    roles_updated: usize,
}

impl Representation for BootstrapCounts {}
impl Representation for ResourcePermissionsCounts {}

/// How far an environment is set up. Only what the customer made counts.
#[derive(Serialize, ToSchema)]
#[schema(as = SetupSummary)]
#[expect(clippy::struct_excessive_bools, reason = "the wire format has them")]
struct SummaryBody {
    application_id: Uuid,
    application_slug: String,
    environment_id: Uuid,
    environment_slug: String,
    has_permissions: bool,
    has_roles: bool,
    has_role_permissions: bool,
    is_complete: bool,
    /// Active members of the application.
    identities_count: u64,
}

impl SummaryBody {
    fn of(summary: &SetupSummary) -> Self {
        Self {
            is_complete: summary.is_complete(),
            application_id: summary.application_id.as_uuid(),
            application_slug: summary.application_slug.to_string(),
            environment_id: summary.environment_id.as_uuid(),
            environment_slug: summary.environment_slug.to_string(),
            has_permissions: summary.has_permissions,
            has_roles: summary.has_roles,
            has_role_permissions: summary.has_role_permissions,
            identities_count: summary.identities,
        }
    }
}

/// The keys that resources × actions make; every action that makes none is a fault.
fn keys(resources: Vec<ResourceActions>) -> Result<Vec<PermissionKey>, Problem> {
    let resources: Vec<Resource> = resources
        .into_iter()
        .map(|one| Resource {
            name: one.name.0,
            actions: one.actions.into_iter().map(|action| action.0).collect(),
        })
        .collect();
    Resource::keys(&resources).map_err(|errors| {
        let mut faults = Faults::default();
        let list = Place::Member(&Place::Root, "resources");
        for error in errors {
            let resource = Place::Item(&list, error.resource);
            let actions = Place::Member(&resource, "actions");
            faults.add(&Place::Item(&actions, error.action), Fault::from(error.reason));
        }
        faults.into()
    })
}

async fn post_bootstrap(
    request: Request<EnvironmentPlace, (), (), Body<Bootstrap>>,
) -> Result<Made<BootstrapCounts>, Problem> {
    let (Body(body), request) = request.take_body();
    let place = request.scope;
    let role = |role: BootstrapRoleBody| BootstrapRole {
        name: role.name,
        description: role.description,
        permission_keys: role.permission_keys,
    };
    let asked = BootstrapRequest {
        permission_keys: keys(body.resources)?,
        roles: body.roles.into_iter().map(role).collect(),
    };
    let done = request
        .run(move |app, call| async move { bootstrap::run(&app, &call, &place, &asked).await })
        .await?;
    Ok(Made(BootstrapCounts {
        permissions_created: done.permissions_created,
        roles_created: done.roles_created,
        skipped_permissions: done.skipped_permissions,
        skipped_roles: done.skipped_roles,
    }))
}

async fn post_resource_permissions(
    request: Request<EnvironmentPlace, (), (), Body<AddResourcePermissions>>,
) -> Result<Made<ResourcePermissionsCounts>, Problem> {
    let (Body(body), request) = request.take_body();
    let place = request.scope;
    let asked = ResourcePermissionsRequest {
        permission_keys: keys(body.resources)?,
        role_permissions: body
            .role_permissions
            .into_iter()
            .map(|gain| (gain.role_id, gain.permission_keys))
            .collect(),
    };
    let added =
        request.run(move |app, call| async move { resource_permissions::run(&app, &call, &place, &asked).await });
    let done = added.await?;
    Ok(Made(ResourcePermissionsCounts {
        permissions_created: done.permissions_created,
        skipped_permissions: done.skipped_permissions,
        roles_updated: done.roles_updated,
    }))
}

async fn list_summaries(request: Request<AccountId>) -> Result<Listing<SummaryBody>, Problem> {
    let account = request.scope;
    let found = request
        .run(move |app, _| async move { summaries::run(&app, account).await })
        .await?;
    Ok(Listing::of(found, |one| SummaryBody::of(&one)))
}
