//! The catalog of permissions.

use crate::answer::{Found, Listing, MadeAll, NoContent, Representation};
use crate::error_code::ErrorCode as E;
use crate::idempotency::Repeatable;
use crate::input::{Body, IfMatch};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Batch, Instant, Search, ShownSource, request_body, request_query};
use canopy_app::Mode;
use canopy_app::permission::{self, NewPermission};
use canopy_domain::permission::change::PermissionPatch;
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::{
    ApplicationId, Category, Description, Edit, EnvironmentRef, Permission, PermissionId, PermissionKey,
    PermissionSource,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub(super) fn operations() -> Vec<Operation> {
    const TAG: &str = "Permissions";
    vec![
        Operation::get("/permissions", "listPermissions")
            .summary(TAG, "List the permissions of the catalog, by key.")
            .requires("permission.read")
            .handler(list_permissions),
        Operation::post("/permissions", "createPermissions")
            .summary(TAG, "Create permissions in the catalog, all or none.")
            .writes::<permission::CreatePermissions>()
            .errors(&[E::CatalogTooLarge, E::PermissionKeyTaken])
            .handler(post_permissions),
        Operation::get("/permissions/{permissionId}", "getPermission")
            .summary(TAG, "Get a permission.")
            .requires("permission.read")
            .errors(&[E::PermissionNotFound])
            .handler(get_permission),
        Operation::patch("/permissions/{permissionId}", "changePermission")
            .summary(TAG, "Change the description or category of a permission.")
            .writes::<permission::ChangePermission>()
            .errors(&[E::PermissionNotFound, E::SystemPermission])
            .handler(patch_permission),
        Operation::delete("/permissions/{permissionId}", "deletePermission")
            .summary(TAG, "Delete a permission; with `force`, remove it from its roles too.")
            .writes::<permission::DeletePermission>()
            .errors(&[E::PermissionNotFound, E::SystemPermission, E::PermissionInUse])
            .handler(delete_permission),
    ]
}

/// A permission of the catalog.
#[derive(Serialize, ToSchema)]
#[schema(as = Permission)]
struct PermissionBody {
    id: Uuid,
    application_id: Uuid,
    key: String,
    description: Option<String>,
    category: Option<String>,
    source: ShownSource,
    version: u32,
    created_at: Instant,
}

impl PermissionBody {
    fn of(application: ApplicationId) -> impl Fn(Permission) -> Self {
        move |permission| Self {
            id: permission.id.as_uuid(),
            application_id: application.as_uuid(),
            key: permission.key.to_string(),
            description: permission.description.map(|text| text.to_string()),
            category: permission.category.map(|text| text.to_string()),
            source: ShownSource(permission.source),
            version: permission.version.get(),
            created_at: Instant(permission.created_at),
        }
    }
}

impl Representation for PermissionBody {
    const VERSIONED: bool = true;

    fn version(&self) -> Option<u32> {
        Some(self.version)
    }
}

request_query!(
    /// Selects permissions.
    struct ListPermissions {
        /// Only permissions whose key or description contains each word.
        q: Search = Search::none(),
        /// Only permissions of this category.
        category: Option<Category>,
        /// Only permissions of this source.
        source: Option<PermissionSource>,
    }
);

request_body!(
    /// Permissions to create.
    struct CreatePermissions {
        /// The permissions.
        permissions: Batch<CreatePermission>,
    }
);

request_body!(
    /// A permission to create.
    struct CreatePermission {
        /// The permission key. It cannot be changed.
        key: PermissionKey,
        /// A description, for people.
        description: Option<Description>,
        /// The category for display.
        category: Option<Category>,
    }
);

request_body!(
    /// A change to a permission.
    struct ChangePermission {
        /// A description, for people; null for none.
        description: Edit<Description>,
        /// The category for display; null for none.
        category: Edit<Category>,
    }
);

request_query!(
    /// The options of the call.
    struct DeletePermission {
        /// True to remove the permission from its roles too.
        force: bool = false,
    }
);

async fn list_permissions(
    request: Request<EnvironmentRef, (), ListPermissions>,
) -> Result<Listing<PermissionBody>, Problem> {
    let (query, request) = request.take_query();
    let place = request.tenancy;
    let query = PermissionQuery {
        search: query.q.words(),
        category: query.category,
        source: query.source,
    };
    let found = request
        .run(move |app, _| async move { permission::list_permissions(&app, &place, &query).await })
        .await?;
    Ok(Listing::of(found, PermissionBody::of(place.application)))
}

async fn post_permissions(
    request: Request<EnvironmentRef, (), (), Body<CreatePermissions>>,
) -> Result<Repeatable<MadeAll<PermissionBody>>, Problem> {
    let (Body(body), request) = request.take_body();
    let place = request.tenancy;
    let new = body.permissions.0.into_iter().map(|one| NewPermission {
        key: one.key,
        description: one.description,
        category: one.category,
    });
    let create = permission::CreatePermissions {
        environment: place,
        items: new.collect(),
    };
    request
        .execute_once(create, Mode::Commit, move |made| {
            Ok(MadeAll(Listing::of(made, PermissionBody::of(place.application))))
        })
        .await
}

async fn get_permission(request: Request<EnvironmentRef, PermissionId>) -> Result<Found<PermissionBody>, Problem> {
    let (place, id) = (request.tenancy, request.id);
    let found = request
        .run(move |app, _| async move { permission::get_permission(&app, &place, id).await })
        .await?;
    Ok(Found(PermissionBody::of(place.application)(found)))
}

async fn patch_permission(
    request: Request<EnvironmentRef, PermissionId, (), IfMatch<Body<ChangePermission>>>,
) -> Result<Found<PermissionBody>, Problem> {
    let (IfMatch { input, version }, request) = request.take_body();
    let (place, id, body) = (request.tenancy, request.id, input.0);
    let asked = PermissionPatch {
        description: body.description,
        category: body.category,
    };
    let change = permission::ChangePermission {
        environment: place,
        id,
        seen: version,
        patch: asked,
    };
    Ok(Found(PermissionBody::of(place.application)(
        request.execute(change).await?,
    )))
}

async fn delete_permission(
    request: Request<EnvironmentRef, PermissionId, DeletePermission, IfMatch<()>>,
) -> Result<NoContent, Problem> {
    let delete = permission::DeletePermission {
        environment: request.tenancy,
        id: request.id,
        seen: request.body.version,
        force: request.query.force,
    };
    request.execute(delete).await?;
    Ok(NoContent)
}
