//! Replace what a role bundles.

use super::{fact, known_permissions};
use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::Change;
use canopy_domain::audit::AuditCategory;
use canopy_domain::port::WriteScope;
use canopy_domain::role::change;
use canopy_domain::setup::CatalogSize;
use canopy_domain::{EnvironmentPlace, PermissionId, PermissionKey, RoleError, RoleId, Version};
use std::collections::BTreeSet;

/// The outcome of a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The version of the role afterwards.
    pub version: Version,
    /// The keys that it bundles now and did not before, sorted.
    pub added: Vec<PermissionKey>,
    /// The keys that it bundled before and does not now, sorted.
    pub removed: Vec<PermissionKey>,
}

/// Replaces the set of permissions that a custom role bundles, and raises its version. The same set again changes nothing.
///
/// # Errors
/// [`RoleError::NotFound`], [`RoleError::System`], [`RoleError::Stale`] where the call expects another version,
/// [`RoleError::UnknownPermissionKeys`]; [`AppError::Catalog`]; [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    id: RoleId,
    keys: &[PermissionKey],
) -> Result<Replaced, AppError> {
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let role = tx.role(place.environment, id).await?.ok_or(RoleError::NotFound)?;
        change::check(&role, call.expected)?;
        let known = known_permissions(tx.as_mut(), place.environment, keys).await?;
        let wanted: BTreeSet<PermissionId> = known.values().copied().collect();
        let before = tx.role_permissions(place.environment, id).await?;
        let bundled: BTreeSet<PermissionId> = before.iter().map(|(permission, _)| *permission).collect();
        if wanted == bundled {
            return Ok(Replaced {
                version: role.version,
                added: Vec::new(),
                removed: Vec::new(),
            });
        }
        let size = tx.catalog_size(place.environment).await?;
        let others = size.pairs.saturating_sub(bundled.len());
        let after = CatalogSize {
            pairs: others + wanted.len(),
            ..size
        };
        app.catalog_limits().admit(size, after)?;
        let added = known.iter().filter(|(_, id)| !bundled.contains(id));
        let removed = before.iter().filter(|(id, _)| !wanted.contains(id));
        let mut replaced = Replaced {
            version: role.version.next(),
            added: added.map(|(key, _)| key.clone()).collect(),
            removed: removed.map(|(_, key)| key.clone()).collect(),
        };
        replaced.added.sort_unstable();
        replaced.removed.sort_unstable();
        let pairs = |some: Vec<&PermissionId>| some.into_iter().map(|permission| (id, *permission)).collect::<Vec<_>>();
        tx.unbind_permissions(place.environment, &pairs(bundled.difference(&wanted).collect()))
            .await?;
        tx.bind_permissions(place.environment, &pairs(wanted.difference(&bundled).collect()))
            .await?;
        let role = role.next(now);
        tx.update_roles(core::slice::from_ref(&role)).await?;
        let mut details = Details::default();
        let named = Some((role.id, &role.name));
        details.keys(named, ListChange::Added, &replaced.added);
        details.keys(named, ListChange::Removed, &replaced.removed);
        let entry = AuditEntry::within(place, "role.replace_permissions", AuditCategory::Catalog)
            .on("role", role.id, &role.name)
            .saying(vec![
                ("added_permission_ids", described::first(wanted.difference(&bundled))),
                ("removed_permission_ids", described::first(bundled.difference(&wanted))),
                ("added_permission_keys", described::first(&replaced.added)),
                ("removed_permission_keys", described::first(&replaced.removed)),
            ])
            .detailing(details);
        let changes = vec![Change::RolePut(fact(&role, wanted.into_iter().collect()))];
        app.commit_within(tx, call, place, now, changes, entry, &replaced)
            .await?;
        Ok(replaced)
    })
    .await
}
