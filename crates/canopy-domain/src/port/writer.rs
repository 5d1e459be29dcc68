//! Writes: a unit of work that applies change sets, and one narrow trait for each area by which a store writes rows.
//!
//! Use cases write only by [`WriteTx::apply`]. The narrow traits are the parts of a store that
//! [`apply_rows`](super::apply_rows) combines and the conformance suite tests one by one.
//!
//! Use cases check every rule first, on facts read in the same unit of work, so a [`StoreError::Duplicate`] means a
//! race that no lock covers. The call then stores nothing and the unit of work stays usable. If a row breaks both a
//! rule of its fields and [`Unique::Id`](super::Unique::Id), the error names the former.
//!
//! A row that refers to an unknown row (a node's parent, a role of another environment), an update of an unknown row,
//! and a repeated row are bugs of the caller: [`StoreError::Internal`]. After any error but `Duplicate` a unit of work
//! can only be dropped.
//!
//! Every method writes a whole set with a constant number of statements; an empty set needs none.

use super::{CommitRecord, KeptAnswer, ReadTx, StoreError};
use crate::api_key::{ApiKey, ApiKeyId, KeyDigest};
use crate::changeset::ChangeSet;
use crate::{
    Account, AccountId, Application, ApplicationId, Assignment, AssignmentId, Environment, EnvironmentId,
    HierarchySchema, Identity, IdentityId, Membership, Node, NodeId, Permission, PermissionId, Revision, Role, RoleId,
    Timestamp,
};
use async_trait::async_trait;

/// Accounts, applications and environments.
#[async_trait]
pub trait TenancyWriter: Send {
    /// Stores a new account. May fail with [`Unique::AccountSlug`](super::Unique::AccountSlug).
    async fn insert_account(&mut self, account: &Account) -> Result<(), StoreError>;
    /// Overwrites an account's row. May fail with [`Unique::AccountSlug`](super::Unique::AccountSlug).
    async fn update_account(&mut self, account: &Account) -> Result<(), StoreError>;
    /// Stores a new application. May fail with [`Unique::ApplicationSlug`](super::Unique::ApplicationSlug).
    async fn insert_application(&mut self, application: &Application) -> Result<(), StoreError>;
    /// Overwrites an application's row. May fail with [`Unique::ApplicationSlug`](super::Unique::ApplicationSlug).
    async fn update_application(&mut self, application: &Application) -> Result<(), StoreError>;
    /// Stores a new environment with its schema, at revision zero: the commit that creates it assigns revision 1. May
    /// fail with [`Unique::EnvironmentSlug`](super::Unique::EnvironmentSlug).
    async fn insert_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError>;
    /// Overwrites an environment's row and schema; only commits change its revision. May fail with
    /// [`Unique::EnvironmentSlug`](super::Unique::EnvironmentSlug).
    async fn update_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError>;
    /// Deletes environments with their contents and history; skips unknown ids. None of them may be the default one of
    /// its application.
    async fn delete_environments(&mut self, ids: &[EnvironmentId]) -> Result<(), StoreError>;
    /// Deletes an application with its memberships; skips an unknown id. It must have no environment.
    async fn delete_application(&mut self, id: ApplicationId) -> Result<(), StoreError>;
}

/// The catalog of permissions.
#[async_trait]
pub trait PermissionWriter: Send {
    /// Stores new permissions of one environment. May fail with
    /// [`Unique::PermissionKey`](super::Unique::PermissionKey).
    async fn insert_permissions(&mut self, permissions: &[Permission]) -> Result<(), StoreError>;
    /// Overwrites the mutable columns of permissions of one environment: description, category and version.
    async fn update_permissions(&mut self, permissions: &[Permission]) -> Result<(), StoreError>;
    /// Deletes permissions, and removes them from all roles; skips unknown ids.
    async fn delete_permissions(&mut self, environment: EnvironmentId, ids: &[PermissionId]) -> Result<(), StoreError>;
}

/// Roles and their permissions.
#[async_trait]
pub trait RoleWriter: Send {
    /// Stores new roles of one environment, without permissions. May fail with
    /// [`Unique::RoleName`](super::Unique::RoleName).
    async fn insert_roles(&mut self, roles: &[Role]) -> Result<(), StoreError>;
    /// Overwrites the rows of roles of one environment. May fail with [`Unique::RoleName`](super::Unique::RoleName).
    async fn update_roles(&mut self, roles: &[Role]) -> Result<(), StoreError>;
    /// Deletes roles with their bindings; skips unknown ids. They must have no assignments.
    async fn delete_roles(&mut self, environment: EnvironmentId, ids: &[RoleId]) -> Result<(), StoreError>;
    /// Adds permissions to roles; keeps existing pairs.
    async fn bind_permissions(
        &mut self,
        environment: EnvironmentId,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError>;
    /// Removes permissions from roles; skips unknown pairs.
    async fn unbind_permissions(
        &mut self,
        environment: EnvironmentId,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError>;
}

/// The tree of nodes.
#[async_trait]
pub trait NodeWriter: Send {
    /// Stores new nodes of one environment, parents before their children; no node is below itself. May fail with
    /// [`Unique::NodeSlug`](super::Unique::NodeSlug).
    async fn insert_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError>;
    /// Overwrites the rows of nodes of one environment. May fail with [`Unique::NodeSlug`](super::Unique::NodeSlug).
    async fn update_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError>;
    /// Deletes nodes; skips unknown ids. The call must include all nodes below them, and no assignment may be at them.
    async fn delete_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<(), StoreError>;
}

/// Identities and their memberships.
#[async_trait]
pub trait IdentityWriter: Send {
    /// Stores new identities of one account. May fail with [`Unique::IdentityEmail`](super::Unique::IdentityEmail) or
    /// [`Unique::IdentityExternalId`](super::Unique::IdentityExternalId); then none is stored.
    async fn insert_identities(&mut self, identities: &[Identity]) -> Result<(), StoreError>;
    /// Overwrites an identity's row. May fail with [`Unique::IdentityEmail`](super::Unique::IdentityEmail) or
    /// [`Unique::IdentityExternalId`](super::Unique::IdentityExternalId).
    async fn update_identity(&mut self, identity: &Identity) -> Result<(), StoreError>;
    /// Deletes an identity of the account with its memberships; skips an unknown id. It must have no assignments.
    async fn delete_identity(&mut self, account: AccountId, id: IdentityId) -> Result<(), StoreError>;
    /// Stores new memberships of one application. May fail with [`Unique::Membership`](super::Unique::Membership).
    async fn insert_memberships(&mut self, memberships: &[Membership]) -> Result<(), StoreError>;
    /// Overwrites the rows of memberships of one application.
    async fn update_memberships(&mut self, memberships: &[Membership]) -> Result<(), StoreError>;
}

/// Assignments.
#[async_trait]
pub trait AssignmentWriter: Send {
    /// Stores new assignments of one environment, all or none. The statement itself checks that each identity is of the
    /// environment's account and has a membership in its application, whatever its status; no foreign key can. May fail
    /// with [`Unique::AssignmentKey`](super::Unique::AssignmentKey).
    async fn insert_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError>;
    /// Overwrites the rows of assignments of one environment, all at once: two may swap their triples. May fail with
    /// [`Unique::AssignmentKey`](super::Unique::AssignmentKey).
    async fn update_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError>;
    /// Deletes assignments; skips unknown ids.
    async fn delete_assignments(&mut self, environment: EnvironmentId, ids: &[AssignmentId]) -> Result<(), StoreError>;
    /// Deletes all assignments of an identity in these environments. Returns the deleted ones, by environment and id.
    async fn revoke_all(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<(EnvironmentId, AssignmentId)>, StoreError>;
}

/// API keys.
#[async_trait]
pub trait ApiKeyWriter: Send {
    /// Stores a new key with its digest, which must be unique.
    async fn insert_api_key(&mut self, key: &ApiKey, digest: &KeyDigest) -> Result<(), StoreError>;
    /// Sets the expiry of a key.
    async fn expire_api_key(
        &mut self,
        environment: EnvironmentId,
        id: ApiKeyId,
        expires_at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Deletes a key and its digest; skips an unknown id.
    async fn delete_api_key(&mut self, environment: EnvironmentId, id: ApiKeyId) -> Result<(), StoreError>;
}

/// Stored responses of repeatable requests.
#[async_trait]
pub trait AnswerWriter: Send {
    /// Stores the response of the request of this unit of work, replaces an older one, and deletes some of those stored
    /// before `outdated`. Returns [`kept_bytes`](Self::kept_bytes) including this response.
    async fn keep_answer(&mut self, answer: &KeptAnswer, outdated: Timestamp) -> Result<u64, StoreError>;
    /// Returns the bytes of the responses stored since the hour of `since` by units of work of the same tenant.
    async fn kept_bytes(&mut self, since: Timestamp) -> Result<u64, StoreError>;
}

/// The rows of a store, by area.
pub trait RowWriter:
    TenancyWriter + PermissionWriter + RoleWriter + NodeWriter + IdentityWriter + AssignmentWriter + ApiKeyWriter
{
}

impl<T> RowWriter for T where
    T: TenancyWriter
        + PermissionWriter
        + RoleWriter
        + NodeWriter
        + IdentityWriter
        + AssignmentWriter
        + ApiKeyWriter
        + ?Sized
{
}

/// A unit of work that reads and writes. Dropping it without [`commit`](Self::commit) rolls back.
#[async_trait]
pub trait WriteTx: ReadTx + AnswerWriter {
    /// Applies a change set: the only way to write rows. Adapters implement it with [`apply_rows`](super::apply_rows).
    ///
    /// # Errors
    /// Those of `apply_rows`, which documents when the unit of work stays usable.
    async fn apply(&mut self, changes: &ChangeSet) -> Result<(), StoreError>;

    /// Writes the history and commits everything, or nothing. Each environment in the record gets its next revision,
    /// and its change record is stored under it. The audit event is stored once, with the new revision of its
    /// environment if there is one. Returns the new revisions in the order of the record.
    ///
    /// The number of assignments that lists of an environment return is that of its rows after every commit, also after
    /// one whose record lacks the environment. Such a commit creates no revision there, so indexes miss it: a use case
    /// must name every environment whose assignments it changes.
    ///
    /// # Errors
    /// Any [`StoreError`]. [`StoreError::Unavailable`] may leave open whether the commit took place.
    async fn commit(self: Box<Self>, record: CommitRecord) -> Result<Vec<(EnvironmentId, Revision)>, StoreError>;
}

/// A unit of work that also writes rows without a change set. For the conformance suite only.
pub trait RowTx: WriteTx + RowWriter {}

impl<T: WriteTx + RowWriter + ?Sized> RowTx for T {}
