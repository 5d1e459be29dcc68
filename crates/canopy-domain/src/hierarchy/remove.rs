//! Deletion of a node, alone or with its subtree.

use super::{HierarchyError, Node};

/// The direct dependents of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeUses {
    /// Number of its child nodes.
    pub children: u64,
    /// Number of assignments at the node.
    pub assignments: u64,
}

/// Judges the deletion of a node; with `force` its subtree is deleted too.
///
/// # Errors
/// [`HierarchyError::RootStays`], or [`HierarchyError::NodeInUse`] without `force`.
pub fn check(node: &Node, uses: NodeUses, force: bool) -> Result<(), HierarchyError> {
    if node.parent.is_none() {
        return Err(HierarchyError::RootStays);
    }
    if force || uses == NodeUses::default() {
        return Ok(());
    }
    Err(HierarchyError::NodeInUse {
        children: uses.children,
        assignments: uses.assignments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DisplayName, EnvironmentId, JsonObject, NodeId, NodeStatus, NodeType, Slug, Timestamp, Version};
    use uuid::Uuid;

    fn node(parent: Option<u128>) -> Node {
        Node {
            id: NodeId::new(Uuid::from_u128(2)),
            environment_id: EnvironmentId::new(Uuid::nil()),
            parent: parent.map(|number| NodeId::new(Uuid::from_u128(number))),
            node_type: NodeType::parse("unit").unwrap(),
            name: DisplayName::parse("Name").unwrap(),
            slug: Slug::node(),
            status: NodeStatus::Active,
            metadata: JsonObject::default(),
            version: Version::FIRST,
            created_at: Timestamp::MIN,
            updated_at: Timestamp::MIN,
        }
    }

    #[test]
    fn the_root_stays_and_what_is_in_use_goes_only_by_force() {
        let uses = |children, assignments| NodeUses { children, assignments };
        let in_use = |children, assignments| Err(HierarchyError::NodeInUse { children, assignments });
        for (node, uses, force, expected) in [
            (node(None), uses(0, 0), true, Err(HierarchyError::RootStays)),
            (node(Some(1)), uses(0, 0), false, Ok(())),
            (node(Some(1)), uses(2, 0), false, in_use(2, 0)),
            (node(Some(1)), uses(0, 3), false, in_use(0, 3)),
            (node(Some(1)), uses(2, 3), true, Ok(())),
        ] {
            assert_eq!(check(&node, uses, force), expected);
        }
    }
}
