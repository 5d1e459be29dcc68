//! Changes and deletion of a permission.

use super::{Category, Permission, PermissionError, PermissionSource};
use crate::{Description, Edit, Expected, RoleId};

/// A change to a permission. Its key never changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermissionPatch {
    /// A description of what it allows.
    pub description: Edit<Description>,
    /// The category for display.
    pub category: Edit<Category>,
}

/// Checks whether a caller who has read this version may change a permission.
///
/// # Errors
/// [`PermissionError::System`], [`PermissionError::Stale`].
pub fn check(permission: &Permission, seen: impl Into<Expected>) -> Result<(), PermissionError> {
    if permission.source == PermissionSource::System {
        return Err(PermissionError::System);
    }
    if seen.into().accepts(permission.version) {
        Ok(())
    } else {
        Err(PermissionError::Stale {
            current: permission.version,
        })
    }
}

/// Returns the changed permission; `None` if nothing changes.
///
/// # Errors
/// Like [`check`].
pub fn patch(
    permission: &Permission,
    patch: &PermissionPatch,
    seen: impl Into<Expected>,
) -> Result<Option<Permission>, PermissionError> {
    check(permission, seen)?;
    let changed = Permission {
        description: patch.description.of(permission.description.as_ref()),
        category: patch.category.of(permission.category.as_ref()),
        ..permission.clone()
    };
    Ok((changed != *permission).then(|| Permission {
        version: changed.version.next(),
        ..changed
    }))
}

/// Checks whether a permission of these roles may be deleted. With `force` it is removed from them.
///
/// # Errors
/// Like [`check`]; [`PermissionError::InUse`].
pub fn delete(
    permission: &Permission,
    seen: impl Into<Expected>,
    roles: Vec<RoleId>,
    force: bool,
) -> Result<(), PermissionError> {
    check(permission, seen)?;
    if force || roles.is_empty() {
        return Ok(());
    }
    Err(PermissionError::InUse { roles })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::{EnvironmentId, PermissionId, PermissionKey, Timestamp};
    use uuid::Uuid;

    fn permission(source: PermissionSource) -> Permission {
        Permission {
            id: PermissionId::new(Uuid::from_u128(1)),
            environment_id: EnvironmentId::new(Uuid::from_u128(2)),
            key: PermissionKey::parse("a.b").unwrap(),
            description: Some(Description::parse("D").unwrap()),
            category: None,
            source,
            version: Version::FIRST.next(),
            created_at: Timestamp::from_millis(1).unwrap(),
        }
    }

    #[test]
    fn what_is_not_asked_for_stays() {
        let before = permission(PermissionSource::Custom);
        let asked = PermissionPatch {
            category: Edit::Set(Category::parse("C").unwrap()),
            ..PermissionPatch::default()
        };
        let after = patch(&before, &asked, before.version).unwrap().unwrap();
        let expected = Permission {
            category: Some(Category::parse("C").unwrap()),
            version: before.version.next(),
            ..before.clone()
        };
        assert_eq!(after, expected);
        let cleared = PermissionPatch {
            description: Edit::Clear,
            category: Edit::Clear,
        };
        assert_eq!(
            patch(&before, &cleared, before.version).unwrap().unwrap().description,
            None
        );
        assert_eq!(patch(&before, &PermissionPatch::default(), before.version), Ok(None));
    }

    #[test]
    fn each_refusal_has_its_error_in_order() {
        let roles = vec![RoleId::new(Uuid::from_u128(7))];
        let custom = permission(PermissionSource::Custom);
        let (seen, stale) = (custom.version, Version::FIRST);
        let in_use = PermissionError::InUse { roles: roles.clone() };
        for (source, seen, roles, force, expected) in [
            (
                PermissionSource::System,
                stale,
                &roles,
                true,
                Err(PermissionError::System),
            ),
            (
                PermissionSource::Custom,
                stale,
                &roles,
                true,
                Err(PermissionError::Stale { current: seen }),
            ),
            (PermissionSource::Custom, seen, &roles, false, Err(in_use)),
            (PermissionSource::Custom, seen, &roles, true, Ok(())),
            (PermissionSource::Custom, seen, &vec![], false, Ok(())),
        ] {
            assert_eq!(delete(&permission(source), seen, roles.clone(), force), expected);
        }
    }
}
