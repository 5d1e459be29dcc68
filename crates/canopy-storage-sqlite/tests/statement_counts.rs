//! A call is the same number of statements whatever its size.

#![expect(clippy::unwrap_used, clippy::too_many_lines, reason = "a test, call after call")]

use canopy_domain::access::{Change, GrantFact};
use canopy_domain::hierarchy::names::NodeNames;
use canopy_domain::identity::create::TakenIdentifiers;
use canopy_domain::identity::names::IdentityNames;
use canopy_domain::port::{EnvironmentChanges, LockScope, RowStore, Store};
use canopy_domain::{Identity, MembershipStatus, PermissionKey};
use canopy_storage_sqlite::SqliteStore;
use canopy_testkit::fixture::{Maker, World, assignment_key};
use std::collections::HashSet;

/// The number of statements of each call, with `size` items.
async fn counts(size: usize) -> Vec<(&'static str, u64)> {
    let store = SqliteStore::temporary().unwrap();
    let world = World::build(&store, &Maker::default(), "acme").await;
    let (maker, place) = (&world.maker, world.development.place);
    let id = place.environment;
    let range = || 0..size;
    let mut counts = vec![];
    let mut before = 0;
    let mut count = |name| {
        let now = store.statement_count();
        if before > 0 {
            counts.push((name, now - before));
        }
        before = now;
    };
    let scope = LockScope::Memberships {
        application: place.application,
        identities: vec![],
    };
    let mut tx = store.write_rows(scope).await.unwrap();
    count("");
    let permissions: Vec<_> = range().map(|n| maker.permission(id, &format!("item.p{n}"))).collect();
    tx.insert_permissions(&permissions).await.unwrap();
    count("insert_permissions");
    let keys: Vec<PermissionKey> = permissions.iter().map(|p| p.key.clone()).collect();
    assert_eq!(tx.permission_ids(id, &keys).await.unwrap().len(), size);
    count("permission_ids");
    let roles: Vec<_> = range().map(|n| maker.role(id, &format!("Role {n}"))).collect();
    tx.insert_roles(&roles).await.unwrap();
    count("insert_roles");
    tx.update_roles(&roles).await.unwrap();
    count("update_roles");
    let pairs: Vec<_> = roles
        .iter()
        .zip(&permissions)
        .map(|(role, permission)| (role.id, permission.id))
        .collect();
    tx.bind_permissions(id, &pairs).await.unwrap();
    count("bind_permissions");
    tx.unbind_permissions(id, &pairs).await.unwrap();
    count("unbind_permissions");
    let nodes: Vec<_> = range()
        .map(|n| maker.node(id, world.development.eu.id, "team", &format!("n{n}")))
        .collect();
    tx.insert_nodes(&nodes).await.unwrap();
    count("insert_nodes");
    tx.update_nodes(&nodes).await.unwrap();
    count("update_nodes");
    let parents: Vec<_> = nodes.iter().map(|node| node.id).collect();
    let slugs: Vec<_> = nodes
        .iter()
        .map(|node| (world.development.eu.id, node.slug.clone()))
        .collect();
    assert_eq!(tx.node_facts(id, &parents, &slugs).await.unwrap().parents.len(), size);
    count("node_facts");
    let mut names = NodeNames::default();
    for node in &nodes {
        names.add(Some(&node.node_type), node.slug.as_str());
        names.add(None, &format!("{}/eu/{}", world.development.root.slug, node.slug));
    }
    assert_eq!(tx.nodes_named(id, &names).await.unwrap().paths.len(), size);
    count("nodes_named");
    assert_eq!(tx.named_nodes(id, &parents).await.unwrap().len(), size);
    count("named_nodes");
    let identities: Vec<Identity> = range()
        .map(|n| maker.identity(place.account, &format!("Number{n} Example")))
        .collect();
    tx.insert_identities(&identities).await.unwrap();
    count("insert_identities");
    let asked = TakenIdentifiers {
        emails: identities.iter().map(|one| one.email.clone()).collect(),
        external_ids: HashSet::new(),
    };
    assert_eq!(
        tx.taken_identifiers(place.account, &asked).await.unwrap().emails.len(),
        size
    );
    count("taken_identifiers");
    let mut names = IdentityNames::default();
    for one in &identities {
        names.add(one.email.as_str());
        names.add(&one.id.to_string());
    }
    assert_eq!(tx.identities_named(place.account, &names).await.unwrap().len(), size);
    count("identities_named");
    let memberships: Vec<_> = identities
        .iter()
        .map(|one| maker.membership(one.id, place.application, MembershipStatus::Active))
        .collect();
    tx.insert_memberships(&memberships).await.unwrap();
    count("insert_memberships");
    tx.update_memberships(&memberships).await.unwrap();
    count("update_memberships");
    let ids: Vec<_> = identities.iter().map(|one| one.id).collect();
    assert_eq!(
        tx.identity_facts(place.account, place.application, &ids)
            .await
            .unwrap()
            .len(),
        size
    );
    count("identity_facts");
    let held: Vec<_> = ids
        .iter()
        .zip(&roles)
        .zip(&nodes)
        .map(|((identity, role), node)| maker.assignment(id, assignment_key(*identity, role.id, node.id)))
        .collect();
    let joined: Vec<_> = held.iter().map(|one| one.key).collect();
    assert_eq!(
        tx.assignment_facts(&place, &joined).await.unwrap().identities.len(),
        size
    );
    count("assignment_facts");
    tx.insert_assignments(&held).await.unwrap();
    count("insert_assignments");
    let held_ids: Vec<_> = held.iter().map(|one| one.id).collect();
    assert_eq!(tx.assignments(id, &held_ids).await.unwrap(), held);
    count("assignments");
    assert_eq!(tx.assignments_at(id, &parents).await.unwrap().len(), size);
    count("assignments_at");
    assert_eq!(tx.subtree(id, world.development.eu.id).await.unwrap().len(), size + 3);
    count("subtree");
    tx.update_assignments(&held).await.unwrap();
    count("update_assignments");
    let mut record = maker.record(place.account, &[]);
    record.changes = vec![EnvironmentChanges {
        environment: id,
        changes: held.iter().map(|one| Change::GrantPut(GrantFact::from(one))).collect(),
    }];
    record.audit.details = range().map(|number| format!("[{number}]")).collect();
    tx.commit(record).await.unwrap();
    count("commit");
    let mut tx = store.read().await.unwrap();
    count("begin");
    assert_eq!(tx.snapshot(id).await.unwrap().unwrap().grants.len(), size);
    count("snapshot");
    drop(tx);
    count("end");
    let mut tx = store.write_rows(LockScope::Environment(id)).await.unwrap();
    count("begin");
    tx.update_permissions(&permissions).await.unwrap();
    count("update_permissions");
    let (role_ids, node_ids): (Vec<_>, Vec<_>) = held.iter().map(|one| (one.key.role, one.key.node)).unzip();
    assert_eq!(
        tx.assignments_naming(id, &role_ids, &node_ids).await.unwrap().len(),
        size
    );
    count("assignments_naming");
    tx.delete_assignments(id, &held_ids).await.unwrap();
    count("delete_assignments");
    let one = *ids.first().unwrap();
    let all: Vec<_> = roles
        .iter()
        .zip(&nodes)
        .map(|(role, node)| maker.assignment(id, assignment_key(one, role.id, node.id)))
        .collect();
    tx.insert_assignments(&all).await.unwrap();
    count("insert_assignments");
    let mut environments: Vec<_> = range().map(|_| maker.id()).collect();
    environments.push(id);
    assert_eq!(tx.held(&environments, one).await.unwrap().len(), size);
    count("held");
    let found = tx
        .environments_with_node(&environments, nodes.first().unwrap().id)
        .await
        .unwrap();
    assert_eq!(found, [id]);
    count("environments_with_node");
    assert_eq!(tx.standings(place.account, one).await.unwrap().len(), 2);
    count("standings");
    let counted = tx
        .identity_counts(place.account, Some(place.application), None)
        .await
        .unwrap();
    assert_eq!(counted.assigned, 1);
    count("identity_counts");
    assert_eq!(tx.revoke_all(&environments, one).await.unwrap().len(), size);
    count("revoke_all");
    tx.update_identity(identities.first().unwrap()).await.unwrap();
    count("update_identity");
    tx.delete_identity(place.account, one).await.unwrap();
    count("delete_identity");
    count("environments_with_node");
    let granted: Vec<_> = all.iter().map(|one| one.id).collect();
    tx.delete_assignments(id, &granted).await.unwrap();
    count("delete_assignments of all");
    tx.delete_nodes(id, &node_ids).await.unwrap();
    count("delete_nodes");
    tx.delete_roles(id, &role_ids).await.unwrap();
    count("delete_roles");
    let permission_ids: Vec<_> = permissions.iter().map(|one| one.id).collect();
    tx.delete_permissions(id, &permission_ids).await.unwrap();
    count("delete_permissions");
    tx.delete_environments(&[world.production.id()]).await.unwrap();
    count("delete_environments");
    counts
}

#[tokio::test]
async fn a_call_is_the_same_few_statements_for_ten_and_for_five_thousand_items() {
    let few = counts(10).await;
    assert_eq!(few, counts(5_000).await);
    assert!(few.iter().all(|(_, count)| *count <= 8), "{few:?}");
}
