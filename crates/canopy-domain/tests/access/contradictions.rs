//! Facts that contradict each other are refused, each in its own words; changes come in order.

use crate::facts::{GRANT, NODE, PERMISSION, ROLE, SUBJECT, empty, grant, id, node, permission, role, subject, window};
use canopy_domain::Revision;
use canopy_domain::access::{AccessIndex, Change, IndexError, Snapshot};

fn good() -> Snapshot {
    Snapshot {
        permissions: vec![permission(0), permission(1)],
        roles: vec![role(0, true, &[0])],
        nodes: vec![node(0, None, true), node(1, Some(0), true), node(2, Some(1), true)],
        subjects: vec![subject(0)],
        grants: vec![grant(0, (0, 0, 1), window(0, None))],
        ..empty()
    }
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused() {
    type Spoil = fn(&mut Snapshot);
    let cases: [(Spoil, IndexError); 13] = [
        (
            |s| s.permissions.push(permission(0)),
            IndexError::RepeatedPermission(id(PERMISSION, 0)),
        ),
        (
            |s| s.permissions[1].key = permission(0).key,
            IndexError::KeyTaken(id(PERMISSION, 1)),
        ),
        (
            |s| s.roles.push(role(0, true, &[])),
            IndexError::RepeatedRole(id(ROLE, 0)),
        ),
        (
            |s| s.roles.push(role(1, true, &[0, 7])),
            IndexError::UnknownPermission {
                role: id(ROLE, 1),
                permission: id(PERMISSION, 7),
            },
        ),
        (
            |s| s.nodes.push(node(1, Some(0), true)),
            IndexError::RepeatedNode(id(NODE, 1)),
        ),
        (
            |s| s.nodes.push(node(3, None, true)),
            IndexError::SecondRoot(id(NODE, 3)),
        ),
        (
            |s| s.nodes.push(node(3, Some(7), true)),
            IndexError::UnknownParent {
                node: id(NODE, 3),
                parent: id(NODE, 7),
            },
        ),
        (|s| s.nodes.push(node(3, Some(3), true)), IndexError::Cycle(id(NODE, 3))),
        (
            |s| s.nodes.extend([node(3, Some(4), true), node(4, Some(3), true)]),
            IndexError::Cycle(id(NODE, 3)),
        ),
        (
            |s| s.subjects.push(subject(0)),
            IndexError::RepeatedSubject(id(SUBJECT, 0)),
        ),
        (
            |s| s.grants.push(grant(0, (0, 0, 0), window(0, None))),
            IndexError::RepeatedGrant(id(GRANT, 0)),
        ),
        (
            |s| s.grants.push(grant(1, (0, 7, 0), window(0, None))),
            IndexError::UnknownRole {
                grant: id(GRANT, 1),
                role: id(ROLE, 7),
            },
        ),
        (
            |s| s.grants.push(grant(1, (0, 0, 7), window(0, None))),
            IndexError::UnknownNode {
                grant: id(GRANT, 1),
                node: id(NODE, 7),
            },
        ),
    ];
    assert!(AccessIndex::build(&good()).is_ok());
    for (spoil, expected) in cases {
        let mut facts = good();
        spoil(&mut facts);
        assert_eq!(AccessIndex::build(&facts).unwrap_err(), expected);
    }
}

#[test]
fn a_change_that_contradicts_what_is_there_is_refused_and_the_revision_stands_still() {
    for (change, expected) in [
        (
            Change::PermissionPut(canopy_domain::access::PermissionFact {
                id: id(PERMISSION, 5),
                ..permission(0)
            }),
            IndexError::KeyTaken(id(PERMISSION, 5)),
        ),
        (
            Change::RolePut(role(0, true, &[9])),
            IndexError::UnknownPermission {
                role: id(ROLE, 0),
                permission: id(PERMISSION, 9),
            },
        ),
        (Change::RoleRemoved(id(ROLE, 0)), IndexError::RoleInUse(id(ROLE, 0))),
        (
            Change::NodePut(node(3, None, true)),
            IndexError::SecondRoot(id(NODE, 3)),
        ),
        (
            Change::NodePut(node(1, None, true)),
            IndexError::SecondRoot(id(NODE, 1)),
        ),
        (Change::NodePut(node(1, Some(1), true)), IndexError::Cycle(id(NODE, 1))),
        (Change::NodePut(node(1, Some(2), true)), IndexError::Cycle(id(NODE, 1))),
        (Change::NodePut(node(0, Some(2), true)), IndexError::Cycle(id(NODE, 0))),
        (
            Change::NodePut(node(2, Some(9), true)),
            IndexError::UnknownParent {
                node: id(NODE, 2),
                parent: id(NODE, 9),
            },
        ),
        (Change::NodeRemoved(id(NODE, 0)), IndexError::NodeInUse(id(NODE, 0))),
        (Change::NodeRemoved(id(NODE, 1)), IndexError::NodeInUse(id(NODE, 1))),
        (
            Change::GrantPut(grant(0, (0, 0, 9), window(0, None))),
            IndexError::UnknownNode {
                grant: id(GRANT, 0),
                node: id(NODE, 9),
            },
        ),
        (
            Change::GrantPut(grant(3, (0, 9, 0), window(0, None))),
            IndexError::UnknownRole {
                grant: id(GRANT, 3),
                role: id(ROLE, 9),
            },
        ),
    ] {
        let mut index = AccessIndex::build(&good()).unwrap();
        assert_eq!(index.apply(Revision::new(2), &[change]), Err(expected));
        assert_eq!(index.revision(), Revision::new(1));
    }
}

#[test]
fn what_assignments_and_children_hold_is_free_once_they_are_gone() {
    let mut index = AccessIndex::build(&good()).unwrap();
    let changes = [
        Change::GrantRemoved(id(GRANT, 0)),
        Change::NodeRemoved(id(NODE, 2)),
        Change::NodeRemoved(id(NODE, 1)),
        Change::RoleRemoved(id(ROLE, 0)),
        Change::NodeRemoved(id(NODE, 0)),
        // A tree may be planted anew.
        Change::NodePut(node(5, None, true)),
    ];
    assert_eq!(index.apply(Revision::new(2), &changes), Ok(()));
    // An identity goes with all that it holds.
    let mut index = AccessIndex::build(&good()).unwrap();
    let changes = [
        Change::SubjectRemoved(id(SUBJECT, 0)),
        Change::GrantRemoved(id(GRANT, 0)),
        Change::RoleRemoved(id(ROLE, 0)),
        Change::NodeRemoved(id(NODE, 2)),
        Change::NodeRemoved(id(NODE, 1)),
    ];
    assert_eq!(index.apply(Revision::new(2), &changes), Ok(()));
}

#[test]
fn changes_come_one_revision_after_the_other() {
    let mut index = AccessIndex::build(&good()).unwrap();
    for given in [0, 1, 3] {
        let (current, given) = (Revision::new(1), Revision::new(given));
        let change = [Change::GrantRemoved(id(GRANT, 0))];
        assert_eq!(
            index.apply(given, &change),
            Err(IndexError::RevisionGap { current, given })
        );
    }
    assert_eq!(index.apply(Revision::new(2), &[]), Ok(()));
    assert_eq!(
        (index.revision(), index.environment()),
        (Revision::new(2), good().environment)
    );
}

#[test]
fn room_is_used_again() {
    let mut index = AccessIndex::build(&good()).unwrap();
    let round = |index: &mut AccessIndex, number: u8| {
        let changes = [
            Change::NodePut(node(number, Some(0), true)),
            Change::RolePut(role(number, true, &[0])),
            Change::SubjectPut(subject(number)),
            // One goes alone, the other with its identity.
            Change::GrantPut(grant(number, (number, number, 0), window(0, None))),
            Change::GrantPut(grant(251, (number, number, number), window(0, None))),
            Change::GrantRemoved(id(GRANT, number)),
            Change::SubjectRemoved(id(SUBJECT, number)),
            Change::RoleRemoved(id(ROLE, number)),
            Change::NodeRemoved(id(NODE, number)),
        ];
        index.apply(index.revision().next(), &changes).unwrap();
        index.memory_bytes()
    };
    let first = (10..40).map(|number| round(&mut index, number)).max();
    let second = (10..250).map(|number| round(&mut index, number)).max();
    assert_eq!(first, second);
}
