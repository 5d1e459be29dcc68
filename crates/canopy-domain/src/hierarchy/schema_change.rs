//! Changes of the schema of a tree with nodes.

use super::{HierarchyError, HierarchySchema, NodeId, NodeType, SchemaBreak, SchemaBreakReason};
use std::collections::{BTreeMap, BTreeSet};

/// A change to a schema. Absent parts stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaPatch {
    /// The new node types.
    pub node_types: Option<Vec<NodeType>>,
    /// The new allowed child types of each type.
    pub allowed_children: Option<BTreeMap<NodeType, BTreeSet<NodeType>>>,
    /// The new maximum depth.
    pub max_depth: Option<u8>,
    /// The new node type of the root.
    pub root_node_type: Option<NodeType>,
}

impl From<&HierarchySchema> for SchemaPatch {
    /// Returns a patch with all parts.
    fn from(schema: &HierarchySchema) -> Self {
        Self {
            node_types: Some(schema.node_types().to_vec()),
            allowed_children: Some(schema.allowed_children().clone()),
            max_depth: Some(schema.max_depth()),
            root_node_type: Some(schema.root_node_type().clone()),
        }
    }
}

impl SchemaPatch {
    /// Returns the changed schema.
    ///
    /// # Errors
    /// [`HierarchyError::ContradictorySchema`].
    pub fn apply(&self, schema: &HierarchySchema) -> Result<HierarchySchema, HierarchyError> {
        let types = || schema.node_types().to_vec();
        let children = || schema.allowed_children().clone();
        let root = || schema.root_node_type().clone();
        HierarchySchema::new(
            self.node_types.clone().unwrap_or_else(types),
            self.allowed_children.clone().unwrap_or_else(children),
            self.max_depth.unwrap_or(schema.max_depth()),
            self.root_node_type.clone().unwrap_or_else(root),
        )
        .map_err(|errors| HierarchyError::ContradictorySchema { errors })
    }
}

/// The shape of a tree, as far as schemas depend on it: each combination of types once, with one node as an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeShape {
    /// The root.
    pub root: NodeId,
    /// Its type.
    pub root_type: NodeType,
    /// The combinations of parent and child types.
    pub edges: Vec<ShapeEdge>,
    /// The depth of the deepest node (the root has depth 1), and that node.
    pub deepest: (usize, NodeId),
}

/// A combination of a parent type and a child type in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeEdge {
    /// The parent's type; `None` for the root, whatever its type.
    pub parent: Option<NodeType>,
    /// The child's type.
    pub child: NodeType,
    /// One of the child nodes.
    pub example: NodeId,
}

/// Checks a new schema against the tree. Returns the new type of the root, if it changes.
///
/// # Errors
/// [`HierarchyError::SchemaInUse`] with one example for each broken rule and combination of types.
pub fn check(schema: &HierarchySchema, shape: &TreeShape) -> Result<Option<NodeType>, HierarchyError> {
    let root_type = schema.root_node_type();
    let mut examples: Vec<SchemaBreak> = shape
        .edges
        .iter()
        .filter_map(|edge| {
            let parent = edge.parent.as_ref().unwrap_or(root_type);
            let reason = if !schema.knows(&edge.child) {
                SchemaBreakReason::UnknownNodeType
            } else if schema.check_child(parent, &edge.child, 1).is_err() {
                SchemaBreakReason::ChildTypeNotAllowed
            } else {
                return None;
            };
            Some(SchemaBreak {
                node: edge.example,
                reason,
            })
        })
        .collect();
    let (depth, deepest) = shape.deepest;
    if depth > usize::from(schema.max_depth()) {
        examples.push(SchemaBreak {
            node: deepest,
            reason: SchemaBreakReason::MaxDepthExceeded,
        });
    }
    if examples.is_empty() {
        Ok((*root_type != shape.root_type).then(|| root_type.clone()))
    } else {
        Err(HierarchyError::SchemaInUse { examples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use uuid::Uuid;

    fn kind(text: &str) -> NodeType {
        NodeType::parse(text).unwrap()
    }

    fn id(n: u128) -> NodeId {
        NodeId::new(Uuid::from_u128(n))
    }

    fn schema(root: &str, pairs: &[(&str, &str)], max_depth: u8) -> HierarchySchema {
        let mut types = BTreeSet::from([kind(root)]);
        let mut allowed: BTreeMap<NodeType, BTreeSet<NodeType>> = BTreeMap::new();
        for (parent, child) in pairs {
            types.extend([kind(parent), kind(child)]);
            allowed.entry(kind(parent)).or_default().insert(kind(child));
        }
        HierarchySchema::new(types.into_iter().collect(), allowed, max_depth, kind(root)).unwrap()
    }

    /// company > region > team, three deep.
    fn shape() -> TreeShape {
        TreeShape {
            root: id(1),
            root_type: kind("company"),
            edges: vec![
                ShapeEdge {
                    parent: None,
                    child: kind("region"),
                    example: id(2),
                },
                ShapeEdge {
                    parent: Some(kind("region")),
                    child: kind("team"),
                    example: id(3),
                },
            ],
            deepest: (3, id(3)),
        }
    }

    #[test]
    fn a_schema_that_fits_is_taken_and_may_retype_the_root() {
        let same = schema("company", &[("company", "region"), ("region", "team")], 3);
        assert_eq!(check(&same, &shape()), Ok(None));
        let renamed = schema("holding", &[("holding", "region"), ("region", "team")], 3);
        assert_eq!(check(&renamed, &shape()), Ok(Some(kind("holding"))));
    }

    #[test]
    fn every_broken_combination_is_an_example() {
        let broken = |node, reason| SchemaBreak { node, reason };
        for (schema, examples) in [
            (
                schema("holding", &[("company", "region"), ("region", "team")], 3),
                vec![broken(id(2), SchemaBreakReason::ChildTypeNotAllowed)],
            ),
            (
                schema("company", &[("company", "area")], 2),
                vec![
                    broken(id(2), SchemaBreakReason::UnknownNodeType),
                    broken(id(3), SchemaBreakReason::UnknownNodeType),
                    broken(id(3), SchemaBreakReason::MaxDepthExceeded),
                ],
            ),
        ] {
            assert_eq!(check(&schema, &shape()), Err(HierarchyError::SchemaInUse { examples }));
        }
    }
}
