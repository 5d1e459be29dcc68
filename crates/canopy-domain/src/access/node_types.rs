//! The type of each node: a number for each name, two bytes for each node.

use super::{IndexError, NodeFact};
use crate::NodeType;

/// Types by the slot of their node. What a free slot holds means nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeTypes {
    /// An environment has a handful of them, so they are searched from end to end.
    names: Vec<NodeType>,
    by_slot: Vec<u16>,
}

impl NodeTypes {
    pub(super) fn with_capacity(nodes: usize) -> Self {
        Self {
            names: Vec::new(),
            by_slot: Vec::with_capacity(nodes),
        }
    }

    /// The node in this slot is of this type from now on.
    pub(super) fn put(&mut self, slot: u32, node: &NodeFact) -> Result<(), IndexError> {
        let known = self.names.iter().position(|name| *name == node.node_type);
        let number = known.unwrap_or(self.names.len());
        let number = u16::try_from(number).map_err(|_| IndexError::TooLarge)?;
        if known.is_none() {
            self.names.push(node.node_type.clone());
        }
        let slot = slot as usize;
        if self.by_slot.len() <= slot {
            self.by_slot.resize(slot + 1, 0);
        }
        if let Some(place) = self.by_slot.get_mut(slot) {
            *place = number;
        }
        Ok(())
    }

    pub(super) fn get(&self, slot: u32) -> Option<&NodeType> {
        self.names.get(usize::from(*self.by_slot.get(slot as usize)?))
    }

    pub(super) const fn memory_bytes(&self) -> usize {
        self.names.capacity() * size_of::<NodeType>() + self.by_slot.capacity() * size_of::<u16>()
    }
}
