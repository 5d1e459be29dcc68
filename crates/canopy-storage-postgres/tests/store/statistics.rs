//! Large calls cost the same whatever the planner believes of the tables: nothing, what was once true, or the truth.

use canopy_domain::hierarchy::names::NodeNames;
use canopy_domain::identity::create::TakenIdentifiers;
use canopy_domain::identity::names::IdentityNames;
use canopy_domain::port::{LockScope, RowStore, Store};
use canopy_domain::{Assignment, Identity, MembershipStatus, Node, PermissionKey};
use canopy_testkit::fixture::{Maker, World, assignment_key};
use canopy_testkit::postgres::{PostgresStore, store_with};
use std::collections::HashSet;

/// The statistics that the planner has of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statistics {
    /// As after the first start.
    None,
    /// Statistics of nearly empty tables.
    Stale,
    /// Statistics of the full tables.
    Good,
}

/// The number of rows of a call, and of other rows that share a part of each key.
const CALL: usize = 3_000;

struct Rows {
    identities: Vec<Identity>,
    nodes: Vec<Node>,
    /// One role and one node for all: what a wrong index would have to read for each item.
    crowded: Vec<Assignment>,
    permissions: Vec<canopy_domain::Permission>,
    roles: Vec<canopy_domain::Role>,
}

async fn fill(store: &PostgresStore, world: &World) -> Rows {
    let (maker, place) = (&world.maker, world.development.place);
    let id = place.environment;
    let rows = |name: &str, count: usize| (0..count).map(|n| format!("{name}{n}")).collect::<Vec<_>>();
    let identities: Vec<Identity> = rows("Person", CALL)
        .iter()
        .map(|name| maker.identity(place.account, &format!("{name} Example")))
        .collect();
    let nodes: Vec<Node> = rows("n", CALL)
        .iter()
        .map(|slug| maker.node(id, world.development.eu.id, "team", slug))
        .collect();
    let permissions: Vec<_> = rows("item.p", CALL)
        .iter()
        .map(|key| maker.permission(id, key))
        .collect();
    let roles: Vec<_> = rows("Role ", CALL).iter().map(|name| maker.role(id, name)).collect();
    let crowded: Vec<Assignment> = identities
        .iter()
        .map(|one| {
            let key = assignment_key(one.id, world.development.reader.id, world.development.eu.id);
            maker.assignment(id, key)
        })
        .collect();
    let scope = LockScope::Memberships {
        application: place.application,
        identities: vec![],
    };
    let mut tx = store.write_rows(scope).await.unwrap();
    tx.insert_permissions(&permissions).await.unwrap();
    tx.insert_roles(&roles).await.unwrap();
    tx.insert_nodes(&nodes).await.unwrap();
    tx.insert_identities(&identities).await.unwrap();
    let join = |one: &Identity| maker.membership(one.id, place.application, MembershipStatus::Active);
    let memberships: Vec<_> = identities.iter().map(join).collect();
    tx.insert_memberships(&memberships).await.unwrap();
    tx.insert_assignments(&crowded).await.unwrap();
    // One permission in every role.
    let first = permissions.first().unwrap().id;
    let pairs: Vec<_> = roles.iter().map(|role| (role.id, first)).collect();
    tx.bind_permissions(id, &pairs).await.unwrap();
    world.commit(tx, &[id]).await;
    Rows {
        identities,
        nodes,
        crowded,
        permissions,
        roles,
    }
}

/// The pages of tables and indexes that were touched, by everybody, in this database.
async fn touched(store: &PostgresStore) -> u64 {
    let sql = "SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::bigint \
         FROM pg_statio_user_tables";
    let rows = store.database().query(sql).await;
    rows.first()
        .unwrap()
        .first()
        .unwrap()
        .as_ref()
        .unwrap()
        .parse()
        .unwrap()
}

/// The rows that were fetched by way of an index, in this database.
async fn fetched(store: &PostgresStore) -> u64 {
    let sql = "SELECT sum(idx_tup_fetch + seq_tup_read)::bigint FROM pg_stat_user_tables";
    let rows = store.database().query(sql).await;
    rows.first()
        .unwrap()
        .first()
        .unwrap()
        .as_ref()
        .unwrap()
        .parse()
        .unwrap()
}

/// Makes every call that takes a set, and returns the pages touched and the rows fetched.
async fn cost(statistics: Statistics) -> (u64, u64) {
    let store = store_with(|options| options.pool_size = 1).await;
    let world = World::build(&store, &Maker::default(), "acme").await;
    if statistics == Statistics::Stale {
        store.database().execute("ANALYZE").await;
    }
    let rows = fill(&store, &world).await;
    if statistics == Statistics::Good {
        store.database().execute("ANALYZE").await;
    }
    let (place, here) = (world.development.place, &world.development);
    let id = place.environment;
    let scope = LockScope::Memberships {
        application: place.application,
        identities: vec![],
    };
    let mut tx = store.write_rows(scope).await.unwrap();
    let flush = "SELECT pg_stat_force_next_flush()";
    store.database().query(flush).await;
    let before = (touched(&store).await, fetched(&store).await);

    let keys: Vec<_> = rows.crowded.iter().map(|one| one.key).collect();
    assert_eq!(tx.assignment_facts(&place, &keys).await.unwrap().existing.len(), CALL);
    let second: Vec<Assignment> = rows
        .identities
        .iter()
        .map(|one| {
            world
                .maker
                .assignment(id, assignment_key(one.id, here.editor.id, here.eu.id))
        })
        .collect();
    let second_keys: Vec<_> = second.iter().map(|one| one.key).collect();
    let facts = tx.assignment_facts(&place, &second_keys).await.unwrap();
    assert_eq!((facts.existing.len(), facts.identities.len()), (0, CALL));
    tx.insert_assignments(&second).await.unwrap();
    tx.update_assignments(&second).await.unwrap();
    let ids: Vec<_> = second.iter().map(|one| one.id).collect();
    assert_eq!(tx.assignments(id, &ids).await.unwrap().len(), CALL);
    tx.delete_assignments(id, &ids).await.unwrap();
    let node_ids: Vec<_> = rows.nodes.iter().map(|one| one.id).collect();
    let slugs: Vec<_> = rows.nodes.iter().map(|one| (here.eu.id, one.slug.clone())).collect();
    assert_eq!(tx.node_facts(id, &node_ids, &slugs).await.unwrap().parents.len(), CALL);
    let mut names = NodeNames::default();
    for node in &rows.nodes {
        names.add(Some(&node.node_type), node.slug.as_str());
        names.add(None, &format!("{}/eu/{}", here.root.slug, node.slug));
    }
    assert_eq!(tx.nodes_named(id, &names).await.unwrap().paths.len(), CALL);
    assert_eq!(tx.named_nodes(id, &node_ids).await.unwrap().len(), CALL);
    tx.update_nodes(&rows.nodes).await.unwrap();
    let role_ids: Vec<_> = rows.roles.iter().map(|one| one.id).collect();
    assert_eq!(tx.assignments_naming(id, &role_ids, &node_ids).await.unwrap(), []);
    tx.assignments_at(id, &node_ids).await.unwrap();
    let permission_keys: Vec<PermissionKey> = rows.permissions.iter().map(|one| one.key.clone()).collect();
    assert_eq!(tx.permission_ids(id, &permission_keys).await.unwrap().len(), CALL);
    tx.update_permissions(&rows.permissions).await.unwrap();
    tx.update_roles(&rows.roles).await.unwrap();
    let first = rows.permissions.first().unwrap().id;
    let pairs: Vec<_> = role_ids.iter().map(|role| (*role, first)).collect();
    tx.unbind_permissions(id, &pairs).await.unwrap();
    tx.bind_permissions(id, &pairs).await.unwrap();
    let identity_ids: Vec<_> = rows.identities.iter().map(|one| one.id).collect();
    let known = tx
        .identity_facts(place.account, place.application, &identity_ids)
        .await
        .unwrap();
    let memberships: Vec<_> = known.into_values().filter_map(|fact| fact.membership).collect();
    assert!(memberships.len() >= CALL);
    tx.update_memberships(&memberships).await.unwrap();
    let asked = TakenIdentifiers {
        emails: rows.identities.iter().map(|one| one.email.clone()).collect(),
        external_ids: HashSet::new(),
    };
    assert_eq!(
        tx.taken_identifiers(place.account, &asked).await.unwrap().emails.len(),
        CALL
    );
    let mut names = IdentityNames::default();
    for one in &rows.identities {
        names.add(one.email.as_str());
        names.add(&one.id.to_string());
    }
    assert_eq!(tx.identities_named(place.account, &names).await.unwrap().len(), CALL);
    let crowded: Vec<_> = rows.crowded.iter().map(|one| one.id).collect();
    tx.delete_assignments(id, &crowded).await.unwrap();
    tx.unbind_permissions(id, &pairs).await.unwrap();
    tx.delete_roles(id, &role_ids).await.unwrap();
    tx.delete_nodes(id, &node_ids).await.unwrap();
    let permission_ids: Vec<_> = rows.permissions.iter().map(|one| one.id).collect();
    tx.delete_permissions(id, &permission_ids).await.unwrap();
    world.commit(tx, &[id]).await;
    drop(store.read().await.unwrap());

    // The counters of a connection are published when it is told to, or goes.
    let (inner, database) = store.into_parts();
    inner.close();
    drop(inner);
    let left = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'canopy'";
    while !database.query(left).await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let sum = "SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::bigint, \
         (SELECT sum(idx_tup_fetch + seq_tup_read)::bigint FROM pg_stat_user_tables) FROM pg_statio_user_tables";
    let row = database.query(sum).await.remove(0);
    let mut numbers = row.iter().map(|text| text.as_ref().unwrap().parse::<u64>().unwrap());
    let (pages, rows) = (numbers.next().unwrap(), numbers.next().unwrap());
    (pages - before.0, rows - before.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn large_calls_cost_the_same_whatever_the_statistics_say() {
    // About thirty calls of so many items, each of which has a few look-ups, a few levels deep. A wrong index anywhere would
    // read all rows for each item: millions.
    let bound = u64::try_from(CALL).unwrap() * 1_000;
    let mut costs = Vec::new();
    for statistics in [Statistics::None, Statistics::Stale, Statistics::Good] {
        let (pages, rows) = cost(statistics).await;
        println!("{statistics:?}: {pages} pages, {rows} rows");
        assert!(
            pages < bound && rows < bound,
            "{statistics:?}: {pages} pages, {rows} rows"
        );
        costs.push(pages);
    }
    let (least, most) = (costs.iter().min().unwrap(), costs.iter().max().unwrap());
    assert!(*most < 2 * *least, "{costs:?}");
}
