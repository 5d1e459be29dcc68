//! Create nodes, one or many.

use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange};
use crate::{App, AppError, BulkMode, Call, unit_of_work};
use canopy_domain::access::{Change, NodeFact};
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::bulk::{self, Outcome};
use canopy_domain::hierarchy::create::{NewNode, Parent, ParentName, PlannedNode, base_slug, plan};
use canopy_domain::port::{StoreError, Unique, WriteScope};
use canopy_domain::{
    EnvironmentPlace, HierarchyError, Node, NodeId, NodeStatus, Slug, TenancyError, Tenant, Timestamp, Version,
};

/// Creates nodes. The outcomes are in the order of the items; in a dry run the nodes are what would be made.
///
/// # Errors
/// [`AppError::Store`]; rules that items break are in their outcomes.
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    items: &[NewNode],
    mode: BulkMode,
) -> Result<Vec<Outcome<Node, HierarchyError>>, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let (model, schema) = tx.hierarchy(place.environment).await?.ok_or_else(absent)?;
        let (parents, slugs) = named_places(items);
        let facts = tx.node_facts(place.environment, &parents, &slugs).await?;
        let outcomes = bulk::settle(plan(items, model, &schema, &facts), mode.atomic);
        let outcomes = with_ids(app, place, items, outcomes, now);
        let created = parents_first(&outcomes);
        if mode.dry_run || created.is_empty() {
            return Ok(outcomes);
        }
        tx.insert_nodes(&created).await.map_err(|error| match error {
            StoreError::Duplicate(Unique::NodeSlug) => HierarchyError::SlugTaken.into(),
            other => AppError::from(other),
        })?;
        let ids: Vec<NodeId> = created.iter().map(|node| node.id).collect();
        let mut details = Details::default();
        details
            .nodes(tx.as_mut(), place.environment, ListChange::Added, &ids)
            .await?;
        let entry = AuditEntry::within(place, "node.create", AuditCategory::Hierarchy)
            .on(
                "node",
                created.first().map(|node| node.id.to_string()).unwrap_or_default(),
                created.first().map(|node| node.name.to_string()).unwrap_or_default(),
            )
            .saying(vec![
                ("count", Detail::count(created.len())),
                ("node_ids", described::first(&ids)),
            ])
            .detailing_all(details);
        app.commit_within(
            tx,
            call,
            place,
            now,
            created
                .iter()
                .map(|node| Change::NodePut(NodeFact::from(node)))
                .collect(),
            entry,
            &outcomes,
        )
        .await?;
        Ok(outcomes)
    })
    .await
}

/// The existing parents that items name, and the slugs that they want below them.
fn named_places(items: &[NewNode]) -> (Vec<NodeId>, Vec<(NodeId, Slug)>) {
    let mut parents = Vec::new();
    let mut slugs = Vec::new();
    for item in items {
        if let ParentName::Id(parent) = item.parent {
            parents.push(parent);
            slugs.push((parent, item.slug.clone().unwrap_or_else(|| base_slug(&item.name))));
        }
    }
    parents.sort_unstable();
    parents.dedup();
    (parents, slugs)
}

fn with_ids(
    app: &App,
    place: &EnvironmentPlace,
    items: &[NewNode],
    outcomes: Vec<Outcome<PlannedNode, HierarchyError>>,
    now: Timestamp,
) -> Vec<Outcome<Node, HierarchyError>> {
    let ids: Vec<NodeId> = items.iter().map(|_| NodeId::new(app.mint())).collect();
    let parent_of = |parent| match parent {
        Parent::Existing(id) => Some(id),
        Parent::Item(index) => ids.get(index).copied(),
    };
    outcomes
        .into_iter()
        .zip(items.iter().zip(&ids))
        .map(|(outcome, (item, id))| match outcome {
            Outcome::Done(planned) => Outcome::Done(Node {
                id: *id,
                environment_id: place.environment,
                parent: parent_of(planned.parent),
                node_type: item.node_type.clone(),
                name: item.name.clone(),
                slug: planned.slug,
                status: NodeStatus::Active,
                metadata: item.metadata.clone(),
                version: Version::FIRST,
                created_at: now,
                updated_at: now,
            }),
            Outcome::Refused(error) => Outcome::Refused(error),
            Outcome::RolledBack { caused_by } => Outcome::RolledBack { caused_by },
        })
        .collect()
}

/// The nodes to store, each after its parent.
fn parents_first(outcomes: &[Outcome<Node, HierarchyError>]) -> Vec<Node> {
    use std::collections::{HashMap, HashSet, VecDeque};
    let done = || {
        outcomes.iter().filter_map(|outcome| {
            if let Outcome::Done(node) = outcome {
                Some(node)
            } else {
                None
            }
        })
    };
    let fresh: HashSet<NodeId> = done().map(|node| node.id).collect();
    let mut children: HashMap<NodeId, Vec<&Node>> = HashMap::new();
    let mut ready: VecDeque<&Node> = VecDeque::new();
    for node in done() {
        match node.parent {
            Some(parent) if fresh.contains(&parent) => children.entry(parent).or_default().push(node),
            _ => ready.push_back(node),
        }
    }
    let mut ordered = Vec::with_capacity(fresh.len());
    while let Some(node) = ready.pop_front() {
        ready.extend(children.remove(&node.id).unwrap_or_default());
        ordered.push(node.clone());
    }
    ordered
}
