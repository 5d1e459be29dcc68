//! A call is the same number of statements whatever its size, and each names the environment it is about.

use canopy_domain::access::{Change, GrantFact};
use canopy_domain::api_key::KeyUse;
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSort, HeldAt};
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::hierarchy::names::NodeNames;
use canopy_domain::identity::create::TakenIdentifiers;
use canopy_domain::identity::listing::{IdentityQuery, IdentitySort};
use canopy_domain::identity::names::IdentityNames;
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::port::{EnvironmentChanges, LockScope, RowStore, Store};
use canopy_domain::role::listing::RoleQuery;
use canopy_domain::{Identity, MembershipStatus, PageRequest, PermissionKey, Revision, SortOrder};
use canopy_storage_postgres::PgStore;
use canopy_testkit::clock::noon;
use canopy_testkit::fixture::{Maker, World, assignment_key, key_digest, key_scopes};
use canopy_testkit::postgres::store;
use std::collections::HashSet;

/// Counts statements between calls.
struct Counter<'s> {
    store: &'s PgStore,
    before: u64,
    counts: Vec<(&'static str, u64)>,
}

impl Counter<'_> {
    fn note(&mut self, name: &'static str) {
        let now = self.store.statement_count();
        self.counts.push((name, now - self.before));
        self.before = now;
    }
}

/// Makes every call of the port once, with `size` items; the answer is the number of statements of each.
async fn all_calls(store: &PgStore, size: usize) -> Vec<(&'static str, u64)> {
    let world = World::build(store, &Maker::default(), "acme").await;
    let (maker, place) = (&world.maker, world.development.place);
    let id = place.environment;
    let scope = LockScope::Memberships {
        application: place.application,
        identities: vec![],
    };
    let mut tx = store.write_rows(scope).await.unwrap();
    let mut counter = Counter {
        store,
        before: store.statement_count(),
        counts: vec![],
    };

    let permissions: Vec<_> = (0..size).map(|n| maker.permission(id, &format!("item.p{n}"))).collect();
    tx.insert_permissions(&permissions).await.unwrap();
    counter.note("insert_permissions");
    let keys: Vec<PermissionKey> = permissions.iter().map(|p| p.key.clone()).collect();
    assert_eq!(tx.permission_ids(id, &keys).await.unwrap().len(), size);
    counter.note("permission_ids");
    let roles: Vec<_> = (0..size).map(|n| maker.role(id, &format!("Role {n}"))).collect();
    tx.insert_roles(&roles).await.unwrap();
    counter.note("insert_roles");
    tx.update_roles(&roles).await.unwrap();
    counter.note("update_roles");
    let pairs: Vec<_> = roles
        .iter()
        .zip(&permissions)
        .map(|(role, permission)| (role.id, permission.id))
        .collect();
    tx.bind_permissions(id, &pairs).await.unwrap();
    counter.note("bind_permissions");
    tx.unbind_permissions(id, &pairs).await.unwrap();
    counter.note("unbind_permissions");
    let eu = world.development.eu.id;
    let nodes: Vec<_> = (0..size)
        .map(|n| maker.node(id, eu, "team", &format!("n{n}")))
        .collect();
    tx.insert_nodes(&nodes).await.unwrap();
    counter.note("insert_nodes");
    tx.update_nodes(&nodes).await.unwrap();
    counter.note("update_nodes");
    let parents: Vec<_> = nodes.iter().map(|node| node.id).collect();
    let slugs: Vec<_> = nodes.iter().map(|node| (eu, node.slug.clone())).collect();
    assert_eq!(tx.node_facts(id, &parents, &slugs).await.unwrap().parents.len(), size);
    counter.note("node_facts");
    let mut names = NodeNames::default();
    for node in &nodes {
        names.add(Some(&node.node_type), node.slug.as_str());
        names.add(None, &format!("{}/eu/{}", world.development.root.slug, node.slug));
    }
    assert_eq!(tx.nodes_named(id, &names).await.unwrap().paths.len(), size);
    counter.note("nodes_named");
    assert_eq!(tx.named_nodes(id, &parents).await.unwrap().len(), size);
    counter.note("named_nodes");
    let identities: Vec<Identity> = (0..size)
        .map(|n| maker.identity(place.account, &format!("Number{n} Example")))
        .collect();
    tx.insert_identities(&identities).await.unwrap();
    counter.note("insert_identities");
    let asked = TakenIdentifiers {
        emails: identities.iter().map(|one| one.email.clone()).collect(),
        external_ids: HashSet::new(),
    };
    assert_eq!(
        tx.taken_identifiers(place.account, &asked).await.unwrap().emails.len(),
        size
    );
    counter.note("taken_identifiers");
    let mut names = IdentityNames::default();
    for one in &identities {
        names.add(one.email.as_str());
        names.add(&one.id.to_string());
    }
    assert_eq!(tx.identities_named(place.account, &names).await.unwrap().len(), size);
    counter.note("identities_named");
    let join = |one: &Identity| maker.membership(one.id, place.application, MembershipStatus::Active);
    let memberships: Vec<_> = identities.iter().map(join).collect();
    tx.insert_memberships(&memberships).await.unwrap();
    counter.note("insert_memberships");
    tx.update_memberships(&memberships).await.unwrap();
    counter.note("update_memberships");
    let ids: Vec<_> = identities.iter().map(|one| one.id).collect();
    assert_eq!(
        tx.identity_facts(place.account, place.application, &ids)
            .await
            .unwrap()
            .len(),
        size
    );
    counter.note("identity_facts");
    let grant =
        |((identity, role), node): ((&canopy_domain::IdentityId, &canopy_domain::Role), &canopy_domain::Node)| {
            maker.assignment(id, assignment_key(*identity, role.id, node.id))
        };
    let held: Vec<_> = ids.iter().zip(&roles).zip(&nodes).map(grant).collect();
    let joined: Vec<_> = held.iter().map(|one| one.key).collect();
    assert_eq!(
        tx.assignment_facts(&place, &joined).await.unwrap().identities.len(),
        size
    );
    counter.note("assignment_facts");
    tx.insert_assignments(&held).await.unwrap();
    counter.note("insert_assignments");
    let held_ids: Vec<_> = held.iter().map(|one| one.id).collect();
    assert_eq!(tx.assignments(id, &held_ids).await.unwrap(), held);
    counter.note("assignments");
    assert_eq!(tx.assignments_at(id, &parents).await.unwrap().len(), size);
    counter.note("assignments_at");
    assert_eq!(tx.subtree(id, eu).await.unwrap().len(), size + 3);
    counter.note("subtree");
    tx.update_assignments(&held).await.unwrap();
    counter.note("update_assignments");
    tx.catalog(id).await.unwrap();
    counter.note("catalog");
    let mut record = maker.record(place.account, &[]);
    record.changes = [id, world.production.environment.id]
        .map(|environment| EnvironmentChanges {
            environment,
            changes: held.iter().map(|one| Change::GrantPut(GrantFact::from(one))).collect(),
        })
        .into();
    tx.commit(record).await.unwrap();
    counter.note("commit");
    read_everything(store, &world, &mut counter).await;
    let mut tx = store.write_rows(LockScope::Environment(id)).await.unwrap();
    counter.note("write");
    tx.update_permissions(&permissions).await.unwrap();
    counter.note("update_permissions");
    let (role_ids, node_ids): (Vec<_>, Vec<_>) = held.iter().map(|one| (one.key.role, one.key.node)).unzip();
    assert_eq!(
        tx.assignments_naming(id, &role_ids, &node_ids).await.unwrap().len(),
        size
    );
    counter.note("assignments_naming");
    tx.delete_assignments(id, &held_ids).await.unwrap();
    counter.note("delete_assignments");
    let backend = maker.api_key(id, key_scopes(&["note.read", "role.read"]));
    tx.insert_api_key(&backend, &key_digest(1)).await.unwrap();
    counter.note("insert_api_key");
    tx.expire_api_key(id, backend.id, noon()).await.unwrap();
    counter.note("expire_api_key");
    assert_eq!(tx.api_keys(id).await.unwrap().len(), 1);
    tx.api_key(id, backend.id).await.unwrap().unwrap();
    let digests: Vec<_> = (0..=255).map(key_digest).take(size.max(2)).collect();
    assert_eq!(tx.api_key_places(&digests).await.unwrap().len(), 1);
    counter.note("api_keys");
    tx.delete_api_key(id, backend.id).await.unwrap();
    counter.note("delete_api_key");
    let one = *ids.first().unwrap();
    let grant = |(role, node): (&canopy_domain::Role, &canopy_domain::Node)| {
        maker.assignment(id, assignment_key(one, role.id, node.id))
    };
    let all: Vec<_> = roles.iter().zip(&nodes).map(grant).collect();
    tx.insert_assignments(&all).await.unwrap();
    counter.note("insert_assignments");
    let mut environments: Vec<canopy_domain::EnvironmentId> = (0..size).map(|_| maker.id()).collect();
    environments.push(id);
    assert_eq!(tx.held(&environments, one).await.unwrap().len(), size);
    counter.note("held");
    let found = tx
        .environments_with_node(&environments, nodes.first().unwrap().id)
        .await
        .unwrap();
    assert_eq!(found, [id]);
    counter.note("environments_with_node");
    assert_eq!(tx.standings(place.account, one).await.unwrap().len(), 2);
    counter.note("standings");
    assert_eq!(tx.revoke_all(&environments, one).await.unwrap().len(), size);
    counter.note("revoke_all");
    tx.update_identity(identities.first().unwrap()).await.unwrap();
    counter.note("update_identity");
    tx.delete_identity(place.account, one).await.unwrap();
    counter.note("delete_identity");
    let granted: Vec<_> = all.iter().map(|one| one.id).collect();
    tx.delete_assignments(id, &granted).await.unwrap();
    counter.note("delete_assignments of all");
    tx.delete_nodes(id, &node_ids).await.unwrap();
    counter.note("delete_nodes");
    tx.delete_roles(id, &role_ids).await.unwrap();
    counter.note("delete_roles");
    let permission_ids: Vec<_> = permissions.iter().map(|one| one.id).collect();
    tx.delete_permissions(id, &permission_ids).await.unwrap();
    counter.note("delete_permissions");
    tx.delete_environments(&[world.production.environment.id])
        .await
        .unwrap();
    counter.note("delete_environments");
    drop(tx);
    let use_of = |environment| KeyUse {
        environment,
        id: backend.id,
        at: noon(),
    };
    let uses: Vec<_> = (0..size).map(|_| use_of(maker.id())).collect();
    store.note_key_uses(&uses).await.unwrap();
    counter.note("note_key_uses");
    counter.counts
}

async fn read_everything(store: &PgStore, world: &World, counter: &mut Counter<'_>) {
    let place = world.development.place;
    let id = place.environment;
    let mut tx = store.read().await.unwrap();
    counter.note("read");
    let page = PageRequest::default();
    for order in [SortOrder::Ascending, SortOrder::Descending] {
        for sort in AssignmentSort::ALL {
            for search in [None, canopy_domain::SearchWords::parse("a").unwrap()] {
                let query = AssignmentQuery {
                    held_at: Some(HeldAt {
                        node: world.development.berlin.id,
                        access_type: None,
                    }),
                    role: None,
                    status: None,
                    source_node: None,
                    search,
                    sort: *sort,
                    order,
                    page,
                };
                tx.assignment_views(id, &query, noon()).await.unwrap();
                counter.note("assignment_views");
            }
        }
        for sort in IdentitySort::ALL {
            let query = IdentityQuery {
                member_of: Some(place.application),
                not_member_of: None,
                status: None,
                has_any_assignment: Some(true),
                assigned_in: Some(id),
                search: canopy_domain::SearchWords::parse("a b").unwrap(),
                sort: *sort,
                order,
                page,
            };
            tx.identities(place.account, &query).await.unwrap();
            counter.note("identities");
        }
    }
    tx.assignment_summary(id, noon()).await.unwrap();
    counter.note("assignment_summary");
    tx.node_assignment_summary(id, world.development.berlin.id, noon())
        .await
        .unwrap();
    counter.note("node_assignment_summary");
    for application in [None, Some(place.application)] {
        tx.identity_counts(place.account, application, Some(id)).await.unwrap();
        counter.note("identity_counts");
    }
    tx.snapshot(id).await.unwrap();
    counter.note("snapshot");
    tx.changes_since(id, Revision::ZERO, 100).await.unwrap();
    counter.note("changes_since");
    tx.roles(id, &RoleQuery::default()).await.unwrap();
    counter.note("roles");
    tx.role(id, world.development.reader.id).await.unwrap();
    tx.role_permissions(id, world.development.reader.id).await.unwrap();
    tx.roles_bundling(id, world.development.read.id).await.unwrap();
    tx.permissions(id, &PermissionQuery::default()).await.unwrap();
    tx.permission(id, world.development.read.id).await.unwrap();
    tx.nodes(id).await.unwrap();
    tx.tree_shape(id).await.unwrap();
    tx.root_node(id).await.unwrap();
    tx.node(id, world.development.eu.id).await.unwrap();
    tx.children(id, world.development.eu.id).await.unwrap();
    tx.ancestors(id, world.development.berlin.id).await.unwrap();
    tx.subtree_height(id, world.development.eu.id).await.unwrap();
    tx.node_uses(id, world.development.eu.id).await.unwrap();
    tx.hierarchy(id).await.unwrap();
    tx.setup_summaries(place.account).await.unwrap();
    tx.members(place.application).await.unwrap();
    tx.memberships(world.ada()).await.unwrap();
    tx.audit_events(place.account, &AuditQuery::newest(10)).await.unwrap();
    tx.environment_place(id).await.unwrap();
    counter.note("many others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_as_many_statements_for_a_hundred_items_as_for_a_thousand() {
    let (hundred, thousand) = (store().await, store().await);
    let small = all_calls(hundred.inner(), 100).await;
    let large = all_calls(thousand.inner(), 1000).await;
    assert_eq!(small, large);
    let most = small
        .iter()
        .filter(|(name, _)| *name != "many others")
        .max_by_key(|(_, count)| *count)
        .unwrap();
    assert!(most.1 <= 12, "{most:?}");
    println!("{small:?}");
}

/// Statements reach the rows of one tenant alone: each mention of a table names the environment.
#[tokio::test(flavor = "multi_thread")]
async fn every_statement_on_the_data_of_environments_names_the_environment() {
    let store = store().await;
    store.inner().statement_texts();
    all_calls(store.inner(), 3).await;
    let texts = store.inner().statement_texts();
    assert!(texts.len() > 50);
    let tables = [
        "permissions",
        "roles",
        "role_permissions",
        "nodes",
        "assignments",
        "change_records",
        "api_keys",
    ];
    for text in &texts {
        // What diesel shows behind the text are its values.
        let sql = text.split(" -- binds").next().unwrap();
        let words = || sql.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        let mentions = words()
            .zip(words().skip(1))
            .filter(|(word, next)| matches!(*word, "FROM" | "JOIN" | "INTO" | "UPDATE") && tables.contains(next))
            .count();
        let named = words().filter(|word| *word == "environment_id").count();
        assert!(
            named >= mentions,
            "{mentions} mentions of tables, {named} of the environment: {sql}"
        );
    }
}
