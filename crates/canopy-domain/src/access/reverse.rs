//! Reverse questions: where does an identity have a permission, and who has it at a node?

use super::AccessIndex;
use super::holder::{Holder, Moment, Row};
use super::smallest::Smallest;
use super::steps::{self, Steps};
use crate::{IdentityId, NodeId, RoleName, Timestamp};
use core::ops::ControlFlow;
use std::collections::BTreeSet;

/// One page of a list that is sorted by id. The next page follows its last item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T> {
    /// The items of the page.
    pub items: Vec<T>,
    /// True if the list goes on after it.
    pub has_more: bool,
}

/// An identity that has a permission at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionHolder<'a> {
    /// The identity.
    pub identity: IdentityId,
    /// The names of all granting roles, sorted byte by byte, each once.
    pub role_names: Vec<&'a RoleName>,
    /// The nodes of the granting assignments, sorted, each once.
    pub source_nodes: Vec<NodeId>,
}

impl AccessIndex {
    /// Returns the nodes at which [`decide`](Self::decide) allows the permission, sorted by id: at most `limit` of
    /// those after `after`. Empty for unknown ids and keys.
    ///
    /// Whatever the limit, this visits all nodes of the environment (about a millisecond for 100,000) and takes a byte
    /// for each, unless the identity has the permission nowhere.
    pub fn nodes_where(
        &self,
        identity: IdentityId,
        permission: &str,
        at: Timestamp,
        after: Option<NodeId>,
        limit: usize,
    ) -> Part<NodeId> {
        let Ok(part) = self.nodes_where_in_steps(identity, permission, at, (after, limit), steps::on);
        part
    }

    /// Like [`nodes_where`](Self::nodes_where), with `step` called every few microseconds.
    ///
    /// # Errors
    /// The first error of `step`, which ends the pass.
    pub fn nodes_where_in_steps<E>(
        &self,
        identity: IdentityId,
        permission: &str,
        at: Timestamp,
        (after, limit): (Option<NodeId>, usize),
        step: impl FnMut() -> Result<(), E>,
    ) -> Result<Part<NodeId>, E> {
        let mut steps = Steps::new(step);
        let holder = self
            .holdings
            .find(identity)
            .filter(|holder| holder.blocked_by().is_none());
        let mut tops = BTreeSet::new();
        if let Some((holder, permission)) = holder.zip(self.catalog.find_key(permission)) {
            let at = Moment::from(at);
            let _ = self.each_grant(holder, permission, at, &mut steps, |_, row| {
                tops.insert(row.node());
                ControlFlow::Continue(())
            })?;
        }
        let mut nodes = Smallest::new(after, limit);
        if !tops.is_empty() {
            self.tree
                .each_active_below(tops.into_iter(), &mut steps, |node| nodes.take(node))?;
        }
        let (items, has_more) = nodes.finish();
        Ok(Part { items, has_more })
    }

    /// Returns the identities for which [`decide`](Self::decide) allows the permission at a node, sorted by id: at most
    /// `limit` of those after `after`. Empty for unknown ids and keys.
    ///
    /// Whatever the limit, this visits the records of all identities (some milliseconds for 100,000), and the
    /// assignments of those with a role that bundles the permission.
    pub fn who_can(
        &self,
        permission: &str,
        node: NodeId,
        at: Timestamp,
        after: Option<IdentityId>,
        limit: usize,
    ) -> Part<PermissionHolder<'_>> {
        let Ok(part) = self.who_can_in_steps(permission, node, at, (after, limit), steps::on);
        part
    }

    /// Like [`who_can`](Self::who_can), with `step` called every few microseconds.
    ///
    /// # Errors
    /// The first error of `step`, which ends the pass.
    pub fn who_can_in_steps<E>(
        &self,
        permission: &str,
        node: NodeId,
        at: Timestamp,
        (after, limit): (Option<IdentityId>, usize),
        step: impl FnMut() -> Result<(), E>,
    ) -> Result<Part<PermissionHolder<'_>>, E> {
        let mut steps = Steps::new(step);
        let (permission, node) = (self.catalog.find_key(permission), self.tree.find(node));
        let path = node.map(|node| self.tree.path(node)).filter(|path| path.is_active);
        let Some((permission, path)) = permission.zip(path) else {
            return Ok(Part {
                items: Vec::new(),
                has_more: false,
            });
        };
        let at = Moment::from(at);
        let counts = |row: Row| self.tree.is_on(&path, row.node());
        let mut holders = Smallest::new(after, limit);
        let bundlers = self.catalog.bundler_set(permission);
        for holder in self.holdings.records().iter() {
            steps.take()?;
            if bundlers.intersection(holder.roles()).is_empty() || holder.blocked_by().is_some() {
                continue;
            }
            let identity = holder.identity();
            if holders.wants(identity) {
                let found = self.each_grant(holder, permission, at, &mut steps, |_, row| {
                    if counts(row) {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                })?;
                if found.is_break() {
                    holders.take(identity);
                }
            }
        }
        let (identities, has_more) = holders.finish();
        let mut items = Vec::with_capacity(identities.len());
        for identity in identities {
            let Some(holder) = self.holdings.find(identity) else {
                continue;
            };
            let (mut roles, mut nodes) = (BTreeSet::new(), BTreeSet::new());
            let _ = self.each_grant(holder, permission, at, &mut steps, |role, row| {
                if counts(row) {
                    roles.extend(self.catalog.name(role));
                    nodes.extend(self.tree.id(row.node()));
                }
                ControlFlow::Continue(())
            })?;
            items.push(PermissionHolder {
                identity,
                role_names: roles.into_iter().collect(),
                source_nodes: nodes.into_iter().collect(),
            });
        }
        Ok(Part { items, has_more })
    }

    /// Calls `see` with each open row of an active role that bundles a permission, until it breaks.
    fn each_grant<E>(
        &self,
        holder: &Holder,
        permission: u32,
        at: Moment,
        steps: &mut Steps<impl FnMut() -> Result<(), E>>,
        mut see: impl FnMut(u32, Row) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, E> {
        let mut stopped = Ok(());
        let flow = self.each_bundling_row(holder, permission, |role, row| {
            stopped = steps.take();
            if stopped.is_err() {
                return ControlFlow::Break(());
            }
            if self.weigh(holder, role, row, at).is_none() {
                see(role, row)
            } else {
                ControlFlow::Continue(())
            }
        });
        stopped.map(|()| flow)
    }
}
