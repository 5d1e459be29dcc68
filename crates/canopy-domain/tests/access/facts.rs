//! Short ways to say facts.

use canopy_domain::access::{GrantFact, NodeFact, PermissionFact, RoleFact, Snapshot, SubjectFact};
use canopy_domain::{
    AssignmentKey, MembershipStatus, NodeType, PermissionKey, Revision, RoleName, Slug, Timestamp, Window,
};
use uuid::Uuid;

/// The id of thing number `number` of one kind; each kind has its own, so that a mix-up is never right by chance.
pub(crate) fn id<T: From<Uuid>>(kind: u8, number: u8) -> T {
    T::from(Uuid::from_u128(u128::from(kind) << 64 | u128::from(number)))
}

pub(crate) const PERMISSION: u8 = 1;
pub(crate) const ROLE: u8 = 2;
pub(crate) const NODE: u8 = 3;
pub(crate) const SUBJECT: u8 = 4;
pub(crate) const GRANT: u8 = 5;

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

pub(crate) fn window(from: i64, to: Option<i64>) -> Window {
    Window::new(at(from), to.map(at)).unwrap()
}

pub(crate) fn key(number: u8) -> String {
    format!("app.p{number}")
}

pub(crate) fn permission(number: u8) -> PermissionFact {
    PermissionFact {
        id: id(PERMISSION, number),
        key: PermissionKey::parse(&key(number)).unwrap(),
    }
}

pub(crate) fn role(number: u8, is_active: bool, permissions: &[u8]) -> RoleFact {
    RoleFact {
        id: id(ROLE, number),
        name: RoleName::parse(&format!("role {number}")).unwrap(),
        is_active,
        permissions: permissions.iter().map(|number| id(PERMISSION, *number)).collect(),
    }
}

pub(crate) fn node(number: u8, parent: Option<u8>, is_active: bool) -> NodeFact {
    NodeFact {
        id: id(NODE, number),
        parent: parent.map(|number| id(NODE, number)),
        node_type: NodeType::parse("unit").unwrap(),
        slug: Slug::parse(&format!("n{number}")).unwrap(),
        is_active,
    }
}

pub(crate) fn subject(number: u8) -> SubjectFact {
    SubjectFact {
        id: id(SUBJECT, number),
        is_active: true,
        membership: MembershipStatus::Active,
    }
}

pub(crate) fn grant(number: u8, (subject, role, node): (u8, u8, u8), window: Window) -> GrantFact {
    let key = AssignmentKey {
        identity: id(SUBJECT, subject),
        role: id(ROLE, role),
        node: id(NODE, node),
    };
    GrantFact {
        id: id(GRANT, number),
        key,
        window,
    }
}

pub(crate) fn empty() -> Snapshot {
    Snapshot {
        environment: id(9, 9),
        revision: Revision::new(1),
        permissions: vec![],
        roles: vec![],
        nodes: vec![],
        subjects: vec![],
        grants: vec![],
        keys: vec![],
    }
}
