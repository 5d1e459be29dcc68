//! Nodes.

use super::first_slug;
use crate::rule::ensure;
use canopy_domain::port::StoreError;
use canopy_domain::{Node, NodeId, Slug};
use std::collections::{BTreeMap, HashSet};

/// The nodes of one environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) by_id: BTreeMap<NodeId, Node>,
    /// The nodes below each node by slug; the root is below none.
    pub(crate) by_place: BTreeMap<(Option<NodeId>, Slug), NodeId>,
}

impl Tree {
    pub(crate) fn root(&self) -> Option<&Node> {
        self.children(None).next()
    }

    /// The nodes below a node, by slug.
    pub(crate) fn children(&self, parent: Option<NodeId>) -> impl Iterator<Item = &Node> {
        self.places_from(parent, first_slug())
            .filter_map(|(_, id)| self.by_id.get(id))
    }

    /// The places below a node whose slug is this one or sorts after it.
    pub(crate) fn places_from(&self, parent: Option<NodeId>, from: Slug) -> impl Iterator<Item = (&Slug, &NodeId)> {
        self.by_place
            .range((parent, from)..)
            .take_while(move |((above, _), _)| *above == parent)
            .map(|((_, slug), id)| (slug, id))
    }

    /// A node and all below it, each before those below it, siblings by slug, with its level from the first on.
    pub(crate) fn depth_first<'a>(&'a self, top: Option<&'a Node>) -> Vec<(usize, &'a Node)> {
        let mut waiting: Vec<(usize, &Node)> = top.map(|top| (1, top)).into_iter().collect();
        let mut ordered = vec![];
        while let Some((depth, node)) = waiting.pop() {
            ordered.push((depth, node));
            let first_below = waiting.len();
            waiting.extend(self.children(Some(node.id)).map(|child| (depth + 1, child)));
            if let Some(below) = waiting.get_mut(first_below..) {
                below.reverse();
            }
        }
        ordered
    }

    /// A node and those above it, the root last.
    pub(crate) fn way_up(&self, id: NodeId) -> impl Iterator<Item = &Node> {
        let above = |node: &&Node| node.parent.and_then(|id| self.by_id.get(&id));
        // No way is longer than there are nodes, unless a caller closed a circle.
        core::iter::successors(self.by_id.get(&id), above).take(self.by_id.len())
    }

    /// Slugs below a node that equal this one or begin with it and a `-`.
    pub(crate) fn taken_like<'a>(&'a self, parent: NodeId, slug: &'a Slug) -> impl Iterator<Item = &'a Slug> {
        // `-` sorts before all that a slug may go on with, so those that count stand together.
        self.places_from(Some(parent), slug.clone())
            .map(|(taken, _)| taken)
            .take_while(|taken| match taken.as_str().strip_prefix(slug.as_str()) {
                Some(rest) => rest.is_empty() || rest.starts_with('-'),
                None => false,
            })
    }

    pub(crate) fn check_parents(&self, nodes: &[Node]) -> Result<(), StoreError> {
        let mut made: HashSet<NodeId> = HashSet::new();
        for node in nodes {
            let parent = node.parent;
            let known = parent.is_none_or(|id| self.by_id.contains_key(&id) || made.contains(&id));
            ensure(known, "a node's parent is not there")?;
            made.insert(node.id);
        }
        Ok(())
    }

    /// An environment has one root, whatever slug a second one might have.
    pub(crate) fn check_root(&self, nodes: &[Node]) -> Result<(), StoreError> {
        let mut roots: HashSet<NodeId> = self.root().map(|root| root.id).into_iter().collect();
        for node in nodes {
            match node.parent {
                None => roots.insert(node.id),
                Some(_) => roots.remove(&node.id),
            };
        }
        ensure(roots.len() <= 1, "an environment has one root")
    }
}

/// The key of a node among its siblings.
pub(crate) fn place(node: &Node) -> (Option<NodeId>, Slug) {
    (node.parent, node.slug.clone())
}
