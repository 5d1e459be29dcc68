//! The index: built from a snapshot, updated by changes.

use super::catalog::Catalog;
use super::hash::Seed;
use super::holder::Holder;
use super::holdings::Holdings;
use super::node_types::NodeTypes;
use super::tree::{NodeRecord, Tree};
use super::{Change, DenialReason, GrantFact, IndexError, NodeFact, Snapshot};
use crate::{AssignmentId, EnvironmentId, IdentityId, NodeId, NodeType, Revision};

/// Everything that decisions in one environment depend on, laid out for fast checks.
///
/// It has the state of one [`Revision`]. Checks take `&self` and may run on many threads; [`apply`](Self::apply) takes
/// `&mut self`. A clone is a full copy.
#[derive(Debug, Clone)]
pub struct AccessIndex {
    environment: EnvironmentId,
    revision: Revision,
    pub(super) catalog: Catalog,
    pub(super) tree: Tree,
    node_types: NodeTypes,
    pub(super) holdings: Holdings,
}

impl AccessIndex {
    /// Builds the index of a snapshot.
    ///
    /// # Errors
    /// An [`IndexError`] if the facts contradict each other. An assignment of an identity that is no member is no
    /// contradiction: the identity is denied as "not found" until a change makes it a member.
    pub fn build(snapshot: &Snapshot) -> Result<Self, IndexError> {
        Self::build_seeded(snapshot, 0)
    }

    /// Builds the index of a snapshot. The memory layout depends on `seed`, decisions do not.
    ///
    /// Pass a secret random number if untrusted users choose stored ids. Otherwise they could choose ids with equal
    /// hashes and slow look-ups down.
    ///
    /// # Errors
    /// Like [`build`](Self::build).
    pub fn build_seeded(snapshot: &Snapshot, seed: u64) -> Result<Self, IndexError> {
        let seed = Seed::new(seed);
        let mut catalog = Catalog::build(seed, &snapshot.permissions, &snapshot.roles)?;
        let mut tree = Tree::build(seed, &snapshot.nodes)?;
        let mut node_types = NodeTypes::with_capacity(snapshot.nodes.len());
        for node in &snapshot.nodes {
            put_type(&mut node_types, &tree, node)?;
        }
        let holdings = Holdings::build(seed, &snapshot.subjects, &snapshot.grants, |grant| {
            let (role, node) = resolve(&catalog, &tree, grant)?;
            catalog.count_grant(role, 1);
            tree.count_grant(node, 1);
            Ok((role, node))
        })?;
        let Snapshot {
            environment, revision, ..
        } = *snapshot;
        Ok(Self {
            environment,
            revision,
            catalog,
            tree,
            node_types,
            holdings,
        })
    }

    /// Applies the changes of one revision, in their order. Each must leave consistent facts: a role or node is put
    /// before the assignments that name it, and removed after them. Removing an unknown entity changes nothing.
    ///
    /// # Errors
    /// [`IndexError::RevisionGap`] if `revision` is not the one after [`revision`](Self::revision); the index is
    /// unchanged. Any other error if a change contradicts the facts. Then earlier changes were applied and the revision
    /// was not: the caller must drop the index and build it anew.
    pub fn apply(&mut self, revision: Revision, changes: &[Change]) -> Result<(), IndexError> {
        if revision != self.revision.next() {
            return Err(IndexError::RevisionGap {
                current: self.revision,
                given: revision,
            });
        }
        let mut rest = changes;
        while let Some(change) = rest.first() {
            let applied = self.apply_run(change, rest)?;
            rest = rest.get(applied..).unwrap_or_default();
        }
        self.revision = revision;
        Ok(())
    }

    /// Applies a run of assignments, grouped by identity: an identity that gains thousands in one call is laid out
    /// once, not thousands of times.
    fn put_grants(&mut self, grants: &[&GrantFact]) -> Result<(), IndexError> {
        let mut pending = Vec::with_capacity(grants.len());
        for grant in grants {
            let (role, node) = resolve(&self.catalog, &self.tree, grant)?;
            if self.holdings.knows(grant.id) {
                // The assignment may be among the pending ones.
                self.holdings.insert_all(&mut pending)?;
                self.remove_grant(grant.id);
            }
            pending.push(self.holdings.reserve(grant, role, node)?);
            self.catalog.count_grant(role, 1);
            self.tree.count_grant(node, 1);
        }
        self.holdings.insert_all(&mut pending)
    }

    /// Applies the first of some changes, or all assignments that they start with, and returns their number.
    fn apply_run(&mut self, first: &Change, changes: &[Change]) -> Result<usize, IndexError> {
        match first {
            Change::GrantPut(_) => {
                let grants: Vec<&GrantFact> = changes.iter().map_while(as_grant).collect();
                self.put_grants(&grants)?;
                return Ok(grants.len());
            }
            Change::GrantRemoved(id) => {
                let run = changes.iter().map_while(as_removed).count();
                if run == 1 {
                    self.remove_grant(*id);
                } else {
                    self.remove_grants(changes.iter().map_while(as_removed));
                }
                return Ok(run);
            }
            Change::PermissionPut(permission) => self.catalog.put_permission(permission)?,
            Change::PermissionRemoved(id) => self.catalog.remove_permission(*id),
            Change::RolePut(role) => self.catalog.put_role(role)?,
            Change::RoleRemoved(id) => self.catalog.remove_role(*id)?,
            Change::NodePut(node) => {
                self.tree.put(node)?;
                put_type(&mut self.node_types, &self.tree, node)?;
            }
            Change::NodeRemoved(id) => {
                let slot = self.tree.find(*id).map(NodeRecord::slot);
                self.tree.remove(*id)?;
                if let Some(slot) = slot {
                    self.node_types.remove(slot);
                }
            }
            Change::SubjectPut(subject) => self.holdings.put_subject(subject)?,
            Change::SubjectRemoved(id) => {
                for (role, row) in self
                    .holdings
                    .remove_subject(*id)
                    .iter()
                    .flat_map(|holder| holder.rows().iter())
                {
                    self.uncount(role, row.node());
                }
            }
            // The key ring handles API keys.
            Change::KeyPut(_) | Change::KeyRemoved(_) => {}
        }
        Ok(1)
    }

    fn remove_grant(&mut self, id: AssignmentId) {
        let Self {
            holdings,
            catalog,
            tree,
            ..
        } = self;
        holdings.remove_grant(id, |freed| {
            catalog.count_grant(freed.role, -1);
            tree.count_grant(freed.node, -1);
        });
    }

    /// Removes assignments, grouped by identity: an identity that loses thousands in one call is laid out once, not
    /// thousands of times.
    fn remove_grants(&mut self, ids: impl Iterator<Item = AssignmentId>) {
        let Self {
            holdings,
            catalog,
            tree,
            ..
        } = self;
        holdings.remove_grants(ids, |freed| {
            catalog.count_grant(freed.role, -1);
            tree.count_grant(freed.node, -1);
        });
    }

    fn uncount(&mut self, role: u32, node: u32) {
        self.catalog.count_grant(role, -1);
        self.tree.count_grant(node, -1);
    }

    /// Returns whether decisions know the identity: it is or was a member of the application.
    pub fn knows(&self, identity: IdentityId) -> bool {
        let blocked_by = self.holdings.find(identity).map(Holder::blocked_by);
        blocked_by.is_some_and(|blocked_by| blocked_by != Some(DenialReason::IdentityNotFound))
    }

    /// Returns its environment.
    pub const fn environment(&self) -> EnvironmentId {
        self.environment
    }

    /// Returns its revision.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the type of a node; `None` for an unknown node.
    pub fn node_type(&self, node: NodeId) -> Option<&NodeType> {
        self.node_types.get(self.tree.find(node)?.slot())
    }

    /// Returns the bytes of memory that it uses, including unused capacity but not the overhead of the allocator.
    /// Visits all identities.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.catalog.memory_bytes()
            + self.tree.memory_bytes()
            + self.node_types.memory_bytes()
            + self.holdings.memory_bytes()
    }
}

const fn as_grant(change: &Change) -> Option<&GrantFact> {
    match change {
        Change::GrantPut(grant) => Some(grant),
        _ => None,
    }
}

const fn as_removed(change: &Change) -> Option<AssignmentId> {
    match change {
        Change::GrantRemoved(id) => Some(*id),
        _ => None,
    }
}

/// Records the type of a node in the tree.
fn put_type(types: &mut NodeTypes, tree: &Tree, node: &NodeFact) -> Result<(), IndexError> {
    match tree.find(node.id) {
        Some(record) => types.put(record.slot(), node),
        None => Ok(()),
    }
}

/// Returns the slots of the role and the node of an assignment.
fn resolve(catalog: &Catalog, tree: &Tree, grant: &GrantFact) -> Result<(u32, u32), IndexError> {
    let node = tree.resolve(grant.id, grant.key.node)?;
    let role = catalog.resolve(grant.id, grant.key.role)?;
    Ok((role, node))
}
