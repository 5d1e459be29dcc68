//! Answers: one decision with its reason, the roles that grant it, and what an identity may do at a node.

use super::holdings::{Holder, Row};
use super::{AccessIndex, DenialReason, Question, Scope};
use crate::{AssignmentStatus, IdentityId, NodeId, PermissionKey, RoleName, Timestamp};
use core::ops::ControlFlow;

/// The answer to a [`Question`]: yes, or no and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Decision {
    /// An assignment that is open, of an active role that bundles the permission, counts here.
    Allowed,
    /// Nothing grants it.
    Denied(DenialReason),
}

impl Decision {
    /// Whether access is given.
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }

    /// Why access is denied.
    pub const fn denial_reason(self) -> Option<DenialReason> {
        match self {
            Self::Allowed => None,
            Self::Denied(reason) => Some(reason),
        }
    }
}

/// Up to this many rows of an identity are looked at one by one; of more, those at the nodes of the path are searched.
const FEW_ROWS: usize = 256;

impl AccessIndex {
    /// May this identity do this there, at this instant? The answer carries the first [`DenialReason`] that applies.
    ///
    /// Never fails, never allocates. What the index does not know is denied.
    #[inline]
    pub fn decide(&self, question: &Question<'_>, at: Timestamp) -> Decision {
        self.judge(question, at, |_| ControlFlow::Break(()))
    }

    /// As [`decide`](Self::decide), and the names of all roles that grant it: sorted byte by byte, each once. `roles` is
    /// cleared first; a caller with many questions gives the same one each time, so that its room is used again.
    pub fn decide_with_roles<'a>(
        &'a self,
        question: &Question<'_>,
        at: Timestamp,
        roles: &mut Vec<&'a RoleName>,
    ) -> Decision {
        roles.clear();
        self.judge(question, at, |role| {
            if let Some(name) = self.catalog.name(role)
                && let Err(place) = roles.binary_search(&name)
            {
                roles.insert(place, name);
            }
            ControlFlow::Continue(())
        })
    }

    /// The keys of all permissions that an identity holds at a node, or at any active node, sorted byte by byte. Empty for
    /// whatever the index does not know.
    pub fn effective_permissions(
        &self,
        identity: IdentityId,
        node: Option<NodeId>,
        at: Timestamp,
    ) -> Vec<&PermissionKey> {
        let Some(holder) = self.holdings.find(identity) else {
            return Vec::new();
        };
        let place = match node.map(|node| self.tree.find(node)) {
            None => None,
            Some(Some(node)) if self.tree.is_active(node) => Some(node),
            Some(_) => return Vec::new(),
        };
        if holder.standing().is_some() {
            return Vec::new();
        }
        let counts = |row: &&Row| {
            let here = match place {
                Some(node) => self.tree.is_at_or_above(row.node(), node),
                None => self.tree.is_active(row.node()),
            };
            here && self.weigh(holder, **row, at).is_none()
        };
        let mut held: Vec<u32> = holder
            .rows()
            .iter()
            .filter(counts)
            .flat_map(|row| self.catalog.permissions_of(row.role()))
            .copied()
            .collect();
        held.sort_unstable();
        held.dedup();
        let mut keys: Vec<&PermissionKey> = held
            .iter()
            .filter_map(|slot| self.catalog.key(*slot))
            .collect();
        keys.sort_unstable();
        keys
    }

    /// Judges a question; `granted` is told the role of each row that grants, until it breaks off.
    #[inline]
    fn judge(
        &self,
        question: &Question<'_>,
        at: Timestamp,
        granted: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Decision {
        // All look-ups come first: they do not depend on each other, so the processor waits for their memory at once.
        let holder = self.holdings.find(question.identity);
        let permission = self.catalog.find_key(question.permission);
        let place = match question.scope {
            Scope::Node(node) => Some(self.tree.find(node)),
            Scope::AppWide => None,
        };
        let Some(holder) = holder else {
            return Decision::Denied(DenialReason::IdentityNotFound);
        };
        if let Some(reason) = holder.standing() {
            return Decision::Denied(reason);
        }
        let Some(permission) = permission else {
            return Decision::Denied(DenialReason::PermissionNotFound);
        };
        match place {
            None => self.judge_anywhere(holder, permission, at, granted),
            Some(Some(node)) => self.judge_at(holder, permission, node, at, granted),
            Some(None) => Decision::Denied(DenialReason::NodeNotFound),
        }
    }

    #[inline]
    fn judge_at(
        &self,
        holder: &Holder,
        permission: u32,
        node: u32,
        at: Timestamp,
        mut granted: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Decision {
        let path = self.tree.path(node);
        if !path.is_active {
            return Decision::Denied(DenialReason::NodeInactive);
        }
        let bundlers = self.catalog.bundlers(permission);
        let mut verdict = Verdict::default();
        if holder.rows().len() <= FEW_ROWS {
            for row in holder.rows() {
                let may_lie_on_path = path.bits >> (row.node() & 63) & 1 == 1;
                if may_lie_on_path
                    && bundlers.has(row.role())
                    && self.tree.is_at_or_above(row.node(), node)
                {
                    let weight = self.weigh(holder, *row, at);
                    if verdict.take(weight, row.role(), &mut granted).is_break() {
                        break;
                    }
                }
            }
        } else {
            'path: for above in self.tree.ancestors(node) {
                for row in holder.rows_at(above) {
                    if bundlers.has(row.role()) {
                        let weight = self.weigh(holder, *row, at);
                        if verdict.take(weight, row.role(), &mut granted).is_break() {
                            break 'path;
                        }
                    }
                }
            }
        }
        verdict.decision()
    }

    #[inline]
    fn judge_anywhere(
        &self,
        holder: &Holder,
        permission: u32,
        at: Timestamp,
        mut granted: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Decision {
        let bundlers = self.catalog.bundlers(permission);
        let mut verdict = Verdict::default();
        for row in holder.rows() {
            if bundlers.has(row.role()) {
                let weight = match self.weigh(holder, *row, at) {
                    None if !self.tree.is_active(row.node()) => Some(DenialReason::NodeInactive),
                    weight => weight,
                };
                if verdict.take(weight, row.role(), &mut granted).is_break() {
                    break;
                }
            }
        }
        verdict.decision()
    }

    /// Why a row that bundles the permission does not grant it: first its window, then its role. `None` if it does.
    #[inline]
    fn weigh(&self, holder: &Holder, row: Row, at: Timestamp) -> Option<DenialReason> {
        match self.holdings.status(holder, row, at.as_micros()) {
            AssignmentStatus::Scheduled => Some(DenialReason::AssignmentScheduled),
            AssignmentStatus::Expired => Some(DenialReason::AssignmentExpired),
            AssignmentStatus::Active if !self.catalog.is_active(row.role()) => {
                Some(DenialReason::RoleInactive)
            }
            AssignmentStatus::Active => None,
        }
    }
}

/// What the rows seen so far add up to.
struct Verdict {
    allowed: bool,
    reason: DenialReason,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            allowed: false,
            reason: DenialReason::NoGrant,
        }
    }
}

impl Verdict {
    /// One grant is enough; of several reasons the first in their order is told.
    #[inline]
    fn take(
        &mut self,
        weight: Option<DenialReason>,
        role: u32,
        granted: &mut impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match weight {
            None => {
                self.allowed = true;
                granted(role)
            }
            Some(reason) => {
                self.reason = self.reason.min(reason);
                ControlFlow::Continue(())
            }
        }
    }

    #[inline]
    const fn decision(&self) -> Decision {
        if self.allowed {
            Decision::Allowed
        } else {
            Decision::Denied(self.reason)
        }
    }
}
