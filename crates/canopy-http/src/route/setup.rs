//! Setup of the catalog and the roles of an environment.

use crate::answer::{Listing, Made, Representation};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::Body;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{
    CatalogKeys, Components, Everything, Fault, Faults, Json, JsonPointer, Large, WireText, WireValue, key_segments,
    request_body,
};
use canopy_app::{Mode, setup};
use canopy_domain::setup::bootstrap::{BootstrapRequest, BootstrapRole};
use canopy_domain::setup::resource_permissions::ResourcePermissionsRequest;
use canopy_domain::setup::{CatalogLimits, Resource, SetupSummary};
use canopy_domain::{AccountId, Description, EnvironmentRef, PermissionKey, RoleId, RoleName};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "Setup";
    vec![
        Operation::post("/setup/access-bootstrap", "bootstrapAccess")
            .summary(
                TAG,
                "Bootstrap the permission catalog and the roles of an environment, all or nothing.",
            )
            .errors(&[
                E::AlreadyBootstrapped,
                E::CatalogTooLarge,
                E::DuplicateRoleName,
                E::UnknownPermissionKeys,
            ])
            .handler(post_bootstrap),
        Operation::post("/setup/resource-permissions", "addResourcePermissions")
            .summary(
                TAG,
                "Add permissions to the catalog of an environment and to its roles, all or nothing.",
            )
            .errors(&[
                E::CatalogTooLarge,
                E::RoleNotFound,
                E::SystemRole,
                E::UnknownPermissionKeys,
            ])
            .handler(post_resource_permissions),
        Operation::get("/setup-summaries", "listSetupSummaries")
            .summary(TAG, "List the setup status of each environment of the account.")
            .handler(list_summaries),
    ]
}

/// One or more segments of a permission key.
#[derive(Debug)]
struct Segments(String);

impl WireText for Segments {
    fn parse(text: &str) -> Result<Self, Fault> {
        PermissionKey::segments(text)?;
        Ok(Self(text.to_owned()))
    }

    fn describe() -> Object {
        key_segments()
    }
}

/// A list of items with inner lists, and a limit on all inner items together.
#[derive(Debug)]
struct Bounded<T>(Vec<T>);

/// An item with an inner list.
trait Holder: WireValue {
    /// The member with the inner list.
    const MEMBER: &'static str;
    /// Returns the maximum number of items in all inner lists together.
    fn most(limits: CatalogLimits) -> usize;
    /// The name of the inner items, for the error message.
    const WHAT: &'static str;
}

impl Holder for ResourceActions {
    const MEMBER: &'static str = "actions";
    const WHAT: &'static str = "keys";

    fn most(limits: CatalogLimits) -> usize {
        limits.keys
    }
}

impl Holder for BootstrapRoleBody {
    const MEMBER: &'static str = "permission_keys";
    const WHAT: &'static str = "keys of roles";

    fn most(limits: CatalogLimits) -> usize {
        limits.pairs
    }
}

impl Holder for RoleGain {
    const MEMBER: &'static str = "permission_keys";
    const WHAT: &'static str = "keys of roles";

    fn most(limits: CatalogLimits) -> usize {
        limits.pairs
    }
}

impl<T: Holder> WireValue for Bounded<T> {
    fn read(json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults) -> Option<Self> {
        let held = |item: &Json<'_>| match item.given(T::MEMBER) {
            Some(Json::Array(items)) => items.len(),
            _ => 0,
        };
        if let Json::Array(items) = json
            && items.iter().map(held).sum::<usize>() > T::most(faults.catalogs())
        {
            let message = format!("must have at most {} {} together", T::most(faults.catalogs()), T::WHAT);
            faults.add(place, Fault::new("too_many_items", message));
            return None;
        }
        Everything::read(json, place, faults).map(|Everything(items)| Self(items))
    }

    fn schema(components: &mut Components) -> RefOr<Schema> {
        Everything::<T>::schema(components)
    }
}

request_body!(
    /// A resource and its actions. Each action forms the key `name.action`.
    struct ResourceActions {
        /// The part of the keys before the action.
        name: Segments,
        /// The last part of the keys.
        actions: Everything<Segments>,
    }
);

request_body!(
    /// The catalog and roles of a fresh environment.
    struct Bootstrap {
        /// Resources and their actions. They form at most as many keys as a catalog may have: 50,000 unless configured
        /// otherwise.
        resources: Bounded<ResourceActions>,
        /// The roles. Together they bundle at most as many keys as the roles of a catalog may: 1,000,000 unless
        /// configured otherwise.
        roles: Bounded<BootstrapRoleBody>,
    }
);

request_body!(
    /// A role to create.
    struct BootstrapRoleBody {
        /// Its name.
        name: RoleName,
        /// A description, for people.
        description: Option<Description>,
        /// The permission keys of the role: from this request, or system keys.
        permission_keys: CatalogKeys,
    }
);

request_body!(
    /// Additions to an environment that is already set up.
    struct AddResourcePermissions {
        /// Resources and their actions. They form at most as many keys as a catalog may have: 50,000 unless configured
        /// otherwise.
        resources: Bounded<ResourceActions>,
        /// The keys that roles gain, at most as many as the roles of a catalog may bundle: 1,000,000 unless configured
        /// otherwise.
        role_permissions: Bounded<RoleGain>,
    }
);

request_body!(
    /// The permissions that a role gains.
    struct RoleGain {
        /// The role.
        role_id: RoleId,
        /// The added permission keys.
        permission_keys: CatalogKeys,
    }
);

/// The result of a bootstrap.
#[derive(Serialize, ToSchema)]
struct BootstrapCounts {
    permissions_created: usize,
    roles_created: usize,
    /// Number of keys that existed already or were repeated.
    skipped_permissions: usize,
    /// Number of roles with the name of a system role.
    skipped_roles: usize,
}

/// The result of an addition.
#[derive(Serialize, ToSchema)]
struct ResourcePermissionsCounts {
    permissions_created: usize,
    /// Number of keys that existed already or were repeated.
    skipped_permissions: usize,
    /// Number of roles that gained at least one key.
    roles_updated: usize,
}

impl Representation for BootstrapCounts {}
impl Representation for ResourcePermissionsCounts {}

/// The setup status of an environment. Counts only custom permissions, roles and nodes.
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
    /// Number of active members of the application.
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

/// Returns the keys of all resources and actions. Every action whose key would be too long is a fault.
fn keys(Bounded(resources): Bounded<ResourceActions>) -> Result<Vec<PermissionKey>, Problem> {
    let resources: Vec<Resource> = resources
        .into_iter()
        .map(|one| Resource {
            name: one.name.0,
            actions: one.actions.0.into_iter().map(|action| action.0).collect(),
        })
        .collect();
    Resource::keys(&resources).map_err(|errors| {
        let mut faults = Faults::default();
        let list = JsonPointer::Member(&JsonPointer::Root, "resources");
        for error in errors {
            let resource = JsonPointer::Item(&list, error.resource);
            let actions = JsonPointer::Member(&resource, "actions");
            faults.add(&JsonPointer::Item(&actions, error.action), Fault::from(error.reason));
        }
        faults.into()
    })
}

async fn post_bootstrap(
    request: Request<EnvironmentRef, (), (), Body<Large<Bootstrap>>>,
) -> Result<Repeatable<Made<BootstrapCounts>>, Problem> {
    let (Body(Large(body)), request) = request.take_body();
    let place = request.tenancy;
    let role = |role: BootstrapRoleBody| BootstrapRole {
        name: role.name,
        description: role.description,
        permission_keys: role.permission_keys.0,
    };
    let asked = BootstrapRequest {
        permission_keys: keys(body.resources)?,
        roles: body.roles.0.into_iter().map(role).collect(),
    };
    let bootstrap = setup::BootstrapEnvironment {
        environment: place,
        request: asked,
    };
    request
        .execute_once(bootstrap, Mode::Commit, |done| {
            Ok(Made(BootstrapCounts {
                permissions_created: done.permissions_created,
                roles_created: done.roles_created,
                skipped_permissions: done.skipped_permissions,
                skipped_roles: done.skipped_roles,
            }))
        })
        .await
}

async fn post_resource_permissions(
    request: Request<EnvironmentRef, (), (), Body<Large<AddResourcePermissions>>>,
) -> Result<Repeatable<Made<ResourcePermissionsCounts>>, Problem> {
    let (Body(Large(body)), request) = request.take_body();
    let place = request.tenancy;
    let asked = ResourcePermissionsRequest {
        permission_keys: keys(body.resources)?,
        role_permissions: body
            .role_permissions
            .0
            .into_iter()
            .map(|gain| (gain.role_id, gain.permission_keys.0))
            .collect(),
    };
    let add = setup::AddResourcePermissions {
        environment: place,
        request: asked,
    };
    request
        .execute_once(add, Mode::Commit, |done| {
            Ok(Made(ResourcePermissionsCounts {
                permissions_created: done.permissions_created,
                skipped_permissions: done.skipped_permissions,
                roles_updated: done.roles_updated,
            }))
        })
        .await
}

async fn list_summaries(request: Request<AccountId>) -> Result<Listing<SummaryBody>, Problem> {
    let account = request.tenancy;
    let found = request
        .run(move |app, _| async move { setup::list_setup_summaries(&app, account).await })
        .await?;
    Ok(Listing::of(found, |one| SummaryBody::of(&one)))
}
