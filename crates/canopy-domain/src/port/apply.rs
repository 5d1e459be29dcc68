//! Applies a change set through the set-based statements of a store, in one canonical order.

use super::StoreError;
use super::writer::RowWriter;
use crate::changeset::{ChangeSet, EnvironmentRow, LastingRows, NewApiKey, Rows, Updated};
use crate::{
    Application, Assignment, AssignmentId, Environment, EnvironmentId, Identity, IdentityId, Membership,
    MembershipStatus, Node, Permission, PermissionId, Role, RoleId,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Applies a change set: removes rows, then updates rows, then adds rows. Each step makes one call for each
/// environment, application or account with such rows, and none without them.
///
/// Assignments are updated before nodes and roles are removed, so that an assignment can move away from a removed node.
///
/// # Errors
/// Those of the [writers](super::writer). After any error the unit of work must not be committed. The exception is a
/// [`StoreError::Duplicate`] of a set with rows of only one table, which leaves nothing behind.
pub async fn apply_rows(rows: &mut dyn RowWriter, changes: &ChangeSet) -> Result<(), StoreError> {
    // Without `..`: a new field does not compile until it is applied here.
    let ChangeSet {
        accounts,
        applications,
        environments,
        permissions,
        roles,
        bundles: _, // See `unbound` and `bound`.
        nodes,
        identities,
        memberships,
        assignments,
        api_keys,
    } = changes;

    remove_assignments(rows, assignments, (identities, memberships)).await?;
    for some in within(&after(&assignments.updated), |one| one.environment_id).values() {
        rows.update_assignments(some).await?;
    }
    remove_contents(rows, (nodes, roles, permissions)).await?;
    for key in &api_keys.removed {
        rows.delete_api_key(key.environment_id, key.id).await?;
    }
    for identity in &identities.removed {
        rows.delete_identity(identity.account_id, identity.id).await?;
    }
    remove_tenants(rows, &applications.removed, &environments.removed).await?;

    for row in &accounts.updated {
        rows.update_account(&row.after).await?;
    }
    for row in &applications.updated {
        rows.update_application(&row.after).await?;
    }
    for row in &environments.updated {
        rows.update_environment(&row.after.environment, &row.after.schema)
            .await?;
    }
    for some in within(&after(&permissions.updated), |one| one.environment_id).values() {
        rows.update_permissions(some).await?;
    }
    for some in within(&after(&roles.updated), |one| one.environment_id).values() {
        rows.update_roles(some).await?;
    }
    for some in within(&after(&nodes.updated), |one| one.environment_id).values() {
        rows.update_nodes(some).await?;
    }
    for row in &identities.updated {
        rows.update_identity(&row.after).await?;
    }
    for some in within(&after(&memberships.updated), |one| one.application_id).values() {
        rows.update_memberships(some).await?;
    }
    for key in api_keys.updated.iter().map(|row| &row.after) {
        let end = key.expires_at.ok_or_else(|| bug("an updated API key has no expiry"))?;
        rows.expire_api_key(key.environment_id, key.id, end).await?;
    }

    for account in &accounts.added {
        rows.insert_account(account).await?;
    }
    add_tenants(rows, &applications.added, &environments.added).await?;
    for some in within(&permissions.added, |one| one.environment_id).values() {
        rows.insert_permissions(some).await?;
    }
    for some in within(&roles.added, |one| one.environment_id).values() {
        rows.insert_roles(some).await?;
    }
    for (environment, pairs) in by_environment(changes.unbound()) {
        rows.unbind_permissions(environment, &pairs).await?;
    }
    for (environment, pairs) in by_environment(changes.bound()) {
        rows.bind_permissions(environment, &pairs).await?;
    }
    for some in within(&nodes.added, |one| one.environment_id).values() {
        rows.insert_nodes(some).await?;
    }
    for some in within(&identities.added, |one| one.account_id).values() {
        rows.insert_identities(some).await?;
    }
    for some in within(&memberships.added, |one| one.application_id).values() {
        rows.insert_memberships(some).await?;
    }
    for some in within(&assignments.added, |one| one.environment_id).values() {
        rows.insert_assignments(some).await?;
    }
    for NewApiKey { key, digest } in &api_keys.added {
        rows.insert_api_key(key, digest).await?;
    }
    Ok(())
}

/// Removes assignments. If an identity is removed or its membership ends, one call removes all its assignments in all
/// environments.
async fn remove_assignments(
    rows: &mut dyn RowWriter,
    assignments: &Rows<Assignment>,
    (identities, memberships): (&Rows<Identity>, &LastingRows<Membership>),
) -> Result<(), StoreError> {
    let ended = memberships.updated.iter().map(|row| &row.after);
    let ended = ended.filter(|one| one.status == MembershipStatus::Deactivated);
    let losing: BTreeSet<IdentityId> = identities
        .removed
        .iter()
        .map(|one| one.id)
        .chain(ended.map(|one| one.identity_id))
        .collect();
    let mut revoked: BTreeMap<IdentityId, Vec<(EnvironmentId, AssignmentId)>> = BTreeMap::new();
    let mut removed: BTreeMap<EnvironmentId, Vec<AssignmentId>> = BTreeMap::new();
    for one in &assignments.removed {
        if losing.contains(&one.key.identity) {
            let of_identity = revoked.entry(one.key.identity).or_default();
            of_identity.push((one.environment_id, one.id));
        } else {
            removed.entry(one.environment_id).or_default().push(one.id);
        }
    }
    for (identity, mut named) in revoked {
        named.sort_unstable();
        let mut environments: Vec<EnvironmentId> = named.iter().map(|(environment, _)| *environment).collect();
        environments.dedup();
        if rows.revoke_all(&environments, identity).await? != named {
            return Err(bug("an identity held other assignments than the change set removes"));
        }
    }
    for (environment, ids) in removed {
        rows.delete_assignments(environment, &ids).await?;
    }
    Ok(())
}

/// Removes nodes, roles and permissions.
async fn remove_contents(
    rows: &mut dyn RowWriter,
    (nodes, roles, permissions): (&Rows<Node>, &Rows<Role>, &Rows<Permission>),
) -> Result<(), StoreError> {
    for (environment, ids) in by_environment(nodes.removed.iter().map(|one| (one.environment_id, one.id))) {
        rows.delete_nodes(environment, &ids).await?;
    }
    for (environment, ids) in by_environment(roles.removed.iter().map(|one| (one.environment_id, one.id))) {
        rows.delete_roles(environment, &ids).await?;
    }
    for (environment, ids) in by_environment(permissions.removed.iter().map(|one| (one.environment_id, one.id))) {
        rows.delete_permissions(environment, &ids).await?;
    }
    Ok(())
}

/// Removes environments, then the applications without any.
async fn remove_tenants(
    rows: &mut dyn RowWriter,
    applications: &[Application],
    environments: &[Environment],
) -> Result<(), StoreError> {
    // A default environment cannot be deleted.
    for application in applications.iter().filter(|one| one.default_environment_id.is_some()) {
        rows.update_application(&without_default(application)).await?;
    }
    let ids: Vec<EnvironmentId> = environments.iter().map(|one| one.id).collect();
    if !ids.is_empty() {
        rows.delete_environments(&ids).await?;
    }
    for application in applications {
        rows.delete_application(application.id).await?;
    }
    Ok(())
}

/// Adds applications, then their environments, then sets the default environments.
async fn add_tenants(
    rows: &mut dyn RowWriter,
    applications: &[Application],
    environments: &[EnvironmentRow],
) -> Result<(), StoreError> {
    for application in applications {
        rows.insert_application(&without_default(application)).await?;
    }
    for EnvironmentRow { environment, schema } in environments {
        rows.insert_environment(environment, schema).await?;
    }
    for application in applications.iter().filter(|one| one.default_environment_id.is_some()) {
        rows.update_application(application).await?;
    }
    Ok(())
}

fn without_default(application: &Application) -> Application {
    Application {
        default_environment_id: None,
        ..application.clone()
    }
}

/// Returns the rows after the write.
fn after<T: Clone>(updated: &[Updated<T>]) -> Vec<T> {
    updated.iter().map(|row| row.after.clone()).collect()
}

/// Groups rows by their owner. Rows of a single owner are not copied.
fn within<T: Clone, Id: Ord>(rows: &[T], id: impl Fn(&T) -> Id) -> BTreeMap<Id, Cow<'_, [T]>> {
    let mut groups = BTreeMap::new();
    let Some(first) = rows.first() else {
        return groups;
    };
    if rows.iter().all(|row| id(row) == id(first)) {
        groups.insert(id(first), Cow::Borrowed(rows));
        return groups;
    }
    for row in rows {
        let group = groups.entry(id(row)).or_insert_with(|| Cow::Owned(Vec::new()));
        group.to_mut().push(row.clone());
    }
    groups
}

/// Groups ids or pairs by environment.
fn by_environment<T: Grouped>(all: impl Iterator<Item = T>) -> BTreeMap<EnvironmentId, Vec<T::Rest>> {
    let mut groups: BTreeMap<EnvironmentId, Vec<T::Rest>> = BTreeMap::new();
    for one in all {
        let (environment, rest) = one.split();
        groups.entry(environment).or_default().push(rest);
    }
    groups
}

/// A value that belongs to an environment.
trait Grouped {
    type Rest;
    fn split(self) -> (EnvironmentId, Self::Rest);
}

impl<Id> Grouped for (EnvironmentId, Id) {
    type Rest = Id;
    fn split(self) -> (EnvironmentId, Id) {
        self
    }
}

impl Grouped for (EnvironmentId, RoleId, PermissionId) {
    type Rest = (RoleId, PermissionId);
    fn split(self) -> (EnvironmentId, (RoleId, PermissionId)) {
        let (environment, role, permission) = self;
        (environment, (role, permission))
    }
}

fn bug(rule: &'static str) -> StoreError {
    StoreError::Internal(rule.into())
}
