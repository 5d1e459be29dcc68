//! All readable contents of a store, in one order.

use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSort, HeldAt};
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::hierarchy::create::NodeFacts;
use canopy_domain::identity::create::TakenIdentifiers;
use canopy_domain::identity::listing::{IdentityQuery, IdentitySort, IdentityStatus};
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::port::{ReadTx, Store, StoreError};
use canopy_domain::role::listing::{RoleQuery, RoleTypeFilter};
use canopy_domain::{
    AccessType, AccountId, Application, ApplicationId, AssignmentKey, AssignmentStatus, Environment, EnvironmentRef,
    IdentityId, NodeId, PageRequest, PermissionSource, Revision, SearchWords, SortOrder, Timestamp,
};
use canopy_testkit::fixture::key_digest;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// The results of every read method, by call. Two stores in the same state have equal dumps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dump(BTreeMap<String, String>);

impl Dump {
    /// Returns the dump without the list of all accounts.
    #[must_use]
    pub fn without_accounts(&self) -> Self {
        let below = self.0.iter().filter(|(question, _)| !question.starts_with("accounts"));
        Self(
            below
                .map(|(question, answer)| (question.clone(), answer.clone()))
                .collect(),
        )
    }

    /// Returns the calls with different results in another dump, with both results.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let questions: std::collections::BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let differ = questions
            .into_iter()
            .filter(|question| self.0.get(*question) != other.0.get(*question));
        differ
            .map(|question| {
                let (one, two) = (self.0.get(question), other.0.get(question));
                format!("{question}\n   one: {}\n   two: {}", shown(one), shown(two))
            })
            .collect()
    }

    fn add(&mut self, question: impl Into<String>, answer: impl Debug) {
        self.0.insert(question.into(), format!("{answer:?}"));
    }

    /// Adds a result without a promised order.
    fn add_set<T: Debug>(&mut self, question: impl Into<String>, answers: impl IntoIterator<Item = T>) {
        let mut answers: Vec<String> = answers.into_iter().map(|answer| format!("{answer:?}")).collect();
        answers.sort();
        self.0.insert(question.into(), answers.join("\n"));
    }
}

fn shown(answer: Option<&String>) -> &str {
    answer.map_or("(not asked)", String::as_str)
}

/// Reads all rows of these accounts, by every reader.
///
/// # Errors
/// The first error of a reader.
pub async fn dump(store: &dyn Store, accounts: &[AccountId]) -> Result<Dump, StoreError> {
    let mut tx = store.read().await?;
    let mut dump = Dump::default();
    dump.add("accounts", tx.accounts().await?);
    for number in 0..8 {
        let digest = key_digest(number);
        dump.add(format!("digest {number}"), tx.api_key_places(&[digest]).await?);
    }
    for account in accounts {
        dump_account(&mut dump, tx.as_mut(), *account).await?;
    }
    Ok(dump)
}

/// Reads all rows of all accounts.
///
/// # Errors
/// The first error of a reader.
pub async fn dump_all(store: &dyn Store) -> Result<Dump, StoreError> {
    let accounts = store.read().await?.accounts().await?;
    let accounts: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
    dump(store, &accounts).await
}

async fn dump_account(dump: &mut Dump, tx: &mut dyn ReadTx, id: AccountId) -> Result<(), StoreError> {
    let account = tx.account(id).await?;
    if let Some(account) = &account {
        dump.add(format!("{id} by slug"), tx.account_by_slug(&account.slug).await?);
    }
    dump.add(format!("{id}"), account);
    dump.add(format!("{id} setup"), tx.setup_summaries(id).await?);
    dump.add(
        format!("{id} audit"),
        tx.audit_events(id, &AuditQuery::newest(u32::MAX)).await?,
    );
    let applications = tx.applications(id).await?;
    let ids: Vec<ApplicationId> = applications.iter().map(|application| application.id).collect();
    let people = dump_identities(dump, tx, id, &ids).await?;
    for application in &applications {
        dump_application(dump, tx, application, &people).await?;
    }
    Ok(())
}

async fn dump_identities(
    dump: &mut Dump,
    tx: &mut dyn ReadTx,
    account: AccountId,
    applications: &[ApplicationId],
) -> Result<Vec<IdentityId>, StoreError> {
    let plain = IdentityQuery {
        member_of: None,
        not_member_of: None,
        status: None,
        has_any_assignment: None,
        assigned_in: None,
        search: None,
        sort: IdentitySort::Name,
        order: SortOrder::Ascending,
        page: widest(),
    };
    let mut queries = vec![plain.clone()];
    for sort in IdentitySort::ALL {
        for order in SortOrder::ALL {
            let (sort, order) = (*sort, *order);
            queries.push(IdentityQuery {
                sort,
                order,
                ..plain.clone()
            });
        }
    }
    for application in applications {
        let application = Some(*application);
        queries.push(IdentityQuery {
            member_of: application,
            ..plain.clone()
        });
        let counts = tx.identity_counts(account, application, None).await?;
        dump.add(format!("{account} counts {application:?}"), counts);
        queries.push(IdentityQuery {
            not_member_of: application,
            ..plain.clone()
        });
        for has in [true, false] {
            queries.push(IdentityQuery {
                member_of: application,
                has_any_assignment: Some(has),
                ..plain.clone()
            });
        }
    }
    for has in [true, false] {
        queries.push(IdentityQuery {
            has_any_assignment: Some(has),
            ..plain.clone()
        });
    }
    for status in IdentityStatus::ALL {
        queries.push(IdentityQuery {
            status: Some(*status),
            ..plain.clone()
        });
    }
    for search in ["a", "_", "%", "@x"] {
        queries.push(IdentityQuery {
            search: SearchWords::parse(search).expect("few words"),
            ..plain.clone()
        });
    }
    let mut people: Vec<IdentityId> = vec![];
    let mut asked = TakenIdentifiers::default();
    for query in queries {
        let page = tx.identities(account, &query).await?;
        if query == plain {
            people = page.items.iter().map(|identity| identity.id).collect();
            asked.emails = page.items.iter().map(|identity| identity.email.clone()).collect();
            asked.external_ids = page
                .items
                .iter()
                .filter_map(|identity| identity.external_id.clone())
                .collect();
        }
        dump.add(format!("{account} identities {query:?}"), page);
    }
    let taken = tx.taken_identifiers(account, &asked).await?;
    dump.add_set(format!("{account} emails"), taken.emails);
    dump.add_set(format!("{account} external ids"), taken.external_ids);
    dump.add(
        format!("{account} counts"),
        tx.identity_counts(account, None, None).await?,
    );
    for id in &people {
        dump.add(format!("{account} identity {id}"), tx.identity(account, *id).await?);
        dump.add(format!("{account} memberships of {id}"), tx.memberships(*id).await?);
        let standings = tx.standings(account, *id).await?;
        let environments: Vec<_> = standings.iter().map(|(environment, _)| *environment).collect();
        dump.add(format!("{account} held by {id}"), tx.held(&environments, *id).await?);
        dump.add(format!("{account} standings of {id}"), standings);
    }
    Ok(people)
}

async fn dump_application(
    dump: &mut Dump,
    tx: &mut dyn ReadTx,
    application: &Application,
    people: &[IdentityId],
) -> Result<(), StoreError> {
    let (id, account) = (application.id, application.account_id);
    dump.add(format!("{id}"), application);
    dump.add(format!("{id} by id"), tx.application(id).await?);
    dump.add(
        format!("{id} by slug"),
        tx.application_by_slug(account, &application.slug).await?,
    );
    dump.add_set(format!("{id} facts"), tx.identity_facts(account, id, people).await?);
    dump.add_set(format!("{id} members"), tx.members(id).await?);
    for environment in tx.environments(id).await? {
        let by_slug = tx.environment_by_slug(id, &environment.slug).await?;
        dump.add(format!("{} by slug", environment.id), by_slug);
        let place = EnvironmentRef {
            account,
            application: id,
            environment: environment.id,
        };
        dump_environment(dump, tx, &environment).await?;
        dump_catalog(dump, tx, &environment).await?;
        dump_tree(dump, tx, &environment).await?;
        dump_assignments(dump, tx, &place, people).await?;
    }
    Ok(())
}

async fn dump_environment(dump: &mut Dump, tx: &mut dyn ReadTx, environment: &Environment) -> Result<(), StoreError> {
    let id = environment.id;
    dump.add(format!("{id}"), environment);
    dump.add(format!("{id} by id"), tx.environment(id).await?);
    dump.add(format!("{id} place"), tx.environment_place(id).await?);
    dump.add(format!("{id} hierarchy"), tx.hierarchy(id).await?);
    dump.add(format!("{id} revision"), tx.revision(id).await?);
    let changes = tx.changes_since(id, Revision::ZERO, u32::MAX).await?;
    dump.add(format!("{id} changes"), changes);
    let Some(snapshot) = tx.snapshot(id).await? else {
        return Ok(());
    };
    dump.add(format!("{id} snapshot"), (snapshot.environment, snapshot.revision));
    dump.add_set(format!("{id} snapshot permissions"), snapshot.permissions);
    dump.add_set(format!("{id} snapshot nodes"), snapshot.nodes);
    dump.add_set(format!("{id} snapshot subjects"), snapshot.subjects);
    dump.add_set(format!("{id} snapshot grants"), snapshot.grants);
    dump.add_set(format!("{id} snapshot keys"), snapshot.keys);
    let keys = tx.api_keys(id).await?;
    for key in &keys {
        dump.add(format!("{id} api key {}", key.id), tx.api_key(id, key.id).await?);
    }
    dump.add(format!("{id} api keys"), keys);
    let roles = snapshot.roles.into_iter().map(|mut role| {
        role.permissions.sort();
        role
    });
    dump.add_set(format!("{id} snapshot roles"), roles);
    Ok(())
}

async fn dump_catalog(dump: &mut Dump, tx: &mut dyn ReadTx, environment: &Environment) -> Result<(), StoreError> {
    let id = environment.id;
    let mut queries = vec![PermissionQuery::default()];
    for source in PermissionSource::ALL {
        queries.push(PermissionQuery {
            source: Some(*source),
            ..PermissionQuery::default()
        });
    }
    for search in ["a", "_", ".b"] {
        queries.push(PermissionQuery {
            search: SearchWords::parse(search).expect("few words"),
            ..PermissionQuery::default()
        });
    }
    for query in queries {
        dump.add(format!("{id} permissions {query:?}"), tx.permissions(id, &query).await?);
    }
    let permissions = tx.permissions(id, &PermissionQuery::default()).await?;
    let keys: Vec<_> = permissions.iter().map(|permission| permission.key.clone()).collect();
    dump.add_set(format!("{id} permission ids"), tx.permission_ids(id, &keys).await?);
    for permission in permissions {
        let found = tx.permission(id, permission.id).await?;
        dump.add(format!("{id} permission {}", permission.id), found);
    }
    for kind in [None, Some(RoleTypeFilter::System), Some(RoleTypeFilter::Custom)] {
        for include_inactive in [true, false] {
            let query = RoleQuery { include_inactive, kind };
            dump.add(format!("{id} roles {query:?}"), tx.roles(id, &query).await?);
        }
    }
    let catalog = tx.catalog(id).await?;
    for role in catalog.roles.keys() {
        dump.add(format!("{id} role {role}"), tx.role(id, *role).await?);
        dump.add(
            format!("{id} role {role} bundles"),
            tx.role_permissions(id, *role).await?,
        );
    }
    dump.add_set(format!("{id} catalog permissions"), catalog.permissions);
    dump.add_set(format!("{id} catalog roles"), catalog.roles);
    Ok(())
}

async fn dump_tree(dump: &mut Dump, tx: &mut dyn ReadTx, environment: &Environment) -> Result<(), StoreError> {
    let id = environment.id;
    let nodes = tx.nodes(id).await?;
    let parents: Vec<_> = nodes.iter().map(|node| node.id).collect();
    let slugs: Vec<_> = parents
        .iter()
        .flat_map(|parent| nodes.iter().map(|node| (*parent, node.slug.clone())))
        .collect();
    let NodeFacts { parents, taken } = tx.node_facts(id, &parents, &slugs).await?;
    dump.add_set(format!("{id} parents"), parents);
    dump.add_set(format!("{id} taken slugs"), taken);
    let root = tx.root_node(id).await?;
    if root.is_some() {
        let shape = tx.tree_shape(id).await?;
        dump.add(format!("{id} shape"), (shape.root, shape.root_type, shape.deepest.0));
        let edges = shape.edges.into_iter().map(|edge| (edge.parent, edge.child));
        dump.add_set(format!("{id} edges"), edges);
    }
    dump.add(format!("{id} root"), root);
    for node in &nodes {
        dump.add(format!("{id} node {}", node.id), tx.node(id, node.id).await?);
        dump.add(format!("{id} children of {}", node.id), tx.children(id, node.id).await?);
        dump.add(
            format!("{id} ancestors of {}", node.id),
            tx.ancestors(id, node.id).await?,
        );
        dump.add_set(format!("{id} subtree of {}", node.id), tx.subtree(id, node.id).await?);
        let height = tx.subtree_height(id, node.id).await?;
        dump.add(format!("{id} height of {}", node.id), height);
        dump.add(format!("{id} uses of {}", node.id), tx.node_uses(id, node.id).await?);
        let holders = tx.environments_with_node(&[id], node.id).await?;
        dump.add(format!("{id} holders of {}", node.id), holders);
    }
    // Siblings are ordered; the order of the families is unspecified.
    let mut families: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for node in nodes {
        families.entry(node.parent).or_default().push(node);
    }
    dump.add(format!("{id} nodes"), families);
    Ok(())
}

async fn dump_assignments(
    dump: &mut Dump,
    tx: &mut dyn ReadTx,
    place: &EnvironmentRef,
    people: &[IdentityId],
) -> Result<(), StoreError> {
    let id = place.environment;
    let instants = [Timestamp::MIN, canopy_testkit::clock::noon(), Timestamp::MAX];
    let plain = AssignmentQuery {
        held_at: None,
        role: None,
        status: None,
        source_node: None,
        search: None,
        sort: AssignmentSort::CreatedAt,
        order: SortOrder::Ascending,
        page: widest(),
    };
    let mut queries = vec![plain.clone()];
    for sort in AssignmentSort::ALL {
        for order in SortOrder::ALL {
            let (sort, order) = (*sort, *order);
            queries.push(AssignmentQuery {
                sort,
                order,
                ..plain.clone()
            });
        }
    }
    for status in AssignmentStatus::ALL {
        queries.push(AssignmentQuery {
            status: Some(*status),
            ..plain.clone()
        });
    }
    for search in ["a", "%", "role"] {
        queries.push(AssignmentQuery {
            search: SearchWords::parse(search).expect("few words"),
            ..plain.clone()
        });
    }
    let counts = tx
        .identity_counts(place.account, Some(place.application), Some(id))
        .await?;
    dump.add(format!("{id} counts"), counts);
    for now in instants {
        for query in &queries {
            let page = tx.assignment_views(id, query, now).await?;
            dump.add(format!("{id} assignments {query:?} {now}"), page);
        }
        let summary = tx.assignment_summary(id, now).await?;
        dump.add(format!("{id} assignments at {now}"), summary);
    }
    let nodes: Vec<NodeId> = tx.nodes(id).await?.iter().map(|node| node.id).collect();
    dump.add(
        format!("{id} assignments of all nodes"),
        tx.assignments_at(id, &nodes).await?,
    );
    for node in nodes {
        let summary = tx
            .node_assignment_summary(id, node, canopy_testkit::clock::noon())
            .await?;
        dump.add(format!("{id} assignments held at {node}"), summary);
        for access_type in [None, Some(AccessType::Direct), Some(AccessType::Inherited)] {
            let query = AssignmentQuery {
                held_at: Some(HeldAt { node, access_type }),
                sort: AssignmentSort::AccessType,
                ..plain.clone()
            };
            let page = tx.assignment_views(id, &query, canopy_testkit::clock::noon()).await?;
            dump.add(format!("{id} assignments {query:?}"), page);
        }
    }
    let views = tx.assignment_views(id, &plain, Timestamp::MIN).await?;
    let ids: Vec<_> = views.items.iter().map(|view| view.assignment.id).collect();
    dump.add(format!("{id} assignments by id"), tx.assignments(id, &ids).await?);
    let mut keys: Vec<AssignmentKey> = views.items.iter().map(|view| view.assignment.key).collect();
    let others = keys.first().map(|key| (key.role, key.node));
    keys.extend(people.iter().filter_map(|identity| {
        let (role, node) = others?;
        let identity = *identity;
        Some(AssignmentKey { identity, role, node })
    }));
    let facts = tx.assignment_facts(place, &keys).await?;
    dump.add_set(format!("{id} assignable identities"), facts.identities);
    dump.add_set(format!("{id} assignable nodes"), facts.nodes);
    dump.add_set(format!("{id} assignable roles"), facts.roles);
    dump.add_set(format!("{id} existing assignments"), facts.existing);
    Ok(())
}

fn widest() -> PageRequest {
    PageRequest::new(1, PageRequest::MAX_TAKE).expect("a page")
}
