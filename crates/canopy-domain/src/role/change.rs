//! Changes and deletion of a role.

use super::{Role, RoleError, RoleName};
use crate::{AssignmentId, Description, Edit, Expected, Timestamp};

/// A change to a role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RolePatch {
    /// The new name.
    pub name: Option<RoleName>,
    /// Its description.
    pub description: Edit<Description>,
    /// The new state; `None` keeps it.
    pub is_active: Option<bool>,
}

/// Maximum number of assignments that an error names as examples.
const MAX_EXAMPLES: usize = 10;

/// Checks whether a caller who has read this version may change a role.
///
/// # Errors
/// [`RoleError::System`], [`RoleError::Stale`].
pub fn check(role: &Role, seen: impl Into<Expected>) -> Result<(), RoleError> {
    if role.kind.is_system() {
        return Err(RoleError::System);
    }
    if seen.into().accepts(role.version) {
        Ok(())
    } else {
        Err(RoleError::Stale { current: role.version })
    }
}

/// Returns the changed role; `None` if nothing changes.
///
/// # Errors
/// Like [`check`].
pub fn patch(
    role: &Role,
    patch: &RolePatch,
    seen: impl Into<Expected>,
    now: Timestamp,
) -> Result<Option<Role>, RoleError> {
    check(role, seen)?;
    let changed = Role {
        name: patch.name.clone().unwrap_or_else(|| role.name.clone()),
        description: patch.description.of(role.description.as_ref()),
        is_active: patch.is_active.unwrap_or(role.is_active),
        ..role.clone()
    };
    Ok((changed != *role).then(|| changed.next(now)))
}

/// Checks whether a role with these assignments may be deleted. With `force` they are deleted too.
///
/// # Errors
/// Like [`check`]; [`RoleError::InUse`].
pub fn delete(
    role: &Role,
    seen: impl Into<Expected>,
    assignments: &[AssignmentId],
    force: bool,
) -> Result<(), RoleError> {
    check(role, seen)?;
    if force || assignments.is_empty() {
        return Ok(());
    }
    Err(RoleError::InUse {
        assignments: u64::try_from(assignments.len()).unwrap_or(u64::MAX),
        examples: assignments.iter().take(MAX_EXAMPLES).copied().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::{EnvironmentId, RoleId, RoleKind};
    use uuid::Uuid;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn role(kind: RoleKind) -> Role {
        Role {
            id: RoleId::new(Uuid::from_u128(1)),
            environment_id: EnvironmentId::new(Uuid::from_u128(2)),
            name: RoleName::parse("Viewer").unwrap(),
            description: Some(Description::parse("Looks").unwrap()),
            kind,
            is_active: true,
            version: Version::FIRST.next(),
            created_at: at(1),
            updated_at: at(2),
        }
    }

    #[test]
    fn what_is_not_asked_for_stays() {
        let before = role(RoleKind::Custom);
        let ask = |asked: &RolePatch| patch(&before, asked, before.version, at(9)).unwrap();
        let renamed = RolePatch {
            name: Some(RoleName::parse("VIEWER").unwrap()),
            ..RolePatch::default()
        };
        let expected = Role {
            name: RoleName::parse("VIEWER").unwrap(),
            version: before.version.next(),
            updated_at: at(9),
            ..before.clone()
        };
        assert_eq!(ask(&renamed), Some(expected));
        let cleared = RolePatch {
            description: Edit::Clear,
            is_active: Some(false),
            ..RolePatch::default()
        };
        let after = ask(&cleared).unwrap();
        assert_eq!(
            (after.name, after.description, after.is_active),
            (before.name.clone(), None, false)
        );
        for nothing in [
            RolePatch::default(),
            RolePatch {
                name: Some(before.name.clone()),
                description: Edit::Set(Description::parse("Looks").unwrap()),
                is_active: Some(true),
            },
        ] {
            assert_eq!(ask(&nothing), None);
        }
    }

    #[test]
    fn each_refusal_has_its_error_in_order() {
        let held: Vec<AssignmentId> = (0..12).map(|n| AssignmentId::new(Uuid::from_u128(n))).collect();
        let custom = role(RoleKind::Custom);
        let (seen, stale) = (custom.version, Version::FIRST);
        let in_use = RoleError::InUse {
            assignments: 12,
            examples: held.iter().take(10).copied().collect(),
        };
        for (kind, seen, held, force, expected) in [
            (
                RoleKind::EnvironmentAdmin,
                stale,
                &held[..],
                true,
                Err(RoleError::System),
            ),
            (
                RoleKind::Custom,
                stale,
                &held[..],
                true,
                Err(RoleError::Stale { current: seen }),
            ),
            (RoleKind::Custom, seen, &held[..], false, Err(in_use)),
            (RoleKind::Custom, seen, &held[..], true, Ok(())),
            (RoleKind::Custom, seen, &[], false, Ok(())),
        ] {
            assert_eq!(delete(&role(kind), seen, held, force), expected);
        }
    }
}
