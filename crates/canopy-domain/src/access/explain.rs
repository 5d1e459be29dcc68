//! Explanations: all assignments that bear on a check.

use super::holder::{Holder, Moment, Row};
use super::steps::{self, Steps};
use super::tree::Path;
use super::{AccessIndex, Decision, DenialReason, Question, Target};
use crate::string_enum::string_enum;
use crate::{AssignmentId, AssignmentStatus, NodeId, RoleId, RoleName, Timestamp, Window};
use core::ops::ControlFlow;

/// A decision with everything that led to it.
///
/// `near_misses` is empty if the catalog lacks the permission. If access is denied and a near miss is not [out of
/// reach](Shortfall::OutOfReach), the first of their reasons is the reason of the denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// The decision of [`decide`](AccessIndex::decide).
    pub decision: Decision,
    /// The names of all granting roles, sorted, each once.
    pub granting_roles: Vec<&'a RoleName>,
    /// The granting assignments, sorted by id. Empty if and only if access is denied.
    pub grants: Vec<BearingGrant<'a>>,
    /// The identity's other assignments of roles that bundle the permission, sorted by id, each with its shortfall.
    pub near_misses: Vec<(BearingGrant<'a>, Shortfall)>,
    /// The number of granting assignments, including omitted ones.
    pub grant_count: usize,
    /// The number of near misses, including omitted ones.
    pub near_miss_count: usize,
}

/// Assignments that bear on a check, before they are limited.
struct Bearing<T>(Vec<(AssignmentId, u32, Row, T)>);

impl<T> Default for Bearing<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Bearing<T> {
    fn add(&mut self, one: (AssignmentId, u32, Row, T)) {
        self.0.push(one);
    }

    /// Returns the first ones by id.
    fn first(mut self, limit: usize) -> impl Iterator<Item = (AssignmentId, u32, Row, T)> {
        self.0.sort_unstable_by_key(|(id, ..)| *id);
        self.0.into_iter().take(limit)
    }
}

/// An assignment that bears on a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearingGrant<'a> {
    /// Its id.
    pub id: AssignmentId,
    /// Its role.
    pub role: RoleId,
    /// The name of the role.
    pub role_name: &'a RoleName,
    /// Its node.
    pub node: NodeId,
    /// The nodes from the root to its node, both included.
    pub path: Vec<NodeId>,
    /// The window in which it holds.
    pub window: Window,
    /// The status of the window at the checked instant.
    pub status: AssignmentStatus,
}

string_enum!(
    /// The reason for which an assignment of a role that bundles the permission does not grant it: the first of these,
    /// in this order, that applies. App-wide, the node comes last.
    Shortfall {
        /// Its node is neither the checked node nor an ancestor of it.
        OutOfReach = "out_of_reach",
        /// The identity was never a member of the application.
        IdentityNotFound = "identity_not_found",
        /// The identity is switched off in the account.
        IdentityInactive = "identity_inactive",
        /// The membership in the application is not active.
        MembershipInactive = "membership_inactive",
        /// The checked node or an ancestor is inactive; app-wide: the node of the assignment or an ancestor.
        NodeInactive = "node_inactive",
        /// It starts later.
        AssignmentScheduled = "assignment_scheduled",
        /// It has ended.
        AssignmentExpired = "assignment_expired",
        /// Its role is inactive.
        RoleInactive = "role_inactive",
    }
);

impl From<DenialReason> for Shortfall {
    fn from(reason: DenialReason) -> Self {
        match reason {
            DenialReason::IdentityNotFound => Self::IdentityNotFound,
            DenialReason::IdentityInactive => Self::IdentityInactive,
            DenialReason::MembershipInactive => Self::MembershipInactive,
            DenialReason::NodeInactive => Self::NodeInactive,
            DenialReason::AssignmentScheduled => Self::AssignmentScheduled,
            DenialReason::AssignmentExpired => Self::AssignmentExpired,
            DenialReason::RoleInactive => Self::RoleInactive,
            // These mean that no assignment counts here.
            DenialReason::PermissionNotFound | DenialReason::NodeNotFound | DenialReason::NoGrant => Self::OutOfReach,
        }
    }
}

/// The nodes at which assignments count.
enum Reach {
    /// At these nodes.
    Path(Path),
    /// None: the node is unknown.
    Nowhere,
    /// At every active node.
    Everywhere,
}

impl AccessIndex {
    /// Explains a check: lists every assignment that grants it, and every near miss.
    ///
    /// The cost depends on the identity's assignments of the permission, and on the depth of the tree for each.
    pub fn explain(&self, question: &Question<'_>, at: Timestamp) -> Explanation<'_> {
        self.explain_within(question, at, usize::MAX)
    }

    /// Like [`explain`](Self::explain), with at most `limit` grants and as many near misses: the first ones by id. All
    /// are counted.
    pub fn explain_within(&self, question: &Question<'_>, at: Timestamp, limit: usize) -> Explanation<'_> {
        let Ok(explanation) = self.explain_in_steps(question, at, limit, steps::on);
        explanation
    }

    /// Like [`explain_within`](Self::explain_within), with `step` called every few microseconds.
    ///
    /// # Errors
    /// The first error of `step`, which ends the pass.
    pub fn explain_in_steps<E>(
        &self,
        question: &Question<'_>,
        at: Timestamp,
        limit: usize,
        step: impl FnMut() -> Result<(), E>,
    ) -> Result<Explanation<'_>, E> {
        let mut steps = Steps::new(step);
        let mut granting_roles = Vec::new();
        let decision = self.decide_with_roles(question, at, &mut granting_roles);
        let (mut grants, mut near_misses) = (Bearing::default(), Bearing::default());
        let holder = self.holdings.find(question.identity);
        let at = Moment::from(at);
        if let Some((holder, permission)) = holder.zip(self.catalog.find_key(question.permission)) {
            let reach = match question.target {
                Target::AppWide => Reach::Everywhere,
                Target::Node(node) => match self.tree.find(node) {
                    Some(node) => Reach::Path(self.tree.path(node)),
                    None => Reach::Nowhere,
                },
            };
            let mut stopped = Ok(());
            let _ = self.each_bundling_row(holder, permission, |role, row| {
                stopped = steps.take();
                if stopped.is_err() {
                    return ControlFlow::Break(());
                }
                if let Some((id, _)) = self.holdings.assignment(row) {
                    match self.shortfall(holder, role, row, &reach, at) {
                        None => grants.add((id, role, row, ())),
                        Some(shortfall) => near_misses.add((id, role, row, shortfall)),
                    }
                }
                ControlFlow::Continue(())
            });
            stopped?;
        }
        let (grant_count, near_miss_count) = (grants.0.len(), near_misses.0.len());
        let show = |role, row| self.bearing(holder?, role, row, at);
        let (mut shown_grants, mut shown_misses) = (Vec::new(), Vec::new());
        steps.take_long()?;
        for (_, role, row, ()) in grants.first(limit) {
            steps.take()?;
            shown_grants.extend(show(role, row));
        }
        steps.take_long()?;
        for (_, role, row, shortfall) in near_misses.first(limit) {
            steps.take()?;
            shown_misses.extend(show(role, row).map(|grant| (grant, shortfall)));
        }
        Ok(Explanation {
            decision,
            granting_roles,
            grants: shown_grants,
            near_misses: shown_misses,
            grant_count,
            near_miss_count,
        })
    }

    fn bearing(&self, holder: &Holder, role: u32, row: Row, at: Moment) -> Option<BearingGrant<'_>> {
        let (id, window) = self.holdings.assignment(row)?;
        let status = self.holdings.status(holder, row, at);
        let (role, role_name) = self.catalog.role(role)?;
        Some(BearingGrant {
            id,
            role,
            role_name,
            node: self.tree.id(row.node())?,
            path: self.tree.path_from_root(row.node()),
            window,
            status,
        })
    }

    /// Returns the reason for which a row that bundles the permission does not grant it. `None` if it grants.
    fn shortfall(&self, holder: &Holder, role: u32, row: Row, reach: &Reach, at: Moment) -> Option<Shortfall> {
        let (counts, is_inactive_here) = match reach {
            Reach::Everywhere => (true, false),
            Reach::Nowhere => (false, false),
            Reach::Path(path) => (self.tree.is_on(path, row.node()), !path.is_active),
        };
        if !counts {
            return Some(Shortfall::OutOfReach);
        }
        if let Some(blocked_by) = holder.blocked_by() {
            return Some(blocked_by.into());
        }
        if is_inactive_here {
            return Some(Shortfall::NodeInactive);
        }
        match self.weigh(holder, role, row, at) {
            Some(reason) => Some(reason.into()),
            None if !self.tree.is_active(row.node()) => Some(Shortfall::NodeInactive),
            None => None,
        }
    }
}
