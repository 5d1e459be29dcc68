//! Writes as tests make them: each helper carries out one write with borrowed arguments.

use canopy_app::api_key::{CreateApiKey, MadeKey, NewKey, RevokeApiKey, RotateApiKey};
use canopy_app::assignment::{
    ChangeAssignment, ChangeAssignmentRoles, CreateAssignments, RemoveAssignment, RemoveAssignments,
};
use canopy_app::hierarchy::{ChangeHierarchySchema, ChangeNode, CreateNodes, RemoveNode, RevertToFlat};
use canopy_app::identity::{
    AttachError, AttachIdentities, ChangeIdentity, ChangeMembership, ChangeMembershipOfMember, CreateIdentities,
    CreateMember, DeleteIdentity,
};
use canopy_app::permission::{CreatePermissions, NewPermission};
use canopy_app::role::{ChangeRole, CreateRole, NewRole, ReplaceRolePermissions, Replaced};
use canopy_app::setup::{AddResourcePermissions, BootstrapCounts, BootstrapEnvironment, ResourcePermissionsCounts};
use canopy_app::tenancy::{
    ChangeAccessModel, ChangeApplication, ChangeDefaultEnvironment, ChangeEnvironment, CreateAccount,
    CreateApplication, CreateEnvironment, DeleteApplication, DeleteEnvironment, NewTenant,
};
use canopy_app::transfer::{ImportEnvironment, Imported};
use canopy_app::{App, AppError, Call, Mode};
use canopy_domain::assignment::bulk_create::NewAssignment;
use canopy_domain::assignment::change::AssignmentPatch;
use canopy_domain::bulk::Outcome;
use canopy_domain::hierarchy::change::NodePatch;
use canopy_domain::hierarchy::create::NewNode;
use canopy_domain::hierarchy::revert::RevertCounts;
use canopy_domain::hierarchy::schema_change::SchemaPatch;
use canopy_domain::identity::change::IdentityPatch;
use canopy_domain::identity::create::NewIdentity;
use canopy_domain::identity::membership::MembershipChange;
use canopy_domain::role::change::RolePatch;
use canopy_domain::setup::bootstrap::BootstrapRequest;
use canopy_domain::setup::resource_permissions::ResourcePermissionsRequest;
use canopy_domain::tenancy::change::TenantPatch;
use canopy_domain::transfer::Document;
use canopy_domain::*;
use std::sync::Arc;

type Done<T> = Result<T, AppError>;

/// The mode of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BulkMode {
    pub atomic: bool,
    pub dry_run: bool,
}

impl BulkMode {
    pub const SINGLE: Self = Self {
        atomic: true,
        dry_run: false,
    };

    const fn mode(self) -> Mode {
        Mode::dry_run_if(self.dry_run)
    }
}

/// Defines helpers that carry out one write each.
macro_rules! writes {
    ($($name:ident($($argument:ident: $type:ty),*) -> $outcome:ty = $write:expr;)+) => {
        $(pub async fn $name(app: &App, call: &Call, $($argument: $type),*) -> Done<$outcome> {
            app.execute(call, &$write, Mode::Commit).await
        })+
    };
}

/// Defines helpers that carry out one write each for many items.
macro_rules! bulk_writes {
    ($($name:ident($($argument:ident: $type:ty),*; $mode:ident) -> $outcome:ty = $write:expr;)+) => {
        $(pub async fn $name(app: &App, call: &Call, $($argument: $type,)* $mode: BulkMode) -> Done<$outcome> {
            app.execute(call, &$write, $mode.mode()).await
        })+
    };
}

bulk_writes! {
    create_assignments(environment: &EnvironmentRef, items: &[NewAssignment]; mode)
        -> Vec<Outcome<Assignment, AssignmentError>>
        = CreateAssignments { environment: *environment, items: items.to_vec(), atomic: mode.atomic };
    create_nodes(environment: &EnvironmentRef, items: &[NewNode]; mode) -> Vec<Outcome<Node, HierarchyError>>
        = CreateNodes { environment: *environment, items: items.to_vec(), atomic: mode.atomic };
    create_identities(account: AccountId, application: Option<ApplicationId>, items: &[NewIdentity]; mode)
        -> Vec<Outcome<Identity, IdentityError>>
        = CreateIdentities { account, application, items: items.to_vec(), atomic: mode.atomic };
    attach_identities(application: ApplicationRef, ids: &[IdentityId]; mode) -> Vec<Outcome<Membership, AttachError>>
        = AttachIdentities { application, ids: ids.to_vec(), atomic: mode.atomic };
}

writes! {
    remove_assignments(environment: &EnvironmentRef, ids: &[AssignmentId]) -> ()
        = RemoveAssignments { environment: *environment, ids: ids.to_vec() };
    remove_assignment(environment: &EnvironmentRef, id: AssignmentId) -> ()
        = RemoveAssignment { environment: *environment, id };
    change_assignment_roles(environment: &EnvironmentRef, ids: &[AssignmentId], role: RoleId) -> usize
        = ChangeAssignmentRoles { environment: *environment, ids: ids.to_vec(), role };
    change_assignment(environment: &EnvironmentRef, id: AssignmentId, patch: &AssignmentPatch) -> Assignment
        = ChangeAssignment { environment: *environment, id, patch: *patch };
    create_permissions(environment: &EnvironmentRef, items: &[NewPermission]) -> Vec<Permission>
        = CreatePermissions { environment: *environment, items: items.to_vec() };
    create_role(environment: &EnvironmentRef, new: &NewRole) -> Role
        = CreateRole { environment: *environment, new: new.clone() };
    change_role(environment: &EnvironmentRef, id: RoleId, seen: impl Into<Expected>, patch: &RolePatch) -> Role
        = ChangeRole { environment: *environment, id, seen: seen.into(), patch: patch.clone() };
    replace_role_permissions(environment: &EnvironmentRef, id: RoleId, keys: &[PermissionKey]) -> Replaced
        = ReplaceRolePermissions { environment: *environment, id, keys: keys.to_vec() };
    bootstrap_environment(environment: &EnvironmentRef, request: &BootstrapRequest) -> BootstrapCounts
        = BootstrapEnvironment { environment: *environment, request: request.clone() };
    add_resource_permissions(environment: &EnvironmentRef, request: &ResourcePermissionsRequest)
        -> ResourcePermissionsCounts
        = AddResourcePermissions { environment: *environment, request: request.clone() };
    change_node(environment: &EnvironmentRef, id: NodeId, patch: &NodePatch, seen: impl Into<Expected>) -> Node
        = ChangeNode { environment: *environment, id, patch: patch.clone(), seen: seen.into() };
    remove_node(environment: &EnvironmentRef, id: NodeId, force: bool, seen: impl Into<Expected>) -> ()
        = RemoveNode { environment: *environment, id, force, seen: seen.into() };
    change_hierarchy_schema(
        environment: &EnvironmentRef, patch: impl Into<SchemaPatch>, seen: impl Into<Expected>
    ) -> (HierarchySchema, Version)
        = ChangeHierarchySchema { environment: *environment, patch: patch.into(), seen: seen.into() };
    revert_to_flat(environment: &EnvironmentRef) -> RevertCounts = RevertToFlat { environment: *environment };
    change_identity(account: AccountId, id: IdentityId, patch: &IdentityPatch) -> Identity
        = ChangeIdentity { account, id, patch: patch.clone() };
    change_membership(application: ApplicationRef, id: IdentityId, change: MembershipChange) -> Membership
        = ChangeMembership { application, id, change };
    change_membership_of_member(
        application: ApplicationRef, bound_to: Option<EnvironmentId>, id: IdentityId, change: MembershipChange
    ) -> Membership
        = ChangeMembershipOfMember { application, bound_to, id, change };
    create_member(
        application: ApplicationRef, bound_to: Option<EnvironmentId>, new: &NewIdentity,
        first: Option<(RoleId, NodeId)>
    ) -> Identity
        = CreateMember { application, bound_to, new: new.clone(), first };
    delete_identity(account: AccountId, id: IdentityId) -> () = DeleteIdentity { account, id };
    create_api_key(environment: &EnvironmentRef, new: &NewKey) -> MadeKey
        = CreateApiKey { environment: *environment, new: new.clone() };
    revoke_api_key(environment: &EnvironmentRef, id: ApiKeyId) -> () = RevokeApiKey { environment: *environment, id };
    rotate_api_key(environment: &EnvironmentRef, id: ApiKeyId, overlap_seconds: u32) -> MadeKey
        = RotateApiKey { environment: *environment, id, overlap_seconds };
    create_account(new: &NewTenant) -> Account = CreateAccount { new: new.clone() };
    create_application(account: AccountId, new: &NewTenant) -> Application
        = CreateApplication { account, new: new.clone() };
    create_environment(application: ApplicationRef, new: &NewTenant) -> Environment
        = CreateEnvironment { application, new: new.clone(), copy_from: None };
    change_application(application: ApplicationRef, seen: impl Into<Expected>, patch: &TenantPatch) -> Application
        = ChangeApplication { application, seen: seen.into(), patch: patch.clone() };
    change_default_environment(application: ApplicationRef, slug: &Slug) -> Application
        = ChangeDefaultEnvironment { application, slug: slug.clone() };
    change_environment(environment: &EnvironmentRef, patch: &TenantPatch) -> Environment
        = ChangeEnvironment { environment: *environment, patch: patch.clone() };
    change_access_model(environment: &EnvironmentRef, model: AccessModel) -> Environment
        = ChangeAccessModel { environment: *environment, model };
    delete_application(application: ApplicationRef) -> () = DeleteApplication { application };
    delete_environment(environment: &EnvironmentRef) -> () = DeleteEnvironment { environment: *environment };
}

pub async fn import_environment(
    app: &App,
    call: &Call,
    environment: &EnvironmentRef,
    document: &Arc<Document>,
    dry_run: bool,
) -> Done<Imported> {
    let import = ImportEnvironment {
        environment: *environment,
        document: Arc::clone(document),
    };
    app.execute(call, &import, Mode::dry_run_if(dry_run)).await
}

pub async fn count_revert(app: &App, call: &Call, environment: &EnvironmentRef) -> Done<RevertCounts> {
    let revert = RevertToFlat {
        environment: *environment,
    };
    app.execute(call, &revert, Mode::DryRun).await
}
