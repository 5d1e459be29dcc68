//! Writing: a unit of work that applies change sets, and one narrow trait for each area by which a store writes rows.
//!
//! Use cases write by [`WriteTx::apply`] alone. The narrow traits are the parts of a store that
//! [`apply_rows`](super::apply_rows) puts together, and that the conformance suite checks one by one.
//!
//! Use cases check every rule first, on facts read in the same unit of work, so a [`StoreError::Duplicate`] means a race
//! that no lock covered. It stores nothing of the call, names the broken rule of the fields rather than
//! [`Unique::Id`](super::Unique::Id) where both are broken, and leaves the unit of work usable.
//!
//! A row that names something that is not there (a node's parent, a role of another environment), an update of a row that
//! is not there, and one that has a row twice, are bugs of the caller: [`StoreError::Internal`]. After any error but
//! `Duplicate` a unit of work is good for nothing but to be dropped.
//!
//! Every method takes a whole set with a constant number of statements; the empty set is no statement at all.

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
    /// Stores a new account. [`Unique::AccountSlug`](super::Unique::AccountSlug) may be taken.
    async fn insert_account(&mut self, account: &Account) -> Result<(), StoreError>;
    /// Overwrites an account's row. [`Unique::AccountSlug`](super::Unique::AccountSlug) may be taken.
    async fn update_account(&mut self, account: &Account) -> Result<(), StoreError>;
    /// Stores a new application. [`Unique::ApplicationSlug`](super::Unique::ApplicationSlug) may be taken.
    async fn insert_application(&mut self, application: &Application) -> Result<(), StoreError>;
    /// Overwrites an application's row. [`Unique::ApplicationSlug`](super::Unique::ApplicationSlug) may be taken.
    async fn update_application(&mut self, application: &Application) -> Result<(), StoreError>;
    /// Stores a new environment with its schema, at revision zero: the commit that makes it gives it revision 1.
    /// [`Unique::EnvironmentSlug`](super::Unique::EnvironmentSlug) may be taken.
    async fn insert_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError>;
    /// Overwrites an environment's row and schema; its revision is the commit's business.
    /// [`Unique::EnvironmentSlug`](super::Unique::EnvironmentSlug) may be taken.
    async fn update_environment(
        &mut self,
        environment: &Environment,
        schema: &HierarchySchema,
    ) -> Result<(), StoreError>;
    /// Removes environments with everything in them, their history too; ids that name nothing are passed over. None of them
    /// may be the default one of its application.
    async fn delete_environments(&mut self, ids: &[EnvironmentId]) -> Result<(), StoreError>;
    /// Removes an application with its memberships; an id that names nothing is passed over. It may have no environment.
    async fn delete_application(&mut self, id: ApplicationId) -> Result<(), StoreError>;
}

/// The catalog of permissions.
#[async_trait]
pub trait PermissionWriter: Send {
    /// Stores new permissions of one environment. [`Unique::PermissionKey`](super::Unique::PermissionKey) may be taken.
    async fn insert_permissions(&mut self, permissions: &[Permission]) -> Result<(), StoreError>;
    /// Overwrites what can change of permissions of one environment: description, category and version.
    async fn update_permissions(&mut self, permissions: &[Permission]) -> Result<(), StoreError>;
    /// Removes permissions, from all roles too; ids that name nothing are passed over.
    async fn delete_permissions(&mut self, environment: EnvironmentId, ids: &[PermissionId]) -> Result<(), StoreError>;
}

/// Roles and what they bundle.
#[async_trait]
pub trait RoleWriter: Send {
    /// Stores new roles of one environment, without permissions. [`Unique::RoleName`](super::Unique::RoleName) may be taken.
    async fn insert_roles(&mut self, roles: &[Role]) -> Result<(), StoreError>;
    /// Overwrites the rows of roles of one environment. [`Unique::RoleName`](super::Unique::RoleName) may be taken.
    async fn update_roles(&mut self, roles: &[Role]) -> Result<(), StoreError>;
    /// Removes roles with what they bundle; ids that name nothing are passed over. No assignment may name them.
    async fn delete_roles(&mut self, environment: EnvironmentId, ids: &[RoleId]) -> Result<(), StoreError>;
    /// Adds permissions to roles; pairs that are there already stay.
    async fn bind_permissions(
        &mut self,
        environment: EnvironmentId,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError>;
    /// Takes permissions from roles; pairs that are not there are passed over.
    async fn unbind_permissions(
        &mut self,
        environment: EnvironmentId,
        pairs: &[(RoleId, PermissionId)],
    ) -> Result<(), StoreError>;
}

/// The tree of nodes.
#[async_trait]
pub trait NodeWriter: Send {
    /// Stores new nodes of one environment, parents before their children; no node stands below itself.
    /// [`Unique::NodeSlug`](super::Unique::NodeSlug) may be taken.
    async fn insert_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError>;
    /// Overwrites the rows of nodes of one environment. [`Unique::NodeSlug`](super::Unique::NodeSlug) may be taken.
    async fn update_nodes(&mut self, nodes: &[Node]) -> Result<(), StoreError>;
    /// Removes nodes; ids that name nothing are passed over. All nodes below them go in the same call, and no assignment
    /// may name them.
    async fn delete_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<(), StoreError>;
}

/// Identities and their memberships.
#[async_trait]
pub trait IdentityWriter: Send {
    /// Stores new identities of one account. [`Unique::IdentityEmail`](super::Unique::IdentityEmail) or
    /// [`Unique::IdentityExternalId`](super::Unique::IdentityExternalId) may be taken; then none is stored.
    async fn insert_identities(&mut self, identities: &[Identity]) -> Result<(), StoreError>;
    /// Overwrites an identity's row. [`Unique::IdentityEmail`](super::Unique::IdentityEmail) or
    /// [`Unique::IdentityExternalId`](super::Unique::IdentityExternalId) may be taken.
    async fn update_identity(&mut self, identity: &Identity) -> Result<(), StoreError>;
    /// Removes an identity of the account with its memberships; an id that names nothing is passed over. It holds no
    /// assignment any more.
    async fn delete_identity(&mut self, account: AccountId, id: IdentityId) -> Result<(), StoreError>;
    /// Stores new memberships of one application. [`Unique::Membership`](super::Unique::Membership) may be taken.
    async fn insert_memberships(&mut self, memberships: &[Membership]) -> Result<(), StoreError>;
    /// Overwrites the rows of memberships of one application.
    async fn update_memberships(&mut self, memberships: &[Membership]) -> Result<(), StoreError>;
}

/// Assignments.
#[async_trait]
pub trait AssignmentWriter: Send {
    /// Stores new assignments of one environment, all or none: the statement itself checks that each identity is of the
    /// environment's account and has a membership in its application, in whatever state, for which there is no foreign key.
    /// [`Unique::AssignmentKey`](super::Unique::AssignmentKey) may be taken.
    async fn insert_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError>;
    /// Overwrites the rows of assignments of one environment, all at once: two may swap what they join.
    /// [`Unique::AssignmentKey`](super::Unique::AssignmentKey) may be taken.
    async fn update_assignments(&mut self, assignments: &[Assignment]) -> Result<(), StoreError>;
    /// Removes assignments; ids that name nothing are passed over.
    async fn delete_assignments(&mut self, environment: EnvironmentId, ids: &[AssignmentId]) -> Result<(), StoreError>;
    /// Removes all that an identity holds in these environments. The answer names what is gone, by environment and id.
    async fn revoke_all(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<(EnvironmentId, AssignmentId)>, StoreError>;
}

/// API keys.
#[async_trait]
pub trait ApiKeyWriter: Send {
    /// Stores a new key with its digest, which no other key has.
    async fn insert_api_key(&mut self, key: &ApiKey, digest: &KeyDigest) -> Result<(), StoreError>;
    /// Sets the end of a key.
    async fn expire_api_key(
        &mut self,
        environment: EnvironmentId,
        id: ApiKeyId,
        expires_at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Removes a key and its digest; an id that names nothing is passed over.
    async fn delete_api_key(&mut self, environment: EnvironmentId, id: ApiKeyId) -> Result<(), StoreError>;
}

/// Answers of requests that may be repeated.
#[async_trait]
pub trait AnswerWriter: Send {
    /// Keeps the answer of the request that the unit of work was opened for, in place of any older one, and forgets some of
    /// the answers kept before `outdated`. Returns [`kept_bytes`](Self::kept_bytes) with this answer.
    async fn keep_answer(&mut self, answer: &KeptAnswer, outdated: Timestamp) -> Result<u64, StoreError>;
    /// Returns the bytes of the answers that were kept since the hour of `since` by units of work charged to the same
    /// tenant as this one.
    async fn kept_bytes(&mut self, since: Timestamp) -> Result<u64, StoreError>;
}

/// The rows of a store, area by area.
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

/// A unit of work that reads and writes. Dropped without [`commit`](Self::commit), it leaves nothing behind.
#[async_trait]
pub trait WriteTx: ReadTx + AnswerWriter {
    /// Applies a change set: the only way to write rows. Adapters implement it by [`apply_rows`](super::apply_rows).
    ///
    /// # Errors
    /// Those of `apply_rows`, which also says when the unit of work stays usable.
    async fn apply(&mut self, changes: &ChangeSet) -> Result<(), StoreError>;

    /// Writes the history and makes everything permanent, or nothing. Each environment named in the record takes its
    /// next revision, its change record is stored under it, and the audit event is stored once: with the revision that the
    /// environment it names takes here, if it does. The answer has the revisions taken, in the order of the record.
    ///
    /// The number of assignments that lists of an environment tell is that of its rows after every commit, also after one
    /// whose record does not name the environment. Such a commit takes no revision there, so indexes do not hear of it: a use
    /// case names every environment whose assignments it changes.
    ///
    /// # Errors
    /// Any [`StoreError`]. [`StoreError::Unavailable`] may leave open whether the commit took place.
    async fn commit(self: Box<Self>, record: CommitRecord) -> Result<Vec<(EnvironmentId, Revision)>, StoreError>;
}

/// A unit of work that also writes rows without a change set: for the conformance suite, and for no use case.
pub trait RowTx: WriteTx + RowWriter {}

impl<T: WriteTx + RowWriter + ?Sized> RowTx for T {}
