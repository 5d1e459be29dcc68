//! Upper bounds on the cost of a check, known in advance.

use super::AccessIndex;
use crate::IdentityId;

/// The maximum cost of one check of an identity. The actual cost is often far lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuestionCost {
    /// The number of assignments of the identity, which may all be visited.
    pub assignments: usize,
    /// The bytes of the names of all its roles, without the overhead of a format.
    pub role_name_bytes: usize,
}

impl AccessIndex {
    /// Bounds the cost of [`decide_with_roles`](Self::decide_with_roles) for any permission, node and instant. Zero for
    /// an unknown identity.
    ///
    /// One look-up and a constant number of steps, independent of the catalog and of the assignments.
    pub fn cost(&self, identity: IdentityId) -> QuestionCost {
        let Some(holder) = self.holdings.find(identity) else {
            return QuestionCost::default();
        };
        QuestionCost {
            assignments: holder.len(),
            role_name_bytes: self.catalog.most_name_bytes(holder.roles(), holder.len()),
        }
    }

    /// Returns the number of permissions of the catalog and the bytes of their keys. No result of
    /// [`effective_permissions`](Self::effective_permissions) is larger.
    pub fn catalog_keys(&self) -> (usize, usize) {
        self.catalog.key_totals()
    }
}
