//! Bounds on what a question costs, known before it is asked.

use super::AccessIndex;
use crate::IdentityId;

/// The most that one question about an identity can cost. An upper bound, cheap to have: what a question does cost is
/// often far less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuestionCost {
    /// The assignments that may have to be looked at: those of the identity.
    pub assignments: usize,
    /// The bytes of the names of all roles that may grant it, without what a format adds to each.
    pub role_name_bytes: usize,
}

impl AccessIndex {
    /// Bounds the cost of [`decide_with_roles`](Self::decide_with_roles), whatever permission, node and instant it is asked
    /// about. Nothing for an identity that the index does not know.
    ///
    /// One look-up and a constant number of steps: neither the size of the catalog nor what the identity holds matters.
    pub fn cost(&self, identity: IdentityId) -> QuestionCost {
        let Some(holder) = self.holdings.find(identity) else {
            return QuestionCost::default();
        };
        QuestionCost {
            assignments: holder.len(),
            role_name_bytes: self.catalog.most_name_bytes(holder.roles(), holder.len()),
        }
    }

    /// The number of permissions of the catalog, and the bytes of their keys: no answer of
    /// [`effective_permissions`](Self::effective_permissions) has more.
    pub fn catalog_keys(&self) -> (usize, usize) {
        self.catalog.key_totals()
    }
}
