//! Change sets: all changes of one write to the rows of a store, as a value.
//!
//! A rule returns a [`ChangeSet`]. A store applies it in one canonical order, and the change records for decision
//! indexes are [derived from it](ChangeSet::access_changes). So no row can be written without its change record.

mod access;
#[cfg(test)]
mod tests;

pub use access::{AccessFacts, MissingFact};

use crate::api_key::{ApiKey, KeyDigest};
use crate::{
    Account, Application, Assignment, Environment, EnvironmentId, HierarchySchema, Identity, Membership, Node,
    Permission, PermissionId, Role, RoleId,
};
use std::collections::BTreeSet;

/// Rows of one table that a write removes, updates and adds. `N` is a new row, if it has more than a stored one; `R` is
/// a removed row, if it needs less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<T, N = T, R = T> {
    /// Removed rows, in their state before the write.
    pub removed: Vec<R>,
    /// Updated rows.
    pub updated: Vec<Updated<T>>,
    /// New rows.
    pub added: Vec<N>,
}

/// A row before and after a write. Its id does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated<T> {
    /// The row before the write.
    pub before: T,
    /// The row after the write.
    pub after: T,
}

impl<T, N, R> Default for Rows<T, N, R> {
    fn default() -> Self {
        Self {
            removed: Vec::new(),
            updated: Vec::new(),
            added: Vec::new(),
        }
    }
}

impl<T, N, R> Rows<T, N, R> {
    /// Removes rows.
    pub fn removed(rows: Vec<R>) -> Self {
        Self {
            removed: rows,
            ..Self::default()
        }
    }

    /// Updates rows.
    pub fn updated(rows: Vec<Updated<T>>) -> Self {
        Self {
            updated: rows,
            ..Self::default()
        }
    }

    /// Updates one row.
    pub fn update(before: T, after: T) -> Self {
        Self::updated(vec![Updated { before, after }])
    }

    /// Adds rows.
    pub fn added(rows: Vec<N>) -> Self {
        Self {
            added: rows,
            ..Self::default()
        }
    }

    fn extend(&mut self, other: Self) {
        let Self {
            removed,
            updated,
            added,
        } = other;
        self.removed.extend(removed);
        self.updated.extend(updated);
        self.added.extend(added);
    }

    /// Returns true if no row is removed, updated or added.
    pub const fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.updated.is_empty() && self.added.is_empty()
    }
}

/// Rows of a table that writes never remove on their own: they stay, or are removed with their owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastingRows<T> {
    /// Updated rows.
    pub updated: Vec<Updated<T>>,
    /// New rows.
    pub added: Vec<T>,
}

impl<T> Default for LastingRows<T> {
    fn default() -> Self {
        Self {
            updated: Vec::new(),
            added: Vec::new(),
        }
    }
}

impl<T> LastingRows<T> {
    /// Updates one row.
    pub fn update(before: T, after: T) -> Self {
        Self {
            updated: vec![Updated { before, after }],
            ..Self::default()
        }
    }

    /// Adds rows.
    pub fn added(rows: Vec<T>) -> Self {
        Self {
            added: rows,
            ..Self::default()
        }
    }

    fn extend(&mut self, other: Self) {
        let Self { updated, added } = other;
        self.updated.extend(updated);
        self.added.extend(added);
    }

    /// Returns true if no row is updated or added.
    pub const fn is_empty(&self) -> bool {
        self.updated.is_empty() && self.added.is_empty()
    }
}

/// An environment and its hierarchy schema, which are stored together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentRow {
    /// The environment.
    pub environment: Environment,
    /// Its hierarchy schema.
    pub schema: HierarchySchema,
}

/// A new API key with the digest of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// The key.
    pub key: ApiKey,
    /// The digest of its text.
    pub digest: KeyDigest,
}

/// The permissions of a role, before and after. The role itself is added or updated in the same set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The environment of the role.
    pub environment: EnvironmentId,
    /// The role.
    pub role: RoleId,
    /// All its permissions before the write.
    pub before: BTreeSet<PermissionId>,
    /// All its permissions after the write.
    pub after: BTreeSet<PermissionId>,
}

/// All changes of one write to the rows of a store.
///
/// Rows are removed first, so that their names are free; then rows are updated, then added. An updated row may refer to
/// rows that existed before the write, an added row also to those that the set adds. Added nodes come after their
/// parents. Dependents of a removed row are in the set too, except the memberships of a removed identity or
/// application, the bindings of a removed permission or role, and everything in a removed environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangeSet {
    /// Accounts.
    pub accounts: LastingRows<Account>,
    /// Applications. The set also removes all environments of a removed one.
    pub applications: Rows<Application>,
    /// Environments with their schemas.
    pub environments: Rows<EnvironmentRow, EnvironmentRow, Environment>,
    /// Permissions.
    pub permissions: Rows<Permission>,
    /// Roles.
    pub roles: Rows<Role>,
    /// The permissions of added and updated roles, and of other roles whose permissions are known.
    pub bundles: Vec<Bundle>,
    /// Nodes.
    pub nodes: Rows<Node>,
    /// Identities.
    pub identities: Rows<Identity>,
    /// Memberships.
    pub memberships: LastingRows<Membership>,
    /// Assignments.
    pub assignments: Rows<Assignment>,
    /// API keys. Only the expiry of a key can be updated.
    pub api_keys: Rows<ApiKey, NewApiKey>,
}

impl ChangeSet {
    /// Returns true if the set changes nothing.
    pub const fn is_empty(&self) -> bool {
        let Self {
            accounts,
            applications,
            environments,
            permissions,
            roles,
            bundles,
            nodes,
            identities,
            memberships,
            assignments,
            api_keys,
        } = self;
        accounts.is_empty()
            && applications.is_empty()
            && environments.is_empty()
            && permissions.is_empty()
            && roles.is_empty()
            && bundles.is_empty()
            && nodes.is_empty()
            && identities.is_empty()
            && memberships.is_empty()
            && assignments.is_empty()
            && api_keys.is_empty()
    }

    /// Adds all changes of another set. No row may be in both.
    pub fn extend(&mut self, other: Self) {
        let Self {
            accounts,
            applications,
            environments,
            permissions,
            roles,
            bundles,
            nodes,
            identities,
            memberships,
            assignments,
            api_keys,
        } = other;
        self.accounts.extend(accounts);
        self.applications.extend(applications);
        self.environments.extend(environments);
        self.permissions.extend(permissions);
        self.roles.extend(roles);
        self.bundles.extend(bundles);
        self.nodes.extend(nodes);
        self.identities.extend(identities);
        self.memberships.extend(memberships);
        self.assignments.extend(assignments);
        self.api_keys.extend(api_keys);
    }

    /// Returns the environments that the set removes.
    pub fn removed_environments(&self) -> impl Iterator<Item = EnvironmentId> {
        self.environments.removed.iter().map(|one| one.id)
    }

    /// Returns true if a path of account, application and environment may resolve differently after the write.
    pub fn changes_paths(&self) -> bool {
        let Self {
            accounts,
            applications,
            environments,
            ..
        } = self;
        let environment_slug =
            |row: &Updated<EnvironmentRow>| row.before.environment.slug != row.after.environment.slug;
        !accounts.added.is_empty()
            || accounts.updated.iter().any(|row| row.before.slug != row.after.slug)
            || !(applications.added.is_empty() && applications.removed.is_empty())
            || applications.updated.iter().any(|row| row.before.slug != row.after.slug)
            || !(environments.added.is_empty() && environments.removed.is_empty())
            || environments.updated.iter().any(environment_slug)
    }

    /// Returns the pairs of role and permission that the set unbinds. Removed permissions unbind their own pairs.
    pub fn unbound(&self) -> impl Iterator<Item = (EnvironmentId, RoleId, PermissionId)> {
        let gone: BTreeSet<(EnvironmentId, PermissionId)> = self
            .permissions
            .removed
            .iter()
            .map(|one| (one.environment_id, one.id))
            .collect();
        self.bundles
            .iter()
            .flat_map(|one| {
                let taken = one.before.difference(&one.after);
                taken.map(|permission| (one.environment, one.role, *permission))
            })
            .filter(move |(environment, _, permission)| !gone.contains(&(*environment, *permission)))
    }

    /// Returns the pairs of role and permission that the set binds.
    pub fn bound(&self) -> impl Iterator<Item = (EnvironmentId, RoleId, PermissionId)> {
        self.bundles.iter().flat_map(|one| {
            let given = one.after.difference(&one.before);
            given.map(|permission| (one.environment, one.role, *permission))
        })
    }
}
