//! Clauses on the facts of decisions: snapshots and change records.

use super::support::{TestStore, acme, acme_and_zeta, reading, writing, writing_in};
use canopy_domain::access::{
    AccessIndex, Change, GrantFact, IndexSize, KeyFact, NodeFact, PermissionFact, Question, RoleFact, Snapshot,
    SubjectFact, Target,
};
use canopy_domain::api_key::{KeyAccess, KeyTotals};
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::port::reader::CHANGE_BYTES;
use canopy_domain::port::{CommitRecord, EnvironmentChanges, LockScope};
use canopy_domain::role::listing::RoleQuery;
use canopy_domain::setup::CatalogSize;
use canopy_domain::{
    Assignment, Description, EnvironmentId, MembershipStatus, Node, NodeStatus, Permission, Revision, Role, Timestamp,
};
use canopy_store_kit::change_codec::encode;
use canopy_testkit::fixture::{World, key_digest, key_scopes, role_name, window};

use std::sync::Arc;

/// Returns the facts in one order.
fn in_order(mut snapshot: Snapshot) -> Snapshot {
    snapshot.permissions.sort_by_key(|permission| permission.id);
    snapshot.roles.sort_by_key(|role| role.id);
    for role in &mut snapshot.roles {
        role.permissions.sort();
    }
    snapshot.nodes.sort_by_key(|node| node.id);
    snapshot.subjects.sort_by_key(|subject| subject.id);
    snapshot.grants.sort_by_key(|grant| grant.id);
    snapshot.keys.sort_by_key(|key| key.id);
    snapshot
}

/// Returns an empty environment before its first revision.
fn nothing(environment: EnvironmentId) -> Snapshot {
    Snapshot {
        environment,
        revision: Revision::ZERO,
        permissions: vec![],
        roles: vec![],
        nodes: vec![],
        subjects: vec![],
        grants: vec![],
        keys: vec![],
    }
}

/// Returns one change of each kind, with odd values.
fn every_change(world: &World) -> Vec<Change> {
    let here = &world.development;
    let grant = GrantFact::from(&Assignment {
        window: window(Timestamp::MIN, Timestamp::MAX),
        ..world.assignment(world.ada(), &here.reader, &here.eu)
    });
    let endless = GrantFact::from(&world.assignment(world.alan(), &here.reader, &here.eu));
    let subject = |membership| SubjectFact {
        id: world.ada(),
        is_active: false,
        membership,
    };
    let root = NodeFact {
        is_active: false,
        ..NodeFact::from(&here.root)
    };
    let role = RoleFact {
        id: here.reader.id,
        name: role_name(super::support::ODD_TEXT),
        is_active: false,
        permissions: vec![here.write.id, here.read.id],
    };
    let bare = RoleFact {
        permissions: vec![],
        is_active: true,
        ..role.clone()
    };
    let mut changes = vec![
        Change::PermissionPut(PermissionFact {
            id: here.read.id,
            key: here.read.key.clone(),
        }),
        Change::RolePut(role),
        Change::RolePut(bare),
        Change::NodePut(root),
        Change::NodePut(NodeFact::from(&here.berlin)),
        Change::GrantPut(grant),
        Change::GrantPut(endless.clone()),
        Change::GrantRemoved(endless.id),
        Change::SubjectRemoved(world.alan()),
        Change::NodeRemoved(here.us.id),
        Change::RoleRemoved(here.editor.id),
        Change::PermissionRemoved(here.write.id),
        Change::KeyPut(KeyFact::from(&world.maker.api_key(here.id(), KeyAccess::Full))),
        Change::KeyPut(KeyFact {
            expires_at: Some(Timestamp::MIN),
            ..KeyFact::from(&world.maker.api_key(here.id(), key_scopes(&["role.read", "note.read"])))
        }),
        Change::KeyRemoved(world.maker.id()),
    ];
    changes.extend(
        MembershipStatus::ALL
            .iter()
            .map(|status| Change::SubjectPut(subject(*status))),
    );
    changes
}

async fn commit_changes(
    store: &TestStore,
    world: &World,
    changes: Vec<(EnvironmentId, Vec<Change>)>,
) -> Vec<(EnvironmentId, Revision)> {
    let entries = changes.into_iter().map(|(environment, changes)| EnvironmentChanges {
        environment,
        changes: changes.into(),
    });
    let record = CommitRecord {
        at: world.maker.now(),
        changes: entries.collect(),
        audit: world.maker.audit(world.account.id, None),
    };
    let tx = writing(store, LockScope::Application(world.application_ref())).await;
    tx.commit(record).await.unwrap()
}

async fn revision(store: &TestStore, environment: EnvironmentId) -> u64 {
    let found = reading(store).await.revision(environment).await.unwrap();
    found.expect("the environment is there").get()
}

pub async fn an_environment_starts_at_revision_zero_and_its_first_commit_is_one(store: TestStore) {
    let world = acme(&store).await;
    let made = world.maker.environment(&world.account, world.application.id, "third");
    let id = made.environment.id;
    let mut tx = writing(&store, LockScope::Application(world.application_ref())).await;
    tx.insert_environment(&made.environment, &made.schema).await.unwrap();
    assert_eq!(tx.revision(id).await.unwrap(), Some(Revision::ZERO));
    let taken = tx.commit(world.maker.record(world.account.id, &[id])).await.unwrap();
    assert_eq!(taken, [(id, Revision::new(1))]);
    assert_eq!(revision(&store, id).await, 1);
}

pub async fn each_commit_takes_the_next_revision_of_the_environments_it_names(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (world.development.id(), world.production.id());
    let (first, second) = (revision(&store, here).await, revision(&store, there).await);
    for step in 1..4 {
        let taken = commit_changes(&store, &world, vec![(here, vec![])]).await;
        assert_eq!(taken, [(here, Revision::new(first + step))]);
    }
    let taken = commit_changes(&store, &world, vec![(there, vec![]), (here, vec![])]).await;
    let expected = [(there, Revision::new(second + 1)), (here, Revision::new(first + 4))];
    assert_eq!(taken, expected);
    assert_eq!(commit_changes(&store, &world, vec![]).await, []);
    assert_eq!(
        (revision(&store, here).await, revision(&store, there).await),
        (first + 4, second + 1)
    );
}

pub async fn a_commit_that_names_no_environment_that_is_there_leaves_nothing(store: TestStore) {
    let world = acme(&store).await;
    let here = world.development.id();
    let before = revision(&store, here).await;
    let mut tx = writing_in(&store, here).await;
    tx.insert_roles(&[world.maker.role(here, "Lost")]).await.unwrap();
    let result = tx
        .commit(world.maker.record(world.account.id, &[here, world.maker.id()]))
        .await;
    super::support::assert_bug(result);
    assert_eq!(revision(&store, here).await, before);
    assert_eq!(reading(&store).await.catalog(here).await.unwrap().roles.len(), 3);
}

pub async fn changes_read_back_as_they_were_written_and_in_order(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (world.development.id(), world.production.id());
    let before = reading(&store).await.revision(here).await.unwrap().unwrap();
    let all = every_change(&world);
    let reversed: Vec<Change> = all.iter().rev().cloned().collect();
    commit_changes(&store, &world, vec![(here, all.clone())]).await;
    commit_changes(&store, &world, vec![(here, vec![])]).await;
    commit_changes(&store, &world, vec![(there, all.clone()), (here, reversed.clone())]).await;
    let number = |step| Revision::new(before.get() + step);
    let expected = [(number(1), all.clone()), (number(2), vec![]), (number(3), reversed)];
    let mut tx = reading(&store).await;
    assert_eq!(tx.changes_since(here, before, 100).await.unwrap(), expected);
    for (after, limit, range) in [
        (0, 2, 0..2),
        (1, 1, 1..2),
        (1, 2, 1..3),
        (2, 9, 2..3),
        (3, 9, 3..3),
        (0, 0, 0..0),
    ] {
        let found = tx.changes_since(here, number(after), limit).await.unwrap();
        assert_eq!(found, expected[range], "{after} {limit}");
    }
    assert_eq!(
        tx.changes_since(here, Revision::new(u64::MAX / 2), 9).await.unwrap(),
        []
    );
    let other = tx.changes_since(there, Revision::ZERO, u32::MAX).await.unwrap();
    assert_eq!(other.last().map(|(_, changes)| changes), Some(&all));
    assert_eq!(tx.changes_since(world.maker.id(), Revision::ZERO, 9).await.unwrap(), []);
    assert_eq!(tx.revision(world.maker.id()).await.unwrap(), None);
    assert_eq!(tx.snapshot(world.maker.id()).await.unwrap(), None);
}

pub async fn a_change_of_forty_thousand_steps_reads_back_whole(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let steps: Vec<Change> = (0..40_000)
        .map(|_| Change::GrantPut(GrantFact::from(&world.assignment(world.ada(), &here.reader, &here.eu))))
        .collect();
    let before = Revision::new(revision(&store, here.id()).await);
    commit_changes(&store, &world, vec![(here.id(), steps.clone())]).await;
    let found = reading(&store).await.changes_since(here.id(), before, 1).await.unwrap();
    assert_eq!(found, [(before.next(), steps)]);
}

pub async fn change_records_are_read_in_parts_bounded_by_bytes(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let mut steps = Vec::new();
    while encode(&steps).len() <= CHANGE_BYTES {
        let granted = (0..10_000).map(|_| world.assignment(world.ada(), &here.reader, &here.eu));
        steps.extend(granted.map(|assignment| Change::GrantPut(GrantFact::from(&assignment))));
    }
    let before = revision(&store, here.id()).await;
    // Two small ones, then two that are larger than a page.
    for steps in [vec![], vec![], steps.clone(), steps] {
        commit_changes(&store, &world, vec![(here.id(), steps)]).await;
    }
    let mut tx = reading(&store).await;
    let mut parts = vec![];
    let mut after = Revision::new(before);
    loop {
        let found = tx.changes_since(here.id(), after, 9).await.unwrap();
        let Some((last, _)) = found.last() else { break };
        after = *last;
        parts.push(found.into_iter().map(|(at, _)| at.get() - before).collect::<Vec<_>>());
    }
    assert_eq!(parts, [vec![1, 2, 3], vec![4]]);
}

pub async fn environments_share_one_change_record(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (world.development.id(), world.production.id());
    let before = [revision(&store, here).await, revision(&store, there).await];
    let shared: Arc<[Change]> = every_change(&world).into();
    let entry = |environment, changes: &Arc<[Change]>| EnvironmentChanges {
        environment,
        changes: Arc::clone(changes),
    };
    let commit = async |changes| {
        let record = CommitRecord {
            at: world.maker.now(),
            changes,
            audit: world.maker.audit(world.account.id, None),
        };
        let tx = writing(&store, LockScope::Application(world.application_ref())).await;
        tx.commit(record).await.unwrap();
    };
    let other: Arc<[Change]> = shared.iter().rev().cloned().collect();
    commit(vec![entry(there, &shared), entry(here, &shared)]).await;
    commit(vec![entry(here, &other), entry(there, &shared)]).await;
    let mut tx = reading(&store).await;
    for (environment, before, second) in [(here, before[0], &other), (there, before[1], &shared)] {
        let found = tx.changes_since(environment, Revision::new(before), 9).await.unwrap();
        let expected = [
            (Revision::new(before + 1), shared.to_vec()),
            (Revision::new(before + 2), second.to_vec()),
        ];
        assert_eq!(found, expected);
    }
}

pub async fn the_size_of_a_snapshot_is_known_before_it_is_read(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let mut number = 0;
    for world in [&acme, &zeta] {
        let here = &world.development;
        let maker = &world.maker;
        let mut tx = writing_in(&store, here.id()).await;
        let accesses = [
            KeyAccess::Full,
            key_scopes(&["role.read"]),
            key_scopes(&["doc.read", "doc.write", "role.read"]),
        ];
        for access in accesses {
            let key = maker.api_key(here.id(), access);
            number += 1;
            tx.insert_api_key(&key, &key_digest(number)).await.unwrap();
        }
        world.commit(tx, &[here.id()]).await;
        let mut tx = reading(&store).await;
        let snapshot = tx.snapshot(here.id()).await.unwrap().unwrap();
        let size = tx.index_size(here.id()).await.unwrap();
        let expected = IndexSize {
            permissions: snapshot.permissions.len(),
            permission_key_bytes: snapshot.permissions.iter().map(|one| one.key.as_str().len()).sum(),
            roles: snapshot.roles.len(),
            role_name_bytes: snapshot.roles.iter().map(|one| one.name.as_str().len()).sum(),
            pairs: snapshot.roles.iter().map(|one| one.permissions.len()).sum(),
            nodes: snapshot.nodes.len(),
            subjects: snapshot.subjects.len(),
            assignments: snapshot.grants.len(),
            api_keys: 3,
            scopes: 4,
        };
        assert_eq!(size, expected);
        let totals = tx.key_totals(here.id()).await.unwrap();
        assert_eq!((totals.keys, totals.scopes), (3, 4));
        let text = |description: &Option<Description>| description.as_ref().map_or(0, |text| text.as_str().len());
        let mut bytes = 0;
        for one in tx.permissions(here.id(), &PermissionQuery::default()).await.unwrap() {
            bytes += one.key.as_str().len() + text(&one.description);
        }
        let everything = RoleQuery {
            include_inactive: true,
            kind: None,
        };
        for view in tx.roles(here.id(), &everything).await.unwrap() {
            bytes += view.role.name.as_str().len() + text(&view.role.description);
        }
        for role in &snapshot.roles {
            let bundled = snapshot
                .permissions
                .iter()
                .filter(|one| role.permissions.contains(&one.id));
            bytes += bundled.map(|one| one.key.as_str().len()).sum::<usize>();
        }
        assert_eq!(tx.catalog_bytes(here.id()).await.unwrap(), bytes as u64);
        let catalog = tx.catalog_size(here.id()).await.unwrap();
        assert_eq!((catalog.keys, catalog.pairs), (expected.permissions, expected.pairs));
        assert_eq!(catalog, tx.catalog(here.id()).await.unwrap().size());
    }
    let mut tx = reading(&store).await;
    let nowhere: EnvironmentId = acme.maker.id();
    assert_eq!(tx.index_size(nowhere).await.unwrap(), IndexSize::default());
    assert_eq!(tx.key_totals(nowhere).await.unwrap(), KeyTotals::default());
    assert_eq!(tx.catalog_bytes(nowhere).await.unwrap(), 0);
    assert_eq!(tx.catalog_size(nowhere).await.unwrap(), CatalogSize::default());
}

pub async fn a_snapshot_holds_all_facts_of_its_environment_and_no_others(store: TestStore) {
    let (acme, _zeta) = acme_and_zeta(&store).await;
    let here = &acme.development;
    let off = Node {
        status: NodeStatus::Inactive,
        ..acme.maker.node(here.id(), here.us.id, "team", "off")
    };
    let idle = Role {
        is_active: false,
        ..acme.maker.role(here.id(), "Idle")
    };
    let mut tx = writing_in(&store, here.id()).await;
    tx.insert_nodes(std::slice::from_ref(&off)).await.unwrap();
    tx.insert_roles(std::slice::from_ref(&idle)).await.unwrap();
    acme.commit(tx, &[here.id()]).await;
    let made = [
        acme.assignment(acme.ada(), &here.reader, &here.eu),
        Assignment {
            window: window(Timestamp::MIN, Timestamp::MAX),
            ..acme.assignment(acme.alan(), &idle, &off)
        },
    ];
    acme.assign(store.as_ref(), &made).await;
    let role = |role: &Role, permissions: Vec<_>| RoleFact {
        id: role.id,
        name: role.name.clone(),
        is_active: role.is_active,
        permissions,
    };
    let permission = |permission: &Permission| PermissionFact {
        id: permission.id,
        key: permission.key.clone(),
    };
    let system = here.system_permissions.iter();
    let nodes = [&here.root, &here.eu, &here.us, &here.berlin, &here.paris, &off];
    let subject = |id| SubjectFact {
        id,
        is_active: true,
        membership: MembershipStatus::Active,
    };
    let expected = Snapshot {
        environment: here.id(),
        revision: Revision::new(5),
        permissions: system
            .clone()
            .chain([&here.read, &here.write])
            .map(permission)
            .collect(),
        roles: vec![
            role(&here.admin_role, system.map(|permission| permission.id).collect()),
            role(&here.reader, vec![here.read.id]),
            role(&here.editor, vec![here.read.id, here.write.id]),
            role(&idle, vec![]),
        ],
        nodes: nodes.map(NodeFact::from).to_vec(),
        subjects: [acme.ada(), acme.alan(), acme.grace()].map(subject).to_vec(),
        grants: made.iter().map(GrantFact::from).collect(),
        keys: vec![],
    };
    let found = reading(&store).await.snapshot(here.id()).await.unwrap().unwrap();
    assert_eq!(in_order(found), in_order(expected));
}

pub async fn the_feed_of_changes_leads_to_the_snapshot(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let made = [world.ada(), world.alan(), world.grace()].map(|one| world.assignment(one, &here.reader, &here.eu));
    world.assign(store.as_ref(), &made).await;
    let moved = Assignment {
        key: canopy_domain::AssignmentKey {
            role: here.editor.id,
            ..made[1].key
        },
        ..made[1].clone()
    };
    let mut tx = writing_in(&store, here.id()).await;
    tx.update_assignments(std::slice::from_ref(&moved)).await.unwrap();
    tx.delete_assignments(here.id(), &[made[2].id]).await.unwrap();
    let mut record = world.maker.record(world.account.id, &[here.id()]);
    record.changes[0].changes = [
        Change::GrantPut(GrantFact::from(&moved)),
        Change::GrantRemoved(made[2].id),
    ]
    .into();
    tx.commit(record).await.unwrap();

    let mut tx = reading(&store).await;
    let snapshot = tx.snapshot(here.id()).await.unwrap().unwrap();
    let mut followed = AccessIndex::build(&nothing(here.id())).unwrap();
    for (revision, changes) in tx.changes_since(here.id(), Revision::ZERO, u32::MAX).await.unwrap() {
        followed.apply(revision, &changes).unwrap();
    }
    let built = AccessIndex::build(&snapshot).unwrap();
    assert_eq!(followed.revision(), snapshot.revision);
    for identity in &world.identities {
        for permission in ["note.read", "note.write", "role.read", "no.such"] {
            let nodes = [&here.root, &here.eu, &here.us, &here.berlin, &here.paris];
            for target in nodes
                .map(|node| Target::Node(node.id))
                .into_iter()
                .chain([Target::AppWide])
            {
                let question = Question {
                    identity: identity.id,
                    permission,
                    target,
                };
                let (one, other) = (
                    followed.decide(&question, world.maker.now()),
                    built.decide(&question, world.maker.now()),
                );
                assert_eq!(one, other, "{question:?}");
            }
        }
    }
}

pub async fn the_feed_of_changes_is_read_at_the_snapshots_revision(store: TestStore) {
    let world = acme(&store).await;
    let here = world.development.id();
    let mut before = store.read().await.unwrap();
    let revision = before.revision(here).await.unwrap().unwrap();
    commit_changes(&store, &world, vec![(here, every_change(&world))]).await;
    assert_eq!(before.revision(here).await.unwrap(), Some(revision));
    assert_eq!(before.changes_since(here, revision, 9).await.unwrap(), []);
    assert_eq!(before.snapshot(here).await.unwrap().unwrap().revision, revision);
    let mut after = store.read().await.unwrap();
    assert_eq!(after.changes_since(here, revision, 9).await.unwrap().len(), 1);
}
