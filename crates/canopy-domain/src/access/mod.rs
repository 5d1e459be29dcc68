//! The decision engine: may identity i do p at node n at instant t?
//!
//! An [`AccessIndex`] holds one environment in memory. It is built from a [`Snapshot`] and moved forward by
//! [`Change`]s. It does no I/O, so a service that embeds this crate fills it from its own data with the same calls:
//! by names, with [`AccessIndex::builder`] (module [`named`]), or by ids:
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
//! // The other way round: where may Ada do this, and who may do it in Berlin? Both come in parts.
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
//! In a large environment a question is a wait for memory, so what counts is how many places it must visit one after the
//! other. There are two: first the record of the identity and the record of the node, side by side, each lying where the
//! hash of its id points; then what the identity holds, in one block. Everything else that a question needs is
//! small and shared by all questions: the text of the key, the set of roles that bundle it, the upper levels of the tree.
//!
//! - The record of an identity carries a set of the roles held. Most denials are told from it without the block.
//! - Inside, everything has a dense number, a slot; what is removed leaves a free slot that the next one takes.
//! - Nothing is kept about what lies below a node: moving a subtree changes one link.
//! - A role lists its permissions and a permission its roles: an edit changes the pairs that it adds or takes away.
//! - A set of roles is exact up to 128 roles. Beyond, it is a filter, and the roles held and the roles that bundle the permission
//!   are intersected: the cost follows what the identity holds, never the size of the catalog.
//! - A window is read only where whole seconds cannot tell that it is open.
//!
//! A change costs a few look-ups, and beyond that: an assignment, by how many its identity holds; a node put below
//! another, by that one's depth; a role, by the permissions it lists; a permission removed, by the roles that bundle it.
//! [`AccessIndex::cost`] bounds the work and the answer of a question before it is asked.
//!
//! The reverse questions ([`nodes_where`](AccessIndex::nodes_where), [`who_can`](AccessIndex::who_can)) are asked far less
//! often, so nothing is kept for them that each change would have to move: they are passes over all nodes, or all identities.
//!
//! # Reasons
//! A denial tells the first [`DenialReason`] that applies. For one assignment that would grant, its window comes before
//! its role, and app-wide its role before its node; among all of them the first reason wins.

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
