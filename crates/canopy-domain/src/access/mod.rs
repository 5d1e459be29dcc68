//! The decision engine: may an identity use a permission at a node at an instant?
//!
//! An [`AccessIndex`] holds one environment in memory. It is built from a [`Snapshot`] and updated by [`Change`]s. It
//! does no I/O, so a service that embeds this crate fills it from its own data: by names, with [`AccessIndex::builder`]
//! (module [`named`]), or by ids:
//!
//! ```
//! use canopy_domain::access::*;
//! use canopy_domain::*;
//! use uuid::Uuid;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let id = Uuid::from_u128;
//! let read = PermissionFact { id: id(1).into(), key: PermissionKey::parse("invoice.read")? };
//! let clerk = RoleFact {
//!     id: id(2).into(),
//!     name: RoleName::parse("Clerk")?,
//!     is_active: true,
//!     permissions: vec![read.id],
//! };
//! let node = |number, parent: Option<u128>, slug| -> Result<_, Box<dyn std::error::Error>> {
//!     let (node_type, slug) = (NodeType::parse("unit")?, Slug::parse(slug)?);
//!     Ok(NodeFact { id: id(number).into(), parent: parent.map(|p| id(p).into()), node_type, slug, is_active: true })
//! };
//! let ada = SubjectFact { id: id(5).into(), is_active: true, membership: MembershipStatus::Active };
//! let key = AssignmentKey { identity: ada.id, role: clerk.id, node: id(3).into() };
//! let window = Window::new(Timestamp::parse("2026-01-01T00:00:00Z")?, None)?;
//!
//! let mut index = AccessIndex::build(&Snapshot {
//!     environment: id(9).into(),
//!     revision: Revision::new(7),
//!     permissions: vec![read],
//!     roles: vec![clerk],
//!     nodes: vec![node(3, None, "acme")?, node(4, Some(3), "berlin")?],
//!     subjects: vec![ada],
//!     grants: vec![GrantFact { id: id(6).into(), key, window }],
//!     keys: vec![],
//! })?;
//!
//! // Ada is a clerk at the root, so she may read invoices in Berlin.
//! let question = Question { identity: ada.id, permission: "invoice.read", target: Target::Node(id(4).into()) };
//! let now = Timestamp::parse("2026-04-20T12:00:00Z")?;
//! assert_eq!(index.decide(&question, now), Decision::Allowed);
//!
//! let mut roles = Vec::new();
//! assert!(index.decide_with_roles(&question, now, &mut roles).is_allowed());
//! assert_eq!(roles, [&RoleName::parse("Clerk")?]);
//!
//! // Why? Because of an assignment at the root.
//! let why = index.explain(&question, now);
//! assert_eq!(why.grants.iter().map(|grant| grant.path.clone()).collect::<Vec<_>>(), [[id(3).into()]]);
//!
//! // Reverse questions: where has Ada the permission, and who has it in Berlin? Results are paginated.
//! let nodes = index.nodes_where(ada.id, "invoice.read", now, None, 50);
//! assert_eq!((nodes.items, nodes.has_more), (vec![id(3).into(), id(4).into()], false));
//! let people = index.who_can("invoice.read", id(4).into(), now, None, 50);
//! assert_eq!(people.items.iter().map(|holder| holder.identity).collect::<Vec<_>>(), [ada.id]);
//!
//! // The next change is seen by the next question.
//! index.apply(Revision::new(8), &[Change::GrantRemoved(id(6).into())])?;
//! assert_eq!(index.decide(&question, now), Decision::Denied(DenialReason::NoGrant));
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! In a large environment a check is bound by memory latency, so the number of dependent memory accesses counts. There
//! are two. The first reads the records of the identity and of the node in parallel, each at the position of its id's
//! hash. The second reads the identity's assignments in one block. Everything else that a check needs is small and
//! shared by all checks: the key, the set of roles that bundle it, the upper levels of the tree.
//!
//! - The record of an identity has a set of its roles. It decides most denials without the block.
//! - Every entity has a dense number, a slot; the slot of a removed entity is reused.
//! - Nodes do not record their descendants: moving a subtree changes one link.
//! - A role lists its permissions and a permission its roles: an edit changes only the pairs that it adds or removes.
//! - A set of roles is exact up to 128 roles. Beyond, it is a filter, and the identity's roles are intersected with
//!   those that bundle the permission: the cost depends on the identity's assignments, never on the size of the
//!   catalog.
//! - A window is read only if whole seconds cannot decide that it is open.
//!
//! A change costs a few look-ups, and more in these cases: an assignment, by the number of the identity's assignments;
//! a moved node, by its new depth; a role, by its permissions; a removed permission, by its roles.
//! [`AccessIndex::cost`] bounds the work and the result of a check in advance.
//!
//! Reverse questions ([`nodes_where`](AccessIndex::nodes_where), [`who_can`](AccessIndex::who_can)) are far less
//! frequent, so the index has no structure for them that changes would have to update: they visit all nodes, or all
//! identities.
//!
//! # Reasons
//!
//! A denial has the first [`DenialReason`] that applies. For one assignment that would grant, its window comes before
//! its role, and app-wide its role before its node; among all assignments the first reason wins.

mod catalog;
mod change;
mod cost;
mod decide;
mod error;
mod explain;
mod hash;
mod holder;
mod holdings;
mod index;
mod interner;
mod key_ring;
pub mod named;
mod node_types;
mod question;
mod records;
mod reverse;
mod role_set;
mod size;
mod smallest;
mod sorted;
mod steps;
mod tree;

pub use change::{
    Change, EnvironmentChanges, GrantFact, KeyFact, NodeFact, PermissionFact, RoleFact, Snapshot, SubjectFact,
};
pub use cost::QuestionCost;
pub use decide::Decision;
pub use error::IndexError;
pub use explain::{BearingGrant, Explanation, Shortfall};
pub use index::AccessIndex;
pub use key_ring::KeyRing;
pub use question::{DenialReason, Question, Target};
pub use reverse::{Part, PermissionHolder};
pub use size::IndexSize;
