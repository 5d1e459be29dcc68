//! The schema of a tree: its node types, which types may be below which, and the maximum depth.

use super::{HierarchyError, NodeType};
use std::collections::{BTreeMap, BTreeSet};

/// The rules for the tree of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HierarchySchema {
    node_types: Vec<NodeType>,
    allowed_children: BTreeMap<NodeType, BTreeSet<NodeType>>,
    max_depth: u8,
    root_node_type: NodeType,
}

/// One contradiction in a schema, and its position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// `node_types` is empty or larger than allowed.
    #[error("`node_types` must have 1 to {max} entries", max = HierarchySchema::MAX_NODE_TYPES)]
    NodeTypeCount,
    /// `node_types` repeats a type.
    #[error("`node_types` must not repeat a type")]
    RepeatedNodeType {
        /// The index of the repetition.
        index: usize,
    },
    /// `root_node_type` is not one of `node_types`.
    #[error("`root_node_type` must be one of `node_types`")]
    UnknownRootType,
    /// `allowed_children` has an entry for a type that is not one of `node_types`.
    #[error("`allowed_children` must name only types of `node_types`")]
    UnknownParentType {
        /// The type.
        parent: NodeType,
    },
    /// `allowed_children` allows a type that is not one of `node_types`.
    #[error("`allowed_children` must name only types of `node_types`")]
    UnknownChildType {
        /// The parent's type.
        parent: NodeType,
        /// The child's type.
        child: NodeType,
    },
    /// `max_depth` is outside 1 to 64.
    #[error("`max_depth` must be 1 to {max}", max = HierarchySchema::MAX_DEPTH)]
    MaxDepth,
}

impl HierarchySchema {
    /// The largest allowed `max_depth`; the root has depth 1.
    pub const MAX_DEPTH: u8 = 64;
    /// Maximum number of node types.
    pub const MAX_NODE_TYPES: usize = 100;

    /// Creates a schema.
    ///
    /// # Errors
    /// All contradictions in it.
    pub fn new(
        node_types: Vec<NodeType>,
        allowed_children: BTreeMap<NodeType, BTreeSet<NodeType>>,
        max_depth: u8,
        root_node_type: NodeType,
    ) -> Result<Self, Vec<SchemaError>> {
        let mut errors = Vec::new();
        if node_types.is_empty() || node_types.len() > Self::MAX_NODE_TYPES {
            errors.push(SchemaError::NodeTypeCount);
        }
        let mut known: BTreeSet<&NodeType> = BTreeSet::new();
        for (index, node_type) in node_types.iter().enumerate() {
            if !known.insert(node_type) {
                errors.push(SchemaError::RepeatedNodeType { index });
            }
        }
        if !known.contains(&root_node_type) {
            errors.push(SchemaError::UnknownRootType);
        }
        for (parent, children) in &allowed_children {
            if !known.contains(parent) {
                let parent = parent.clone();
                errors.push(SchemaError::UnknownParentType { parent });
            }
            for child in children.iter().filter(|child| !known.contains(child)) {
                let (parent, child) = (parent.clone(), child.clone());
                errors.push(SchemaError::UnknownChildType { parent, child });
            }
        }
        if !(1..=Self::MAX_DEPTH).contains(&max_depth) {
            errors.push(SchemaError::MaxDepth);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            node_types,
            allowed_children,
            max_depth,
            root_node_type,
        })
    }

    /// Returns the types, in the given order.
    pub fn node_types(&self) -> &[NodeType] {
        &self.node_types
    }

    /// Returns, for each type, the types allowed directly below it. A type without an entry has no children.
    pub const fn allowed_children(&self) -> &BTreeMap<NodeType, BTreeSet<NodeType>> {
        &self.allowed_children
    }

    /// Returns the maximum depth of the tree; the root has depth 1.
    pub const fn max_depth(&self) -> u8 {
        self.max_depth
    }

    /// Returns the type of the root.
    pub const fn root_node_type(&self) -> &NodeType {
        &self.root_node_type
    }

    /// Returns whether the schema has the type.
    pub fn knows(&self, node_type: &NodeType) -> bool {
        self.node_types.contains(node_type)
    }

    /// Checks whether a node may be below a parent of type `parent` at `depth` (the root has depth 1).
    ///
    /// # Errors
    /// [`HierarchyError::UnknownNodeType`], [`HierarchyError::ChildTypeNotAllowed`] or
    /// [`HierarchyError::MaxDepthExceeded`], the first that applies.
    pub fn check_child(&self, parent: &NodeType, child: &NodeType, depth: usize) -> Result<(), HierarchyError> {
        if !self.knows(child) {
            return Err(HierarchyError::UnknownNodeType);
        }
        if !self
            .allowed_children
            .get(parent)
            .is_some_and(|allowed| allowed.contains(child))
        {
            return Err(HierarchyError::ChildTypeNotAllowed {
                parent: parent.clone(),
                child: child.clone(),
            });
        }
        if depth > usize::from(self.max_depth) {
            return Err(HierarchyError::MaxDepthExceeded {
                max_depth: self.max_depth,
            });
        }
        Ok(())
    }
}

/// Returns the schema of a new environment: one type, `root`, without child types.
impl Default for HierarchySchema {
    fn default() -> Self {
        let root = NodeType("root".into());
        Self {
            node_types: vec![root.clone()],
            allowed_children: BTreeMap::new(),
            max_depth: Self::MAX_DEPTH,
            root_node_type: root,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HierarchySchema, SchemaError};
    use crate::{HierarchyError, NodeType};
    use std::collections::{BTreeMap, BTreeSet};

    fn kind(text: &str) -> NodeType {
        NodeType::parse(text).unwrap()
    }

    fn below(pairs: &[(&str, &[&str])]) -> BTreeMap<NodeType, BTreeSet<NodeType>> {
        pairs
            .iter()
            .map(|(parent, children)| (kind(parent), children.iter().map(|c| kind(c)).collect()))
            .collect()
    }

    #[test]
    fn each_contradiction_has_its_error() {
        let types = |names: &[&str]| names.iter().map(|n| kind(n)).collect::<Vec<_>>();
        let ab = || types(&["a", "b"]);
        for (result, expected) in [
            (
                HierarchySchema::new(ab(), below(&[("a", &["b"])]), 2, kind("a")).map(|_| ()),
                Ok(()),
            ),
            (
                HierarchySchema::new(vec![], below(&[]), 2, kind("a")).map(|_| ()),
                Err(vec![SchemaError::NodeTypeCount, SchemaError::UnknownRootType]),
            ),
            (
                HierarchySchema::new(types(&["a", "a"]), below(&[]), 2, kind("a")).map(|_| ()),
                Err(vec![SchemaError::RepeatedNodeType { index: 1 }]),
            ),
            (
                HierarchySchema::new(ab(), below(&[]), 2, kind("c")).map(|_| ()),
                Err(vec![SchemaError::UnknownRootType]),
            ),
            (
                HierarchySchema::new(ab(), below(&[("a", &["c"])]), 2, kind("a")).map(|_| ()),
                Err(vec![SchemaError::UnknownChildType {
                    parent: kind("a"),
                    child: kind("c"),
                }]),
            ),
            (
                HierarchySchema::new(ab(), below(&[("c", &["a"])]), 2, kind("a")).map(|_| ()),
                Err(vec![SchemaError::UnknownParentType { parent: kind("c") }]),
            ),
            (
                HierarchySchema::new(ab(), below(&[]), 0, kind("a")).map(|_| ()),
                Err(vec![SchemaError::MaxDepth]),
            ),
            (
                HierarchySchema::new(ab(), below(&[]), 65, kind("a")).map(|_| ()),
                Err(vec![SchemaError::MaxDepth]),
            ),
            (
                HierarchySchema::new(types(&["a", "b", "a"]), below(&[("a", &["y", "z"])]), 0, kind("r")).map(|_| ()),
                Err(vec![
                    SchemaError::RepeatedNodeType { index: 2 },
                    SchemaError::UnknownRootType,
                    SchemaError::UnknownChildType {
                        parent: kind("a"),
                        child: kind("y"),
                    },
                    SchemaError::UnknownChildType {
                        parent: kind("a"),
                        child: kind("z"),
                    },
                    SchemaError::MaxDepth,
                ]),
            ),
        ] {
            assert_eq!(result, expected);
        }
    }

    #[test]
    fn children_are_checked_by_type_then_place_then_depth() {
        let schema = HierarchySchema::new(vec![kind("a"), kind("b")], below(&[("a", &["b"])]), 2, kind("a")).unwrap();
        assert_eq!(schema.check_child(&kind("a"), &kind("b"), 2), Ok(()));
        assert_eq!(
            schema.check_child(&kind("a"), &kind("c"), 9),
            Err(HierarchyError::UnknownNodeType)
        );
        assert_eq!(
            schema.check_child(&kind("b"), &kind("a"), 9),
            Err(HierarchyError::ChildTypeNotAllowed {
                parent: kind("b"),
                child: kind("a")
            })
        );
        assert_eq!(
            schema.check_child(&kind("a"), &kind("b"), 3),
            Err(HierarchyError::MaxDepthExceeded { max_depth: 2 })
        );
    }

    #[test]
    fn the_default_has_the_root_alone() {
        let schema = HierarchySchema::default();
        assert!(schema.check_child(&kind("root"), &kind("root"), 2).is_err());
    }
}
