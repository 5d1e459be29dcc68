//! Questions the other way round: where may an identity do this, and who may do it here?

use super::AccessIndex;
use super::holder::{Holder, Moment, Row};
use super::smallest::Smallest;
use crate::{IdentityId, NodeId, RoleName, Timestamp};
use core::ops::ControlFlow;
use std::collections::BTreeSet;

/// One part of a list that is sorted by id. The next part is what comes after the last one of this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// Whether the list goes on after it.
    pub has_more: bool,
}

/// An identity that holds a permission at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionHolder<'a> {
    /// Who.
    pub identity: IdentityId,
    /// The names of all roles that grant it, sorted byte by byte, each once.
    pub role_names: Vec<&'a RoleName>,
    /// The nodes at which these are assigned, sorted, each once.
    pub source_nodes: Vec<NodeId>,
}

impl AccessIndex {
    /// The nodes at which [`decide`](Self::decide) answers yes, sorted by id: at most `limit` of those that come after
    /// `after`. None for whatever the index does not know.
    ///
    /// However few are asked for, this is a pass over all nodes of the environment (about a millisecond for 100,000) and
    /// takes a byte for each, unless the identity holds the permission nowhere.
    pub fn nodes_where(
        &self,
        identity: IdentityId,
        permission: &str,
        at: Timestamp,
        after: Option<NodeId>,
        limit: usize,
    ) -> Part<NodeId> {
        let holder = self
            .holdings
            .find(identity)
            .filter(|holder| holder.standing().is_none());
        let mut tops = BTreeSet::new();
        if let Some((holder, permission)) = holder.zip(self.catalog.find_key(permission)) {
            let at = Moment::from(at);
            let _ = self.each_grant(holder, permission, at, |_, row| {
                tops.insert(row.node());
                ControlFlow::Continue(())
            });
        }
        let mut nodes = Smallest::new(after, limit);
        if !tops.is_empty() {
            self.tree
                .active_below(tops.into_iter())
                .for_each(|node| nodes.take(node));
        }
        let (items, has_more) = nodes.finish();
        Part { items, has_more }
    }

    /// The identities for which [`decide`](Self::decide) answers yes at a node, sorted by id: at most `limit` of those that
    /// come after `after`. None for whatever the index does not know.
    ///
    /// However few are asked for, this is a pass over the records of all identities (some milliseconds for 100,000), and over
    /// the assignments of those who hold a role that bundles the permission.
    pub fn who_can(
        &self,
        permission: &str,
        node: NodeId,
        at: Timestamp,
        after: Option<IdentityId>,
        limit: usize,
    ) -> Part<PermissionHolder<'_>> {
        let (permission, node) = (self.catalog.find_key(permission), self.tree.find(node));
        let path = node.map(|node| self.tree.path(node)).filter(|path| path.is_active);
        let Some((permission, path)) = permission.zip(path) else {
            return Part {
                items: Vec::new(),
                has_more: false,
            };
        };
        let at = Moment::from(at);
        let counts = |row: Row| self.tree.is_on(&path, row.node());
        let mut holders = Smallest::new(after, limit);
        for holder in self.holdings.records().iter() {
            let identity = holder.identity();
            if holder.standing().is_none() && holders.wants(identity) {
                let found = self.each_grant(holder, permission, at, |_, row| {
                    if counts(row) {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                });
                if found.is_break() {
                    holders.take(identity);
                }
            }
        }
        let (identities, has_more) = holders.finish();
        let describe = |identity| {
            let (mut roles, mut nodes) = (BTreeSet::new(), BTreeSet::new());
            let holder = self.holdings.find(identity)?;
            let _ = self.each_grant(holder, permission, at, |role, row| {
                if counts(row) {
                    roles.extend(self.catalog.name(role));
                    nodes.extend(self.tree.id(row.node()));
                }
                ControlFlow::Continue(())
            });
            Some(PermissionHolder {
                identity,
                role_names: roles.into_iter().collect(),
                source_nodes: nodes.into_iter().collect(),
            })
        };
        Part {
            items: identities.into_iter().filter_map(describe).collect(),
            has_more,
        }
    }

    /// Tells `see` each row of an active role that bundles a permission and is open, until it breaks off.
    fn each_grant(
        &self,
        holder: &Holder,
        permission: u32,
        at: Moment,
        mut see: impl FnMut(u32, Row) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.each_bundling_row(holder, permission, |role, row| {
            if self.weigh(holder, role, row, at).is_none() {
                see(role, row)
            } else {
                ControlFlow::Continue(())
            }
        })
    }
}
