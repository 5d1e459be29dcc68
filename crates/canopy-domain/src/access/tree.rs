//! The tree, as a link from each node to its parent.
//!
//! Nodes do not record their descendants, so moving a subtree changes one link. A check walks up from its node: its own
//! link is in its record, those above are a few steps over an array of four bytes per node. Nodes of a snapshot are
//! numbered from the root down, so that the upper levels, which all checks share, are adjacent.

use super::hash::Seed;
use super::records::{Id, Record, Records, id_of, uuid_of};
use super::steps::{STEPS, Steps};
use super::{IndexError, NodeFact};
use crate::{AssignmentId, NodeId};

/// The slot of the parent, shifted left by one; the lowest bit is set if the node is inactive.
type Link = u32;

/// The slot of no node, used as the parent of the root.
const NONE: u32 = u32::MAX >> 1;

#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: Records<NodeRecord>,
    /// Links by slot.
    links: Vec<Link>,
    uses: Vec<Uses>,
    /// Ids by slot, for results that name nodes. Undefined in a free slot.
    ids: Vec<Id>,
    free: Vec<u32>,
    root: Option<u32>,
    inactive: usize,
}

/// The position of a node, and a copy of its link.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeRecord {
    id: Id,
    slot: u32,
    link: Link,
}

impl NodeRecord {
    pub(super) const fn slot(&self) -> u32 {
        self.slot
    }
}

impl Default for NodeRecord {
    fn default() -> Self {
        Self {
            id: 0,
            slot: NONE,
            link: link(NONE, true),
        }
    }
}

impl Record for NodeRecord {
    #[inline]
    fn id(&self) -> Id {
        self.id
    }

    #[inline]
    fn is_vacant(&self) -> bool {
        self.slot == NONE
    }
}

/// The reason why a node cannot be removed.
#[derive(Debug, Clone, Copy, Default)]
struct Uses {
    children: u32,
    grants: u32,
}

/// The state of a node in a search for all nodes below some top nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    /// Not visited.
    Unknown,
    /// A top node, not visited.
    Top,
    /// Not at or below a top node.
    Outside,
    /// At or below a top node.
    Within,
    /// Inactive, or below an inactive node.
    Inactive,
}

/// Number of nodes of a path that are buffered; deeper trees are walked again.
const NEAR: usize = 8;

/// The path from a node to the root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    near: [u32; NEAR],
    /// The first node that did not fit, or none.
    far: u32,
    pub(super) is_active: bool,
}

const fn link(parent: u32, is_active: bool) -> Link {
    (parent << 1) | (!is_active as u32)
}

impl Tree {
    pub(super) fn build(seed: Seed, nodes: &[NodeFact]) -> Result<Self, IndexError> {
        if nodes.len() >= NONE as usize {
            return Err(IndexError::TooLarge);
        }
        let mut records = Records::with_capacity(seed, nodes.len());
        for (place, node) in (0..).zip(nodes) {
            let id = id_of(node.id.as_uuid());
            if records.find(id).is_some() {
                return Err(IndexError::RepeatedNode(node.id));
            }
            records.insert(NodeRecord {
                id,
                slot: place,
                ..NodeRecord::default()
            })?;
        }
        let parents = parents(&records, nodes)?;
        let slots = slots_by_depth(&parents, nodes)?;
        let slot_of = |place: u32| slots.get(place as usize).copied().unwrap_or(NONE);
        let mut tree = Self {
            nodes: records,
            links: vec![link(NONE, true); nodes.len()],
            uses: vec![Uses::default(); nodes.len()],
            ids: vec![0; nodes.len()],
            free: Vec::new(),
            root: None,
            inactive: 0,
        };
        for ((node, parent), slot) in nodes.iter().zip(&parents).zip(&slots) {
            tree.set_link(*slot, slot_of(*parent), node.is_active);
            if let Some(id) = tree.ids.get_mut(*slot as usize) {
                *id = id_of(node.id.as_uuid());
            }
        }
        for record in tree.nodes.iter_mut() {
            record.slot = slot_of(record.slot);
            record.link = tree.links.get(record.slot as usize).copied().unwrap_or(record.link);
        }
        Ok(tree)
    }

    #[inline]
    pub(super) fn find(&self, id: NodeId) -> Option<&NodeRecord> {
        self.nodes.find(id_of(id.as_uuid()))
    }

    /// Returns the records, for a combined look-up.
    #[inline]
    pub(super) const fn records(&self) -> &Records<NodeRecord> {
        &self.nodes
    }

    /// Returns the path from a node to the root.
    #[inline]
    pub(super) fn path(&self, node: &NodeRecord) -> Path {
        let mut near = [NONE; NEAR];
        let (mut at, mut link) = (node.slot, node.link);
        let mut inactive = 0;
        for place in &mut near {
            *place = at;
            inactive |= link & 1;
            at = link >> 1;
            match self.links.get(at as usize) {
                Some(next) => link = *next,
                None => break,
            }
        }
        let far = at;
        while let Some(link) = self.links.get(at as usize) {
            inactive |= link & 1;
            at = link >> 1;
        }
        Path {
            near,
            far,
            is_active: inactive == 0,
        }
    }

    /// Returns whether a node is on a path.
    #[inline]
    pub(super) fn is_on(&self, path: &Path, node: u32) -> bool {
        #[expect(clippy::needless_bitwise_bool, reason = "without a branch, all are compared at once")]
        let near = path
            .near
            .iter()
            .fold(false, |found, on_path| found | (*on_path == node));
        near || (path.far != NONE && self.is_at_or_above(node, path.far))
    }

    /// Returns whether a node and all its ancestors are active.
    pub(super) fn is_active(&self, node: u32) -> bool {
        let mut at = node;
        let mut inactive = 0;
        if self.inactive > 0 {
            while let Some(link) = self.links.get(at as usize) {
                inactive |= link & 1;
                at = link >> 1;
            }
        }
        inactive == 0
    }

    /// Returns the id of a node.
    pub(super) fn id(&self, node: u32) -> Option<NodeId> {
        self.ids.get(node as usize).map(|id| uuid_of(*id).into())
    }

    /// Returns the ids of the nodes from the root to a node, both included.
    pub(super) fn path_from_root(&self, node: u32) -> Vec<NodeId> {
        let mut path = Vec::new();
        let mut at = node;
        while let (Some(link), Some(id)) = (self.links.get(at as usize), self.id(at)) {
            path.push(id);
            at = link >> 1;
        }
        path.reverse();
        path
    }

    /// Calls `see` with the id of each active node, under active ancestors, at or below one of `tops`; in no order.
    ///
    /// Visits all nodes, with one byte for each. A node does not know its descendants, but each node is decided as soon
    /// as its parent is.
    pub(super) fn each_active_below<E>(
        &self,
        tops: impl Iterator<Item = u32>,
        steps: &mut Steps<impl FnMut() -> Result<(), E>>,
        mut see: impl FnMut(NodeId),
    ) -> Result<(), E> {
        let mut states = vec![Search::Unknown; self.links.len()];
        for top in tops {
            if let Some(state) = states.get_mut(top as usize) {
                *state = Search::Top;
            }
        }
        let mut way = Vec::new();
        for slot in (0..).take(self.links.len()) {
            if slot % STEPS == 0 {
                steps.take_long()?;
            }
            let mut at: u32 = slot;
            let mut above = loop {
                match (states.get(at as usize), self.links.get(at as usize)) {
                    (Some(Search::Unknown | Search::Top), Some(link)) => {
                        way.push((at, *link));
                        at = link >> 1;
                    }
                    (Some(known), _) => break *known,
                    (None, _) => break Search::Outside,
                }
            };
            for (slot, link) in way.drain(..).rev() {
                let Some(state) = states.get_mut(slot as usize) else {
                    continue;
                };
                above = match (above, *state) {
                    _ if link & 1 == 1 => Search::Inactive,
                    (Search::Outside, Search::Top) => Search::Within,
                    (above, _) => above,
                };
                *state = above;
            }
        }
        let each = STEPS as usize;
        for (states, ids) in states.chunks(each).zip(self.ids.chunks(each)) {
            steps.take_long()?;
            for (state, id) in states.iter().zip(ids) {
                if *state == Search::Within {
                    see(uuid_of(*id).into());
                }
            }
        }
        Ok(())
    }

    /// Returns whether `above` is the node or an ancestor of it.
    fn is_at_or_above(&self, above: u32, node: u32) -> bool {
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
        let known = self.find(fact.id).map(|record| record.slot);
        let parent = match fact.parent {
            None if self.root.is_some() && self.root != known => {
                return Err(IndexError::SecondRoot(fact.id));
            }
            None => NONE,
            Some(parent) if parent == fact.id => return Err(IndexError::Cycle(fact.id)),
            Some(parent) => {
                let unknown = IndexError::UnknownParent { node: fact.id, parent };
                let parent = self.find(parent).ok_or(unknown)?.slot;
                if known.is_some_and(|node| self.is_at_or_above(node, parent)) {
                    return Err(IndexError::Cycle(fact.id));
                }
                parent
            }
        };
        let slot = match known {
            Some(slot) => slot,
            None => self.add(fact.id)?,
        };
        self.unlink(slot);
        self.set_link(slot, parent, fact.is_active);
        if let Some(record) = self.nodes.find_mut(id_of(fact.id.as_uuid())) {
            record.link = link(parent, fact.is_active);
        }
        Ok(())
    }

    fn add(&mut self, id: NodeId) -> Result<u32, IndexError> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => u32::try_from(self.links.len()).unwrap_or(NONE),
        };
        if slot == NONE {
            return Err(IndexError::TooLarge);
        }
        self.nodes.insert(NodeRecord {
            id: id_of(id.as_uuid()),
            slot,
            ..NodeRecord::default()
        })?;
        if self.links.len() <= slot as usize {
            self.links.push(link(NONE, true));
            self.uses.push(Uses::default());
            self.ids.push(0);
        }
        if let Some(place) = self.ids.get_mut(slot as usize) {
            *place = id_of(id.as_uuid());
        }
        Ok(slot)
    }

    pub(super) fn remove(&mut self, id: NodeId) -> Result<(), IndexError> {
        let Some(slot) = self.find(id).map(|record| record.slot) else {
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
        self.nodes.remove(id_of(id.as_uuid()));
        self.free.push(slot);
        Ok(())
    }

    /// Sets the link of a new node.
    fn set_link(&mut self, slot: u32, parent: u32, is_active: bool) {
        if let Some(place) = self.links.get_mut(slot as usize) {
            *place = link(parent, is_active);
        }
        self.inactive += usize::from(!is_active);
        if parent == NONE {
            self.root = Some(slot);
        } else {
            self.count_child(parent, 1);
        }
    }

    /// Removes a node from the counts of its link, and clears the link.
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

    /// Returns the node of an assignment.
    pub(super) fn resolve(&self, grant: AssignmentId, node: NodeId) -> Result<u32, IndexError> {
        Ok(self.find(node).ok_or(IndexError::UnknownNode { grant, node })?.slot)
    }

    pub(super) fn count_grant(&mut self, node: u32, by: i32) {
        if let Some(uses) = self.uses.get_mut(node as usize) {
            uses.grants = uses.grants.saturating_add_signed(by);
        }
    }

    pub(super) const fn memory_bytes(&self) -> usize {
        self.nodes.memory_bytes()
            + self.links.capacity() * size_of::<Link>()
            + self.uses.capacity() * size_of::<Uses>()
            + self.ids.capacity() * size_of::<Id>()
            + self.free.capacity() * size_of::<u32>()
    }
}

/// Returns the index of the parent of each node of a snapshot.
fn parents(records: &Records<NodeRecord>, nodes: &[NodeFact]) -> Result<Vec<u32>, IndexError> {
    let mut has_root = false;
    let mut parents = Vec::with_capacity(nodes.len());
    for node in nodes {
        parents.push(match node.parent {
            None if has_root => return Err(IndexError::SecondRoot(node.id)),
            None => {
                has_root = true;
                NONE
            }
            Some(parent) => {
                let unknown = IndexError::UnknownParent { node: node.id, parent };
                records.find(id_of(parent.as_uuid())).ok_or(unknown)?.slot
            }
        });
    }
    Ok(parents)
}

/// Returns the slot of each node of a snapshot, numbered level by level from the root down.
fn slots_by_depth(parents: &[u32], nodes: &[NodeFact]) -> Result<Vec<u32>, IndexError> {
    const UNKNOWN: u32 = 0;
    let mut depths = vec![UNKNOWN; parents.len()];
    let mut way = Vec::new();
    for (start, node) in (0..).zip(nodes) {
        let mut at: u32 = start;
        while depths.get(at as usize) == Some(&UNKNOWN) {
            way.push(at);
            if way.len() > parents.len() {
                return Err(IndexError::Cycle(node.id));
            }
            at = parents.get(at as usize).copied().unwrap_or(NONE);
        }
        let mut depth = depths.get(at as usize).copied().unwrap_or(UNKNOWN);
        for place in way.drain(..).rev() {
            depth += 1;
            if let Some(known) = depths.get_mut(place as usize) {
                *known = depth;
            }
        }
    }
    let mut order: Vec<u32> = (0..).take(parents.len()).collect();
    order.sort_by_key(|place| depths.get(*place as usize).copied());
    let mut slots = vec![NONE; parents.len()];
    for (slot, place) in (0..).zip(order) {
        if let Some(entry) = slots.get_mut(place as usize) {
            *entry = slot;
        }
    }
    Ok(slots)
}
