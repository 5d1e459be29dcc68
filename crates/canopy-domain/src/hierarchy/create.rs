//! Creating nodes, one or many, by the same rules.

use super::{HierarchyError, HierarchySchema, NodeId, NodeType};
use crate::bulk::Verdict;
use crate::{AccessModel, DisplayName, JsonObject, Slug};
use std::collections::{HashMap, HashSet};

/// A requested node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNode {
    /// A reference to it within the request, by which other items can name it as their parent.
    pub reference: Option<String>,
    /// Its parent.
    pub parent: ParentName,
    /// Its type.
    pub node_type: NodeType,
    /// Its name.
    pub name: DisplayName,
    /// Its slug. Default: derived from the name.
    pub slug: Option<Slug>,
    /// Free-form metadata of the customer.
    pub metadata: JsonObject,
}

/// A reference from an item to its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParentName {
    /// A node that exists.
    Id(NodeId),
    /// Another item of the request.
    Reference(String),
}

/// The parent of an accepted node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// An existing node.
    Existing(NodeId),
    /// The node of this item of the request.
    Item(usize),
}

/// The facts about an existing node that rules need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentFact {
    /// Its type.
    pub node_type: NodeType,
    /// Its depth; the root has depth 1.
    pub depth: usize,
}

/// The existing rows among those named by the items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeFacts {
    /// The parents that the environment has.
    pub parents: HashMap<NodeId, ParentFact>,
    /// The slugs of their children.
    pub taken: HashSet<(NodeId, Slug)>,
}

/// A node to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedNode {
    /// Its parent.
    pub parent: Parent,
    /// Its slug.
    pub slug: Slug,
    /// Its depth; the root has depth 1.
    pub depth: usize,
}

/// Returns the slug that a node without a given one starts from; numbers are added if it is taken.
pub fn base_slug(name: &DisplayName) -> Slug {
    Slug::from_name(name.as_str()).unwrap_or_else(Slug::node)
}

/// Judges a batch. Parents may be anywhere in the request. [`settle`](crate::bulk::settle) turns the verdicts into
/// outcomes.
///
/// Given slugs are assigned first, in order; then missing slugs are derived, so that a derived slug never displaces a
/// given one.
pub fn plan(
    items: &[NewNode],
    model: AccessModel,
    schema: &HierarchySchema,
    facts: &NodeFacts,
) -> Vec<Verdict<PlannedNode, HierarchyError>> {
    if model == AccessModel::Flat {
        return items.iter().map(|_| Verdict::Refused(HierarchyError::Flat)).collect();
    }
    let places = places(items, schema, facts);
    choose_slugs(items, places, facts)
}

type Place = Verdict<(Parent, usize), HierarchyError>;

/// Returns the parent and depth of each item, checked against the schema: parents before their children.
fn places(items: &[NewNode], schema: &HierarchySchema, facts: &NodeFacts) -> Vec<Place> {
    let mut by_reference: HashMap<&str, usize> = HashMap::new();
    let mut places: Vec<Option<Place>> = vec![None; items.len()];
    for (index, (item, place)) in items.iter().zip(&mut places).enumerate() {
        let Some(reference) = item.reference.as_deref() else {
            continue;
        };
        let first = *by_reference.entry(reference).or_insert(index);
        if first != index {
            *place = Some(Verdict::Refused(HierarchyError::DuplicateRef { first }));
        }
    }
    for start in 0..items.len() {
        // Climb from the item to the first one whose position is known (or that is below an existing node), …
        let mut climb = vec![];
        let mut on_climb = HashSet::new();
        let mut next = Some(start);
        while let Some(index) = next {
            if places.get(index).is_none_or(Option::is_some) {
                break;
            }
            if !on_climb.insert(index) {
                for circular in climb.drain(..) {
                    set(
                        &mut places,
                        circular,
                        Verdict::Refused(HierarchyError::UnknownParentRef),
                    );
                }
                break;
            }
            climb.push(index);
            next = match items.get(index).map(|item| &item.parent) {
                Some(ParentName::Reference(reference)) => by_reference.get(reference.as_str()).copied(),
                _ => None,
            };
        }
        // … then set the positions on the way back down.
        while let Some(index) = climb.pop() {
            let Some(item) = items.get(index) else { continue };
            let place = place(item, items, &places, &by_reference, schema, facts);
            set(&mut places, index, place);
        }
    }
    places
        .into_iter()
        .map(|place| place.unwrap_or(Verdict::Refused(HierarchyError::UnknownParentRef)))
        .collect()
}

fn set(places: &mut [Option<Place>], index: usize, place: Place) {
    if let Some(slot) = places.get_mut(index) {
        *slot = Some(place);
    }
}

fn place(
    item: &NewNode,
    items: &[NewNode],
    places: &[Option<Place>],
    by_reference: &HashMap<&str, usize>,
    schema: &HierarchySchema,
    facts: &NodeFacts,
) -> Place {
    let (parent, parent_type, parent_depth) = match &item.parent {
        ParentName::Id(id) => match facts.parents.get(id) {
            Some(fact) => (Parent::Existing(*id), &fact.node_type, fact.depth),
            None => return Verdict::Refused(HierarchyError::ParentNotFound),
        },
        ParentName::Reference(reference) => {
            let Some(index) = by_reference.get(reference.as_str()).copied() else {
                return Verdict::Refused(HierarchyError::UnknownParentRef);
            };
            match (places.get(index), items.get(index)) {
                (Some(Some(Verdict::Accepted((_, depth)))), Some(parent)) => {
                    (Parent::Item(index), &parent.node_type, *depth)
                }
                (Some(Some(Verdict::NeedsRefused { index })), _) => return Verdict::NeedsRefused { index: *index },
                _ => return Verdict::NeedsRefused { index },
            }
        }
    };
    let depth = parent_depth + 1;
    match schema.check_child(parent_type, &item.node_type, depth) {
        Ok(()) => Verdict::Accepted((parent, depth)),
        Err(error) => Verdict::Refused(error),
    }
}

/// A sibling group: the children of an existing node or of an item.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Siblings {
    Below(NodeId),
    BelowItem(usize),
}

impl From<Parent> for Siblings {
    fn from(parent: Parent) -> Self {
        match parent {
            Parent::Existing(id) => Self::Below(id),
            Parent::Item(index) => Self::BelowItem(index),
        }
    }
}

fn choose_slugs(items: &[NewNode], places: Vec<Place>, facts: &NodeFacts) -> Vec<Verdict<PlannedNode, HierarchyError>> {
    let mut taken: HashSet<(Siblings, Slug)> = facts
        .taken
        .iter()
        .map(|(parent, slug)| (Siblings::Below(*parent), slug.clone()))
        .collect();
    let given: Vec<Option<bool>> = items
        .iter()
        .zip(&places)
        .map(|(item, place)| match (place, &item.slug) {
            (Verdict::Accepted((parent, _)), Some(slug)) => Some(taken.insert(((*parent).into(), slug.clone()))),
            _ => None,
        })
        .collect();
    let mut next_number: HashMap<(Siblings, Slug), usize> = HashMap::new();
    let verdicts = items
        .iter()
        .zip(places)
        .zip(given)
        .map(|((item, place), given)| match place {
            Verdict::Refused(error) => Verdict::Refused(error),
            Verdict::NeedsRefused { index } => Verdict::NeedsRefused { index },
            Verdict::Accepted((parent, depth)) => match (&item.slug, given) {
                (Some(_), Some(false)) => Verdict::Refused(HierarchyError::SlugTaken),
                (Some(slug), _) => Verdict::Accepted(PlannedNode {
                    parent,
                    slug: slug.clone(),
                    depth,
                }),
                (None, _) => {
                    let slug = free_slug(&base_slug(&item.name), parent.into(), &mut taken, &mut next_number);
                    Verdict::Accepted(PlannedNode { parent, slug, depth })
                }
            },
        })
        .collect();
    drop_children_of_refused(verdicts)
}

/// Refuses the descendants of items whose slug turned out to be taken. Each pass reaches one level further down, so
/// there are at most as many passes as levels.
fn drop_children_of_refused(
    mut verdicts: Vec<Verdict<PlannedNode, HierarchyError>>,
) -> Vec<Verdict<PlannedNode, HierarchyError>> {
    loop {
        let refused: Vec<Option<usize>> = verdicts
            .iter()
            .enumerate()
            .map(|(index, verdict)| match verdict {
                Verdict::Refused(_) => Some(index),
                Verdict::NeedsRefused { index } => Some(*index),
                Verdict::Accepted(_) => None,
            })
            .collect();
        let mut changed = false;
        for verdict in &mut verdicts {
            let Verdict::Accepted(PlannedNode {
                parent: Parent::Item(parent),
                ..
            }) = verdict
            else {
                continue;
            };
            if let Some(index) = refused.get(*parent).copied().flatten() {
                *verdict = Verdict::NeedsRefused { index };
                changed = true;
            }
        }
        if !changed {
            return verdicts;
        }
    }
}

fn free_slug(
    base: &Slug,
    siblings: Siblings,
    taken: &mut HashSet<(Siblings, Slug)>,
    next_number: &mut HashMap<(Siblings, Slug), usize>,
) -> Slug {
    let number = next_number.entry((siblings, base.clone())).or_insert(1);
    loop {
        let slug = if *number == 1 {
            base.clone()
        } else {
            base.numbered(*number)
        };
        *number += 1;
        if taken.insert((siblings, slug.clone())) {
            return slug;
        }
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

    /// `company` over `region` over `team` over `team`, at most 4 deep.
    fn schema() -> HierarchySchema {
        let below = |parent: &str, child: &str| (kind(parent), BTreeSet::from([kind(child)]));
        let allowed: BTreeMap<_, _> = [
            below("company", "region"),
            below("region", "team"),
            below("team", "team"),
        ]
        .into();
        HierarchySchema::new(
            vec![kind("company"), kind("region"), kind("team")],
            allowed,
            4,
            kind("company"),
        )
        .unwrap()
    }

    fn root() -> NodeId {
        NodeId::new(Uuid::from_u128(1))
    }

    fn facts(taken: &[&str]) -> NodeFacts {
        NodeFacts {
            parents: [(
                root(),
                ParentFact {
                    node_type: kind("company"),
                    depth: 1,
                },
            )]
            .into(),
            taken: taken.iter().map(|slug| (root(), Slug::parse(slug).unwrap())).collect(),
        }
    }

    fn node(reference: &str, parent: &str, node_type: &str, name: &str, slug: &str) -> NewNode {
        NewNode {
            reference: (!reference.is_empty()).then(|| reference.to_owned()),
            parent: match parent {
                "root" => ParentName::Id(root()),
                "nowhere" => ParentName::Id(NodeId::new(Uuid::from_u128(404))),
                other => ParentName::Reference(other.to_owned()),
            },
            node_type: kind(node_type),
            name: DisplayName::parse(name).unwrap(),
            slug: (!slug.is_empty()).then(|| Slug::parse(slug).unwrap()),
            metadata: JsonObject::default(),
        }
    }

    fn judge(items: &[NewNode], taken: &[&str]) -> Vec<Verdict<PlannedNode, HierarchyError>> {
        plan(items, AccessModel::Hierarchy, &schema(), &facts(taken))
    }

    fn slugs(verdicts: &[Verdict<PlannedNode, HierarchyError>]) -> Vec<String> {
        verdicts
            .iter()
            .map(|verdict| match verdict {
                Verdict::Accepted(node) => node.slug.to_string(),
                Verdict::Refused(error) => format!("{error:?}"),
                Verdict::NeedsRefused { index } => format!("needs {index}"),
            })
            .collect()
    }

    #[test]
    fn parents_may_stand_after_their_children() {
        let items = [
            node("t2", "t1", "team", "Deep", ""),
            node("t1", "r", "team", "Team", ""),
            node("r", "root", "region", "Region", ""),
        ];
        let verdicts = judge(&items, &[]);
        let depths: Vec<_> = verdicts
            .iter()
            .map(|verdict| match verdict {
                Verdict::Accepted(node) => (node.parent, node.depth),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            depths,
            [
                (Parent::Item(1), 4),
                (Parent::Item(2), 3),
                (Parent::Existing(root()), 2)
            ]
        );
    }

    #[test]
    fn each_refusal_has_its_error() {
        let items = [
            node("", "nowhere", "region", "A", ""),
            node("", "gone", "team", "B", ""),
            node("", "root", "team", "C", ""),
            node("", "root", "planet", "D", ""),
            node("x", "y", "team", "E", ""),
            node("y", "x", "team", "F", ""),
            node("self", "self", "team", "G", ""),
            node("r", "root", "region", "H", ""),
            node("r", "root", "region", "I", ""),
        ];
        let not_allowed = HierarchyError::ChildTypeNotAllowed {
            parent: kind("company"),
            child: kind("team"),
        };
        let expected: Vec<String> = [
            HierarchyError::ParentNotFound,
            HierarchyError::UnknownParentRef,
            not_allowed,
            HierarchyError::UnknownNodeType,
            HierarchyError::UnknownParentRef,
            HierarchyError::UnknownParentRef,
            HierarchyError::UnknownParentRef,
        ]
        .iter()
        .map(|error| format!("{error:?}"))
        .chain([
            "h".to_owned(),
            format!("{:?}", HierarchyError::DuplicateRef { first: 7 }),
        ])
        .collect();
        assert_eq!(slugs(&judge(&items, &[])), expected);
    }

    #[test]
    fn depth_is_bounded_and_descendants_of_refused_items_need_them() {
        let mut items = vec![node("0", "root", "region", "R", "")];
        for level in 1..6 {
            items.push(node(&level.to_string(), &(level - 1).to_string(), "team", "T", ""));
        }
        let too_deep = format!("{:?}", HierarchyError::MaxDepthExceeded { max_depth: 4 });
        assert_eq!(
            slugs(&judge(&items, &[])),
            ["r", "t", "t", &too_deep, "needs 3", "needs 3"]
        );
    }

    #[test]
    fn a_taken_slug_takes_the_whole_branch_with_it() {
        let items = [
            node("r", "root", "region", "R", "eu"),
            node("t", "r", "team", "T", ""),
            node("", "t", "team", "U", ""),
            node("", "root", "region", "S", ""),
        ];
        let taken = format!("{:?}", HierarchyError::SlugTaken);
        assert_eq!(slugs(&judge(&items, &["eu"])), [&taken, "needs 0", "needs 0", "s"]);
    }

    #[test]
    fn made_slugs_are_numbered_and_never_displace_given_ones() {
        let items = [
            node("", "root", "region", "EU", ""),
            node("", "root", "region", "EU", ""),
            node("", "root", "region", "Europe", "eu-2"),
            node("", "root", "region", "—", ""),
            node("", "root", "region", "…", ""),
            node("", "root", "region", "x", "eu-2"),
        ];
        let taken = format!("{:?}", HierarchyError::SlugTaken);
        assert_eq!(
            slugs(&judge(&items, &["eu"])),
            ["eu-3", "eu-4", "eu-2", "node", "node-2", &taken]
        );
    }

    #[test]
    fn a_flat_environment_takes_no_nodes() {
        let items = [node("", "nowhere", "region", "A", "")];
        let verdicts = plan(&items, AccessModel::Flat, &schema(), &facts(&[]));
        assert_eq!(verdicts, [Verdict::Refused(HierarchyError::Flat)]);
    }

    #[test]
    fn ten_thousand_items_in_one_chain_are_judged() {
        let items: Vec<NewNode> = (0..10_000)
            .map(|n| node(&n.to_string(), &(n + 1).to_string(), "team", "T", ""))
            .collect();
        let verdicts = judge(&items, &[]);
        assert!(
            verdicts[..9_999]
                .iter()
                .all(|v| *v == Verdict::NeedsRefused { index: 9_999 })
        );
        assert_eq!(verdicts[9_999], Verdict::Refused(HierarchyError::UnknownParentRef));
    }
}
