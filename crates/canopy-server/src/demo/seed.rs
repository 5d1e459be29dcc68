//! Seeds an empty store through the use cases.

use super::data::{REGIONS, people};
use super::{ACCOUNT, APPLICATION, ENVIRONMENT};
use canopy_app::hierarchy::{ChangeHierarchySchema, CreateNodes, list_nodes};
use canopy_app::identity::CreateIdentities;
use canopy_app::session::Slugs;
use canopy_app::tenancy::{ChangeAccessModel, CreateAccount, CreateApplication, NewTenant, get_environment};
use canopy_app::{App, AppError, Call, Caller, Mode};
use canopy_domain::bulk::Outcome;
use canopy_domain::hierarchy::create::{NewNode, ParentName};
use canopy_domain::identity::create::NewIdentity;
use canopy_domain::{
    AccessModel, DisplayName, Email, EnvironmentRef, ExternalId, HierarchySchema, JsonObject, NodeId, NodeType,
    PersonName, Slug,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The reason for which the demo data could not be created.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A use case refused it or failed.
    #[error("the demo data cannot be created: {0}")]
    App(#[from] AppError),
    /// The demo data itself breaks a rule. Always a bug in Canopy.
    #[error("the demo data breaks a rule: {0}")]
    Data(String),
}

/// Converts a parser's refusal of the demo data.
fn data(error: impl fmt::Display) -> DemoError {
    DemoError::Data(error.to_string())
}

/// Seeds a store without accounts.
///
/// # Errors
/// [`DemoError`]; earlier rows stay.
pub async fn seed(app: &App) -> Result<EnvironmentRef, DemoError> {
    let call = Call::new(Caller::Operator { subject: "demo".into() }, "demo".to_owned());
    let create = CreateAccount {
        new: tenant("Acme", ACCOUNT)?,
    };
    let account = app.execute(&call, &create, Mode::Commit).await?;
    let create = CreateApplication {
        account: account.id,
        new: tenant("Notes", APPLICATION)?,
    };
    app.execute(&call, &create, Mode::Commit).await?;
    let slugs = Slugs::from((ACCOUNT, APPLICATION, ENVIRONMENT));
    let place: EnvironmentRef = app.sessions().resolve(&call.caller, slugs).await?;
    grow_tree(app, &call, &place).await?;
    let people = people()
        .map(|person| new_identity(&person))
        .collect::<Result<Vec<_>, _>>()?;
    let create = CreateIdentities {
        account: place.account,
        application: Some(place.application),
        items: people,
        atomic: true,
    };
    all_done(&app.execute(&call, &create, Mode::Commit).await?)?;
    Ok(place)
}

fn tenant(name: &str, slug: &str) -> Result<NewTenant, DemoError> {
    Ok(NewTenant {
        name: DisplayName::parse(name).map_err(data)?,
        slug: Some(Slug::parse(slug).map_err(data)?),
    })
}

/// Creates company, regions and teams.
async fn grow_tree(app: &App, call: &Call, place: &EnvironmentRef) -> Result<(), DemoError> {
    let [company, region, team] = ["company", "region", "team"].map(NodeType::parse);
    let (company, region, team) = (company.map_err(data)?, region.map_err(data)?, team.map_err(data)?);
    let children = BTreeMap::from([
        (company.clone(), BTreeSet::from([region.clone()])),
        (region.clone(), BTreeSet::from([team.clone()])),
    ]);
    let types = vec![company.clone(), region.clone(), team.clone()];
    let schema = HierarchySchema::new(types, children, 3, company).map_err(|errors| data(format!("{errors:?}")))?;
    let change = ChangeHierarchySchema {
        environment: *place,
        patch: (&schema).into(),
        seen: get_environment(app, *place).await?.version.into(),
    };
    app.execute(call, &change, Mode::Commit).await?;
    let change = ChangeAccessModel {
        environment: *place,
        model: AccessModel::Hierarchy,
    };
    app.execute(call, &change, Mode::Commit).await?;

    let root = list_nodes(app, place)
        .await?
        .first()
        .map(|root| root.id)
        .ok_or_else(|| data("an environment has no root"))?;
    let mut nodes = vec![];
    for (name, teams) in REGIONS {
        nodes.push(node(ParentName::Id(root), &region, name)?);
        for one in teams {
            nodes.push(node(ParentName::Reference(name.to_owned()), &team, one)?);
        }
    }
    let create = CreateNodes {
        environment: *place,
        items: nodes,
        atomic: true,
    };
    all_done(&app.execute(call, &create, Mode::Commit).await?)
}

fn node(parent: ParentName, node_type: &NodeType, name: &str) -> Result<NewNode, DemoError> {
    Ok(NewNode {
        reference: Some(name.to_owned()),
        parent,
        node_type: node_type.clone(),
        name: DisplayName::parse(name).map_err(data)?,
        slug: None,
        metadata: JsonObject::default(),
    })
}

fn new_identity(person: &super::data::Person) -> Result<NewIdentity, DemoError> {
    Ok(NewIdentity {
        email: Email::parse(&person.email).map_err(data)?,
        first_name: PersonName::parse(person.first_name).map_err(data)?,
        last_name: PersonName::parse(person.last_name).map_err(data)?,
        avatar_url: None,
        external_id: Some(ExternalId::parse(&person.external_id).map_err(data)?),
        metadata: None,
    })
}

fn all_done<T, E: fmt::Display>(outcomes: &[Outcome<T, E>]) -> Result<(), DemoError> {
    outcomes.iter().try_for_each(|outcome| match outcome {
        Outcome::Done(_) => Ok(()),
        Outcome::Refused(error) => Err(data(error)),
        Outcome::RolledBack { .. } => Err(data("an item was rolled back")),
    })
}

/// Returns a node of the demo's tree by its name.
pub(super) fn team_named(nodes: &[canopy_domain::Node], name: &str) -> Option<NodeId> {
    nodes.iter().find(|node| node.name.as_str() == name).map(|node| node.id)
}
