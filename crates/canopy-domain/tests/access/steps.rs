//! Passes call back every few thousand steps, and stop on an error.

use canopy_domain::access::{
    AccessIndex, GrantFact, NodeFact, PermissionFact, Question, RoleFact, Snapshot, SubjectFact, Target,
};
use canopy_domain::{
    AssignmentKey, IdentityId, MembershipStatus, NodeId, NodeType, PermissionKey, Revision, RoleName, Slug, Timestamp,
    Window,
};
use core::fmt::Debug;
use uuid::Uuid;

const NODES: u32 = 20_000;
const PEOPLE: u32 = 20_000;

/// Things of different kinds have different ids.
fn id<T: From<Uuid>>(kind: u128, number: u32) -> T {
    Uuid::from_u128((kind << 64) | (u128::from(number) + 1)).into()
}

fn node(number: u32) -> NodeId {
    id(1, number)
}

fn person(number: u32) -> IdentityId {
    id(2, number)
}

/// A flat tree. The first person holds the one role at every node but the root, everybody else at the root.
fn large() -> AccessIndex {
    let permission = PermissionFact {
        id: id(3, 0),
        key: PermissionKey::parse("note.read").unwrap(),
    };
    let role = RoleFact {
        id: id(4, 0),
        name: RoleName::parse("Reader").unwrap(),
        is_active: true,
        permissions: vec![permission.id],
    };
    let grant = |number, who, place| GrantFact {
        id: id(5, number),
        key: AssignmentKey {
            identity: person(who),
            role: role.id,
            node: node(place),
        },
        window: Window::new(Timestamp::MIN, None).unwrap(),
    };
    let grants = (1..NODES).map(|place| grant(place, 0, place));
    let others = (1..PEOPLE).map(|who| grant(NODES + who, who, 0));
    let index = AccessIndex::build(&Snapshot {
        environment: id(9, 0),
        revision: Revision::new(1),
        grants: grants.chain(others).collect(),
        permissions: vec![permission],
        nodes: (0..NODES)
            .map(|number| NodeFact {
                id: node(number),
                parent: (number > 0).then(|| node(0)),
                node_type: NodeType::parse("unit").unwrap(),
                slug: Slug::parse(&format!("n{number}")).unwrap(),
                is_active: true,
            })
            .collect(),
        subjects: (0..PEOPLE)
            .map(|number| SubjectFact {
                id: person(number),
                is_active: true,
                membership: MembershipStatus::Active,
            })
            .collect(),
        roles: vec![role],
        keys: vec![],
    });
    index.unwrap()
}

type Step<'a> = &'a mut dyn FnMut() -> Result<(), &'static str>;

/// The pass has the answer of the plain one, calls back for each thousand of `steps` or so, and stops at any of the calls.
fn check<T: Debug + PartialEq>(plain: &T, steps: u32, pass: impl Fn(Step<'_>) -> Result<T, &'static str>) {
    let mut calls = 0;
    let whole = pass(&mut || {
        calls += 1;
        Ok(())
    });
    assert_eq!(whole.as_ref(), Ok(plain));
    assert!(calls >= steps / 1_100, "{calls} calls in {steps} steps");
    for last in [1, calls / 2, calls] {
        let mut seen = 0;
        let stopped = pass(&mut || {
            seen += 1;
            if seen == last { Err("gone") } else { Ok(()) }
        });
        assert_eq!((stopped, seen), (Err("gone"), last));
    }
}

#[test]
fn every_long_pass_is_taken_in_steps_and_stops_at_any_of_them() {
    let index = large();
    let now = Timestamp::MAX;
    let first = person(0);
    check(
        &index.nodes_where(first, "note.read", now, None, 50),
        NODES * 3,
        |step| index.nodes_where_in_steps(first, "note.read", now, (None, 50), step),
    );
    // The first person holds it at all nodes but this one, so all rows are looked at.
    check(
        &index.who_can("note.read", node(0), now, None, 50),
        PEOPLE + NODES,
        |step| index.who_can_in_steps("note.read", node(0), now, (None, 50), step),
    );
    for (target, limit) in [
        (Target::Node(node(0)), 10),
        (Target::Node(node(7)), 10),
        (Target::AppWide, 10),
    ] {
        let question = Question {
            identity: first,
            permission: "note.read",
            target,
        };
        check(&index.explain_within(&question, now, limit), NODES, |step| {
            index.explain_in_steps(&question, now, limit, step)
        });
    }
    for place in [None, Some(node(0)), Some(node(7))] {
        check(&index.effective_permissions(first, place, now), NODES, |step| {
            index.effective_permissions_in_steps(first, place, now, step)
        });
    }
}
