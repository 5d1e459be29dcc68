//! A decision never allocates, whatever its answer.

use canopy_domain::access::{
    AccessIndex, Decision, DenialReason, GrantFact, NodeFact, PermissionFact, Question, RoleFact, Snapshot,
    SubjectFact, Target,
};
use canopy_domain::{
    AssignmentKey, MembershipStatus, NodeType, PermissionKey, Revision, RoleName, Slug, Timestamp, Window,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use std::alloc::System;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}

/// Nodes 0 to 79 in a chain, the last one switched off; identity `n` holds each of `n` roles at each of three nodes.
#[cfg(test)]
fn snapshot() -> Snapshot {
    let window = |number: u128| {
        let at = |millis: i64| Timestamp::from_millis(millis).unwrap();
        let shift = i64::try_from(number % 3).unwrap();
        Window::new(at(10 + shift * 10), Some(at(30 + shift * 10))).unwrap()
    };
    let rows = (0..40_u128)
        .flat_map(|identity| (0..identity).flat_map(move |role| [0, 40, 79].map(|node| (identity, role, node))));
    Snapshot {
        environment: id(1),
        revision: Revision::new(1),
        permissions: (0..40)
            .map(|n| PermissionFact {
                id: id(n),
                key: PermissionKey::parse(&format!("app.p{n}")).unwrap(),
            })
            .collect(),
        roles: (0..40)
            .map(|n| RoleFact {
                id: id(n),
                name: RoleName::parse(&format!("Role {n}")).unwrap(),
                is_active: n % 7 != 6,
                permissions: vec![id(n), id((n + 1) % 40), id(0)],
            })
            .collect(),
        nodes: (0..80_u128)
            .map(|n| NodeFact {
                id: id(n),
                parent: n.checked_sub(1).map(id),
                node_type: NodeType::parse("unit").unwrap(),
                slug: Slug::parse("unit").unwrap(),
                is_active: n != 79,
            })
            .collect(),
        subjects: (0..42)
            .map(|n| SubjectFact {
                id: id(n),
                is_active: n != 40,
                membership: if n == 41 {
                    MembershipStatus::Suspended
                } else {
                    MembershipStatus::Active
                },
            })
            .collect(),
        keys: vec![],
        grants: rows
            .enumerate()
            .map(|(number, (identity, role, node))| GrantFact {
                id: id(number as u128),
                key: AssignmentKey {
                    identity: id(identity),
                    role: id(role),
                    node: id(node),
                },
                window: window(number as u128),
            })
            .collect(),
    }
}

/// One test alone in this file: the counters are those of the whole process.
#[test]
fn a_decision_never_allocates() {
    let index = AccessIndex::build(&snapshot()).unwrap();
    let keys: Vec<String> = (0..41).map(|number| format!("app.p{number}")).collect();
    let instants: Vec<Timestamp> = [9, 10, 25, 29, 30, 60]
        .iter()
        .map(|millis| Timestamp::from_millis(*millis).unwrap())
        .collect();
    // The thread of the test runner may allocate as well, but not each time. A decision that allocates always does.
    let changes = [(); 3].map(|()| {
        let region = Region::new(ALLOCATOR);
        let change = decide_everything(&index, &keys, &instants, &region);
        (change.allocations, change.reallocations, change.deallocations)
    });
    assert!(changes.contains(&(0, 0, 0)), "{changes:?}");
}

/// Judges every question at every instant, and returns what was allocated meanwhile.
fn decide_everything(
    index: &AccessIndex,
    keys: &[String],
    instants: &[Timestamp],
    region: &Region<'_, System>,
) -> Stats {
    let mut roles = Vec::with_capacity(64);
    let mut told = [0_usize; DenialReason::ALL.len() + 1];
    let before = region.change();
    for identity in 0..43 {
        for permission in keys {
            for target in [0, 20, 78, 79, 80]
                .map(|number| Target::Node(id(number)))
                .into_iter()
                .chain([Target::AppWide])
            {
                let question = Question {
                    identity: id(identity),
                    permission,
                    target,
                };
                for at in instants {
                    let decision = index.decide(&question, *at);
                    assert_eq!(index.decide_with_roles(&question, *at, &mut roles), decision);
                    let place = match decision {
                        Decision::Allowed => DenialReason::ALL.len(),
                        Decision::Denied(reason) => reason as usize,
                    };
                    if let Some(count) = told.get_mut(place) {
                        *count += 1;
                    }
                }
            }
        }
    }
    let change = region.change() - before;
    assert!(told.iter().all(|count| *count > 0), "every answer was given: {told:?}");
    change
}
