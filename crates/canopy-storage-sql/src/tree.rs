//! The order of a tree's nodes.

use crate::rows::hierarchy::TypedNode;
use canopy_domain::{Node, NodeId};
use std::collections::HashMap;

/// An element of a tree.
pub trait Linked {
    /// Its id.
    fn id(&self) -> NodeId;

    /// The node above it; `None` for the root.
    fn parent(&self) -> Option<NodeId>;
}

impl Linked for Node {
    fn id(&self) -> NodeId {
        self.id
    }

    fn parent(&self) -> Option<NodeId> {
        self.parent
    }
}

impl Linked for TypedNode {
    fn id(&self) -> NodeId {
        self.id
    }

    fn parent(&self) -> Option<NodeId> {
        self.parent
    }
}

/// Each node before those below it, with its depth; siblings keep the order in which they come. Those below `above` come
/// first. Nodes that no path leads to are left out.
pub fn depth_first<T: Linked>(nodes: Vec<T>, above: Option<NodeId>) -> Vec<(usize, T)> {
    let mut below: HashMap<Option<NodeId>, Vec<T>> = HashMap::new();
    let mut ordered = Vec::with_capacity(nodes.len());
    for node in nodes {
        below.entry(node.parent()).or_default().push(node);
    }
    let mut waiting: Vec<(usize, T)> = Vec::new();
    let push = |depth, children: Option<Vec<T>>, waiting: &mut Vec<(usize, T)>| {
        waiting.extend(children.into_iter().flatten().rev().map(|child| (depth, child)));
    };
    push(1, below.remove(&above), &mut waiting);
    while let Some((depth, node)) = waiting.pop() {
        push(depth + 1, below.remove(&Some(node.id())), &mut waiting);
        ordered.push((depth, node));
    }
    ordered
}
