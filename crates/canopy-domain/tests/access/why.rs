//! Explanations and reverse answers: equal to asking about every pair, on random facts and windows; pages join to the whole.

use crate::facts::{
    GRANT, NODE, PERMISSION, ROLE, SUBJECT, at, empty, grant, id, key, node, permission, role, subject, window,
};
use crate::histories::{Dice, SMALL, after, changes, dice, start};
use crate::oracle;
use canopy_domain::access::{
    AccessIndex, Change, Decision, DenialReason, Explanation, GrantFact, NodeFact, Part, PermissionHolder, Question,
    Shortfall, Snapshot, SubjectFact, Target,
};
use canopy_domain::{AssignmentKey, AssignmentStatus, IdentityId, NodeId, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A check; some of its names are unknown.
pub(crate) struct Asked {
    pub(crate) identities: Vec<IdentityId>,
    pub(crate) permissions: Vec<String>,
    pub(crate) nodes: Vec<NodeId>,
}

/// Joins the parts of a list, and checks that each has as much as it may have and says truly whether it is the last.
fn join<T: Clone, I>(
    limit: usize,
    id_of: impl Fn(&T) -> I,
    part_after: impl Fn(Option<I>, usize) -> Part<T>,
) -> Vec<T> {
    let mut all: Vec<T> = vec![];
    loop {
        let part = part_after(all.last().map(&id_of), limit);
        assert!(part.items.len() <= limit);
        assert!(!part.has_more || part.items.len() == limit);
        all.extend(part.items);
        if !part.has_more {
            return all;
        }
    }
}

fn nodes_where(
    index: &AccessIndex,
    identity: IdentityId,
    permission: &str,
    at: Timestamp,
    limit: usize,
) -> Vec<NodeId> {
    join(
        limit,
        |node| *node,
        |after, limit| index.nodes_where(identity, permission, at, after, limit),
    )
}

fn who_can<'a>(
    index: &'a AccessIndex,
    permission: &str,
    node: NodeId,
    at: Timestamp,
    limit: usize,
) -> Vec<PermissionHolder<'a>> {
    join(
        limit,
        |holder: &PermissionHolder<'_>| holder.identity,
        |after, limit| index.who_can(permission, node, at, after, limit),
    )
}

/// Compares the answers about everything asked with those of the oracle, pair by pair.
pub(crate) fn compare(facts: &Snapshot, index: &AccessIndex, asked: &Asked, at: Timestamp) {
    let known: BTreeSet<NodeId> = facts.nodes.iter().map(|node| node.id).collect();
    let members: BTreeSet<IdentityId> = facts.subjects.iter().map(|subject| subject.id).collect();
    for permission in &asked.permissions {
        let ask = |identity, node| Question {
            identity,
            permission,
            target: Target::Node(node),
        };
        for identity in &asked.identities {
            let expected: Vec<NodeId> = known
                .iter()
                .copied()
                .filter(|node| oracle::decide(facts, &ask(*identity, *node), at).0.is_none())
                .collect();
            for limit in [1, 2, 3, expected.len().max(1), usize::MAX] {
                assert_eq!(nodes_where(index, *identity, permission, at, limit), expected);
            }
            let nodes = asked.nodes.iter().map(|node| Target::Node(*node));
            for target in nodes.chain([Target::AppWide]) {
                let question = Question {
                    target,
                    ..ask(*identity, id(NODE, 0))
                };
                compare_explanation(facts, index, &question, at);
            }
        }
        for node in &asked.nodes {
            let expected = members.iter().filter_map(|identity| {
                let question = ask(*identity, *node);
                let (reason, names) = oracle::decide(facts, &question, at);
                let sources = oracle::bearing(facts, &question, at).into_iter();
                let sources: BTreeSet<NodeId> = sources
                    .filter(|(_, reason)| reason.is_none())
                    .map(|(grant, _)| grant.key.node)
                    .collect();
                reason.is_none().then_some((*identity, names, sources))
            });
            let expected: Vec<_> = expected.collect();
            for limit in [1, 2, usize::MAX] {
                let found = who_can(index, permission, *node, at, limit).into_iter().map(|holder| {
                    let names = holder.role_names.iter().map(|name| name.as_str().to_owned()).collect();
                    assert!(holder.source_nodes.is_sorted());
                    (holder.identity, names, holder.source_nodes.into_iter().collect())
                });
                assert_eq!(found.collect::<Vec<(_, Vec<String>, BTreeSet<_>)>>(), expected);
            }
        }
    }
}

fn compare_explanation(facts: &Snapshot, index: &AccessIndex, question: &Question<'_>, at: Timestamp) {
    let explanation = index.explain(question, at);
    let mut roles = vec![];
    assert_eq!(
        explanation.decision,
        index.decide_with_roles(question, at, &mut roles),
        "{question:?}"
    );
    assert_eq!(explanation.granting_roles, roles);
    assert_eq!(explanation.decision.is_allowed(), !explanation.grants.is_empty());
    let near = explanation.near_misses.iter();
    let mut told: Vec<_> = explanation
        .grants
        .iter()
        .map(|grant| (grant, None))
        .chain(near.map(|(grant, shortfall)| (grant, Some(shortfall.as_str()))))
        .collect();
    assert!(explanation.grants.is_sorted_by_key(|grant| grant.id));
    assert!(explanation.near_misses.is_sorted_by_key(|(grant, _)| grant.id));
    told.sort_by_key(|(grant, _)| grant.id);
    let expected = oracle::bearing(facts, question, at);
    assert_eq!(told.len(), expected.len(), "{question:?}");
    for ((grant, shortfall), (fact, reason)) in told.into_iter().zip(expected) {
        assert_eq!(shortfall, reason, "{question:?} at {at:?}: {fact:?}");
        assert_eq!((grant.id, grant.window), (fact.id, fact.window));
        assert_eq!((grant.role, grant.node), (fact.key.role, fact.key.node));
        assert_eq!(grant.status, fact.window.status_at(at));
        let mut path = oracle::path(facts, fact.key.node);
        path.reverse();
        assert_eq!(grant.path, path);
        let role = facts.roles.iter().find(|role| role.id == fact.key.role).unwrap();
        assert_eq!(grant.role_name, &role.name);
    }
    // What a denial says of assignments is what the near misses say, the first of it.
    let told_of_assignments = explanation.decision.denial_reason().filter(|reason| {
        !matches!(
            reason,
            DenialReason::PermissionNotFound | DenialReason::NodeNotFound | DenialReason::NoGrant
        )
    });
    let misses = explanation.near_misses.iter().map(|(_, shortfall)| *shortfall);
    let in_reach: Vec<Shortfall> = misses.filter(|shortfall| *shortfall != Shortfall::OutOfReach).collect();
    match (explanation.decision, told_of_assignments) {
        (Decision::Allowed, _) => {}
        (Decision::Denied(_), None) => assert_eq!(in_reach, []),
        (Decision::Denied(_), Some(reason)) => {
            assert!(
                in_reach.is_empty() || in_reach.iter().min() == Some(&reason.into()),
                "{explanation:?}"
            );
        }
    }
}

/// Ids whose order shows in any of their bytes.
fn any_ids(count: usize) -> impl Strategy<Value = Vec<Uuid>> {
    prop::collection::btree_set(any::<[u8; 16]>(), count)
        .prop_map(|ids| ids.into_iter().map(Uuid::from_bytes).collect::<Vec<_>>())
        .prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn reverse_answers_are_sorted_by_the_bytes_of_ids(
        node_ids in any_ids(24),
        identity_ids in any_ids(12),
        parents in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..9), 23),
        rows in prop::collection::vec((0_usize..12, 0_u8..4, 0_usize..24), 0..24),
        gone in prop::collection::btree_set(1_usize..24, 0..6),
        instant in 9_i64..12,
    ) {
        let node_fact = |place: usize, parent: Option<usize>, is_active| NodeFact {
            id: node_ids[place].into(),
            parent: parent.map(|parent| node_ids[parent].into()),
            ..node(0, None, is_active)
        };
        let mut facts = Snapshot {
            permissions: vec![permission(0), permission(1)],
            roles: vec![role(0, true, &[0]), role(1, true, &[0, 1]), role(2, true, &[1]), role(3, false, &[0])],
            nodes: vec![node_fact(0, None, true)],
            subjects: identity_ids.iter().map(|one| SubjectFact { id: (*one).into(), ..subject(0) }).collect(),
            ..empty()
        };
        for (place, (parent, off)) in (1..).zip(&parents) {
            facts.nodes.push(node_fact(place, Some(parent.index(place)), *off != 0));
        }
        facts.grants = (0..).zip(&rows).map(|(number, (identity, held, at_node))| GrantFact {
            key: AssignmentKey {
                identity: identity_ids[*identity].into(),
                role: id(ROLE, *held),
                node: node_ids[*at_node].into(),
            },
            ..grant(number, (0, 0, 0), window(10, (number % 3 == 0).then_some(11)))
        }).collect();
        let mut index = AccessIndex::build(&facts).unwrap();
        // Nodes that leave free their places for others, whose ids are others too.
        for place in gone {
            let leaving = facts.nodes[place].id;
            let removed = Change::NodeRemoved(leaving);
            if oracle::admits(&facts, &removed) {
                let made = NodeFact { id: Uuid::from_u128(!leaving.as_uuid().as_u128()).into(), ..facts.nodes[place].clone() };
                index.apply(index.revision().next(), &[removed, Change::NodePut(made.clone())]).unwrap();
                facts.nodes[place] = made;
            }
        }
        let asked = Asked {
            identities: identity_ids.iter().map(|one| (*one).into()).collect(),
            permissions: (0..3).map(key).collect(),
            nodes: facts.nodes.iter().map(|node| node.id).collect(),
        };
        compare(&facts, &index, &asked, at(instant));
    }
}

/// Reads a list in pages of one while the index changes between them. Each returned item is valid at that time, and an item that
/// is valid throughout is returned, in order and once.
fn read_while_it_moves<I: Copy + Ord + std::fmt::Debug>(
    history: &[Dice],
    read: impl Fn(&AccessIndex, Option<I>) -> Part<I>,
    holding: impl Fn(&Snapshot, &AccessIndex) -> BTreeSet<I>,
) {
    let mut facts = start(SMALL, 5);
    facts.grants = (0..3)
        .map(|subject| grant(subject, (subject, 0, 0), window(0, None)))
        .collect();
    let mut index = AccessIndex::build(&facts).unwrap();
    let (mut told, mut always) = (vec![], None::<BTreeSet<I>>);
    let mut moves = history.iter();
    loop {
        let now = holding(&facts, &index);
        let part = read(&index, told.last().copied());
        assert!(part.items.iter().all(|one| now.contains(one)), "{part:?} of {now:?}");
        told.extend(part.items);
        always = Some(always.map_or_else(|| now.clone(), |always| &always & &now));
        if !part.has_more {
            break;
        }
        let Some(dice) = moves.next() else { continue };
        let changes = changes(SMALL, &facts, *dice);
        if let Some(moved) = after(&facts, &changes) {
            index.apply(index.revision().next(), &changes).unwrap();
            facts = moved;
        }
    }
    assert!(told.is_sorted_by(|one, other| one < other), "{told:?}");
    let told: BTreeSet<I> = told.into_iter().collect();
    assert!(told.is_superset(&always.unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn what_holds_throughout_is_told_whatever_moves_between_the_parts(history in prop::collection::vec(dice(), 0..12), instant in 5_i64..35) {
        let (permission, at) = (key(0), at(instant));
        let allowed = |index: &AccessIndex, identity, node| {
            let question = Question { identity, permission: &permission, target: Target::Node(node) };
            index.decide(&question, at).is_allowed()
        };
        let (one, top) = (id(SUBJECT, 0), id(NODE, 0));
        read_while_it_moves(
            &history,
            |index, after| index.nodes_where(one, &permission, at, after, 1),
            |facts, index| facts.nodes.iter().map(|node| node.id).filter(|node| allowed(index, one, *node)).collect(),
        );
        read_while_it_moves(
            &history,
            |index, after| {
                let part = index.who_can(&permission, top, at, after, 1);
                Part { items: part.items.iter().map(|holder| holder.identity).collect(), has_more: part.has_more }
            },
            |facts, index| facts.subjects.iter().map(|one| one.id).filter(|one| allowed(index, *one, top)).collect(),
        );
    }
}

const NOW: i64 = 1_000;

/// 0 ── 1 ── 2, and 3 below 0; Ada holds the permission at 1 in every way but one, and at 3.
fn all_kinds() -> Snapshot {
    Snapshot {
        permissions: vec![permission(0), permission(1)],
        roles: vec![
            role(0, true, &[0]),
            role(1, false, &[0]),
            role(2, true, &[1]),
            role(3, true, &[0, 1]),
        ],
        nodes: vec![
            node(0, None, true),
            node(1, Some(0), true),
            node(2, Some(1), true),
            node(3, Some(0), true),
        ],
        subjects: vec![subject(0)],
        grants: vec![
            grant(0, (0, 3, 3), window(0, None)),
            grant(1, (0, 0, 1), window(NOW + 1, None)),
            grant(2, (0, 3, 1), window(0, Some(NOW))),
            grant(3, (0, 1, 1), window(0, None)),
            grant(4, (0, 2, 1), window(0, None)),
        ],
        ..empty()
    }
}

fn explain(index: &AccessIndex, target: Target) -> (Explanation<'_>, Vec<(u8, &'static str)>) {
    let question = Question {
        identity: id(SUBJECT, 0),
        permission: &key(0),
        target,
    };
    let explanation = index.explain(&question, at(NOW));
    let numbers = explanation.near_misses.iter().map(|(grant, shortfall)| {
        let number = grant.id.as_bytes()[15];
        assert_eq!(grant.id, id(GRANT, number));
        (number, shortfall.as_str())
    });
    let numbers = numbers.collect();
    (explanation, numbers)
}

#[test]
fn near_misses_tell_what_each_falls_short_by() {
    let index = AccessIndex::build(&all_kinds()).unwrap();
    let (explanation, near) = explain(&index, Target::Node(id(NODE, 2)));
    assert_eq!(
        explanation.decision,
        Decision::Denied(DenialReason::AssignmentScheduled)
    );
    assert_eq!((explanation.granting_roles.len(), explanation.grants.len()), (0, 0));
    // A role without the permission is no near miss.
    assert_eq!(
        near,
        [
            (0, "out_of_reach"),
            (1, "assignment_scheduled"),
            (2, "assignment_expired"),
            (3, "role_inactive")
        ]
    );
    let (scheduled, _) = &explanation.near_misses[1];
    assert_eq!(scheduled.path, [id(NODE, 0), id(NODE, 1)]);
    assert_eq!(scheduled.status, AssignmentStatus::Scheduled);
    assert_eq!(scheduled.window, window(NOW + 1, None));
    assert_eq!((scheduled.role, scheduled.role_name.as_str()), (id(ROLE, 0), "role 0"));

    // Where the one grants that is out of reach elsewhere, the others are.
    let (explanation, near) = explain(&index, Target::Node(id(NODE, 3)));
    assert_eq!(explanation.decision, Decision::Allowed);
    assert_eq!(
        explanation.grants.iter().map(|grant| grant.id).collect::<Vec<_>>(),
        [id(GRANT, 0)]
    );
    assert_eq!(near, [1, 2, 3].map(|number| (number, "out_of_reach")));

    // Anywhere, everything is in reach.
    let (explanation, near) = explain(&index, Target::AppWide);
    assert_eq!(explanation.decision, Decision::Allowed);
    assert_eq!(
        near.iter().map(|(_, word)| *word).collect::<Vec<_>>(),
        ["assignment_scheduled", "assignment_expired", "role_inactive"]
    );

    // At a node that is not known nothing is.
    let (explanation, near) = explain(&index, Target::Node(id(NODE, 9)));
    assert_eq!(explanation.decision, Decision::Denied(DenialReason::NodeNotFound));
    assert_eq!(near, [0, 1, 2, 3].map(|number| (number, "out_of_reach")));
}

#[test]
fn what_stands_before_all_assignments_makes_near_misses_of_all() {
    let mut facts = all_kinds();
    let told = |facts: &Snapshot, target| {
        let index = AccessIndex::build(facts).unwrap();
        let near = explain(&index, target).1;
        near.into_iter().map(|(_, word)| word).collect::<Vec<_>>()
    };
    let here = Target::Node(id(NODE, 3));
    let [off, elsewhere] = ["identity_inactive", "out_of_reach"];
    facts.subjects[0].is_active = false;
    assert_eq!(told(&facts, here), [off, elsewhere, elsewhere, elsewhere]);
    assert_eq!(told(&facts, Target::AppWide), [off; 4]);
    facts.subjects[0] = SubjectFact {
        membership: canopy_domain::MembershipStatus::Suspended,
        ..subject(0)
    };
    assert_eq!(told(&facts, Target::AppWide), ["membership_inactive"; 4]);
    facts.subjects[0] = subject(0);
    facts.nodes[3].is_active = false;
    assert_eq!(told(&facts, here), ["node_inactive", elsewhere, elsewhere, elsewhere]);
    assert_eq!(told(&facts, Target::AppWide)[0], "node_inactive");
    // Without the permission there is nothing to miss it by.
    facts.roles.iter_mut().for_each(|role| role.permissions.clear());
    facts.permissions.retain(|one| one.id != id(PERMISSION, 0));
    assert_eq!(told(&facts, here), [""; 0]);
}

#[test]
fn a_window_of_years_is_shown_as_it_is() {
    let mut facts = all_kinds();
    let windows = [
        window(-5_001, Some(-1)),
        window(7_258_118_400_001, Some(Timestamp::MAX.as_millis())),
        canopy_domain::Window::new(Timestamp::MIN, Some(Timestamp::MAX)).unwrap(),
        canopy_domain::Window::new(Timestamp::MAX, None).unwrap(),
    ];
    facts.grants = (0..)
        .zip(windows)
        .map(|(number, window)| grant(number, (0, 0, number % 4), window))
        .collect();
    let index = AccessIndex::build(&facts).unwrap();
    let (explanation, _) = explain(&index, Target::AppWide);
    let near = explanation.near_misses.iter().map(|(grant, _)| grant);
    let mut shown: Vec<_> = explanation.grants.iter().chain(near).collect();
    shown.sort_by_key(|grant| grant.id);
    assert_eq!(shown.iter().map(|grant| grant.window).collect::<Vec<_>>(), windows);
}
