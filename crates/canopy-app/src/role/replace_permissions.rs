//! Replaces the permissions of a role.

use super::known_permissions;
use crate::audit::described::{self, ListChange};
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::AuditCategory;
use canopy_domain::changeset::{Bundle, ChangeSet, Rows};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::role::change;
use canopy_domain::setup::CatalogSize;
use canopy_domain::{EnvironmentRef, PermissionId, PermissionKey, RoleError, RoleId, Version};
use std::collections::BTreeSet;

/// The outcome of a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The version of the role after the replacement.
    pub version: Version,
    /// The gained keys, sorted.
    pub added: Vec<PermissionKey>,
    /// The lost keys, sorted.
    pub removed: Vec<PermissionKey>,
}

/// Replaces the permissions of a custom role, and raises its version. The same set changes nothing.
///
/// Fails with [`RoleError::NotFound`], [`RoleError::System`], [`RoleError::Stale`] if the call expects another version,
/// [`RoleError::UnknownPermissionKeys`], [`AppError::Catalog`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ReplaceRolePermissions {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The role.
    pub id: RoleId,
    /// The new permission keys.
    pub keys: Vec<PermissionKey>,
}

#[async_trait]
impl Write for ReplaceRolePermissions {
    type Outcome = Replaced;

    const REQUIRES: Option<AreaScope> = Some(AreaScope::RoleManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Replaced>, AppError> {
        let Self { environment, id, keys } = self;
        let within = environment.environment;
        let role = facts.role(within, *id).await?.ok_or(RoleError::NotFound)?;
        change::check(&role, at.expected())?;
        let known = known_permissions(facts, within, keys).await?;
        let wanted: BTreeSet<PermissionId> = known.values().copied().collect();
        let before = facts.role_permissions(within, *id).await?;
        let bundled: BTreeSet<PermissionId> = before.iter().map(|(permission, _)| *permission).collect();
        if wanted == bundled {
            return Ok(Plan::unchanged(Replaced {
                version: role.version,
                added: Vec::new(),
                removed: Vec::new(),
            }));
        }
        let size = facts.catalog_size(within).await?;
        let others = size.pairs.saturating_sub(bundled.len());
        let after = CatalogSize {
            pairs: others + wanted.len(),
            ..size
        };
        at.catalog_limits().admit(size, after)?;
        let added = known.iter().filter(|(_, id)| !bundled.contains(id));
        let removed = before.iter().filter(|(id, _)| !wanted.contains(id));
        let mut replaced = Replaced {
            version: role.version.next(),
            added: added.map(|(key, _)| key.clone()).collect(),
            removed: removed.map(|(_, key)| key.clone()).collect(),
        };
        replaced.added.sort_unstable();
        replaced.removed.sort_unstable();
        let mut details = at.details();
        let named = Some((role.id, &role.name));
        details.keys(named, ListChange::Added, &replaced.added);
        details.keys(named, ListChange::Removed, &replaced.removed);
        let entry = AuditEntry::within(environment, "role.replace_permissions", AuditCategory::Catalog)
            .resource("role", role.id, &role.name)
            .detail(vec![
                ("added_permission_ids", described::first(wanted.difference(&bundled))),
                ("removed_permission_ids", described::first(bundled.difference(&wanted))),
                ("added_permission_keys", described::first(&replaced.added)),
                ("removed_permission_keys", described::first(&replaced.removed)),
            ])
            .detailing(details);
        let next = role.clone().next(at.now());
        let changes = ChangeSet {
            roles: Rows::update(role, next),
            bundles: vec![Bundle {
                environment: within,
                role: *id,
                before: bundled,
                after: wanted,
            }],
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, replaced, entry))
    }
}
