use super::*;
use crate::access::{Change, SubjectFact};
use crate::{
    AccountId, ApplicationId, AssignmentId, AssignmentKey, Email, IdentityId, JsonObject, MembershipId,
    MembershipStatus, NodeId, NodeStatus, NodeType, PermissionKey, PermissionSource, PersonName, RoleKind, RoleName,
    Slug, Timestamp, Version, Window,
};
use std::sync::Arc;
use uuid::Uuid;

fn id<T>(number: u128, of: impl Fn(Uuid) -> T) -> T {
    of(Uuid::from_u128(number))
}

fn environment(number: u128) -> EnvironmentId {
    id(number, EnvironmentId::new)
}

fn role(number: u128) -> Role {
    Role {
        id: id(number, RoleId::new),
        environment_id: environment(1),
        name: RoleName::parse("Reader").unwrap(),
        description: None,
        kind: RoleKind::Custom,
        is_active: true,
        version: Version::FIRST,
        created_at: Timestamp::MIN,
        updated_at: Timestamp::MIN,
    }
}

fn permission(number: u128) -> Permission {
    Permission {
        id: id(number, PermissionId::new),
        environment_id: environment(1),
        key: PermissionKey::parse("note.read").unwrap(),
        description: None,
        category: None,
        source: PermissionSource::Custom,
        version: Version::FIRST,
        created_at: Timestamp::MIN,
    }
}

fn node(number: u128, parent: u128) -> Node {
    Node {
        id: id(number, NodeId::new),
        environment_id: environment(1),
        parent: Some(id(parent, NodeId::new)),
        node_type: NodeType::parse("unit").unwrap(),
        name: crate::DisplayName::parse("Name").unwrap(),
        slug: Slug::node(),
        status: NodeStatus::Active,
        metadata: JsonObject::default(),
        version: Version::FIRST,
        created_at: Timestamp::MIN,
        updated_at: Timestamp::MIN,
    }
}

fn identity(number: u128) -> Identity {
    Identity {
        id: id(number, IdentityId::new),
        account_id: id(1, AccountId::new),
        email: Email::parse("ada@acme.example").unwrap(),
        first_name: PersonName::parse("Ada").unwrap(),
        last_name: PersonName::parse("Lovelace").unwrap(),
        avatar_url: None,
        external_id: None,
        metadata: None,
        is_active: true,
        created_at: Timestamp::MIN,
        updated_at: Timestamp::MIN,
    }
}

fn membership(identity: u128, status: MembershipStatus) -> Membership {
    Membership {
        id: id(identity, MembershipId::new),
        identity_id: id(identity, IdentityId::new),
        application_id: id(9, ApplicationId::new),
        status,
        invited_at: None,
        activated_at: None,
        deactivated_at: None,
        created_at: Timestamp::MIN,
    }
}

fn assignment(number: u128, identity: u128, within: u128) -> Assignment {
    Assignment {
        id: id(number, AssignmentId::new),
        environment_id: environment(within),
        key: AssignmentKey {
            identity: id(identity, IdentityId::new),
            role: id(1, RoleId::new),
            node: id(1, NodeId::new),
        },
        window: Window::new(Timestamp::MIN, None).unwrap(),
        created_at: Timestamp::MIN,
        updated_at: Timestamp::MIN,
    }
}

/// Returns the changes of each environment.
fn derived(set: &ChangeSet, facts: &AccessFacts) -> Vec<(EnvironmentId, Arc<[Change]>)> {
    let all = set.access_changes(facts).unwrap().into_iter();
    all.map(|one| (one.environment, one.changes)).collect()
}

#[test]
fn an_empty_set_touches_nothing() {
    let set = ChangeSet::default();
    assert!(set.is_empty() && !set.changes_paths());
    assert_eq!(derived(&set, &AccessFacts::default()), []);
}

#[test]
fn what_is_nothing_to_decisions_takes_a_revision_without_a_change() {
    let described = Role {
        version: Version::FIRST.next(),
        ..role(1)
    };
    let set = ChangeSet {
        roles: Rows::update(role(1), described),
        ..ChangeSet::default()
    };
    let changes = derived(&set, &AccessFacts::default());
    assert_eq!(changes, [(environment(1), Arc::from([]))]);
}

#[test]
fn a_renamed_role_needs_all_that_it_bundles() {
    let renamed = Role {
        name: RoleName::parse("Writer").unwrap(),
        ..role(1)
    };
    let set = ChangeSet {
        roles: Rows::update(role(1), renamed.clone()),
        ..ChangeSet::default()
    };
    let missing = MissingFact("the permissions of a role");
    assert_eq!(set.access_changes(&AccessFacts::default()), Err(missing));
    let known = AccessFacts {
        bundles: [(renamed.id, [permission(5).id].into())].into(),
        ..AccessFacts::default()
    };
    let (_, changes) = derived(&set, &known).remove(0);
    assert!(matches!(&changes[..], [Change::RolePut(fact)] if fact.permissions == [permission(5).id]));
}

#[test]
fn a_removed_permission_leaves_the_bundles_that_are_put() {
    let bundle = Bundle {
        environment: environment(1),
        role: role(1).id,
        before: [permission(5).id, permission(6).id].into(),
        after: [permission(6).id, permission(7).id].into(),
    };
    let set = ChangeSet {
        permissions: Rows::removed(vec![permission(5)]),
        roles: Rows::update(role(1), role(1).next(Timestamp::MIN)),
        bundles: vec![bundle],
        ..ChangeSet::default()
    };
    assert_eq!(set.unbound().count(), 0, "it goes with the permission");
    let bound: Vec<_> = set.bound().collect();
    assert_eq!(bound, [(environment(1), role(1).id, permission(7).id)]);
    let (_, changes) = derived(&set, &AccessFacts::default()).remove(0);
    let [Change::PermissionRemoved(gone), Change::RolePut(fact)] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!((*gone, fact.permissions.len()), (permission(5).id, 2));
}

#[test]
fn a_bundle_without_its_role_is_refused() {
    let bundle = Bundle {
        environment: environment(1),
        role: role(1).id,
        before: BTreeSet::new(),
        after: [permission(5).id].into(),
    };
    let set = ChangeSet {
        bundles: vec![bundle],
        ..ChangeSet::default()
    };
    assert_eq!(
        set.access_changes(&AccessFacts::default()),
        Err(MissingFact("the role of a bundle"))
    );
}

#[test]
fn a_branch_goes_leaves_first_whatever_the_order_of_its_rows() {
    for rows in [
        vec![node(2, 1), node(3, 2), node(4, 3)],
        vec![node(4, 3), node(2, 1), node(3, 2)],
    ] {
        let set = ChangeSet {
            nodes: Rows::removed(rows),
            ..ChangeSet::default()
        };
        let (_, changes) = derived(&set, &AccessFacts::default()).remove(0);
        let expected = [4, 3, 2].map(|number| Change::NodeRemoved(id(number, NodeId::new)));
        assert_eq!(changes[..], expected);
    }
}

#[test]
fn members_matter_to_every_environment_and_share_their_change() {
    let active = MembershipStatus::Active;
    let set = ChangeSet {
        memberships: LastingRows::added(vec![membership(7, active)]),
        assignments: Rows::added(vec![assignment(3, 7, 2)]),
        ..ChangeSet::default()
    };
    assert!(set.access_changes(&AccessFacts::default()).is_err());
    let facts = AccessFacts {
        environments: [(id(9, ApplicationId::new), [1, 2, 3].map(environment).to_vec())].into(),
        switches: [(id(7, IdentityId::new), false)].into(),
        ..AccessFacts::default()
    };
    let changes = derived(&set, &facts);
    let subject = Change::SubjectPut(SubjectFact {
        id: id(7, IdentityId::new),
        is_active: false,
        membership: active,
    });
    let [(_, first), (_, second), (_, third)] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert!(Arc::ptr_eq(first, third));
    assert_eq!(first[..], *std::slice::from_ref(&subject));
    assert!(matches!(&second[..], [one, Change::GrantPut(_)] if *one == subject));
}

#[test]
fn an_identity_goes_with_all_that_it_holds_by_one_change() {
    let set = ChangeSet {
        identities: Rows::removed(vec![identity(7)]),
        assignments: Rows::removed(vec![assignment(3, 7, 1), assignment(4, 7, 2)]),
        ..ChangeSet::default()
    };
    let active = MembershipStatus::Active;
    let facts = AccessFacts {
        standings: [(
            identity(7).id,
            [1, 2, 3].map(|number| (environment(number), active)).to_vec(),
        )]
        .into(),
        ..AccessFacts::default()
    };
    for (_, changes) in derived(&set, &facts) {
        assert_eq!(changes[..], [Change::SubjectRemoved(identity(7).id)]);
    }
    let with_role = ChangeSet {
        roles: Rows::removed(vec![role(1)]),
        ..set
    };
    let (_, changes) = derived(&with_role, &facts).remove(0);
    assert!(
        matches!(
            changes[..],
            [
                Change::GrantRemoved(_),
                Change::RoleRemoved(_),
                Change::SubjectRemoved(_)
            ]
        ),
        "a role goes after its assignments"
    );
}

#[test]
fn another_name_of_an_identity_touches_no_environment() {
    let renamed = Identity {
        first_name: PersonName::parse("Augusta").unwrap(),
        ..identity(7)
    };
    let set = ChangeSet {
        identities: Rows::update(identity(7), renamed),
        ..ChangeSet::default()
    };
    assert_eq!(derived(&set, &AccessFacts::default()), []);
}
