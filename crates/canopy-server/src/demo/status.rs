//! Detects whether a store is empty, has the demo data, or other data.

use super::seed::team_named;
use super::{ACCOUNT, APPLICATION, DemoError, ENVIRONMENT};
use canopy_app::session::Slugs;
use canopy_app::{App, AppError, Caller, hierarchy, identity, role, tenancy};
use canopy_domain::identity::listing::{IdentityQuery, IdentitySort};
use canopy_domain::role::listing::{RoleQuery, RoleTypeFilter};
use canopy_domain::{
    AccessModel, Email, EnvironmentRef, Identity, IdentityId, Node, NodeId, PageRequest, RoleId, SortOrder,
};

/// The contents of a store, as far as the demo distinguishes them.
#[derive(Debug)]
pub enum Status {
    /// No account.
    Empty,
    /// The demo data, possibly changed since.
    Demo(Box<Demo>),
    /// Other data.
    Other,
}

/// The parts of the demo data that the commands refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    /// The environment.
    pub place: EnvironmentRef,
    /// People without an assignment, the first few by email address.
    pub people: Vec<Candidate>,
    /// A region.
    pub region: NodeId,
    /// A team of that region, and one of another.
    pub teams: [NodeId; 2],
    /// The path of the first team from the root.
    pub team_path: String,
    /// The custom roles: none before bootstrap.
    pub roles: Vec<RoleId>,
}

/// A person that a role can be assigned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The id.
    pub id: IdentityId,
    /// The email address, which AuthZEN accepts instead of the id.
    pub email: Email,
}

/// Reads the status of a store.
///
/// # Errors
/// [`DemoError`] if it cannot be read.
pub async fn status(app: &App) -> Result<Status, DemoError> {
    if tenancy::list_accounts(app).await?.is_empty() {
        return Ok(Status::Empty);
    }
    let operator = Caller::Operator { subject: "demo".into() };
    let slugs = Slugs::from((ACCOUNT, APPLICATION, ENVIRONMENT));
    let place: EnvironmentRef = match app.sessions().resolve(&operator, slugs).await {
        Ok(place) => place,
        Err(AppError::Tenancy(_)) => return Ok(Status::Other),
        Err(error) => return Err(error.into()),
    };
    if tenancy::get_environment(app, place).await?.access_model != AccessModel::Hierarchy {
        return Ok(Status::Other);
    }
    let nodes = hierarchy::list_nodes(app, &place).await?;
    let named = ["Europe", "Berlin", "Tokyo"].map(|name| team_named(&nodes, name));
    let [Some(region), Some(near), Some(far)] = named else {
        return Ok(Status::Other);
    };
    let custom = RoleQuery {
        include_inactive: false,
        kind: Some(RoleTypeFilter::Custom),
    };
    let roles = role::list_roles(app, &place, &custom).await?;
    Ok(Status::Demo(Box::new(Demo {
        place,
        people: people_without_assignment(app, &place).await?,
        region,
        teams: [near, far],
        team_path: path(&nodes, near),
        roles: roles.into_iter().map(|view| view.role.id).collect(),
    })))
}

async fn people_without_assignment(app: &App, place: &EnvironmentRef) -> Result<Vec<Candidate>, DemoError> {
    let query = IdentityQuery {
        member_of: Some(place.application),
        not_member_of: None,
        status: None,
        has_any_assignment: Some(false),
        assigned_in: Some(place.environment),
        search: None,
        sort: IdentitySort::Email,
        order: SortOrder::Ascending,
        page: PageRequest::new(1, 3).unwrap_or_default(),
    };
    let page = identity::list_identities(app, place.account, &query).await?;
    let candidate = |person: Identity| Candidate {
        id: person.id,
        email: person.email,
    };
    Ok(page.items.into_iter().map(candidate).collect())
}

/// Returns the slugs from the root to a node, separated by `/`.
fn path(nodes: &[Node], node: NodeId) -> String {
    let mut slugs = vec![];
    let mut next = Some(node);
    while let Some(node) = next.and_then(|id| nodes.iter().find(|node| node.id == id)) {
        slugs.push(node.slug.as_str());
        next = node.parent;
    }
    slugs.reverse();
    slugs.join("/")
}
