//! The decision engine: may identity i do p at node n at instant t?
//!
//! An [`AccessIndex`] holds one environment in memory. It is built from a [`Snapshot`] and moved forward by
//! [`Change`]s. It does no I/O, so a service that embeds this crate fills it from its own data with the same calls.

mod change;
mod question;

pub use change::{Change, GrantFact, NodeFact, PermissionFact, RoleFact, Snapshot, SubjectFact};
pub use question::{DenialReason, Question, Scope};
