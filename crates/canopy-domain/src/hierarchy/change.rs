//! Changes of a node: its fields and its parent.

use super::create::ParentFact;
use super::{HierarchyError, HierarchySchema, Node, NodeId, NodeStatus};
use crate::{DisplayName, Expected, JsonObject, Slug, Timestamp};

/// A change to a node. `None` keeps a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodePatch {
    /// Its name.
    pub name: Option<DisplayName>,
    /// Its slug.
    pub slug: Option<Slug>,
    /// Active or inactive.
    pub status: Option<NodeStatus>,
    /// Free-form metadata of the customer.
    pub metadata: Option<JsonObject>,
    /// The parent.
    pub parent: Option<NodeId>,
}

impl NodePatch {
    /// Creates a patch that only moves a node.
    pub fn to(parent: NodeId) -> Self {
        Self {
            parent: Some(parent),
            ..Self::default()
        }
    }

    /// Returns the position among siblings that the node would get, if it changes. The facts about it are needed to
    /// judge the change. The root has no siblings.
    pub fn place(&self, node: &Node) -> Option<(NodeId, Slug)> {
        let place = (
            self.parent.or(node.parent)?,
            self.slug.clone().unwrap_or_else(|| node.slug.clone()),
        );
        (Some(place.0) != node.parent || place.1 != node.slug).then_some(place)
    }

    /// Returns the new parent of the node, if it changes.
    pub fn destination(&self, node: &Node) -> Option<NodeId> {
        self.parent.filter(|parent| Some(*parent) != node.parent)
    }
}

/// Facts about the target position of a node. Only the slug matters if the parent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlaceFacts {
    /// The new parent; `None` if the environment has no such node.
    pub parent: Option<ParentFact>,
    /// True if the new parent is the node itself or below it.
    pub is_below: bool,
    /// Height of the subtree of the node, in levels; 1 for a leaf.
    pub height: usize,
    /// True if another node there has the slug.
    pub is_taken: bool,
}

/// Checks that the caller has read the current version of the node.
///
/// # Errors
/// [`HierarchyError::NodeStale`].
pub fn check_version(node: &Node, seen: impl Into<Expected>) -> Result<(), HierarchyError> {
    if seen.into().accepts(node.version) {
        Ok(())
    } else {
        Err(HierarchyError::NodeStale { current: node.version })
    }
}

/// Judges a change and returns the changed node, or the same node if nothing changes. The subtree of a moved node moves
/// with it: only its depth is judged, because the types below each other stay the same.
///
/// # Errors
/// [`HierarchyError::RootStays`], [`HierarchyError::ParentNotFound`], [`HierarchyError::Cycle`], the schema's rules on
/// the new position, [`HierarchyError::SlugTaken`]: the first that applies.
pub fn patch(
    node: &Node,
    patch: &NodePatch,
    schema: &HierarchySchema,
    facts: &PlaceFacts,
    now: Timestamp,
) -> Result<Node, HierarchyError> {
    if patch.destination(node).is_some() {
        if node.parent.is_none() {
            return Err(HierarchyError::RootStays);
        }
        let parent = facts.parent.as_ref().ok_or(HierarchyError::ParentNotFound)?;
        if facts.is_below {
            return Err(HierarchyError::Cycle);
        }
        schema.check_child(&parent.node_type, &node.node_type, parent.depth + facts.height)?;
    }
    if facts.is_taken {
        return Err(HierarchyError::SlugTaken);
    }
    let mut after = Node {
        parent: patch.parent.or(node.parent),
        ..node.clone()
    };
    let NodePatch {
        name,
        slug,
        status,
        metadata,
        parent: _,
    } = patch.clone();
    after.name = name.unwrap_or(after.name);
    after.slug = slug.unwrap_or(after.slug);
    after.status = status.unwrap_or(after.status);
    after.metadata = metadata.unwrap_or(after.metadata);
    if after != *node {
        after.version = node.version.next();
        after.updated_at = now;
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::{EnvironmentId, NodeType};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet, HashMap};
    use uuid::Uuid;

    fn kind(text: &str) -> NodeType {
        NodeType::parse(text).unwrap()
    }

    fn id(number: usize) -> NodeId {
        NodeId::new(Uuid::from_u128(number as u128))
    }

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    /// `unit` over `unit` and `leaf`, with a maximum depth.
    fn schema(max_depth: u8) -> HierarchySchema {
        let below = BTreeMap::from([(kind("unit"), BTreeSet::from([kind("unit"), kind("leaf")]))]);
        HierarchySchema::new(vec![kind("unit"), kind("leaf")], below, max_depth, kind("unit")).unwrap()
    }

    fn node(number: usize, parent: Option<usize>, node_type: &str) -> Node {
        Node {
            id: id(number),
            environment_id: EnvironmentId::new(Uuid::nil()),
            parent: parent.map(id),
            node_type: kind(node_type),
            name: DisplayName::parse("Name").unwrap(),
            slug: slug("slug"),
            status: NodeStatus::Active,
            metadata: JsonObject::default(),
            version: Version::FIRST,
            created_at: at(0),
            updated_at: at(0),
        }
    }

    fn free(parent_type: &str, depth: usize, height: usize) -> PlaceFacts {
        PlaceFacts {
            parent: Some(ParentFact {
                node_type: kind(parent_type),
                depth,
            }),
            is_below: false,
            height,
            is_taken: false,
        }
    }

    #[test]
    fn what_is_not_given_stays_and_what_changes_nothing_is_no_change() {
        let before = node(2, Some(1), "unit");
        let judge = |change: &NodePatch| patch(&before, change, &schema(9), &PlaceFacts::default(), at(5)).unwrap();
        let same = NodePatch {
            name: Some(before.name.clone()),
            slug: Some(before.slug.clone()),
            status: Some(before.status),
            metadata: Some(before.metadata.clone()),
            parent: before.parent,
        };
        assert_eq!(judge(&same), before);
        assert_eq!(judge(&NodePatch::default()), before);
        assert_eq!((same.place(&before), same.destination(&before)), (None, None));
        let all = NodePatch {
            name: Some(DisplayName::parse("Other").unwrap()),
            slug: Some(slug("other")),
            status: Some(NodeStatus::Inactive),
            metadata: Some(JsonObject::parse("{\"a\":1}").unwrap()),
            parent: None,
        };
        let expected = Node {
            name: DisplayName::parse("Other").unwrap(),
            slug: slug("other"),
            status: NodeStatus::Inactive,
            metadata: JsonObject::parse("{\"a\":1}").unwrap(),
            version: Version::FIRST.next(),
            updated_at: at(5),
            ..before.clone()
        };
        assert_eq!(judge(&all), expected);
        assert_eq!(all.place(&before), Some((id(1), slug("other"))));
        assert_eq!(all.place(&node(1, None, "unit")), None, "the root has no siblings");
        assert_eq!(NodePatch::to(id(7)).place(&before), Some((id(7), slug("slug"))));
    }

    #[test]
    fn rules_are_checked_in_order() {
        use HierarchyError as E;
        let taken = |facts: PlaceFacts| PlaceFacts {
            is_taken: true,
            ..facts
        };
        let below = |facts: PlaceFacts| PlaceFacts {
            is_below: true,
            ..facts
        };
        let (inner, leaf, root) = (
            node(2, Some(1), "unit"),
            node(3, Some(1), "leaf"),
            node(1, None, "unit"),
        );
        let not_allowed = E::ChildTypeNotAllowed {
            parent: kind("leaf"),
            child: kind("leaf"),
        };
        for (before, facts, expected) in [
            (&root, below(taken(PlaceFacts::default())), Err(E::RootStays)),
            (&inner, below(taken(PlaceFacts::default())), Err(E::ParentNotFound)),
            (&inner, below(taken(free("leaf", 9, 9))), Err(E::Cycle)),
            (&leaf, taken(free("leaf", 9, 9)), Err(not_allowed)),
            (
                &inner,
                taken(free("unit", 3, 3)),
                Err(E::MaxDepthExceeded { max_depth: 5 }),
            ),
            (&inner, taken(free("unit", 3, 2)), Err(E::SlugTaken)),
            (&inner, free("unit", 3, 2), Ok(())),
        ] {
            let judged = patch(before, &NodePatch::to(id(9)), &schema(5), &facts, at(1));
            assert_eq!(judged.map(|_| ()), expected, "{facts:?}");
        }
        let renamed = NodePatch {
            slug: Some(slug("other")),
            ..NodePatch::default()
        };
        let judged = patch(&inner, &renamed, &schema(5), &taken(PlaceFacts::default()), at(1));
        assert_eq!(judged, Err(E::SlugTaken));
    }

    #[test]
    fn a_stale_version_is_told_the_one_there_is() {
        let node = node(2, Some(1), "unit");
        assert_eq!(check_version(&node, Version::FIRST), Ok(()));
        let stale = HierarchyError::NodeStale {
            current: Version::FIRST,
        };
        assert_eq!(check_version(&node, Version::FIRST.next()), Err(stale));
    }

    /// Returns the ancestors of a node by number; node 0 is the root.
    fn climb(parents: &HashMap<usize, usize>, from: usize) -> Vec<usize> {
        core::iter::successors(Some(from), |at| parents.get(at).copied()).collect()
    }

    proptest! {
        /// Tests that after any number of accepted moves every node is still below the root, no deeper than allowed,
        /// and that a refused move would have broken that.
        #[test]
        fn accepted_moves_keep_a_tree_and_refused_ones_would_not(
            start in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
            moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..30),
            max_depth in 2_u8..7,
        ) {
            let mut parents: HashMap<usize, usize> = HashMap::new();
            let mut count = 1;
            for place in start {
                let parent = place.index(count);
                if climb(&parents, parent).len() < usize::from(max_depth) {
                    parents.insert(count, parent);
                    count += 1;
                }
            }
            for (which, to) in moves {
                let (moved, parent) = (which.index(count), to.index(count));
                let height = (0..count)
                    .filter_map(|other| climb(&parents, other).iter().position(|on_way| *on_way == moved))
                    .max()
                    .map_or(0, |steps| steps + 1);
                let way = climb(&parents, parent);
                let facts = PlaceFacts {
                    is_below: way.contains(&moved),
                    ..free("unit", way.len(), height)
                };
                let before = node(moved, parents.get(&moved).copied(), "unit");
                let mut tried = parents.clone();
                tried.insert(moved, parent);
                // In a tree every path ends at the root within as many steps as there are nodes.
                let stands = (0..count).all(|one| {
                    let way: Vec<usize> = core::iter::successors(Some(one), |at| tried.get(at).copied()).take(count + 1).collect();
                    way.len() <= count && way.last() == Some(&0) && way.len() <= usize::from(max_depth)
                });
                match patch(&before, &NodePatch::to(id(parent)), &schema(max_depth), &facts, at(1)) {
                    Ok(after) => {
                        prop_assert!(stands || after == before);
                        prop_assert_eq!(after.parent, Some(id(parent)));
                        parents = tried;
                    }
                    Err(error) => prop_assert!(!stands, "{error}"),
                }
            }
        }
    }
}
