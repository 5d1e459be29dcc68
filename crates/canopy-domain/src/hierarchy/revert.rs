//! Conversion of a hierarchy to the flat model: all assignments move to the root.

use super::{HierarchySchema, Node, NodeId, NodeStatus};
use crate::changeset::{ChangeSet, Rows, Updated};
use crate::{Assignment, AssignmentId, AssignmentKey, AssignmentStatus, IdentityId, RoleId, Timestamp, Window};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The plan of a conversion to the flat model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    /// Changed assignments, in their new state.
    pub moved_to_root: Vec<Assignment>,
    /// Deleted assignments.
    pub dropped: Vec<AssignmentId>,
    /// Deleted nodes, parents first.
    pub nodes: Vec<NodeId>,
    /// The changed root, if its type changes.
    pub root: Option<Node>,
    /// The new schema: that of a new environment.
    pub schema: HierarchySchema,
    /// The summary for the caller.
    pub counts: RevertCounts,
}

/// The counts of a revert. Each assignment is in one of the first four, or was at the root and stays there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RevertCounts {
    /// Number moved from another node to the root.
    pub moved: usize,
    /// Number merged into another one of the same identity and role.
    pub deduplicated: usize,
    /// Number deleted because their window had ended.
    pub expired_dropped: usize,
    /// Number deleted because they were at or below an inactive node.
    pub inactive_dropped: usize,
    /// Number of deleted nodes.
    pub nodes_deleted: usize,
    /// True if the schema differed from that of a new environment.
    pub schema_cleared: bool,
    /// Number of identities that get a role at the root, now or later, that they did not have there before.
    pub identities_gaining_reach: usize,
}

impl Revert {
    /// Returns the changes of these nodes (the root first) and assignments. The environment itself changes too.
    pub fn change_set(&self, nodes: &[Node], assignments: &[Assignment]) -> ChangeSet {
        let rows: HashMap<AssignmentId, &Assignment> = assignments.iter().map(|one| (one.id, one)).collect();
        let gone: HashSet<NodeId> = self.nodes.iter().copied().collect();
        let moved_to_root = self.moved_to_root.iter().filter_map(|after| {
            let before = rows.get(&after.id).copied()?.clone();
            let after = after.clone();
            Some(Updated { before, after })
        });
        let retyped = self.root.iter().zip(nodes.first()).map(|(after, before)| Updated {
            before: before.clone(),
            after: after.clone(),
        });
        let dropped = self.dropped.iter().filter_map(|id| rows.get(id).copied());
        ChangeSet {
            assignments: Rows {
                removed: dropped.cloned().collect(),
                updated: moved_to_root.collect(),
                added: Vec::new(),
            },
            nodes: Rows {
                removed: nodes.iter().filter(|node| gone.contains(&node.id)).cloned().collect(),
                updated: retyped.collect(),
                added: Vec::new(),
            },
            ..ChangeSet::default()
        }
    }
}

/// Plans the conversion to the flat model. `others` are all nodes but the root, parents first.
///
/// Drops ended assignments, then those at or below an inactive node. Of the rest, each pair of identity and role holds
/// at the root from its earliest start to its latest end: in the row that is at the root already, otherwise in the
/// oldest one.
pub fn plan(
    root: &Node,
    others: &[Node],
    schema: &HierarchySchema,
    assignments: &[Assignment],
    now: Timestamp,
) -> Revert {
    let inactive = inactive(root, others);
    let mut counts = RevertCounts::default();
    let mut dropped = Vec::new();
    let mut pairs: BTreeMap<(IdentityId, RoleId), Vec<&Assignment>> = BTreeMap::new();
    for assignment in assignments {
        let AssignmentKey { identity, role, node } = assignment.key;
        if assignment.window.status_at(now) == AssignmentStatus::Expired {
            counts.expired_dropped += 1;
            dropped.push(assignment.id);
        } else if inactive.contains(&node) {
            counts.inactive_dropped += 1;
            dropped.push(assignment.id);
        } else {
            pairs.entry((identity, role)).or_default().push(assignment);
        }
    }
    let mut moved_to_root = Vec::new();
    let mut gaining: HashSet<IdentityId> = HashSet::new();
    for ((identity, _), rows) in pairs {
        let Some(survivor) = rows
            .iter()
            .copied()
            .min_by_key(|row| (row.key.node != root.id, row.created_at, row.id))
        else {
            continue;
        };
        let window = rows
            .iter()
            .fold(survivor.window, |whole, row| whole.joined_with(row.window));
        let was_at_root = survivor.key.node == root.id;
        counts.moved += usize::from(!was_at_root);
        counts.deduplicated += rows.len() - 1;
        dropped.extend(rows.iter().map(|row| row.id).filter(|id| *id != survivor.id));
        if !was_at_root || reaches_further(window, survivor.window, now) {
            gaining.insert(identity);
        }
        if !was_at_root || window != survivor.window {
            let key = AssignmentKey {
                node: root.id,
                ..survivor.key
            };
            moved_to_root.push(Assignment {
                key,
                window,
                updated_at: now,
                ..survivor.clone()
            });
        }
    }
    let fresh = HierarchySchema::default();
    counts.nodes_deleted = others.len();
    counts.schema_cleared = *schema != fresh;
    counts.identities_gaining_reach = gaining.len();
    let retyped = (root.node_type != *fresh.root_node_type()).then(|| Node {
        node_type: fresh.root_node_type().clone(),
        version: root.version.next(),
        updated_at: now,
        ..root.clone()
    });
    Revert {
        moved_to_root,
        dropped,
        nodes: others.iter().map(|node| node.id).collect(),
        root: retyped,
        schema: fresh,
        counts,
    }
}

/// Returns the nodes without access: inactive ones and all nodes below them.
fn inactive(root: &Node, others: &[Node]) -> HashSet<NodeId> {
    let mut inactive = HashSet::new();
    for node in core::iter::once(root).chain(others) {
        let is_below = node.parent.is_some_and(|parent| inactive.contains(&parent));
        if is_below || node.status == NodeStatus::Inactive {
            inactive.insert(node.id);
        }
    }
    inactive
}

/// Returns whether some instant from now on is in one window and not in the other, which lies within it.
fn reaches_further(wide: Window, narrow: Window, now: Timestamp) -> bool {
    wide.from().max(now) < narrow.from().max(now) || wide.to() != narrow.to()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DisplayName, EnvironmentId, JsonObject, NodeType, Slug, Version};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    /// The instant of the reverts in these tests; windows begin and end around it.
    const NOW: i64 = 5;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn node(number: u8, parent: Option<u8>, is_active: bool) -> Node {
        let id = |number: u8| NodeId::new(Uuid::from_u128(u128::from(number)));
        Node {
            id: id(number),
            environment_id: EnvironmentId::new(Uuid::nil()),
            parent: parent.map(id),
            node_type: NodeType::parse("unit").unwrap(),
            name: DisplayName::parse("Name").unwrap(),
            slug: Slug::node(),
            status: if is_active {
                NodeStatus::Active
            } else {
                NodeStatus::Inactive
            },
            metadata: JsonObject::default(),
            version: Version::FIRST,
            created_at: at(0),
            updated_at: at(0),
        }
    }

    fn assignment(number: u8, (identity, role, node): (u8, u8, u8), window: Window) -> Assignment {
        let id = |number: u8| Uuid::from_u128(u128::from(number));
        Assignment {
            id: AssignmentId::new(id(number)),
            environment_id: EnvironmentId::new(Uuid::nil()),
            key: AssignmentKey {
                identity: IdentityId::new(id(identity)),
                role: RoleId::new(id(role)),
                node: NodeId::new(id(node)),
            },
            window,
            created_at: at(i64::from(number % 3)),
            updated_at: at(0),
        }
    }

    fn window(from: i64, to: Option<i64>) -> Window {
        Window::new(at(from), to.map(at)).unwrap()
    }

    #[test]
    fn each_row_moves_merges_or_is_dropped_for_one_reason() {
        // 0 ── 1 ── 2 (off) ── 3
        let nodes = [
            node(0, None, true),
            node(1, Some(0), true),
            node(2, Some(1), false),
            node(3, Some(2), true),
        ];
        let rows = [
            assignment(10, (1, 1, 1), window(4, Some(9))),
            assignment(11, (1, 2, 0), window(0, None)),
            assignment(12, (1, 2, 1), window(0, Some(9))),
            assignment(13, (2, 1, 3), window(0, None)),
            assignment(14, (2, 2, 3), window(0, Some(5))),
            assignment(15, (3, 1, 0), window(7, Some(8))),
            assignment(16, (3, 1, 1), window(6, Some(8))),
        ];
        let plan = plan(&nodes[0], &nodes[1..], &HierarchySchema::default(), &rows, at(NOW));
        let expected = RevertCounts {
            moved: 1,
            deduplicated: 2,
            expired_dropped: 1,
            inactive_dropped: 1,
            nodes_deleted: 3,
            schema_cleared: false,
            // 1 by moving, 3 because its window begins earlier; 1's other role was at the root forever already.
            identities_gaining_reach: 2,
        };
        assert_eq!(plan.counts, expected);
        let moved_to_root: Vec<_> = plan.moved_to_root.iter().map(|row| (row.id, row.window)).collect();
        assert_eq!(
            moved_to_root,
            [(rows[0].id, window(4, Some(9))), (rows[5].id, window(6, Some(8)))]
        );
        assert_eq!(
            plan.dropped.iter().collect::<BTreeSet<_>>(),
            [2, 3, 4, 6].map(|place: usize| &rows[place].id).into()
        );
        let root = plan.root.unwrap();
        assert_eq!((root.node_type.as_str(), root.version.get()), ("root", 2));
    }

    /// A row of the oracle.
    type Row = ((u8, u8), u8, i64, Option<i64>);

    fn contains(from: i64, to: Option<i64>, instant: i64) -> bool {
        from <= instant && to.is_none_or(|to| instant < to)
    }

    fn is_off(parents: &[(u8, bool)], node: u8) -> bool {
        let (parent, is_active) = parents[usize::from(node)];
        !is_active || (node != 0 && is_off(parents, parent))
    }

    proptest! {
        /// Tests plans against a second implementation of the rule, pair by pair and instant by instant.
        #[test]
        fn a_plan_does_what_the_rule_says(
            tree in prop::collection::vec((any::<u8>(), 0_u8..6), 1..7),
            dice in prop::collection::btree_map((0_u8..3, 0_u8..2, 0_u8..7), (0_i64..10, prop::option::of(1_i64..8)), 0..24),
        ) {
            let size = u8::try_from(tree.len()).unwrap();
            let parents: Vec<(u8, bool)> = (0..).zip(&tree)
                .map(|(number, (dice, off)): (u8, _)| (if number == 0 { 0 } else { dice % number }, *off != 0)).collect();
            let nodes: Vec<Node> = (0..).zip(&parents)
                .map(|(number, (parent, is_active))| node(number, (number > 0).then_some(*parent), *is_active)).collect();
            let rows: Vec<Row> = dice.iter().filter(|((_, _, at), _)| *at < size)
                .map(|((identity, role, at), (from, lasts))| ((*identity, *role), *at, *from, lasts.map(|lasts| from + lasts))).collect();
            let stored: Vec<Assignment> = (100..).zip(&rows)
                .map(|(number, ((identity, role), at, from, to))| assignment(number, (*identity, *role, *at), window(*from, *to))).collect();

            let plan = plan(&nodes[0], &nodes[1..], &HierarchySchema::default(), &stored, at(NOW));

            let ended = |row: &&Row| row.3.is_some_and(|to| to <= NOW);
            let (expired, rest): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(ended);
            let (off, alive): (Vec<&Row>, Vec<&Row>) = rest.into_iter().partition(|row| is_off(&parents, row.1));
            let pairs: BTreeSet<(u8, u8)> = alive.iter().map(|row| row.0).collect();
            let at_root = |pair: (u8, u8)| alive.iter().find(|row| row.0 == pair && row.1 == 0);
            let mut expected = BTreeMap::new();
            let mut gaining = BTreeSet::new();
            for pair in &pairs {
                let of_pair = || alive.iter().filter(|row| row.0 == *pair);
                let from = of_pair().map(|row| row.2).min().unwrap();
                let to = if of_pair().any(|row| row.3.is_none()) { None } else { of_pair().filter_map(|row| row.3).max() };
                expected.insert(*pair, window(from, to));
                let held = |instant| at_root(*pair).is_some_and(|row| contains(row.2, row.3, instant));
                if (NOW..30).any(|instant| contains(from, to, instant) && !held(instant)) {
                    gaining.insert(pair.0);
                }
            }
            prop_assert_eq!(plan.counts, RevertCounts {
                moved: pairs.iter().filter(|pair| at_root(**pair).is_none()).count(),
                deduplicated: alive.len() - pairs.len(),
                expired_dropped: expired.len(),
                inactive_dropped: off.len(),
                nodes_deleted: nodes.len() - 1,
                schema_cleared: false,
                identities_gaining_reach: gaining.len(),
            });
            // The stored rows after the revert: each pair once, at the root, in a row that it had.
            let mut after: BTreeMap<AssignmentId, Assignment> = stored.iter().map(|row| (row.id, row.clone())).collect();
            for id in &plan.dropped {
                prop_assert!(after.remove(id).is_some());
            }
            for row in &plan.moved_to_root {
                let before = after.insert(row.id, row.clone()).expect("a row there was");
                prop_assert_eq!((before.key.identity, before.key.role, before.created_at), (row.key.identity, row.key.role, row.created_at));
                prop_assert!(before != *row && row.updated_at == at(NOW));
            }
            let mut left = BTreeMap::new();
            for row in after.values() {
                prop_assert_eq!(row.key.node, nodes[0].id);
                let number = |id: Uuid| u8::try_from(id.as_u128()).unwrap();
                let pair = (number(row.key.identity.as_uuid()), number(row.key.role.as_uuid()));
                prop_assert!(left.insert(pair, row.window).is_none(), "each pair once");
            }
            prop_assert_eq!(left, expected);
        }
    }
}
