//! Every statement finds its rows by a key: none reads a table from end to end, but for the account list.

use crate::SqliteStore;
use crate::api_key::{note_uses, pack_uses};
use crate::kept_answer;
use crate::statement::Statement;
use crate::store::{begin_reading, begin_writing};
use crate::unit_of_work::UnitOfWork;
use canopy_domain::api_key::{KeyAccess, KeyUse};
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSort, HeldAt};
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::hierarchy::names::NodeNames;
use canopy_domain::identity::create::TakenIdentifiers;
use canopy_domain::identity::listing::{IdentityQuery, IdentitySort, IdentityStatus};
use canopy_domain::identity::names::IdentityNames;
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::port::reader::*;
use canopy_domain::port::writer::*;
use canopy_domain::port::{Share, WriteTx};
use canopy_domain::role::listing::RoleQuery;
use canopy_domain::{AccessType, AssignmentStatus, MembershipStatus, PageRequest, Revision, SearchWords, SortOrder};
use canopy_storage_sql::Row as _;
use canopy_testkit::fixture::{Maker, World, assignment_key, key, key_digest};
use diesel::connection::{Connection, InstrumentationEvent};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

type Seen = Arc<Mutex<BTreeSet<String>>>;

/// Takes down every statement of a unit of work.
async fn listen(unit: &mut UnitOfWork, seen: &Seen) {
    let seen = Arc::clone(seen);
    let receive = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let sql = text.split(" -- binds").next().unwrap_or_default();
            seen.lock().unwrap().insert(sql.to_owned());
        }
    };
    unit.run(move |c| {
        c.set_instrumentation(receive);
        Ok(())
    })
    .await
    .unwrap();
}

#[expect(clippy::too_many_lines, reason = "a list of calls")]
async fn read_everything(unit: &mut UnitOfWork, world: &World) {
    let (id, account, application) = (world.development.environment.id, world.account.id, world.application.id);
    let now = world.maker.now();
    let joined = assignment_key(world.ada(), world.development.reader.id, world.development.eu.id);
    unit.account(account).await.unwrap();
    unit.account_by_slug(&world.account.slug).await.unwrap();
    unit.applications(account).await.unwrap();
    unit.application_by_slug(account, &world.application.slug)
        .await
        .unwrap();
    unit.environments(application).await.unwrap();
    unit.environment_by_slug(application, &world.development.environment.slug)
        .await
        .unwrap();
    unit.environment_place(id).await.unwrap();
    unit.permissions(id, &PermissionQuery::default()).await.unwrap();
    unit.permission_ids(id, &[key("note.read")]).await.unwrap();
    unit.roles(id, &RoleQuery::default()).await.unwrap();
    unit.role_permissions(id, world.development.reader.id).await.unwrap();
    unit.roles_bundling(id, world.development.read.id).await.unwrap();
    unit.catalog(id).await.unwrap();
    unit.setup_summaries(account).await.unwrap();
    unit.root_node(id).await.unwrap();
    unit.nodes(id).await.unwrap();
    let eu = &world.development.eu;
    unit.node_facts(id, &[eu.id], &[(eu.id, eu.slug.clone())])
        .await
        .unwrap();
    let mut names = NodeNames::default();
    names.add(None, eu.slug.as_str());
    names.add(Some(&eu.node_type), eu.slug.as_str());
    unit.nodes_named(id, &names).await.unwrap();
    unit.named_nodes(id, &[eu.id]).await.unwrap();
    unit.tree_shape(id).await.unwrap();
    unit.children(id, eu.id).await.unwrap();
    unit.ancestors(id, eu.id).await.unwrap();
    unit.subtree(id, eu.id).await.unwrap();
    unit.subtree_height(id, eu.id).await.unwrap();
    unit.node_uses(id, eu.id).await.unwrap();
    unit.identity(account, world.ada()).await.unwrap();
    let identifiers = TakenIdentifiers {
        emails: world.identities.iter().map(|one| one.email.clone()).collect(),
        external_ids: [canopy_testkit::fixture::external_id("a")].into(),
    };
    unit.taken_identifiers(account, &identifiers).await.unwrap();
    let mut names = IdentityNames::default();
    names.add(&world.ada().to_string());
    names.add("ada.lovelace@example.com");
    unit.identities_named(account, &names).await.unwrap();
    unit.identity_facts(account, application, &[world.ada()]).await.unwrap();
    unit.members(application).await.unwrap();
    unit.memberships(world.ada()).await.unwrap();
    unit.assignment_facts(&world.development.place, &[joined])
        .await
        .unwrap();
    unit.assignments(id, &[world.maker.id()]).await.unwrap();
    unit.assignments_at(id, &[eu.id]).await.unwrap();
    unit.assignments_naming(id, &[world.development.reader.id], &[eu.id])
        .await
        .unwrap();
    unit.assignment_summary(id, now).await.unwrap();
    unit.node_assignment_summary(id, eu.id, now).await.unwrap();
    unit.snapshot(id).await.unwrap();
    unit.revision(id).await.unwrap();
    unit.changes_since(id, Revision::ZERO, 10).await.unwrap();
    unit.api_keys(id).await.unwrap();
    unit.api_key(id, world.maker.id()).await.unwrap();
    unit.api_key_places(&[key_digest(1)]).await.unwrap();
    for environment in [None, Some(id)] {
        let query = AuditQuery {
            environment,
            correlation_id: Some("a".to_owned()),
            ..AuditQuery::newest(10)
        };
        unit.audit_events(account, &query).await.unwrap();
        unit.audit_place(account, &query, 10).await.unwrap();
    }
    unit.audit_event(account, canopy_domain::audit::AuditEventId::new(world.maker.id()))
        .await
        .unwrap();
    for sort in AssignmentSort::ALL {
        for search in [None, search_for("a"), search_for("a b c")] {
            let held_at = |access_type| {
                Some(HeldAt {
                    node: eu.id,
                    access_type,
                })
            };
            for (role, source_node, held_at) in [
                (None, None, None),
                (Some(world.development.reader.id), None, None),
                (None, Some(eu.id), None),
                (None, None, held_at(None)),
                (
                    Some(world.development.reader.id),
                    None,
                    held_at(Some(AccessType::Inherited)),
                ),
            ] {
                let query = AssignmentQuery {
                    held_at,
                    role,
                    source_node,
                    status: Some(AssignmentStatus::Active),
                    search: search.clone(),
                    sort: *sort,
                    order: SortOrder::Descending,
                    page: PageRequest::default(),
                };
                unit.assignment_views(id, &query, now).await.unwrap();
            }
        }
    }
    unit.environments_with_node(&[id, world.maker.id()], eu.id)
        .await
        .unwrap();
    unit.standings(account, world.ada()).await.unwrap();
    unit.held(&[id, world.maker.id()], world.ada()).await.unwrap();
    for (member_of, assigned_in) in [(None, None), (Some(application), None), (Some(application), Some(id))] {
        unit.identity_counts(account, member_of, assigned_in).await.unwrap();
    }
    for sort in IdentitySort::ALL {
        for (member_of, assigned_in) in [(None, None), (Some(application), None), (Some(application), Some(id))] {
            for has_any_assignment in [None, Some(true), Some(false)] {
                let query = IdentityQuery {
                    member_of,
                    not_member_of: Some(world.maker.id()),
                    status: Some(IdentityStatus::Active),
                    has_any_assignment,
                    assigned_in,
                    search: search_for("a b"),
                    sort: *sort,
                    order: SortOrder::Ascending,
                    page: PageRequest::default(),
                };
                unit.identities(account, &query).await.unwrap();
            }
        }
    }
}

async fn write_everything(mut unit: UnitOfWork, world: &World) {
    let (maker, development) = (&world.maker, &world.development);
    let id = development.environment.id;
    let role = maker.role(id, "New");
    let permission = maker.permission(id, "new.read");
    let node = maker.node(id, development.eu.id, "team", "new");
    let identity = maker.identity(world.account.id, "New One");
    let membership = maker.membership(identity.id, world.application.id, MembershipStatus::Active);
    let held = maker.assignment(id, assignment_key(identity.id, role.id, node.id));
    unit.update_account(&world.account).await.unwrap();
    unit.update_application(&world.application).await.unwrap();
    unit.update_environment(&development.environment, &development.schema)
        .await
        .unwrap();
    unit.insert_permissions(std::slice::from_ref(&permission))
        .await
        .unwrap();
    assert!(
        unit.insert_permissions(std::slice::from_ref(&permission))
            .await
            .is_err()
    );
    unit.insert_roles(std::slice::from_ref(&role)).await.unwrap();
    assert!(unit.insert_roles(std::slice::from_ref(&role)).await.is_err());
    unit.update_roles(std::slice::from_ref(&role)).await.unwrap();
    unit.bind_permissions(id, &[(role.id, permission.id)]).await.unwrap();
    unit.unbind_permissions(id, &[(role.id, permission.id)]).await.unwrap();
    unit.insert_nodes(std::slice::from_ref(&node)).await.unwrap();
    assert!(unit.insert_nodes(std::slice::from_ref(&node)).await.is_err());
    unit.update_nodes(std::slice::from_ref(&node)).await.unwrap();
    unit.insert_identities(std::slice::from_ref(&identity)).await.unwrap();
    assert!(unit.insert_identities(std::slice::from_ref(&identity)).await.is_err());
    unit.update_identity(&identity).await.unwrap();
    let taken = canopy_domain::Identity {
        email: world.identities[0].email.clone(),
        ..identity.clone()
    };
    assert!(unit.update_identity(&taken).await.is_err());
    unit.insert_memberships(std::slice::from_ref(&membership))
        .await
        .unwrap();
    assert!(
        unit.insert_memberships(std::slice::from_ref(&membership))
            .await
            .is_err()
    );
    unit.update_memberships(&[membership]).await.unwrap();
    unit.insert_assignments(std::slice::from_ref(&held)).await.unwrap();
    assert!(unit.insert_assignments(std::slice::from_ref(&held)).await.is_err());
    unit.update_assignments(std::slice::from_ref(&held)).await.unwrap();
    unit.delete_assignments(id, &[held.id]).await.unwrap();
    let backend = maker.api_key(id, KeyAccess::Full);
    unit.insert_api_key(&backend, &key_digest(1)).await.unwrap();
    unit.expire_api_key(id, backend.id, maker.now()).await.unwrap();
    let uses = pack_uses(&[KeyUse {
        environment: id,
        id: backend.id,
        at: maker.now(),
    }]);
    unit.run(move |c| note_uses(c, &uses)).await.unwrap();
    unit.delete_api_key(id, backend.id).await.unwrap();
    let outdated = maker.now();
    unit.run(move |c| kept_answer::forget(c, outdated)).await.unwrap();
    unit.revoke_all(&[id, maker.id()], identity.id).await.unwrap();
    unit.delete_identity(world.account.id, identity.id).await.unwrap();
    unit.update_permissions(std::slice::from_ref(&permission))
        .await
        .unwrap();
    unit.delete_nodes(id, &[node.id]).await.unwrap();
    unit.delete_roles(id, &[role.id]).await.unwrap();
    unit.delete_permissions(id, &[permission.id]).await.unwrap();
    unit.delete_environments(&[world.production.environment.id])
        .await
        .unwrap();
    unit.delete_application(maker.id()).await.unwrap();
    Box::new(unit)
        .commit(maker.record(world.account.id, &[id]))
        .await
        .unwrap();
}

fn search_for(text: &str) -> Option<SearchWords> {
    SearchWords::parse(text).unwrap()
}

#[tokio::test]
async fn no_statement_reads_a_table_from_end_to_end() {
    explain(SqliteStore::temporary().unwrap()).await;
}

#[tokio::test]
async fn no_statement_of_a_long_list_reads_a_table_from_end_to_end() {
    explain(SqliteStore::temporary_with_long_lists().unwrap()).await;
}

async fn explain(store: SqliteStore) {
    let world = World::build(&store, &Maker::default(), "acme").await;
    let seen = Seen::default();
    let mut unit = store
        .begin(&store.readers, Share::Installation, begin_reading)
        .await
        .unwrap();
    listen(&mut unit, &seen).await;
    read_everything(&mut unit, &world).await;
    drop(unit);
    let mut unit = store
        .begin(&store.writer, Share::Installation, begin_writing)
        .await
        .unwrap();
    listen(&mut unit, &seen).await;
    write_everything(unit, &world).await;

    let statements = std::mem::take(&mut *seen.lock().unwrap());
    assert!(statements.len() > 60, "{} statements were heard", statements.len());
    let mut unit = store
        .begin(&store.readers, Share::Installation, begin_reading)
        .await
        .unwrap();
    let explained = unit.run(move |c| {
        let mut bad = vec![];
        let planned = |sql: &&String| ["SELECT", "UPDATE", "DELETE"].iter().any(|word| sql.contains(word));
        for sql in statements.iter().filter(planned) {
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let mut lines: Vec<(i64, String)> = vec![];
            Statement::made(&explain).for_each(c, "plan", |row| {
                lines.push((row.number(1)?, row.string(3)?));
                Ok(())
            })?;
            // Within a join the given rows come first; further in they would be gone through for every row before.
            let given_inside = lines.iter().enumerate().any(|(index, (level, line))| {
                let looks = |line: &str| line.starts_with("SEARCH") || line.starts_with("SCAN");
                line.starts_with("SCAN json_each")
                    && lines[..index]
                        .iter()
                        .any(|(other, before)| other == level && looks(before))
            });
            let plan: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
            // What is asked once for each node of a tree, or for each row that goes, must not go through the environment.
            let each_time = sql.contains("tree(id") || sql.contains("DELETE FROM nodes");
            let goes_through = each_time && plan.iter().any(|line| line.ends_with("PRIMARY KEY (environment_id=?)"));
            // `given` and what comes out of it, a question within a question, and a row of constants are no tables.
            let scans = plan.iter().filter(|line| {
                let table = line.strip_prefix("SCAN ").unwrap_or_default();
                !table.is_empty()
                    && ![
                        "json_each",
                        "given",
                        "way",
                        "tree",
                        "depths",
                        "found",
                        "word",
                        "held",
                        "one",
                        "made_at",
                        "matched",
                        "page",
                        "CONSTANT ROW",
                        "s",
                        "e",
                    ]
                    .iter()
                    .any(|known| table == *known || table.starts_with(&format!("{known} VIRTUAL TABLE")))
            });
            let scans: Vec<&String> = scans.collect();
            if !scans.is_empty() || given_inside || goes_through || plan.iter().any(|line| line.contains("AUTOMATIC")) {
                bad.push(format!("{sql}\n  {}", plan.join("\n  ")));
            }
        }
        Ok(bad)
    });
    let bad = explained.await.unwrap();
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
}
