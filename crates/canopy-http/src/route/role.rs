//! Roles and their permissions.

use crate::answer::{Created, Found, Listing, NoContent, Representation};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::{Body, IfMatch};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{CatalogKeys, Given, Instant, request_body, request_query};
use canopy_app::Mode;
use canopy_app::role::{self, NewRole};
use canopy_domain::role::change::RolePatch;
use canopy_domain::role::listing::{RoleQuery, RoleTypeFilter, RoleView};
use canopy_domain::{ApplicationId, Description, Edit, EnvironmentRef, PermissionKey, Role, RoleId, RoleName};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "Roles";
    vec![
        Operation::get("/roles", "listRoles")
            .summary(TAG, "List the roles, by name.")
            .requires("role.read")
            .handler(list_roles),
        Operation::post("/roles", "createRole")
            .summary(TAG, "Create a role.")
            .writes::<role::CreateRole>()
            .errors(&[E::CatalogTooLarge, E::RoleNameTaken, E::UnknownPermissionKeys])
            .handler(post_role),
        Operation::get("/roles/{roleId}", "getRole")
            .summary(TAG, "Get a role.")
            .requires("role.read")
            .errors(&[E::RoleNotFound])
            .handler(get_role),
        Operation::patch("/roles/{roleId}", "changeRole")
            .summary(TAG, "Change the name, the description or the active state of a role.")
            .writes::<role::ChangeRole>()
            .errors(&[E::RoleNotFound, E::SystemRole, E::RoleNameTaken])
            .handler(patch_role),
        Operation::delete("/roles/{roleId}", "deleteRole")
            .summary(TAG, "Delete a role; with `force`, its assignments too.")
            .writes::<role::DeleteRole>()
            .errors(&[E::RoleNotFound, E::SystemRole, E::RoleInUse])
            .handler(delete_role),
        Operation::get("/roles/{roleId}/permissions", "listRolePermissions")
            .summary(TAG, "List the permissions of a role.")
            .requires("role.read")
            .errors(&[E::RoleNotFound])
            .handler(get_role_permissions),
        Operation::put("/roles/{roleId}/permissions", "replaceRolePermissions")
            .summary(TAG, "Replace the permissions of a role.")
            .writes::<role::ReplaceRolePermissions>()
            .errors(&[
                E::CatalogTooLarge,
                E::IndexFull,
                E::RoleNotFound,
                E::SystemRole,
                E::UnknownPermissionKeys,
            ])
            .judges_version()
            .handler(put_role_permissions),
    ]
}

/// A role.
#[derive(Serialize, ToSchema)]
#[schema(as = Role)]
struct RoleBody {
    id: Uuid,
    application_id: Uuid,
    name: String,
    description: Option<String>,
    is_system_role: bool,
    /// The fixed key of a system role.
    system_key: Option<&'static str>,
    /// An inactive role grants nothing.
    is_active: bool,
    version: u32,
    created_at: Instant,
    updated_at: Instant,
}

impl RoleBody {
    fn of(application: ApplicationId, role: Role) -> Self {
        Self {
            id: role.id.as_uuid(),
            application_id: application.as_uuid(),
            name: role.name.to_string(),
            description: role.description.map(|text| text.to_string()),
            is_system_role: role.kind.is_system(),
            system_key: role.kind.system_key(),
            is_active: role.is_active,
            version: role.version.get(),
            created_at: Instant(role.created_at),
            updated_at: Instant(role.updated_at),
        }
    }
}

impl Representation for RoleBody {
    const VERSIONED: bool = true;

    fn version(&self) -> Option<u32> {
        Some(self.version)
    }
}

/// A role in a list.
#[derive(Serialize, ToSchema)]
struct RoleListItem {
    id: Uuid,
    application_id: Uuid,
    name: String,
    description: Option<String>,
    is_system_role: bool,
    /// The fixed key of a system role.
    system_key: Option<&'static str>,
    /// An inactive role grants nothing.
    is_active: bool,
    version: u32,
    created_at: Instant,
    updated_at: Instant,
    /// Number of its permissions.
    permission_count: u64,
}

impl RoleListItem {
    fn of(application: ApplicationId) -> impl Fn(RoleView) -> Self {
        move |view| {
            let role = RoleBody::of(application, view.role);
            Self {
                id: role.id,
                application_id: role.application_id,
                name: role.name,
                description: role.description,
                is_system_role: role.is_system_role,
                system_key: role.system_key,
                is_active: role.is_active,
                version: role.version,
                created_at: role.created_at,
                updated_at: role.updated_at,
                permission_count: view.permission_count,
            }
        }
    }
}

/// The permission keys of a role.
#[derive(Serialize, ToSchema)]
#[schema(as = RolePermissions)]
struct RoleKeys {
    items: Vec<String>,
    /// The version of the role, for `If-Match` of a replacement.
    version: u32,
}

/// The result of replacing the permissions of a role.
#[derive(Serialize, ToSchema)]
#[schema(as = RolePermissionsReplaced)]
struct RoleKeysReplaced {
    message: &'static str,
    /// The keys that the role gained.
    added: Vec<String>,
    /// The keys that the role lost.
    removed: Vec<String>,
    /// The version of the role after the change.
    version: u32,
}

macro_rules! versioned {
    ($($type:ty),+) => {
        $(impl Representation for $type {
            const VERSIONED: bool = true;

            fn version(&self) -> Option<u32> {
                Some(self.version)
            }
        })+
    };
}

versioned!(RoleKeys, RoleKeysReplaced);

request_query!(
    /// Selects roles.
    struct ListRoles {
        /// True to include inactive roles.
        include_inactive: bool = false,
        /// Only the system role, or only custom roles.
        kind as "type": Option<RoleTypeFilter>,
    }
);

request_body!(
    /// A role to create.
    struct CreateRole {
        /// Its name, unique in the environment ignoring case.
        name: RoleName,
        /// A description, for people.
        description: Option<Description>,
        /// The permission keys of the role; each must be in the catalog.
        permission_keys: CatalogKeys = CatalogKeys::default(),
    }
);

request_body!(
    /// A change to a role.
    struct ChangeRole {
        /// Its name, unique in the environment ignoring case.
        name: Given<RoleName>,
        /// A description, for people; null for none.
        description: Edit<Description>,
        /// An inactive role grants nothing.
        is_active: Given<bool>,
    }
);

request_query!(
    /// The options of the call.
    struct DeleteRole {
        /// True to delete the assignments of the role too.
        force: bool = false,
    }
);

request_body!(
    /// The permissions of a role.
    struct ReplaceRolePermissions {
        /// The permission keys; each must be in the catalog.
        permission_keys: CatalogKeys,
    }
);

async fn list_roles(request: Request<EnvironmentRef, (), ListRoles>) -> Result<Listing<RoleListItem>, Problem> {
    let place = request.tenancy;
    let query = RoleQuery {
        include_inactive: request.query.include_inactive,
        kind: request.query.kind,
    };
    let found = request
        .run(move |app, _| async move { role::list_roles(&app, &place, &query).await })
        .await?;
    Ok(Listing::of(found, RoleListItem::of(place.application)))
}

async fn post_role(
    request: Request<EnvironmentRef, (), (), Body<CreateRole>>,
) -> Result<Repeatable<Created<RoleBody>>, Problem> {
    let (Body(body), request) = request.take_body();
    let place = request.tenancy;
    let new = NewRole {
        name: body.name,
        description: body.description,
        permission_keys: body.permission_keys.0,
    };
    let create = role::CreateRole {
        environment: place,
        new,
    };
    request
        .execute_once(create, Mode::Commit, move |role| {
            Ok(Created {
                name: role.id.to_string(),
                body: RoleBody::of(place.application, role),
            })
        })
        .await
}

async fn get_role(request: Request<EnvironmentRef, RoleId>) -> Result<Found<RoleBody>, Problem> {
    let (place, id) = (request.tenancy, request.id);
    let role = request
        .run(move |app, _| async move { role::get_role(&app, &place, id).await })
        .await?;
    Ok(Found(RoleBody::of(place.application, role)))
}

async fn patch_role(
    request: Request<EnvironmentRef, RoleId, (), IfMatch<Body<ChangeRole>>>,
) -> Result<Found<RoleBody>, Problem> {
    let (IfMatch { input, version }, request) = request.take_body();
    let (place, id, body) = (request.tenancy, request.id, input.0);
    let asked = RolePatch {
        name: body.name.0,
        description: body.description,
        is_active: body.is_active.0,
    };
    let change = role::ChangeRole {
        environment: place,
        id,
        seen: version,
        patch: asked,
    };
    Ok(Found(RoleBody::of(place.application, request.execute(change).await?)))
}

async fn delete_role(request: Request<EnvironmentRef, RoleId, DeleteRole, IfMatch<()>>) -> Result<NoContent, Problem> {
    let delete = role::DeleteRole {
        environment: request.tenancy,
        id: request.id,
        seen: request.body.version,
        force: request.query.force,
    };
    request.execute(delete).await?;
    Ok(NoContent)
}

fn texts(keys: &[PermissionKey]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

async fn get_role_permissions(request: Request<EnvironmentRef, RoleId>) -> Result<Found<RoleKeys>, Problem> {
    let (place, id) = (request.tenancy, request.id);
    let (keys, version) = request
        .run(move |app, _| async move { role::get_role_permissions(&app, &place, id).await })
        .await?;
    Ok(Found(RoleKeys {
        items: texts(&keys),
        version: version.get(),
    }))
}

async fn put_role_permissions(
    request: Request<EnvironmentRef, RoleId, (), Body<ReplaceRolePermissions>>,
) -> Result<Found<RoleKeysReplaced>, Problem> {
    let (Body(body), request) = request.take_body();
    let replace = role::ReplaceRolePermissions {
        environment: request.tenancy,
        id: request.id,
        keys: body.permission_keys.0,
    };
    let replaced = request.execute(replace).await?;
    Ok(Found(RoleKeysReplaced {
        message: "the permissions of the role were replaced",
        added: texts(&replaced.added),
        removed: texts(&replaced.removed),
        version: replaced.version.get(),
    }))
}
