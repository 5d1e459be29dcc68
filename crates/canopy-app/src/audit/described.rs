//! Assignments as audit events describe them: who was given what, and where.

use crate::AppError;
use canopy_domain::assignment::listing::AssignmentView;
use canopy_domain::audit::Detail;
use canopy_domain::port::ReadTx;
use canopy_domain::{Assignment, EnvironmentPlace, IdentityId, NodeId, RoleId};
use std::collections::{BTreeSet, HashMap};

/// The number of assignments of one event that are described with names. All others are described with ids.
const NAMED: usize = 200;

/// Describes assignments of one environment, in their order: identity, role and node of each by id, and of the first 200 also
/// by name, the node by its slug path. Takes three statements, however many there are.
///
/// # Errors
/// [`AppError::Store`].
pub(crate) async fn assignments(
    tx: &mut dyn ReadTx,
    place: &EnvironmentPlace,
    described: &[Assignment],
) -> Result<Detail, AppError> {
    let named = described.get(..NAMED).unwrap_or(described);
    let identities: BTreeSet<IdentityId> = named.iter().map(|one| one.key.identity).collect();
    let roles: BTreeSet<RoleId> = named.iter().map(|one| one.key.role).collect();
    let nodes: BTreeSet<NodeId> = named.iter().map(|one| one.key.node).collect();
    let identities: Vec<IdentityId> = identities.into_iter().collect();
    let roles: Vec<RoleId> = roles.into_iter().collect();
    let nodes: Vec<NodeId> = nodes.into_iter().collect();
    let identities = tx.identity_labels(place.account, &identities).await?;
    let roles = tx.role_names(place.environment, &roles).await?;
    let paths: HashMap<NodeId, String> = if nodes.is_empty() {
        HashMap::new()
    } else {
        let found = tx.named_nodes(place.environment, &nodes).await?;
        found.into_iter().map(|node| (node.id, node.path.to_string())).collect()
    };
    let entries = described.iter().enumerate().map(|(place, one)| {
        let is_named = place < NAMED;
        let mut entry = ids(one);
        if is_named {
            entry.push(("identity_name", Detail::optional(identities.get(&one.key.identity))));
            entry.push(("role_name", Detail::optional(roles.get(&one.key.role))));
            entry.push(("node_path", Detail::optional(paths.get(&one.key.node))));
        }
        Detail::Map(entry)
    });
    Ok(Detail::List(entries.collect()))
}

/// Describes assignments with what a listing has read of them.
pub(crate) fn views(described: &[AssignmentView]) -> Detail {
    let entries = described.iter().map(|view| {
        let mut entry = ids(&view.assignment);
        let name = format!("{} {}", view.identity.first_name, view.identity.last_name);
        entry.push(("environment_id", Detail::text(view.assignment.environment_id)));
        entry.push(("identity_name", Detail::text(name)));
        entry.push(("role_name", Detail::text(&view.role_name)));
        entry.push(("node_name", Detail::text(&view.node_name)));
        Detail::Map(entry)
    });
    Detail::List(entries.collect())
}

fn ids(one: &Assignment) -> Vec<(&'static str, Detail)> {
    vec![
        ("assignment_id", Detail::text(one.id)),
        ("identity_id", Detail::text(one.key.identity)),
        ("role_id", Detail::text(one.key.role)),
        ("node_id", Detail::text(one.key.node)),
    ]
}
