//! Deletion of a subtree and revert to flat: the index applies every change, and then answers like a newly built one.

use crate::facts::{NODE, at, empty, grant, id, key, node, permission, role, subject, window};
use crate::oracle;
use canopy_domain::access::{AccessIndex, Change, Decision, GrantFact, NodeFact, Question, Snapshot, Target};
use canopy_domain::changeset::{AccessFacts, ChangeSet, Rows};
use canopy_domain::hierarchy::revert;
use canopy_domain::{
    Assignment, AssignmentId, DisplayName, HierarchySchema, JsonObject, Node, NodeId, NodeStatus, Version,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

const NOW: i64 = 15;

/// A tree, and assignments in it. Nodes come parents first.
fn any_facts() -> impl Strategy<Value = Snapshot> {
    let nodes = prop::collection::vec((any::<u8>(), 0_u8..6), 0..9);
    let grants = prop::collection::btree_map(
        (0_u8..3, 0_u8..2, 0_u8..10),
        (0_i64..30, prop::option::of(1_i64..20)),
        0..16,
    );
    (nodes, grants).prop_map(|(nodes, grants)| {
        let count = u8::try_from(nodes.len()).unwrap() + 1;
        let below = (1..)
            .zip(&nodes)
            .map(|(number, (parent, off))| node(number, Some(parent % number), *off != 0));
        let grants = (0..).zip(&grants).filter(|(_, ((_, _, at), _))| *at < count);
        Snapshot {
            permissions: vec![permission(0), permission(1)],
            roles: vec![role(0, true, &[0]), role(1, true, &[0, 1])],
            nodes: core::iter::once(node(0, None, true)).chain(below).collect(),
            subjects: (0..3).map(subject).collect(),
            grants: grants
                .map(|(number, (place, (from, lasts)))| grant(number, *place, window(*from, lasts.map(|l| from + l))))
                .collect(),
            ..empty()
        }
    })
}

fn agree(facts: &Snapshot, index: &AccessIndex) {
    let again = AccessIndex::build(facts).unwrap();
    for subject in &facts.subjects {
        for permission in [key(0), key(1)] {
            let nodes = (0..10).map(|number| Target::Node(id(NODE, number)));
            for target in nodes.chain([Target::AppWide]) {
                for instant in [0, NOW, 29, 40] {
                    let question = Question {
                        identity: subject.id,
                        permission: &permission,
                        target,
                    };
                    let expected = oracle::decide(facts, &question, at(instant)).0;
                    let expected = expected.map_or(Decision::Allowed, Decision::Denied);
                    for index in [index, &again] {
                        assert_eq!(
                            index.decide(&question, at(instant)),
                            expected,
                            "{question:?} at {instant}"
                        );
                    }
                }
            }
        }
    }
}

fn stored(fact: &NodeFact) -> Node {
    let status = if fact.is_active {
        NodeStatus::Active
    } else {
        NodeStatus::Inactive
    };
    Node {
        id: fact.id,
        environment_id: empty().environment,
        parent: fact.parent,
        node_type: fact.node_type.clone(),
        name: DisplayName::parse("Name").unwrap(),
        slug: fact.slug.clone(),
        status,
        metadata: JsonObject::default(),
        version: Version::FIRST,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn held(fact: &GrantFact) -> Assignment {
    Assignment {
        id: fact.id,
        environment_id: empty().environment,
        key: fact.key,
        window: fact.window,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// The changes of the only environment that a set touches; none where it touches none.
fn changes(set: &ChangeSet) -> Arc<[Change]> {
    let all = set.access_changes(&AccessFacts::default()).unwrap();
    assert!(all.len() <= 1);
    all.into_iter().next().map_or_else(|| vec![].into(), |one| one.changes)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn an_index_takes_the_removal_of_any_subtree(mut facts in any_facts(), which in any::<prop::sample::Index>()) {
        let mut index = AccessIndex::build(&facts).unwrap();
        let top = facts.nodes[which.index(facts.nodes.len())].id;
        let mut gone: Vec<NodeId> = vec![];
        for node in &facts.nodes {
            if node.id == top || node.parent.is_some_and(|parent| gone.contains(&parent)) {
                gone.push(node.id);
            }
        }
        let lost: Vec<Assignment> = facts.grants.iter().filter(|one| gone.contains(&one.key.node)).map(held).collect();
        let removal = ChangeSet {
            nodes: Rows::removed(facts.nodes.iter().filter(|node| gone.contains(&node.id)).map(stored).collect()),
            assignments: Rows::removed(lost.clone()),
            ..ChangeSet::default()
        };
        index.apply(index.revision().next(), &changes(&removal)).unwrap();
        let lost: Vec<AssignmentId> = lost.iter().map(|one| one.id).collect();
        facts.grants.retain(|one| !lost.contains(&one.id));
        facts.nodes.retain(|node| !gone.contains(&node.id));
        agree(&facts, &index);
    }

    #[test]
    fn an_index_takes_any_revert(mut facts in any_facts()) {
        let mut index = AccessIndex::build(&facts).unwrap();
        let nodes: Vec<Node> = facts.nodes.iter().map(stored).collect();
        let rows: Vec<Assignment> = facts.grants.iter().map(held).collect();
        let plan = revert::plan(&nodes[0], &nodes[1..], &HierarchySchema::default(), &rows, at(NOW));
        let steps = changes(&plan.change_set(&nodes, &rows));
        for step in steps.iter() {
            oracle::apply(&mut facts, step);
        }
        index.apply(index.revision().next(), &steps).unwrap();
        let left: BTreeSet<NodeId> = facts.grants.iter().map(|one| one.key.node).chain(facts.nodes.iter().map(|one| one.id)).collect();
        prop_assert_eq!(left, [nodes[0].id].into());
        agree(&facts, &index);
    }
}
