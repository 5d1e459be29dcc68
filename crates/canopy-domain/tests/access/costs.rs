//! Memory and work: bounded by what is bundled and held, whatever the size of the catalog.

use canopy_domain::access::{
    AccessIndex, Change, GrantFact, NodeFact, PermissionFact, Question, QuestionCost, RoleFact, Snapshot, SubjectFact,
    Target,
};
use canopy_domain::{
    AssignmentKey, MembershipStatus, NodeType, PermissionKey, Revision, RoleName, Slug, Timestamp, Window,
};
use uuid::Uuid;

fn id<T: From<Uuid>>(kind: u128, number: u128) -> T {
    Uuid::from_u128(kind << 64 | number).into()
}

fn permission(number: u128) -> PermissionFact {
    PermissionFact {
        id: id(1, number),
        key: PermissionKey::parse(&format!("app.p{number}")).unwrap(),
    }
}

/// A role with a name of seven bytes.
fn role(number: u128, permissions: &[u128]) -> RoleFact {
    RoleFact {
        id: id(2, number),
        name: RoleName::parse(&format!("r{number:06}")).unwrap(),
        is_active: true,
        permissions: permissions.iter().map(|number| id(1, *number)).collect(),
    }
}

fn grant(number: u128, subject: u128, role: u128) -> GrantFact {
    let key = AssignmentKey {
        identity: id(4, subject),
        role: id(2, role),
        node: id(3, 0),
    };
    GrantFact {
        id: id(5, number),
        key,
        window: Window::new(Timestamp::MIN, None).unwrap(),
    }
}

/// One node, two identities, no assignment.
fn catalog(permissions: u128, roles: Vec<RoleFact>) -> Snapshot {
    let subject = |number| SubjectFact {
        id: id(4, number),
        is_active: true,
        membership: MembershipStatus::Active,
    };
    Snapshot {
        environment: id(9, 9),
        revision: Revision::ZERO,
        permissions: (0..permissions).map(permission).collect(),
        roles,
        nodes: vec![NodeFact {
            id: id(3, 0),
            parent: None,
            node_type: NodeType::parse("unit").unwrap(),
            slug: Slug::parse("root").unwrap(),
            is_active: true,
        }],
        subjects: vec![subject(0), subject(1)],
        grants: vec![],
        keys: vec![],
    }
}

fn names(index: &AccessIndex, subject: u128, permission: u128) -> Vec<String> {
    let mut roles = Vec::new();
    let question = Question {
        identity: id(4, subject),
        permission: &format!("app.p{permission}"),
        target: Target::Node(id(3, 0)),
    };
    let decision = index.decide_with_roles(&question, Timestamp::MIN, &mut roles);
    assert_eq!(decision.is_allowed(), !roles.is_empty());
    roles.iter().map(ToString::to_string).collect()
}

/// A matrix of 20,000 × 20,000 bits is 50 MB.
#[test]
fn memory_grows_with_the_pairs_and_not_with_their_product() {
    let size = 20_000;
    let roles = (0..size).map(|number| role(number, &[number])).collect();
    let mut index = AccessIndex::build(&catalog(size, roles)).unwrap();
    let built = index.memory_bytes();
    assert!(built < 10_000_000, "{built} bytes");
    // The same by changes, which never widens anything for all.
    let more: Vec<Change> = (size..2 * size)
        .map(|number| Change::RolePut(role(number, &[number - size])))
        .collect();
    index.apply(Revision::new(1), &more).unwrap();
    assert!(index.memory_bytes() < 3 * built, "{} bytes", index.memory_bytes());
    index
        .apply(Revision::new(2), &[Change::GrantPut(grant(1, 0, 2 * size - 1))])
        .unwrap();
    assert_eq!(names(&index, 0, size - 1), [format!("r{:06}", 2 * size - 1)]);
    assert!(names(&index, 0, size - 2).is_empty());
}

/// The bound that callers rely on before they ask.
#[test]
fn a_cost_is_an_upper_bound_close_to_what_is_held() {
    let mut snapshot = catalog(3, (0..1_000).map(|number| role(number, &[0, 1])).collect());
    snapshot.grants = (0..700).map(|number| grant(number, 0, number)).collect();
    snapshot.grants.push(grant(900, 1, 5));
    let mut index = AccessIndex::build(&snapshot).unwrap();
    let told = names(&index, 0, 0);
    assert_eq!(told.len(), 700);
    assert!(told.is_sorted(), "byte by byte");
    let exact = |assignments, names: usize| QuestionCost {
        assignments,
        role_name_bytes: names * 7,
    };
    assert_eq!(index.cost(id(4, 0)), exact(700, 700));
    assert_eq!(index.cost(id(4, 1)), exact(1, 1));
    assert_eq!(index.cost(id(4, 2)), QuestionCost::default(), "nobody");
    assert_eq!(index.catalog_keys(), (3, 18));
    let gone: Vec<Change> = (0..690).map(|number| Change::GrantRemoved(id(5, number))).collect();
    index.apply(Revision::new(1), &gone).unwrap();
    assert_eq!(index.cost(id(4, 0)), exact(10, 10));
    assert_eq!(names(&index, 0, 1).len(), 10);
    index
        .apply(Revision::new(2), &[Change::PermissionRemoved(id(1, 2))])
        .unwrap();
    assert_eq!(index.catalog_keys(), (2, 12));
}

/// Up to 128 roles the bound counts each role once, at however many nodes it is held.
#[test]
fn a_role_at_many_nodes_counts_once() {
    let mut snapshot = catalog(1, (0..128).map(|number| role(number, &[0])).collect());
    let root = snapshot.nodes[0].clone();
    snapshot.nodes.extend((1..500).map(|number| NodeFact {
        id: id(3, number),
        parent: Some(root.id),
        slug: Slug::parse(&format!("n{number}")).unwrap(),
        ..root.clone()
    }));
    snapshot.grants = (0..500)
        .map(|number| {
            let fact = grant(number, 0, 77);
            let key = AssignmentKey {
                node: id(3, number),
                ..fact.key
            };
            GrantFact { key, ..fact }
        })
        .collect();
    let index = AccessIndex::build(&snapshot).unwrap();
    let expected = QuestionCost {
        assignments: 500,
        role_name_bytes: 7,
    };
    assert_eq!(index.cost(id(4, 0)), expected);
    let keys = index.effective_permissions(id(4, 0), None, Timestamp::MIN);
    assert_eq!(keys.iter().map(|key| key.as_str()).collect::<Vec<_>>(), ["app.p0"]);
}
