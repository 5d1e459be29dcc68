//! The tree, by links from each node to the one above.
//!
//! Nothing is kept about what lies below a node, so moving a subtree changes one link. A question walks up from its node:
//! a few steps over an array of four bytes a node, whose upper levels are always in the cache.

use super::hash::Seed;
use super::interner::Interner;
use super::{IndexError, NodeFact};
use crate::{AssignmentId, NodeId};

/// A link: the slot of the parent, shifted up by one; the lowest bit says that the node is switched off.
type Link = u32;

/// The parent of the root.
const NONE: u32 = u32::MAX >> 1;

#[derive(Debug, Clone)]
pub(super) struct Tree {
    ids: Interner,
    links: Vec<Link>,
    uses: Vec<Uses>,
    root: Option<u32>,
    inactive: usize,
}

/// What stands in the way of removing a node.
#[derive(Debug, Clone, Copy, Default)]
struct Uses {
    children: u32,
    grants: u32,
}

/// What a walk from a node to the root has met.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    /// A bit for each slot on the way, by its lowest six bits: a slot whose bit is not set is not on the way.
    pub(super) bits: u64,
    pub(super) is_active: bool,
}

const fn link(parent: u32, is_active: bool) -> Link {
    (parent << 1) | (!is_active as u32)
}

impl Tree {
    pub(super) fn build(seed: Seed, nodes: &[NodeFact]) -> Result<Self, IndexError> {
        let mut tree = Self {
            ids: Interner::with_capacity(seed, nodes.len()),
            links: Vec::with_capacity(nodes.len()),
            uses: vec![Uses::default(); nodes.len()],
            root: None,
            inactive: 0,
        };
        for node in nodes {
            if !tree.ids.intern(node.id.as_uuid())?.1 {
                return Err(IndexError::RepeatedNode(node.id));
            }
        }
        for (slot, node) in (0..).zip(nodes) {
            let parent = match node.parent {
                None if tree.root.is_some() => return Err(IndexError::SecondRoot(node.id)),
                None => {
                    tree.root = Some(slot);
                    NONE
                }
                Some(parent) => {
                    let unknown = IndexError::UnknownParent {
                        node: node.id,
                        parent,
                    };
                    let parent = tree.find(parent).ok_or(unknown)?;
                    tree.count_child(parent, 1);
                    parent
                }
            };
            tree.links.push(link(parent, node.is_active));
            tree.inactive += usize::from(!node.is_active);
        }
        tree.check_acyclic()?;
        Ok(tree)
    }

    /// Every walk up must end: each node is looked at once, however many walks lead over it.
    fn check_acyclic(&self) -> Result<(), IndexError> {
        const UNSEEN: u32 = u32::MAX;
        let mut seen_by = vec![UNSEEN; self.links.len()];
        for start in (0..).take(self.links.len()) {
            let mut at = start;
            while let Some(seen) = seen_by.get_mut(at as usize) {
                if *seen == start {
                    return Err(IndexError::Cycle(NodeId::new(self.ids.id(start))));
                }
                if *seen != UNSEEN {
                    break;
                }
                *seen = start;
                at = self.parent(at);
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn find(&self, id: NodeId) -> Option<u32> {
        self.ids.find(id.as_uuid())
    }

    #[inline]
    fn parent(&self, slot: u32) -> u32 {
        self.links.get(slot as usize).map_or(NONE, |link| link >> 1)
    }

    /// Walks from a node to the root.
    #[inline]
    pub(super) fn path(&self, node: u32) -> Path {
        let (mut at, mut bits, mut inactive) = (node, 0, 0);
        while let Some(link) = self.links.get(at as usize) {
            bits |= 1 << (at & 63);
            inactive |= link & 1;
            at = link >> 1;
        }
        Path {
            bits,
            is_active: inactive == 0,
        }
    }

    /// Whether a node and all above it are switched on.
    #[inline]
    pub(super) fn is_active(&self, node: u32) -> bool {
        self.inactive == 0 || self.path(node).is_active
    }

    /// The slots from a node to the root.
    pub(super) fn ancestors(&self, node: u32) -> impl Iterator<Item = u32> {
        let exists = |slot: &u32| (*slot as usize) < self.links.len();
        core::iter::successors(Some(node).filter(exists), move |at| {
            Some(self.parent(*at)).filter(exists)
        })
    }

    /// Whether `above` is the node or one above it.
    #[inline]
    pub(super) fn is_at_or_above(&self, above: u32, node: u32) -> bool {
        let mut at = node;
        while at != above {
            match self.links.get(at as usize) {
                Some(link) => at = link >> 1,
                None => return false,
            }
        }
        true
    }

    pub(super) fn put(&mut self, fact: &NodeFact) -> Result<(), IndexError> {
        let known = self.find(fact.id);
        let parent = match fact.parent {
            None if self.root.is_some() && self.root != known => {
                return Err(IndexError::SecondRoot(fact.id));
            }
            None => NONE,
            Some(parent) if parent == fact.id => return Err(IndexError::Cycle(fact.id)),
            Some(parent) => {
                let unknown = IndexError::UnknownParent {
                    node: fact.id,
                    parent,
                };
                let parent = self.find(parent).ok_or(unknown)?;
                if known.is_some_and(|node| self.is_at_or_above(node, parent)) {
                    return Err(IndexError::Cycle(fact.id));
                }
                parent
            }
        };
        let slot = match known {
            Some(slot) => {
                self.unlink(slot);
                slot
            }
            None => self.ids.intern(fact.id.as_uuid())?.0,
        };
        if self.links.len() < self.ids.slots() {
            self.links.resize(self.ids.slots(), link(NONE, true));
            self.uses.resize(self.ids.slots(), Uses::default());
        }
        if let Some(place) = self.links.get_mut(slot as usize) {
            *place = link(parent, fact.is_active);
        }
        self.inactive += usize::from(!fact.is_active);
        if parent == NONE {
            self.root = Some(slot);
        } else {
            self.count_child(parent, 1);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, id: NodeId) -> Result<(), IndexError> {
        let Some(slot) = self.find(id) else {
            return Ok(());
        };
        let uses = self.uses.get(slot as usize).copied().unwrap_or_default();
        if uses.children != 0 || uses.grants != 0 {
            return Err(IndexError::NodeInUse(id));
        }
        self.unlink(slot);
        if self.root == Some(slot) {
            self.root = None;
        }
        self.ids.release(slot);
        Ok(())
    }

    /// Takes a node out of the counts that its link is part of, and leaves it a link to nothing.
    fn unlink(&mut self, slot: u32) {
        let old = self
            .links
            .get_mut(slot as usize)
            .map(|place| core::mem::replace(place, link(NONE, true)));
        if let Some(old) = old {
            self.inactive -= (old & 1) as usize;
            if old >> 1 != NONE {
                self.count_child(old >> 1, -1);
            }
        }
    }

    fn count_child(&mut self, parent: u32, by: i32) {
        if let Some(uses) = self.uses.get_mut(parent as usize) {
            uses.children = uses.children.saturating_add_signed(by);
        }
    }

    /// The node that an assignment names.
    pub(super) fn resolve(&self, grant: AssignmentId, node: NodeId) -> Result<u32, IndexError> {
        self.find(node)
            .ok_or(IndexError::UnknownNode { grant, node })
    }

    pub(super) fn count_grant(&mut self, node: u32, by: i32) {
        if let Some(uses) = self.uses.get_mut(node as usize) {
            uses.grants = uses.grants.saturating_add_signed(by);
        }
    }

    pub(super) const fn memory_bytes(&self) -> usize {
        self.ids.memory_bytes()
            + self.links.capacity() * size_of::<Link>()
            + self.uses.capacity() * size_of::<Uses>()
    }
}
