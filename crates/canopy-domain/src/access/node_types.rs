//! The type of each node: one number per type name, two bytes per node.

use super::{IndexError, NodeFact};
use crate::NodeType;
use std::collections::BTreeMap;

/// The number of a free slot, which has no type.
const NONE: u16 = u16::MAX;

/// Types by the slot of their node. An unused type is dropped and its number reused, so there are never more types than
/// nodes.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeTypes {
    numbers: BTreeMap<NodeType, u16>,
    by_number: Vec<Used>,
    free: Vec<u16>,
    by_slot: Vec<u16>,
    /// The number of the last look-up: most nodes have the type of the previous node.
    last: u16,
}

/// A type and the number of its nodes; without a name if its number is free.
#[derive(Debug, Clone)]
struct Used {
    name: Option<NodeType>,
    nodes: u32,
}

impl NodeTypes {
    pub(super) fn with_capacity(nodes: usize) -> Self {
        Self {
            by_slot: Vec::with_capacity(nodes),
            ..Self::default()
        }
    }

    /// Sets the type of the node in this slot.
    pub(super) fn put(&mut self, slot: u32, node: &NodeFact) -> Result<(), IndexError> {
        let place = slot as usize;
        if self.get(slot) == Some(&node.node_type) {
            return Ok(());
        }
        let number = if self.is_named(self.last, &node.node_type) {
            self.last
        } else {
            match self.numbers.get(&node.node_type) {
                Some(number) => *number,
                None => self.add(&node.node_type)?,
            }
        };
        self.last = number;
        if let Some(used) = self.by_number.get_mut(usize::from(number)) {
            used.nodes += 1;
        }
        // After the count, so that a type that stays in use is not dropped in between.
        self.remove(slot);
        if self.by_slot.len() <= place {
            self.by_slot.resize(place + 1, NONE);
        }
        if let Some(held) = self.by_slot.get_mut(place) {
            *held = number;
        }
        Ok(())
    }

    /// Adds a type and returns its number.
    fn add(&mut self, name: &NodeType) -> Result<u16, IndexError> {
        let used = Used {
            name: Some(name.clone()),
            nodes: 0,
        };
        let number = match self.free.pop() {
            Some(number) => number,
            None => u16::try_from(self.by_number.len())
                .ok()
                .filter(|number| *number != NONE)
                .ok_or(IndexError::TooLarge)?,
        };
        match self.by_number.get_mut(usize::from(number)) {
            Some(place) => *place = used,
            None => self.by_number.push(used),
        }
        self.numbers.insert(name.clone(), number);
        Ok(number)
    }

    /// Clears a slot. Drops a type with its last node.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(place) = self.by_slot.get_mut(slot as usize) else {
            return;
        };
        let number = core::mem::replace(place, NONE);
        let Some(used) = self.by_number.get_mut(usize::from(number)) else {
            return;
        };
        used.nodes = used.nodes.saturating_sub(1);
        if used.nodes == 0
            && let Some(name) = used.name.take()
        {
            self.numbers.remove(&name);
            self.free.push(number);
        }
    }

    fn is_named(&self, number: u16, name: &NodeType) -> bool {
        let used = self.by_number.get(usize::from(number));
        used.and_then(|used| used.name.as_ref()) == Some(name)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&NodeType> {
        let number = *self.by_slot.get(slot as usize)?;
        self.by_number.get(usize::from(number))?.name.as_ref()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        // Each name is stored twice: in the list, and in the map with its number.
        let names: usize = self.numbers.keys().map(|name| 2 * name.as_str().len()).sum();
        names
            + self.numbers.len() * size_of::<(NodeType, u16)>()
            + self.by_number.capacity() * size_of::<Used>()
            + (self.free.capacity() + self.by_slot.capacity()) * size_of::<u16>()
    }
}

#[cfg(test)]
mod tests {
    use super::NodeTypes;
    use crate::access::NodeFact;
    use crate::{NodeId, NodeType, Slug};
    use uuid::Uuid;

    fn node(name: &str) -> NodeFact {
        NodeFact {
            id: NodeId::new(Uuid::from_u128(1)),
            parent: None,
            node_type: NodeType::parse(name).unwrap(),
            slug: Slug::parse("node").unwrap(),
            is_active: true,
        }
    }

    fn name(types: &NodeTypes, slot: u32) -> Option<&str> {
        types.get(slot).map(NodeType::as_str)
    }

    #[test]
    fn types_that_no_node_has_are_dropped_and_their_numbers_used_again() {
        let mut types = NodeTypes::with_capacity(2);
        types.put(0, &node("stays")).unwrap();
        // More names than there are numbers, one after the other.
        for n in 0..70_000 {
            types.put(1, &node(&format!("t{n}"))).unwrap();
        }
        assert_eq!((types.numbers.len(), types.by_number.len()), (2, 3));
        assert_eq!((name(&types, 0), name(&types, 1)), (Some("stays"), Some("t69999")));
        types.remove(1);
        types.remove(1);
        types.remove(7);
        assert_eq!(
            (name(&types, 0), name(&types, 1), name(&types, 7)),
            (Some("stays"), None, None)
        );
        assert_eq!(types.numbers.len(), 1);
    }

    #[test]
    fn a_type_stays_while_any_node_has_it() {
        let mut types = NodeTypes::default();
        for slot in [0, 1, 1, 5] {
            types.put(slot, &node("shared")).unwrap();
        }
        types.remove(1);
        types.put(0, &node("other")).unwrap();
        assert_eq!(name(&types, 5), Some("shared"));
        types.remove(5);
        assert_eq!((name(&types, 5), types.numbers.len()), (None, 1));
        types.put(5, &node("shared")).unwrap();
        assert_eq!((name(&types, 0), name(&types, 5)), (Some("other"), Some("shared")));
    }
}
