//! Random histories: after every change the index that was moved forward, an index built anew and the oracle agree on
//! every question.

use crate::facts::{
    GRANT, NODE, PERMISSION, ROLE, SUBJECT, at, empty, grant, id, key, node, permission, role, subject, window,
};
use crate::oracle;
use crate::why;
use canopy_domain::access::{
    AccessIndex, Change, Decision, NodeFact, Question, RoleFact, Snapshot, SubjectFact, Target,
};
use canopy_domain::{MembershipStatus, NodeType, PermissionKey, RoleName};
use proptest::prelude::*;

/// Window borders; questions are asked a millisecond before, at and after each.
const BORDERS: [i64; 3] = [10, 20, 30];

/// Maximum number of entities of each kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) permissions: u8,
    roles: u8,
    pub(crate) nodes: u8,
    pub(crate) subjects: u8,
    grants: u8,
}

pub(crate) const SMALL: Sizes = Sizes {
    permissions: 3,
    roles: 4,
    nodes: 7,
    subjects: 3,
    grants: 14,
};
const DEEP: Sizes = Sizes {
    permissions: 2,
    roles: 3,
    nodes: 66,
    subjects: 2,
    grants: 20,
};

/// A change as dice: what kind, and five numbers to make it from.
pub(crate) type Dice = (u8, [u8; 5]);

pub(crate) fn dice() -> impl Strategy<Value = Dice> {
    (0_u8..26, any::<[u8; 5]>())
}

fn change(sizes: Sizes, (kind, [which, first, second, third, fourth]): Dice) -> Change {
    let Sizes {
        permissions,
        roles,
        nodes,
        subjects,
        grants,
    } = sizes;
    match kind {
        0 => {
            let mut fact = permission(which % permissions);
            if first % 4 == 0 {
                fact.key = PermissionKey::parse(&key(second % permissions)).unwrap();
            }
            Change::PermissionPut(fact)
        }
        1 => Change::PermissionRemoved(id(PERMISSION, which % permissions)),
        2..=4 => {
            let bundled: Vec<u8> = (0..permissions).filter(|number| first >> number & 1 == 1).collect();
            let fact = role(which % roles, second % 4 != 0, &bundled);
            // Names are sorted by bytes and may repeat: the engine does not rely on their being unique.
            let name = RoleName::parse(["b", "B", "Ä", "a", "aa"][usize::from(third % 5)]).unwrap();
            Change::RolePut(RoleFact { name, ..fact })
        }
        5 => Change::RoleRemoved(id(ROLE, which % roles)),
        6..=10 => {
            let parent = (which % nodes != 0 || first % 8 == 0).then_some(first % nodes);
            let node_type = NodeType::parse(["unit", "team", "desk"][usize::from(third % 3)]).unwrap();
            Change::NodePut(NodeFact {
                node_type,
                ..node(which % nodes, parent, second % 6 != 0)
            })
        }
        11 => Change::NodeRemoved(id(NODE, which % nodes)),
        12..=13 => Change::SubjectPut(SubjectFact {
            is_active: first % 5 != 0,
            membership: MembershipStatus::ALL[[1_usize, 1, 1, 1, 0, 2, 3][usize::from(second % 7)]],
            ..subject(which % subjects)
        }),
        14 => Change::SubjectRemoved(id(SUBJECT, which % subjects)),
        15..=21 => {
            let from = usize::from(third % 3);
            let to = BORDERS[from..].get(usize::from(fourth % 4) + 1).copied();
            let key = (first % subjects, second % roles, (third / 3) % nodes);
            Change::GrantPut(grant(which % grants, key, window(BORDERS[from], to)))
        }
        _ => Change::GrantRemoved(id(GRANT, which % grants)),
    }
}

/// Generates the changes of one write: mostly one. Sometimes a membership ends, with all its assignments.
pub(crate) fn changes(sizes: Sizes, facts: &Snapshot, dice: Dice) -> Vec<Change> {
    let (kind, [which, first, ..]) = dice;
    if kind < 24 {
        return vec![change(sizes, dice)];
    }
    let ended = SubjectFact {
        is_active: first % 5 != 0,
        membership: MembershipStatus::Deactivated,
        ..subject(which % sizes.subjects)
    };
    let held = facts.grants.iter().filter(|grant| grant.key.identity == ended.id);
    let gone = held.map(|grant| Change::GrantRemoved(grant.id));
    gone.chain([Change::SubjectPut(ended)]).collect()
}

/// The facts after these changes, where they do not contradict them.
pub(crate) fn after(facts: &Snapshot, changes: &[Change]) -> Option<Snapshot> {
    let mut facts = facts.clone();
    for change in changes {
        if !oracle::admits(&facts, change) {
            return None;
        }
        oracle::apply(&mut facts, change);
    }
    Some(facts)
}

/// A chain of nodes, roles with some permissions, all subjects.
pub(crate) fn start(sizes: Sizes, chain: u8) -> Snapshot {
    Snapshot {
        permissions: (0..sizes.permissions).map(permission).collect(),
        roles: (0..sizes.roles)
            .map(|number| role(number, true, &[number % sizes.permissions]))
            .collect(),
        // Children before parents: the order of a snapshot means nothing.
        nodes: (0..chain)
            .rev()
            .map(|number| node(number, number.checked_sub(1), true))
            .collect(),
        subjects: (0..sizes.subjects).map(subject).collect(),
        ..empty()
    }
}

fn compare(facts: &Snapshot, indexes: [&AccessIndex; 2], sizes: Sizes, nodes: &[u8], instants: &[i64]) {
    let targets: Vec<Target> = nodes
        .iter()
        .map(|number| Target::Node(id(NODE, *number)))
        .chain([Target::AppWide])
        .collect();
    let mut roles = Vec::new();
    for number in nodes {
        let node = id(NODE, *number);
        let fact = facts.nodes.iter().find(|fact| fact.id == node);
        for index in indexes {
            assert_eq!(index.node_type(node), fact.map(|fact| &fact.node_type));
        }
    }
    for subject in 0..=sizes.subjects {
        for wanted in 0..=sizes.permissions {
            let permission = &key(wanted);
            for target in &targets {
                let question = Question {
                    identity: id(SUBJECT, subject),
                    permission,
                    target: *target,
                };
                for instant in instants {
                    let (reason, names) = oracle::decide(facts, &question, at(*instant));
                    let expected = reason.map_or(Decision::Allowed, Decision::Denied);
                    for index in indexes {
                        assert_eq!(
                            index.decide(&question, at(*instant)),
                            expected,
                            "{question:?} at {instant}"
                        );
                        let decision = index.decide_with_roles(&question, at(*instant), &mut roles);
                        assert_eq!(decision, expected, "{question:?} at {instant}, with roles");
                        assert_eq!(roles.iter().map(|name| name.as_str()).collect::<Vec<_>>(), names);
                        let cost = index.cost(question.identity);
                        let told: usize = names.iter().map(String::len).sum();
                        assert!(cost.role_name_bytes >= told, "{cost:?} for {names:?}");
                        assert!(cost.assignments >= names.len(), "{cost:?} for {names:?}");
                    }
                }
            }
        }
    }
}

/// An identity holds exactly the keys for which the oracle allows the question.
fn compare_effective(facts: &Snapshot, index: &AccessIndex, sizes: Sizes, nodes: &[u8], instant: i64) {
    for subject in 0..=sizes.subjects {
        for node in nodes.iter().map(|number| Some(id(NODE, *number))).chain([None]) {
            let target = node.map_or(Target::AppWide, Target::Node);
            let mut expected: Vec<&str> = facts
                .permissions
                .iter()
                .map(|fact| fact.key.as_str())
                .filter(|permission| {
                    let question = Question {
                        identity: id(SUBJECT, subject),
                        permission,
                        target,
                    };
                    oracle::decide(facts, &question, at(instant)).0.is_none()
                })
                .collect();
            expected.sort_unstable();
            let held = index.effective_permissions(id(SUBJECT, subject), node, at(instant));
            assert_eq!(held.iter().map(|key| key.as_str()).collect::<Vec<_>>(), expected);
        }
    }
}

/// Plays a history; `nodes` are asked about after each step.
fn play(sizes: Sizes, chain: u8, seed: u64, history: &[Dice], nodes: impl Fn(usize) -> Vec<u8>) {
    let mut facts = start(sizes, chain);
    let mut index = AccessIndex::build_seeded(&facts, seed).unwrap();
    let instants: Vec<i64> = BORDERS
        .iter()
        .flat_map(|border| [border - 1, *border, border + 1])
        .collect();
    for (step, dice) in history.iter().enumerate() {
        let changes = changes(sizes, &facts, *dice);
        let revision = index.revision().next();
        let Some(moved) = after(&facts, &changes) else {
            assert!(
                index.clone().apply(revision, &changes).is_err(),
                "{changes:?} contradicts {facts:?}"
            );
            continue;
        };
        facts = Snapshot { revision, ..moved };
        index.apply(revision, &changes).unwrap();
        let again = AccessIndex::build(&facts).unwrap();
        let nodes = nodes(step);
        compare(&facts, [&index, &again], sizes, &nodes, &instants);
        let instant = instants[step % instants.len()];
        compare_effective(&facts, &index, sizes, &nodes, instant);
        let asked = why::Asked {
            identities: (0..=sizes.subjects).map(|number| id(SUBJECT, number)).collect(),
            permissions: (0..=sizes.permissions).map(key).collect(),
            nodes: nodes.iter().map(|number| id(NODE, *number)).collect(),
        };
        why::compare(&facts, &index, &asked, at(instant));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn a_moved_index_a_new_one_and_the_oracle_agree(
        chain in 1_u8..=SMALL.nodes,
        seed in any::<u64>(),
        history in prop::collection::vec(dice(), 1..60),
    ) {
        play(SMALL, chain, seed, &history, |_| (0..=SMALL.nodes).collect());
    }

    #[test]
    fn they_agree_in_trees_of_depth_64(history in prop::collection::vec(dice(), 1..40), ask in any::<[u8; 4]>()) {
        play(DEEP, 64, 0, &history, |step| {
            let last = history[step].1;
            vec![0, 31, 63, last[0] % DEEP.nodes, last[1] % DEEP.nodes, ask[step % 4] % (DEEP.nodes + 1)]
        });
    }

    #[test]
    fn they_agree_when_one_identity_holds_very_many(rows in prop::collection::vec(any::<[u8; 4]>(), 600), history in prop::collection::vec(dice(), 1..6)) {
        // More grants than a byte can number.
        let sizes = Sizes { permissions: 6, roles: 12, nodes: 40, subjects: 1, grants: 255 };
        let mut facts = start(sizes, 1);
        facts.nodes = (0..sizes.nodes).map(|number| node(number, number.checked_sub(1).map(|n| n / 3), number % 13 != 12)).collect();
        facts.grants = (0_u16..).zip(&rows).map(|(number, [a, b, c, d])| {
            let from = usize::from(c % 3);
            let to = BORDERS[from..].get(usize::from(d % 4) + 1).copied();
            let mut fact = grant(0, (0, a % sizes.roles, b % sizes.nodes), window(BORDERS[from], to));
            fact.id = uuid::Uuid::from_u128((7 << 100) + u128::from(number)).into();
            fact
        }).collect();
        let mut index = AccessIndex::build(&facts).unwrap();
        for dice in history {
            let change = change(sizes, dice);
            if oracle::admits(&facts, &change) {
                oracle::apply(&mut facts, &change);
                index.apply(index.revision().next(), &[change]).unwrap();
            }
        }
        let again = AccessIndex::build(&facts).unwrap();
        compare(&facts, [&index, &again], sizes, &[0, 5, 12, 39, 40], &[9, 10, 20, 29, 30]);
    }

    #[test]
    fn they_agree_among_more_roles_than_a_holder_tells_apart(
        rows in prop::collection::vec((any::<u8>(), 0_u8..4, 0_u8..4), 1..40),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 1..30),
    ) {
        // Some in the snapshot, the others put in later, past what a set of roles tells apart.
        let sizes = Sizes { permissions: 4, roles: 60, nodes: 4, subjects: 1, grants: 255 };
        let mut facts = start(sizes, 4);
        let mut index = AccessIndex::build(&facts).unwrap();
        let more = (60..=255).map(|number| Change::RolePut(role(number, number % 5 != 0, &[number % 3])));
        let grants = (0..).zip(&rows).map(|(number, (held, node, from))| {
            // Roles 128 apart are the same to a holder, so there are many of them here.
            let held = held & 0b1000_0111;
            Change::GrantPut(grant(number, (0, held, *node), window(BORDERS[usize::from(from % 3)], None)))
        });
        let gone = removed.iter().map(|place| Change::GrantRemoved(id(GRANT, u8::try_from(place.index(rows.len())).unwrap())));
        for change in more.chain(grants).chain(gone) {
            oracle::apply(&mut facts, &change);
            index.apply(index.revision().next(), std::slice::from_ref(&change)).unwrap();
            if !matches!(change, Change::RolePut(_)) {
                compare(&facts, [&index, &index], sizes, &[0, 3], &[10, 30]);
            }
        }
        let again = AccessIndex::build(&facts).unwrap();
        compare(&facts, [&index, &again], sizes, &[0, 1, 2, 3, 4], &[9, 10, 20, 30]);
    }
}
