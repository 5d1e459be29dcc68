//! Reads: one narrow trait for each area, and the unit of work that combines them.
//!
//! Every method reads a whole set with a constant number of statements, whatever its size. Ids that are unknown within
//! the given environment, application or account are omitted from the result; a list of an unknown parent is empty.
//! Texts are ordered byte for byte, ids by their bytes.

use super::{CommitTag, StoreError};
use crate::access::{Change, IndexSize, Snapshot, SubjectFact};
use crate::api_key::{ApiKey, ApiKeyId, KeyDigest, KeyTotals};
use crate::assignment::bulk_create::AssignmentFacts;
use crate::assignment::listing::{AssignmentQuery, AssignmentSummary, AssignmentView, NodeAssignmentSummary};
use crate::audit::listing::{AuditPosition, AuditQuery};
use crate::audit::{AuditEventId, StoredAuditEvent};
use crate::hierarchy::create::NodeFacts;
use crate::hierarchy::names::{NamedNode, NodeNames, NodesByName};
use crate::hierarchy::remove::NodeUses;
use crate::hierarchy::schema_change::TreeShape;
use crate::identity::create::{IdentityFacts, TakenIdentifiers};
use crate::identity::listing::{IdentityCounts, IdentityQuery};
use crate::identity::names::{IdentityNames, NamedIdentity};
use crate::permission::listing::PermissionQuery;
use crate::role::listing::{RoleQuery, RoleView};
use crate::setup::{Catalog, CatalogSize, SetupSummary};
use crate::{
    AccessModel, Account, AccountId, Application, ApplicationId, Assignment, AssignmentId, AssignmentKey, Environment,
    EnvironmentId, EnvironmentRef, HierarchySchema, Identity, IdentityId, Membership, MembershipStatus, Node, NodeId,
    Page, Permission, PermissionId, PermissionKey, Revision, Role, RoleId, RoleName, Slug, Timestamp,
};
use async_trait::async_trait;
use std::collections::HashMap;

/// Accounts, applications and environments.
#[async_trait]
pub trait TenancyReader: Send {
    /// Returns all accounts, by slug.
    async fn accounts(&mut self) -> Result<Vec<Account>, StoreError>;
    /// Returns the account with this id.
    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, StoreError>;
    /// Returns the account with this slug.
    async fn account_by_slug(&mut self, slug: &Slug) -> Result<Option<Account>, StoreError>;
    /// Returns the account's applications, by slug.
    async fn applications(&mut self, account: AccountId) -> Result<Vec<Application>, StoreError>;
    /// Returns the application with this id.
    async fn application(&mut self, id: ApplicationId) -> Result<Option<Application>, StoreError>;
    /// Returns the account's application with this slug.
    async fn application_by_slug(&mut self, account: AccountId, slug: &Slug)
    -> Result<Option<Application>, StoreError>;
    /// Returns the application's environments, by slug.
    async fn environments(&mut self, application: ApplicationId) -> Result<Vec<Environment>, StoreError>;
    /// Returns the environment with this id.
    async fn environment(&mut self, id: EnvironmentId) -> Result<Option<Environment>, StoreError>;
    /// Returns the application's environment with this slug.
    async fn environment_by_slug(
        &mut self,
        application: ApplicationId,
        slug: &Slug,
    ) -> Result<Option<Environment>, StoreError>;
    /// Returns the environment's own id with those of its application and account.
    async fn environment_place(&mut self, id: EnvironmentId) -> Result<Option<EnvironmentRef>, StoreError>;
}

/// The catalog of permissions.
#[async_trait]
pub trait PermissionReader: Send {
    /// Returns the environment's permissions that fit the query, by key.
    async fn permissions(
        &mut self,
        environment: EnvironmentId,
        query: &PermissionQuery,
    ) -> Result<Vec<Permission>, StoreError>;
    /// Returns one permission.
    async fn permission(
        &mut self,
        environment: EnvironmentId,
        id: PermissionId,
    ) -> Result<Option<Permission>, StoreError>;
    /// Returns the ids of those keys that are in the catalog.
    async fn permission_ids(
        &mut self,
        environment: EnvironmentId,
        keys: &[PermissionKey],
    ) -> Result<HashMap<PermissionKey, PermissionId>, StoreError>;
}

/// Roles and their permissions.
#[async_trait]
pub trait RoleReader: Send {
    /// Returns the environment's roles that match the query, by folded name, with the number of their permissions.
    async fn roles(&mut self, environment: EnvironmentId, query: &RoleQuery) -> Result<Vec<RoleView>, StoreError>;
    /// Returns one role.
    async fn role(&mut self, environment: EnvironmentId, id: RoleId) -> Result<Option<Role>, StoreError>;
    /// Returns the permissions of a role, by key.
    async fn role_permissions(
        &mut self,
        environment: EnvironmentId,
        id: RoleId,
    ) -> Result<Vec<(PermissionId, PermissionKey)>, StoreError>;
    /// Returns the names of those roles that are in the environment.
    async fn role_names(
        &mut self,
        environment: EnvironmentId,
        ids: &[RoleId],
    ) -> Result<HashMap<RoleId, RoleName>, StoreError>;
    /// Returns the roles that bundle a permission, by id.
    async fn roles_bundling(
        &mut self,
        environment: EnvironmentId,
        permission: PermissionId,
    ) -> Result<Vec<Role>, StoreError>;
}

/// All permissions and roles, for bootstrap and resource permissions.
#[async_trait]
pub trait SetupReader: Send {
    /// Returns the bytes of the keys and descriptions of the environment's permissions, of the names and descriptions
    /// of its roles, and of the keys of each role: a lower bound of their size in a document.
    async fn catalog_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError>;
    /// Returns the size of an environment's catalog.
    async fn catalog_size(&mut self, environment: EnvironmentId) -> Result<CatalogSize, StoreError>;
    /// Returns the whole catalog of an environment.
    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError>;
    /// Returns the setup status of each environment of an account, by the slugs of application and environment.
    async fn setup_summaries(&mut self, account: AccountId) -> Result<Vec<SetupSummary>, StoreError>;
}

/// The tree of nodes.
#[async_trait]
pub trait NodeReader: Send {
    /// Returns the environment's hierarchy schema and access model; `None` for an unknown environment.
    async fn hierarchy(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Option<(AccessModel, HierarchySchema)>, StoreError>;
    /// Returns the root.
    async fn root_node(&mut self, environment: EnvironmentId) -> Result<Option<Node>, StoreError>;
    /// Returns one node.
    async fn node(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Option<Node>, StoreError>;
    /// Returns those environments that have a node of this id, by id.
    async fn environments_with_node(
        &mut self,
        environments: &[EnvironmentId],
        id: NodeId,
    ) -> Result<Vec<EnvironmentId>, StoreError>;
    /// Returns the bytes of the names, slugs and metadata of the environment's nodes without reading them: a lower
    /// bound of their size in a document.
    async fn node_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError>;
    /// Returns the whole tree, parents before their children, siblings by slug.
    async fn nodes(&mut self, environment: EnvironmentId) -> Result<Vec<Node>, StoreError>;
    /// Returns the children of a node, by slug.
    async fn children(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError>;
    /// Returns the ancestors of a node, the root first.
    async fn ancestors(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError>;
    /// Returns a node with its subtree, parents before their children, siblings by slug.
    async fn subtree(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError>;
    /// Returns [`nodes`](Self::nodes), or the [`subtree`](Self::subtree) of a given node, without reading metadata.
    async fn bare_nodes(&mut self, environment: EnvironmentId, top: Option<NodeId>) -> Result<Vec<Node>, StoreError>;
    /// Returns the number of children of a node, and the bytes of their metadata, without reading it.
    async fn children_size(&mut self, environment: EnvironmentId, id: NodeId) -> Result<(u64, u64), StoreError>;
    /// Returns the height of the subtree of a node in levels: 1 for a leaf, 0 for an unknown node.
    async fn subtree_height(&mut self, environment: EnvironmentId, id: NodeId) -> Result<usize, StoreError>;
    /// Returns the direct dependents of a node.
    async fn node_uses(&mut self, environment: EnvironmentId, id: NodeId) -> Result<NodeUses, StoreError>;
    /// Returns the facts about `parents` that [`create::plan`](crate::hierarchy::create::plan) needs. For each pair of
    /// `slugs`, returns the child slugs of that node that equal the pair's slug or begin with it and a `-`.
    async fn node_facts(
        &mut self,
        environment: EnvironmentId,
        parents: &[NodeId],
        slugs: &[(NodeId, Slug)],
    ) -> Result<NodeFacts, StoreError>;
    /// Returns the shape of the tree, against which a schema change is checked. An unknown environment, or one without
    /// a root, is [`StoreError::Corrupt`].
    async fn tree_shape(&mut self, environment: EnvironmentId) -> Result<TreeShape, StoreError>;
    /// Returns the nodes with these names. For a slug, reads only as many nodes as decide whether it is unique.
    async fn nodes_named(&mut self, environment: EnvironmentId, asked: &NodeNames) -> Result<NodesByName, StoreError>;
    /// Returns those nodes that are in the environment, with their names, by id.
    async fn named_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<Vec<NamedNode>, StoreError>;
}

/// Identities and their memberships.
#[async_trait]
pub trait IdentityReader: Send {
    /// Returns one identity of the account.
    async fn identity(&mut self, account: AccountId, id: IdentityId) -> Result<Option<Identity>, StoreError>;
    /// Returns the account's identities that match the query.
    async fn identities(&mut self, account: AccountId, query: &IdentityQuery) -> Result<Page<Identity>, StoreError>;
    /// Counts the identities of the account, or the members (whatever their status) of its application. Counts
    /// assignments only in `assigned_in` if that is given, otherwise in the whole application or account.
    async fn identity_counts(
        &mut self,
        account: AccountId,
        member_of: Option<ApplicationId>,
        assigned_in: Option<EnvironmentId>,
    ) -> Result<IdentityCounts, StoreError>;
    /// Returns the emails and external ids that the account has already.
    async fn taken_identifiers(
        &mut self,
        account: AccountId,
        asked: &TakenIdentifiers,
    ) -> Result<TakenIdentifiers, StoreError>;
    /// Returns the identities of the account that have one of these names, each once, by id.
    async fn identities_named(
        &mut self,
        account: AccountId,
        asked: &IdentityNames,
    ) -> Result<Vec<NamedIdentity>, StoreError>;
    /// Returns the names (`first last`) of those identities that are in the account.
    async fn identity_labels(
        &mut self,
        account: AccountId,
        ids: &[IdentityId],
    ) -> Result<HashMap<IdentityId, String>, StoreError>;
    /// Returns those identities that are in the account, with their state and their membership in the application.
    async fn identity_facts(
        &mut self,
        account: AccountId,
        application: ApplicationId,
        ids: &[IdentityId],
    ) -> Result<IdentityFacts, StoreError>;
    /// Returns all present and past members of the application, as facts for decisions.
    async fn members(&mut self, application: ApplicationId) -> Result<Vec<SubjectFact>, StoreError>;
    /// Returns all memberships of one identity, by application.
    async fn memberships(&mut self, id: IdentityId) -> Result<Vec<Membership>, StoreError>;
    /// Returns every environment that has decisions about an identity of the account, with its membership there, by
    /// environment.
    async fn standings(
        &mut self,
        account: AccountId,
        id: IdentityId,
    ) -> Result<Vec<(EnvironmentId, MembershipStatus)>, StoreError>;
}

/// Assignments.
#[async_trait]
pub trait AssignmentReader: Send {
    /// Returns the facts that [`bulk_create::plan`](crate::assignment::bulk_create::plan) needs about these triples.
    async fn assignment_facts(
        &mut self,
        place: &EnvironmentRef,
        asked: &[AssignmentKey],
    ) -> Result<AssignmentFacts, StoreError>;
    /// Returns those assignments that are in the environment, by id.
    async fn assignments(
        &mut self,
        environment: EnvironmentId,
        ids: &[AssignmentId],
    ) -> Result<Vec<Assignment>, StoreError>;
    /// Returns the assignments at these nodes, by id.
    async fn assignments_at(
        &mut self,
        environment: EnvironmentId,
        nodes: &[NodeId],
    ) -> Result<Vec<Assignment>, StoreError>;
    /// Returns the assignments of one of these roles or at one of these nodes, each once, by id.
    async fn assignments_naming(
        &mut self,
        environment: EnvironmentId,
        roles: &[RoleId],
        nodes: &[NodeId],
    ) -> Result<Vec<AssignmentId>, StoreError>;
    /// Returns the environment's assignments that match the query; `now` decides their status.
    async fn assignment_views(
        &mut self,
        environment: EnvironmentId,
        query: &AssignmentQuery,
        now: Timestamp,
    ) -> Result<Page<AssignmentView>, StoreError>;
    /// Returns all assignments of an identity in these environments, by the folded name of the role, then by id.
    async fn held(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<AssignmentView>, StoreError>;
    /// Counts the assignments of the environment, by status at `now`.
    async fn assignment_summary(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
    ) -> Result<AssignmentSummary, StoreError>;
    /// Counts the assignments that hold at a node, by status at `now` and by access type, with the newest identities.
    async fn node_assignment_summary(
        &mut self,
        environment: EnvironmentId,
        node: NodeId,
        now: Timestamp,
    ) -> Result<NodeAssignmentSummary, StoreError>;
}

/// API keys.
#[async_trait]
pub trait ApiKeyReader: Send {
    /// Returns the environment's keys, newest first (by `created_at`, then id).
    async fn api_keys(&mut self, environment: EnvironmentId) -> Result<Vec<ApiKey>, StoreError>;
    /// Counts the keys of the environment, and their scopes.
    async fn key_totals(&mut self, environment: EnvironmentId) -> Result<KeyTotals, StoreError>;
    /// Returns one key.
    async fn api_key(&mut self, environment: EnvironmentId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;
    /// Returns the keys with these digests, each with its environment, in one statement. Unknown digests are absent
    /// from the result.
    async fn api_key_places(
        &mut self,
        digests: &[KeyDigest],
    ) -> Result<HashMap<KeyDigest, (EnvironmentRef, ApiKeyId)>, StoreError>;
}

/// Maximum bytes of change records that are read at once. The record that exceeds it is still read.
pub const CHANGE_BYTES: usize = 1024 * 1024;

/// Reads for the decision index.
#[async_trait]
pub trait AccessReader: Send {
    /// Returns all facts of an environment; `None` for an unknown environment.
    async fn snapshot(&mut self, environment: EnvironmentId) -> Result<Option<Snapshot>, StoreError>;
    /// Returns the size of [`snapshot`](Self::snapshot) without reading it; zero for an unknown environment.
    async fn index_size(&mut self, environment: EnvironmentId) -> Result<IndexSize, StoreError>;
    /// Returns the newest revision of an environment; `None` for an unknown environment.
    async fn revision(&mut self, environment: EnvironmentId) -> Result<Option<Revision>, StoreError>;
    /// Returns the changes after a revision, oldest first: at most `limit` revisions, each complete. Stops after the
    /// revision that reaches [`CHANGE_BYTES`]. Includes every revision, even one without changes.
    async fn changes_since(
        &mut self,
        environment: EnvironmentId,
        after: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, Vec<Change>)>, StoreError>;
    /// Returns the tags from this revision on, oldest first, at most `limit`. Empty if the store has no tags, because
    /// no other process or server can replace it.
    async fn commit_tags(
        &mut self,
        environment: EnvironmentId,
        from: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, CommitTag)>, StoreError> {
        let _ = (environment, from, limit);
        Ok(Vec::new())
    }
}

/// The audit log.
#[async_trait]
pub trait AuditReader: Send {
    /// Returns the account's events that match the query, newest first (by `created_at`, then id).
    async fn audit_events(
        &mut self,
        account: AccountId,
        query: &AuditQuery,
    ) -> Result<Vec<StoredAuditEvent>, StoreError>;
    /// Returns the position of the last event that a query examines when it examines `count`, at least one: those
    /// within its time, environment and positions, before other filters. `None` if there are fewer.
    async fn audit_place(
        &mut self,
        account: AccountId,
        query: &AuditQuery,
        count: u32,
    ) -> Result<Option<AuditPosition>, StoreError>;
    /// Returns one event of the account.
    async fn audit_event(
        &mut self,
        account: AccountId,
        id: AuditEventId,
    ) -> Result<Option<StoredAuditEvent>, StoreError>;
    /// Returns parts of the details of an event of the account, in order: at most `limit`, from this one on. The first
    /// is 0.
    async fn audit_details(
        &mut self,
        account: AccountId,
        event: AuditEventId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<String>, StoreError>;
}

/// A unit of work that reads one consistent state.
pub trait ReadTx:
    TenancyReader
    + PermissionReader
    + RoleReader
    + SetupReader
    + NodeReader
    + IdentityReader
    + AssignmentReader
    + ApiKeyReader
    + AccessReader
    + AuditReader
{
}

impl<T> ReadTx for T where
    T: TenancyReader
        + PermissionReader
        + RoleReader
        + SetupReader
        + NodeReader
        + IdentityReader
        + AssignmentReader
        + ApiKeyReader
        + AccessReader
        + AuditReader
        + ?Sized
{
}
