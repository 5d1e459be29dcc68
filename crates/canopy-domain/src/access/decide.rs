//! Decisions: one check with its reason and granting roles, and effective permissions.

use super::holder::{Holder, Moment, Row};
use super::records::id_of;
use super::role_set::RoleSet;
use super::steps::{self, Steps};
use super::tree::NodeRecord;
use super::{AccessIndex, DenialReason, Question, Target};
use crate::{AssignmentStatus, IdentityId, NodeId, PermissionKey, RoleName, Timestamp};
use core::ops::ControlFlow;

/// The result of a [`Question`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Decision {
    /// An open assignment of an active role grants the permission at the target.
    Allowed,
    /// No assignment grants it.
    Denied(DenialReason),
}

impl Decision {
    /// Returns whether access is allowed.
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }

    /// Returns the reason of a denial.
    pub const fn denial_reason(self) -> Option<DenialReason> {
        match self {
            Self::Allowed => None,
            Self::Denied(reason) => Some(reason),
        }
    }
}

impl AccessIndex {
    /// Decides a check at an instant. A denial has the first [`DenialReason`] that applies.
    ///
    /// Never fails, never allocates. Unknown ids and keys are denied.
    #[inline]
    pub fn decide(&self, question: &Question<'_>, at: Timestamp) -> Decision {
        self.judge(question, at, |_| ControlFlow::Break(()))
    }

    /// Decides like [`decide`](Self::decide), and collects the names of all granting roles: sorted byte by byte, each
    /// once. `roles` is cleared first, so a caller with many checks reuses its memory.
    pub fn decide_with_roles<'a>(
        &'a self,
        question: &Question<'_>,
        at: Timestamp,
        roles: &mut Vec<&'a RoleName>,
    ) -> Decision {
        roles.clear();
        let mut before = None;
        let decision = self.judge(question, at, |role| {
            // The rows of a role are adjacent.
            if before.replace(role) != Some(role) {
                roles.extend(self.catalog.name(role));
            }
            ControlFlow::Continue(())
        });
        if roles.len() > 1 {
            roles.sort_unstable();
            roles.dedup();
        }
        decision
    }

    /// Returns the reason of a denial at an unknown node: the first one that applies, as in [`decide`](Self::decide).
    pub fn denial_without_node(&self, identity: IdentityId, permission: &str) -> DenialReason {
        let admitted = self.admit(self.holdings.find(identity), permission);
        admitted.err().unwrap_or(DenialReason::NodeNotFound)
    }

    /// Returns the keys of all effective permissions at a node, or at any active node, sorted byte by byte. Empty for
    /// unknown ids.
    pub fn effective_permissions(
        &self,
        identity: IdentityId,
        node: Option<NodeId>,
        at: Timestamp,
    ) -> Vec<&PermissionKey> {
        let Ok(keys) = self.effective_permissions_in_steps(identity, node, at, steps::on);
        keys
    }

    /// Like [`effective_permissions`](Self::effective_permissions), with `step` called every few microseconds.
    ///
    /// # Errors
    /// The first error of `step`, which ends the pass.
    pub fn effective_permissions_in_steps<E>(
        &self,
        identity: IdentityId,
        node: Option<NodeId>,
        at: Timestamp,
        step: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<&PermissionKey>, E> {
        let mut steps = Steps::new(step);
        let Some(holder) = self.holdings.find(identity) else {
            return Ok(Vec::new());
        };
        let path = match node.map(|node| self.tree.find(node)) {
            None => None,
            Some(None) => return Ok(Vec::new()),
            Some(Some(node)) => Some(self.tree.path(node)),
        };
        if holder.blocked_by().is_some() || path.is_some_and(|path| !path.is_active) {
            return Ok(Vec::new());
        }
        let at = Moment::from(at);
        let counts = |role: u32, row: Row| {
            let here = match &path {
                Some(path) => self.tree.is_on(path, row.node()),
                None => self.tree.is_active(row.node()),
            };
            here && self.weigh(holder, role, row, at).is_none()
        };
        let mut held = self.catalog.no_permissions();
        let mut before = None;
        for (role, row) in holder.rows().iter() {
            steps.take()?;
            // The rows of a role are adjacent; one of them is enough.
            if before != Some(role) && counts(role, row) {
                before = Some(role);
                self.catalog.add_permissions_of(role, &mut held);
                steps.take_long()?;
            }
        }
        let mut keys: Vec<&PermissionKey> = self.catalog.keys_in(&held).collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// Decides a check; calls `granted` with the role of each granting row, until it breaks.
    #[inline]
    fn judge(&self, question: &Question<'_>, at: Timestamp, granted: impl FnMut(u32) -> ControlFlow<()>) -> Decision {
        let at = Moment::from(at);
        match question.target {
            Target::Node(node) => {
                let (holders, nodes) = (self.holdings.records(), self.tree.records());
                let identity = id_of(question.identity.as_uuid());
                let (holder, node) = holders.find_both(identity, nodes, id_of(node.as_uuid()));
                let (holder, permission) = match self.admit(holder, question.permission) {
                    Ok(admitted) => admitted,
                    Err(reason) => return Decision::Denied(reason),
                };
                match node {
                    Some(node) => self.judge_at(holder, permission, node, at, granted),
                    None => Decision::Denied(DenialReason::NodeNotFound),
                }
            }
            Target::AppWide => {
                let holder = self.holdings.find(question.identity);
                match self.admit(holder, question.permission) {
                    Ok((holder, permission)) => self.judge_anywhere(holder, permission, at, granted),
                    Err(reason) => Decision::Denied(reason),
                }
            }
        }
    }

    /// Returns the holder and the permission of a check, unless one of them decides it.
    #[inline]
    fn admit<'a>(&self, holder: Option<&'a Holder>, permission: &str) -> Result<(&'a Holder, u32), DenialReason> {
        let permission = self.catalog.find_key(permission);
        let holder = holder.ok_or(DenialReason::IdentityNotFound)?;
        match holder.blocked_by() {
            Some(reason) => Err(reason),
            None => Ok((holder, permission.ok_or(DenialReason::PermissionNotFound)?)),
        }
    }

    #[inline]
    fn judge_at(
        &self,
        holder: &Holder,
        permission: u32,
        node: &NodeRecord,
        at: Moment,
        mut granted: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Decision {
        let path = self.tree.path(node);
        if !path.is_active {
            return Decision::Denied(DenialReason::NodeInactive);
        }
        let weigh = |role, row: Row| {
            self.tree
                .is_on(&path, row.node())
                .then(|| self.weigh(holder, role, row, at))
        };
        self.judge_rows(holder, permission, weigh, &mut granted)
    }

    #[inline]
    fn judge_anywhere(
        &self,
        holder: &Holder,
        permission: u32,
        at: Moment,
        mut granted: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Decision {
        let weigh = |role, row: Row| {
            Some(match self.weigh(holder, role, row, at) {
                None if !self.tree.is_active(row.node()) => Some(DenialReason::NodeInactive),
                weight => weight,
            })
        };
        self.judge_rows(holder, permission, weigh, &mut granted)
    }

    /// Combines the rows whose role bundles the permission. `weigh` returns the reason for which a row does not grant,
    /// or nothing for a row outside the target.
    #[inline]
    fn judge_rows(
        &self,
        holder: &Holder,
        permission: u32,
        weigh: impl Fn(u32, Row) -> Option<Option<DenialReason>>,
        granted: &mut impl FnMut(u32) -> ControlFlow<()>,
    ) -> Decision {
        let mut tally = Tally::default();
        let seen = self.each_bundling_row(holder, permission, |role, row| match weigh(role, row) {
            Some(weight) => tally.take(weight, role, granted),
            None => ControlFlow::Continue(()),
        });
        if seen.is_break() {
            return Decision::Allowed;
        }
        tally.decision()
    }

    /// Calls `see` with each row whose role bundles a permission, until it breaks.
    #[inline]
    pub(super) fn each_bundling_row(
        &self,
        holder: &Holder,
        permission: u32,
        mut see: impl FnMut(u32, Row) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let shared = self.catalog.bundler_set(permission).intersection(holder.roles());
        if !self.catalog.is_exact() {
            return self.each_listed_row(holder, shared, permission, see);
        }
        for (first, word) in shared.words() {
            let mut held = word;
            while held != 0 {
                let role = first + held.trailing_zeros();
                held &= held - 1;
                for row in holder.rows().of_role(role) {
                    see(role, row)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Like [`each_bundling_row`](Self::each_bundling_row), for roles that share bits.
    #[inline(never)]
    fn each_listed_row(
        &self,
        holder: &Holder,
        shared: RoleSet,
        permission: u32,
        see: impl FnMut(u32, Row) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if shared.is_empty() {
            return ControlFlow::Continue(());
        }
        holder.rows().each_of(self.catalog.bundlers(permission), see)
    }

    /// Returns the reason for which a row that bundles the permission does not grant it: first its window, then its
    /// role. `None` if it grants.
    #[inline]
    pub(super) fn weigh(&self, holder: &Holder, role: u32, row: Row, at: Moment) -> Option<DenialReason> {
        match self.holdings.status(holder, row, at) {
            AssignmentStatus::Scheduled => Some(DenialReason::AssignmentScheduled),
            AssignmentStatus::Expired => Some(DenialReason::AssignmentExpired),
            AssignmentStatus::Active if !self.catalog.is_active(role) => Some(DenialReason::RoleInactive),
            AssignmentStatus::Active => None,
        }
    }
}

/// The decision over the rows visited so far.
struct Tally {
    allowed: bool,
    reason: DenialReason,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            allowed: false,
            reason: DenialReason::NoGrant,
        }
    }
}

impl Tally {
    /// Adds a row. One grant is enough; of several reasons the first in their order counts.
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
