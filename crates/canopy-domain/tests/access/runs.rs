//! Many changes in one revision leave what they leave one by one.

use canopy_domain::access::*;
use canopy_domain::*;
use proptest::prelude::*;
use uuid::Uuid;

fn id<Id: From<Uuid>>(number: u128) -> Id {
    Id::from(Uuid::from_u128(number))
}

/// Three identities, three roles with a permission each, a root with two nodes below it.
fn fresh() -> AccessIndex {
    let permission = |n: u128| PermissionFact {
        id: id(10 + n),
        key: PermissionKey::parse(&format!("p.k{n}")).unwrap(),
    };
    let role = |n: u128| RoleFact {
        id: id(20 + n),
        name: RoleName::parse(&format!("R{n}")).unwrap(),
        is_active: true,
        permissions: vec![id(10 + n)],
    };
    let node = |n: u128| NodeFact {
        id: id(30 + n),
        parent: (n > 0).then(|| id(30)),
        node_type: NodeType::parse("unit").unwrap(),
        slug: Slug::parse(&format!("n{n}")).unwrap(),
        is_active: true,
    };
    let subject = |n: u128| SubjectFact {
        id: id(40 + n),
        is_active: true,
        membership: MembershipStatus::Active,
    };
    AccessIndex::build(&Snapshot {
        environment: id(1),
        revision: Revision::ZERO,
        permissions: (0..3).map(permission).collect(),
        roles: (0..3).map(role).collect(),
        nodes: (0..3).map(node).collect(),
        subjects: (0..3).map(subject).collect(),
        grants: vec![],
        keys: vec![],
    })
    .unwrap()
}

fn everything_held(index: &AccessIndex) -> Vec<Vec<String>> {
    let now = Timestamp::from_millis(0).unwrap();
    let asked = (40..43).flat_map(|identity| (30..33).map(move |node| (identity, node)));
    asked
        .map(|(identity, node)| {
            let keys = index.effective_permissions(id(identity), Some(id(node)), now);
            keys.into_iter().map(ToString::to_string).collect()
        })
        .collect()
}

proptest! {
    #[test]
    fn a_run_is_the_same_as_its_steps(steps in proptest::collection::vec((0u128..6, 0u128..3, 0u128..3, 0u128..3, 0u8..5), 0..40)) {
        let changes: Vec<Change> = steps
            .into_iter()
            .map(|(grant, identity, role, node, kind)| {
                if kind == 0 {
                    return Change::GrantRemoved(id(50 + grant));
                }
                let key = AssignmentKey { identity: id(40 + identity), role: id(20 + role), node: id(30 + node) };
                let window = Window::new(Timestamp::MIN, None).unwrap();
                Change::GrantPut(GrantFact { id: id(50 + grant), key, window })
            })
            .collect();
        let (mut at_once, mut one_by_one) = (fresh(), fresh());
        at_once.apply(Revision::new(1), &changes).unwrap();
        for (revision, change) in (1..).zip(&changes) {
            one_by_one.apply(Revision::new(revision), std::slice::from_ref(change)).unwrap();
        }
        prop_assert_eq!(everything_held(&at_once), everything_held(&one_by_one));
        // Nothing is left that would keep nodes and roles from going.
        let gone: Vec<Change> = (50..56).map(|grant| Change::GrantRemoved(id(grant))).chain((31..33).map(|node| Change::NodeRemoved(id(node)))).collect();
        prop_assert!(at_once.apply(Revision::new(2), &gone).is_ok());
        prop_assert!(everything_held(&at_once).iter().all(Vec::is_empty));
    }
}
