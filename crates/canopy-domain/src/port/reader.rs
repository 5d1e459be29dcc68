//! Reading: one narrow trait for each area, and the unit of work that has them all.
//!
//! Every method answers a whole set with a constant number of statements, whatever the set's size. Ids that name
//! nothing within the given environment, application or account are left out of the answer; a listing of what does not
//! exist is empty. Texts are ordered byte for byte, ids by their bytes.

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
    /// All accounts, by slug.
    async fn accounts(&mut self) -> Result<Vec<Account>, StoreError>;
    /// The account with this id.
    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, StoreError>;
    /// The account with this slug.
    async fn account_by_slug(&mut self, slug: &Slug) -> Result<Option<Account>, StoreError>;
    /// The account's applications, by slug.
    async fn applications(&mut self, account: AccountId) -> Result<Vec<Application>, StoreError>;
    /// The application with this id.
    async fn application(&mut self, id: ApplicationId) -> Result<Option<Application>, StoreError>;
    /// The account's application with this slug.
    async fn application_by_slug(&mut self, account: AccountId, slug: &Slug)
    -> Result<Option<Application>, StoreError>;
    /// The application's environments, by slug.
    async fn environments(&mut self, application: ApplicationId) -> Result<Vec<Environment>, StoreError>;
    /// The environment with this id.
    async fn environment(&mut self, id: EnvironmentId) -> Result<Option<Environment>, StoreError>;
    /// The application's environment with this slug.
    async fn environment_by_slug(
        &mut self,
        application: ApplicationId,
        slug: &Slug,
    ) -> Result<Option<Environment>, StoreError>;
    /// Where the environment with this id lies.
    async fn environment_place(&mut self, id: EnvironmentId) -> Result<Option<EnvironmentRef>, StoreError>;
}

/// The catalog of permissions.
#[async_trait]
pub trait PermissionReader: Send {
    /// The environment's permissions that fit the query, by key.
    async fn permissions(
        &mut self,
        environment: EnvironmentId,
        query: &PermissionQuery,
    ) -> Result<Vec<Permission>, StoreError>;
    /// One permission.
    async fn permission(
        &mut self,
        environment: EnvironmentId,
        id: PermissionId,
    ) -> Result<Option<Permission>, StoreError>;
    /// The ids of those of these keys that the catalog has.
    async fn permission_ids(
        &mut self,
        environment: EnvironmentId,
        keys: &[PermissionKey],
    ) -> Result<HashMap<PermissionKey, PermissionId>, StoreError>;
}

/// Roles and what they bundle.
#[async_trait]
pub trait RoleReader: Send {
    /// The environment's roles that fit the query, by folded name, with the number of permissions each bundles.
    async fn roles(&mut self, environment: EnvironmentId, query: &RoleQuery) -> Result<Vec<RoleView>, StoreError>;
    /// One role.
    async fn role(&mut self, environment: EnvironmentId, id: RoleId) -> Result<Option<Role>, StoreError>;
    /// The permissions a role bundles, by key.
    async fn role_permissions(
        &mut self,
        environment: EnvironmentId,
        id: RoleId,
    ) -> Result<Vec<(PermissionId, PermissionKey)>, StoreError>;
    /// The names of those of these roles that the environment has.
    async fn role_names(
        &mut self,
        environment: EnvironmentId,
        ids: &[RoleId],
    ) -> Result<HashMap<RoleId, RoleName>, StoreError>;
    /// The roles that bundle a permission, by id.
    async fn roles_bundling(
        &mut self,
        environment: EnvironmentId,
        permission: PermissionId,
    ) -> Result<Vec<Role>, StoreError>;
}

/// Everything about permissions and roles at once, for bootstrap and resource permissions.
#[async_trait]
pub trait SetupReader: Send {
    /// The number of bytes of the keys and descriptions of the environment's permissions, of the names and descriptions of its
    /// roles, and of the keys that each role bundles: the least that they take in a document.
    async fn catalog_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError>;
    /// The size of an environment's catalog.
    async fn catalog_size(&mut self, environment: EnvironmentId) -> Result<CatalogSize, StoreError>;
    /// The whole catalog of an environment.
    async fn catalog(&mut self, environment: EnvironmentId) -> Result<Catalog, StoreError>;
    /// Returns the setup status of each environment of an account, by the slugs of application and environment.
    async fn setup_summaries(&mut self, account: AccountId) -> Result<Vec<SetupSummary>, StoreError>;
}

/// The tree of nodes.
#[async_trait]
pub trait NodeReader: Send {
    /// The environment's hierarchy schema and access model; `None` when there is no such environment.
    async fn hierarchy(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Option<(AccessModel, HierarchySchema)>, StoreError>;
    /// The root.
    async fn root_node(&mut self, environment: EnvironmentId) -> Result<Option<Node>, StoreError>;
    /// One node.
    async fn node(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Option<Node>, StoreError>;
    /// Those of these environments that have a node of this id, by id.
    async fn environments_with_node(
        &mut self,
        environments: &[EnvironmentId],
        id: NodeId,
    ) -> Result<Vec<EnvironmentId>, StoreError>;
    /// The number of bytes of the names, slugs and metadata of the environment's nodes, without reading them: the least that they take
    /// in a document.
    async fn node_bytes(&mut self, environment: EnvironmentId) -> Result<u64, StoreError>;
    /// The whole tree, parents before their children, siblings by slug.
    async fn nodes(&mut self, environment: EnvironmentId) -> Result<Vec<Node>, StoreError>;
    /// The nodes directly below a node, by slug.
    async fn children(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError>;
    /// The nodes above a node, the root first.
    async fn ancestors(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError>;
    /// A node with all that stands below it, parents before their children, siblings by slug.
    async fn subtree(&mut self, environment: EnvironmentId, id: NodeId) -> Result<Vec<Node>, StoreError>;
    /// As [`nodes`](Self::nodes), or as [`subtree`](Self::subtree) where a node is given, without metadata: it is not read.
    async fn bare_nodes(&mut self, environment: EnvironmentId, top: Option<NodeId>) -> Result<Vec<Node>, StoreError>;
    /// The number of nodes directly below a node, and the bytes of their metadata, which are not read.
    async fn children_size(&mut self, environment: EnvironmentId, id: NodeId) -> Result<(u64, u64), StoreError>;
    /// Returns the height of the subtree of a node in levels: 1 for a leaf, 0 where there is no such node.
    async fn subtree_height(&mut self, environment: EnvironmentId, id: NodeId) -> Result<usize, StoreError>;
    /// The direct dependents of a node.
    async fn node_uses(&mut self, environment: EnvironmentId, id: NodeId) -> Result<NodeUses, StoreError>;
    /// What [`create::plan`](crate::hierarchy::create::plan) needs to know of `parents`, and for each pair of `slugs` which
    /// slugs below that node are taken among those that equal the pair's slug or begin with it and a `-`.
    async fn node_facts(
        &mut self,
        environment: EnvironmentId,
        parents: &[NodeId],
        slugs: &[(NodeId, Slug)],
    ) -> Result<NodeFacts, StoreError>;
    /// Which types stand below which, and how deep, with one example each: what a schema change is checked against.
    /// An environment without a root, or none at all, is [`StoreError::Corrupt`].
    async fn tree_shape(&mut self, environment: EnvironmentId) -> Result<TreeShape, StoreError>;
    /// The nodes that have these names. Of the nodes with a slug no more are looked at than tell whether it is one.
    async fn nodes_named(&mut self, environment: EnvironmentId, asked: &NodeNames) -> Result<NodesByName, StoreError>;
    /// Those of these nodes that the environment has, with their names, by id.
    async fn named_nodes(&mut self, environment: EnvironmentId, ids: &[NodeId]) -> Result<Vec<NamedNode>, StoreError>;
}

/// Identities and their memberships.
#[async_trait]
pub trait IdentityReader: Send {
    /// One identity of the account.
    async fn identity(&mut self, account: AccountId, id: IdentityId) -> Result<Option<Identity>, StoreError>;
    /// The account's identities that fit the query.
    async fn identities(&mut self, account: AccountId, query: &IdentityQuery) -> Result<Page<Identity>, StoreError>;
    /// How many identities the account has, or how many members (in whatever state) its application has. Assignments count in
    /// `assigned_in` alone where that is given, else in all of the application or account.
    async fn identity_counts(
        &mut self,
        account: AccountId,
        member_of: Option<ApplicationId>,
        assigned_in: Option<EnvironmentId>,
    ) -> Result<IdentityCounts, StoreError>;
    /// Which of these emails and external ids the account has already.
    async fn taken_identifiers(
        &mut self,
        account: AccountId,
        asked: &TakenIdentifiers,
    ) -> Result<TakenIdentifiers, StoreError>;
    /// The identities of the account that have one of these names, each once, by id.
    async fn identities_named(
        &mut self,
        account: AccountId,
        asked: &IdentityNames,
    ) -> Result<Vec<NamedIdentity>, StoreError>;
    /// The names (`first last`) of those of these identities that the account has.
    async fn identity_labels(
        &mut self,
        account: AccountId,
        ids: &[IdentityId],
    ) -> Result<HashMap<IdentityId, String>, StoreError>;
    /// Those of these identities that the account has, with their switch and their membership in the application.
    async fn identity_facts(
        &mut self,
        account: AccountId,
        application: ApplicationId,
        ids: &[IdentityId],
    ) -> Result<IdentityFacts, StoreError>;
    /// Everyone who is, or once was, a member of the application, as decisions see them.
    async fn members(&mut self, application: ApplicationId) -> Result<Vec<SubjectFact>, StoreError>;
    /// All memberships of one identity, by application.
    async fn memberships(&mut self, id: IdentityId) -> Result<Vec<Membership>, StoreError>;
    /// Every environment to which an identity of the account matters, with the state of its membership there, by
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
    /// Those of these assignments that the environment has, by id.
    async fn assignments(
        &mut self,
        environment: EnvironmentId,
        ids: &[AssignmentId],
    ) -> Result<Vec<Assignment>, StoreError>;
    /// The assignments that are made at these nodes, by id.
    async fn assignments_at(
        &mut self,
        environment: EnvironmentId,
        nodes: &[NodeId],
    ) -> Result<Vec<Assignment>, StoreError>;
    /// The assignments that name one of these roles or one of these nodes, each once, by id.
    async fn assignments_naming(
        &mut self,
        environment: EnvironmentId,
        roles: &[RoleId],
        nodes: &[NodeId],
    ) -> Result<Vec<AssignmentId>, StoreError>;
    /// The environment's assignments that fit the query; `now` decides their state.
    async fn assignment_views(
        &mut self,
        environment: EnvironmentId,
        query: &AssignmentQuery,
        now: Timestamp,
    ) -> Result<Page<AssignmentView>, StoreError>;
    /// All that an identity holds in these environments, by the folded name of the role and then by id.
    async fn held(
        &mut self,
        environments: &[EnvironmentId],
        identity: IdentityId,
    ) -> Result<Vec<AssignmentView>, StoreError>;
    /// Counts the assignments of the environment, by state at `now`.
    async fn assignment_summary(
        &mut self,
        environment: EnvironmentId,
        now: Timestamp,
    ) -> Result<AssignmentSummary, StoreError>;
    /// Counts the assignments that hold at a node, by state at `now` and by where they are made, with the newest
    /// identities.
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
    /// The environment's keys, the newest first (by `created_at`, then id).
    async fn api_keys(&mut self, environment: EnvironmentId) -> Result<Vec<ApiKey>, StoreError>;
    /// Counts the keys of the environment, and the scopes of all of them together.
    async fn key_totals(&mut self, environment: EnvironmentId) -> Result<KeyTotals, StoreError>;
    /// One key.
    async fn api_key(&mut self, environment: EnvironmentId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;
    /// The keys that have these digests, each with the place of its environment, in one statement. A digest that no key has
    /// is absent from the result.
    async fn api_key_places(
        &mut self,
        digests: &[KeyDigest],
    ) -> Result<HashMap<KeyDigest, (EnvironmentRef, ApiKeyId)>, StoreError>;
}

/// The bytes of change records after which no more are read at once.
pub const CHANGE_BYTES: usize = 1024 * 1024;

/// Reads for the decision index.
#[async_trait]
pub trait AccessReader: Send {
    /// All facts of an environment; `None` when there is no such environment.
    async fn snapshot(&mut self, environment: EnvironmentId) -> Result<Option<Snapshot>, StoreError>;
    /// The size of what [`snapshot`](Self::snapshot) would read, without reading it; nothing for an environment that does not
    /// exist.
    async fn index_size(&mut self, environment: EnvironmentId) -> Result<IndexSize, StoreError>;
    /// The newest revision of an environment; `None` when there is no such environment.
    async fn revision(&mut self, environment: EnvironmentId) -> Result<Option<Revision>, StoreError>;
    /// The changes after a revision, oldest first, at most `limit` revisions of them, each whole, and no more once those
    /// before have [so many](CHANGE_BYTES) bytes. Every revision is there, also one whose changes are empty.
    async fn changes_since(
        &mut self,
        environment: EnvironmentId,
        after: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, Vec<Change>)>, StoreError>;
    /// The tags of the revisions from this one on, oldest first, at most `limit` of them. Empty where the store keeps none,
    /// because no other process or server can take its place.
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
    /// The account's events that fit the query, newest first (by `created_at`, then id).
    async fn audit_events(
        &mut self,
        account: AccountId,
        query: &AuditQuery,
    ) -> Result<Vec<StoredAuditEvent>, StoreError>;
    /// Returns the place of the last event that a query looks at if it looks at so many, at least one: those within its time,
    /// environment and places, whatever else narrows it. `None` where there are fewer.
    async fn audit_place(
        &mut self,
        account: AccountId,
        query: &AuditQuery,
        count: u32,
    ) -> Result<Option<AuditPosition>, StoreError>;
    /// One event of the account.
    async fn audit_event(
        &mut self,
        account: AccountId,
        id: AuditEventId,
    ) -> Result<Option<StoredAuditEvent>, StoreError>;
    /// Parts of the details of an event of the account, in their order: at most `limit`, from this one on. The first is 0.
    async fn audit_details(
        &mut self,
        account: AccountId,
        event: AuditEventId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<String>, StoreError>;
}

/// A unit of work that reads, from one consistent state.
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
