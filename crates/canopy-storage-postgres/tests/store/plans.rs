//! The hot statements use the indexes they are meant to use, also with many rows.

use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSort};
use canopy_domain::hierarchy::names::NodeNames;
use canopy_domain::identity::names::IdentityNames;
use canopy_domain::port::{LockScope, RowStore, Store};
use canopy_domain::{AssignmentId, PageRequest, Revision, SortOrder};
use canopy_testkit::clock::noon;
use canopy_testkit::fixture::{Maker, World, assignment_key};
use canopy_testkit::postgres::{PostgresStore, store};

/// A million assignments of 100,000 identities in 10,000 nodes, beside those of another environment.
async fn fill(store: &PostgresStore, world: &World) {
    let id = world.development.environment.id;
    let account = world.account.id;
    let application = world.application.id;
    let (eu, reader) = (world.development.eu.id, world.development.reader.id);
    let sql = format!(
        "SET synchronous_commit = off; SET session_replication_role = replica; \
         INSERT INTO identities SELECT md5('i' || n)::uuid, '{account}', n || '@x', 'A', 'B', 'a b', NULL, NULL, NULL, \
             true, now(), now() FROM generate_series(1, 100000) AS n; \
         INSERT INTO memberships SELECT '{application}', md5('i' || n)::uuid, '{account}', md5('m' || n)::uuid, 'active', NULL, now(), \
             NULL, now() FROM generate_series(1, 100000) AS n; \
         INSERT INTO nodes SELECT '{id}', md5('n' || n)::uuid, '{eu}', 'team', 'N', 'n', 'n' || n, 'active', '{{}}', 1, \
             now(), now() FROM generate_series(1, 10000) AS n; \
         INSERT INTO assignments SELECT '{id}', lpad(to_hex(n), 32, '0')::uuid, md5('i' || n / 10)::uuid, '{reader}', \
             md5('n' || (n % 9973) + 1)::uuid, now(), NULL, now(), now() FROM generate_series(10, 999999) AS n; \
         ANALYZE"
    );
    store.database().execute(&sql).await;
}

/// How many rows the server has looked at in each of the tables, and how many times it has scanned one from end to end.
async fn scans(store: &PostgresStore) -> Vec<(String, u64)> {
    let sql = "SELECT pg_stat_force_next_flush(); \
         SELECT relname, seq_scan FROM pg_stat_user_tables \
         WHERE relname IN ('assignments', 'identities', 'memberships', 'nodes') ORDER BY relname";
    let rows = store.database().query(sql).await;
    let pair = |row: Vec<Option<String>>| Some((row.first()?.clone()?, row.get(1)?.as_ref()?.parse().ok()?));
    rows.into_iter().filter_map(pair).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hot_statement_scans_a_table_from_end_to_end() {
    let store = store().await;
    let world = World::build(&store, &Maker::default(), "acme").await;
    let one = world.assignment(world.ada(), &world.development.reader, &world.development.eu);
    world.assign(&store, std::slice::from_ref(&one)).await;
    fill(&store, &world).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let before = scans(&store).await;
    assert_eq!(before.len(), 4);

    let place = world.development.place;
    let id = place.environment;
    let mut tx = store.write_rows(LockScope::Environment(id)).await.unwrap();
    for _ in 0..3 {
        let fresh = world.assignment(world.alan(), &world.development.editor, &world.development.berlin);
        let keys = [fresh.key, one.key];
        assert_eq!(tx.assignment_facts(&place, &keys).await.unwrap().existing.len(), 1);
        tx.insert_assignments(std::slice::from_ref(&fresh)).await.unwrap();
        tx.update_assignments(std::slice::from_ref(&fresh)).await.unwrap();
        assert_eq!(tx.assignments(id, &[fresh.id]).await.unwrap().len(), 1);
        tx.delete_assignments(id, &[fresh.id, AssignmentId::new(uuid::Uuid::nil())])
            .await
            .unwrap();
        let slugs: Vec<_> = (0..100)
            .map(|n| (world.development.eu.id, canopy_testkit::fixture::slug(&format!("n{n}"))))
            .collect();
        tx.node_facts(id, &[world.development.berlin.id], &slugs).await.unwrap();
        let mut names = NodeNames::default();
        names.add(None, "n1");
        names.add(Some(&world.development.berlin.node_type), "n2");
        tx.nodes_named(id, &names).await.unwrap();
        tx.named_nodes(id, &[world.development.berlin.id]).await.unwrap();
        let mut names = IdentityNames::default();
        names.add(&world.ada().to_string());
        names.add("1@x");
        tx.identities_named(place.account, &names).await.unwrap();
        tx.identity_facts(place.account, place.application, &[world.ada()])
            .await
            .unwrap();
        tx.changes_since(id, Revision::ZERO, 10).await.unwrap();
        let berlin = world.development.berlin.id;
        assert_eq!(tx.children(id, world.development.root.id).await.unwrap().len(), 2);
        assert_eq!(tx.ancestors(id, berlin).await.unwrap().len(), 2);
        assert_eq!(tx.subtree(id, berlin).await.unwrap().len(), 1);
        assert_eq!(tx.subtree_height(id, world.development.root.id).await.unwrap(), 3);
        tx.node_uses(id, berlin).await.unwrap();
        tx.assignments_at(id, &[berlin]).await.unwrap();
        tx.node_assignment_summary(id, berlin, noon()).await.unwrap();
        tx.delete_nodes(id, &[canopy_domain::NodeId::new(uuid::Uuid::nil())])
            .await
            .unwrap();
        let key = assignment_key(world.ada(), world.development.reader.id, world.development.us.id);
        tx.assignment_facts(&place, &vec![key; 1000]).await.unwrap();
    }
    let few = AssignmentQuery {
        held_at: None,
        role: None,
        status: None,
        source_node: Some(world.development.eu.id),
        search: None,
        sort: AssignmentSort::CreatedAt,
        order: SortOrder::Descending,
        page: PageRequest::default(),
    };
    assert_eq!(tx.assignment_views(id, &few, noon()).await.unwrap().item_count, 1);
    world.commit(tx, &[id]).await;

    // What a connection has scanned is told about once a second.
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    store.ping().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(scans(&store).await, before);
}
