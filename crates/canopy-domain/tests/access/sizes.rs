//! The memory of an index, as it is estimated and as it turns out.

use canopy_domain::access::{AccessIndex, Change, IndexSize, PermissionFact, RoleFact, Snapshot};
use canopy_domain::{PermissionKey, RoleName};
use canopy_testkit::workload::{Size, Workload};
use uuid::Uuid;

fn size_of(snapshot: &Snapshot) -> IndexSize {
    IndexSize {
        permissions: snapshot.permissions.len(),
        permission_key_bytes: snapshot.permissions.iter().map(|one| one.key.as_str().len()).sum(),
        roles: snapshot.roles.len(),
        role_name_bytes: snapshot.roles.iter().map(|one| one.name.as_str().len()).sum(),
        pairs: snapshot.roles.iter().map(|one| one.permissions.len()).sum(),
        nodes: snapshot.nodes.len(),
        subjects: snapshot.subjects.len(),
        assignments: snapshot.grants.len(),
        api_keys: 0,
        scopes: 0,
    }
}

/// A large catalog, nobody in it.
fn catalog(permissions: u128, roles: u128, each: u128) -> Snapshot {
    let mut snapshot = Workload::new(Size::S, 1).snapshot;
    let id = |kind: u128, number: u128| Uuid::from_u128((kind << 100) | (number * 7_919));
    snapshot.permissions = (0..permissions)
        .map(|number| PermissionFact {
            id: id(1, number).into(),
            key: PermissionKey::parse(&format!("service.action{number}")).unwrap(),
        })
        .collect();
    snapshot.roles = (0..roles)
        .map(|number| RoleFact {
            id: id(2, number).into(),
            name: RoleName::parse(&format!("Role {number}")).unwrap(),
            is_active: true,
            permissions: (0..each)
                .map(|one| id(1, (number * 31 + one) % permissions).into())
                .collect(),
        })
        .collect();
    snapshot.grants.clear();
    snapshot
}

#[test]
fn an_estimate_is_above_what_an_index_takes_and_not_far_above() {
    for snapshot in [
        Workload::new(Size::S, 1).snapshot,
        Workload::new(Size::M, 1).snapshot,
        catalog(13_790, 2_461, 67),
        catalog(40_000, 30_000, 2),
        catalog(1_025, 1_025, 1),
    ] {
        let index = AccessIndex::build(&snapshot).unwrap();
        let (estimated, found) = (size_of(&snapshot).bytes(), index.memory_bytes());
        assert!(
            estimated >= found && estimated < found * 2,
            "{estimated} for {found}: {:?}",
            size_of(&snapshot)
        );
    }
}

#[test]
fn changes_count_for_what_they_put() {
    let snapshot = catalog(3, 2, 2);
    let puts: Vec<Change> = snapshot.roles.iter().cloned().map(Change::RolePut).collect();
    let removals: Vec<Change> = snapshot.roles.iter().map(|role| Change::RoleRemoved(role.id)).collect();
    assert_eq!(IndexSize::bytes_of_changes(&removals), 0);
    let expected = IndexSize {
        roles: 2,
        role_name_bytes: 12,
        pairs: 4,
        ..IndexSize::default()
    };
    assert_eq!(IndexSize::bytes_of_changes(&puts), expected.bytes());
}
