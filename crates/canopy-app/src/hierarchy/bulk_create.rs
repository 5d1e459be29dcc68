//! Creates nodes, one or many.

use super::slug_taken;
use crate::audit::described;
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::bulk::{self, Outcome};
use canopy_domain::changeset::{ChangeSet, Rows};
use canopy_domain::hierarchy::create::{NewNode, Parent, ParentName, PlannedNode, base_slug, plan};
use canopy_domain::port::{LockScope, ReadTx, Unique};
use canopy_domain::{EnvironmentRef, HierarchyError, Node, NodeId, NodeStatus, Slug, TenancyError, Tenant, Version};

/// Creates nodes. The outcomes are in the order of the items.
///
/// Fails only with [`AppError::Store`]; refusals of items are in their outcomes.
#[derive(Debug, Clone)]
pub struct CreateNodes {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The nodes.
    pub items: Vec<NewNode>,
    /// True to roll back all items if one is refused.
    pub atomic: bool,
}

#[async_trait]
impl Write for CreateNodes {
    type Outcome = Vec<Outcome<Node, HierarchyError>>;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::NodeManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Self::Outcome>, AppError> {
        let environment = self.environment.environment;
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let (model, schema) = facts.hierarchy(environment).await?.ok_or_else(absent)?;
        let (parents, slugs) = named_places(&self.items);
        let found = facts.node_facts(environment, &parents, &slugs).await?;
        let outcomes = bulk::settle(plan(&self.items, model, &schema, &found), self.atomic);
        let outcomes = with_ids(self, outcomes, at);
        let created = parents_first(&outcomes);
        if created.is_empty() {
            return Ok(Plan::unchanged(outcomes));
        }
        let mut details = at.details();
        details.created_nodes(facts, &created).await?;
        let entry = AuditEntry::within(&self.environment, "node.create", AuditCategory::Hierarchy)
            .resource(
                "node",
                created.first().map(|node| node.id.to_string()).unwrap_or_default(),
                created.first().map(|node| node.name.to_string()).unwrap_or_default(),
            )
            .detail(vec![
                ("count", Detail::count(created.len())),
                ("node_ids", described::first(created.iter().map(|node| node.id))),
            ])
            .detailing_all(details);
        let changes = ChangeSet {
            nodes: Rows::added(created),
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, outcomes, entry))
    }

    fn lost_race(&self, unique: Unique) -> Option<AppError> {
        slug_taken(unique)
    }
}

/// Returns the existing parents that items name, and the wanted slugs below them.
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
    write: &CreateNodes,
    outcomes: Vec<Outcome<PlannedNode, HierarchyError>>,
    at: &Moment<'_>,
) -> Vec<Outcome<Node, HierarchyError>> {
    let CreateNodes { environment, items, .. } = write;
    let ids: Vec<NodeId> = items.iter().map(|_| NodeId::new(at.mint())).collect();
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
                environment_id: environment.environment,
                parent: parent_of(planned.parent),
                node_type: item.node_type.clone(),
                name: item.name.clone(),
                slug: planned.slug,
                status: NodeStatus::Active,
                metadata: item.metadata.clone(),
                version: Version::FIRST,
                created_at: at.now(),
                updated_at: at.now(),
            }),
            Outcome::Refused(error) => Outcome::Refused(error),
            Outcome::RolledBack { caused_by } => Outcome::RolledBack { caused_by },
        })
        .collect()
}

/// Returns the nodes to store, each after its parent.
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
