//! Adds permissions to an environment that is already set up, and to its roles. Removes nothing.

use super::Catalog;
use crate::{PermissionKey, RoleId};
use std::collections::{BTreeMap, BTreeSet};

/// The input of an addition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePermissionsRequest {
    /// The keys of all resources and actions, in order and with repetitions.
    pub permission_keys: Vec<PermissionKey>,
    /// The permissions that each role gains; a role may be repeated.
    pub role_permissions: Vec<(RoleId, Vec<PermissionKey>)>,
}

/// The plan of an addition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePermissionsPlan {
    /// The custom permissions to create, each once, in order.
    pub permissions: Vec<PermissionKey>,
    /// Number of keys that exist already or are repeated.
    pub skipped_permissions: usize,
    /// The roles that gain at least one key, with the gained permissions.
    pub gains: BTreeMap<RoleId, BTreeSet<PermissionKey>>,
}

/// An error of an addition. In the order in which the rules are checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResourcePermissionsError {
    /// The request has neither a permission nor a gain of a role.
    #[error("the request adds neither a permission nor anything to a role")]
    Empty,
    /// Some roles are not in the environment.
    #[error("the environment lacks some of these roles")]
    RoleNotFound {
        /// All of them, sorted, each once.
        roles: Vec<RoleId>,
    },
    /// Roles list keys that would not exist after the addition.
    #[error("roles list permission keys that neither the request nor the catalog has")]
    UnknownPermissionKeys {
        /// All of them, sorted, each once.
        keys: Vec<PermissionKey>,
    },
    /// A system role cannot be changed.
    #[error("the system role cannot be changed")]
    SystemRole,
}

/// Plans an addition to an environment with this catalog.
///
/// # Errors
/// [`ResourcePermissionsError`]; then nothing may be written.
pub fn plan(
    request: &ResourcePermissionsRequest,
    catalog: &Catalog,
) -> Result<ResourcePermissionsPlan, ResourcePermissionsError> {
    if request.permission_keys.is_empty() && request.role_permissions.is_empty() {
        return Err(ResourcePermissionsError::Empty);
    }
    let listed = || request.role_permissions.iter();
    let absent: BTreeSet<RoleId> = listed()
        .map(|(role, _)| *role)
        .filter(|role| !catalog.roles.contains_key(role))
        .collect();
    if !absent.is_empty() {
        return Err(ResourcePermissionsError::RoleNotFound {
            roles: absent.into_iter().collect(),
        });
    }
    let (permissions, skipped_permissions) = catalog.new_keys(&request.permission_keys);
    let unknown = catalog.unknown_keys(&permissions, listed().flat_map(|(_, keys)| keys));
    if !unknown.is_empty() {
        return Err(ResourcePermissionsError::UnknownPermissionKeys { keys: unknown });
    }
    let mut gains: BTreeMap<RoleId, BTreeSet<PermissionKey>> = BTreeMap::new();
    for (role_id, keys) in listed() {
        let Some(role) = catalog.roles.get(role_id) else {
            continue;
        };
        if role.kind.is_system() {
            return Err(ResourcePermissionsError::SystemRole);
        }
        let has = |key: &PermissionKey| {
            catalog
                .permissions
                .get(key)
                .is_some_and(|p| role.permissions.contains(&p.id))
        };
        let gained: BTreeSet<PermissionKey> = keys.iter().filter(|key| !has(key)).cloned().collect();
        if !gained.is_empty() {
            gains.entry(*role_id).or_default().extend(gained);
        }
    }
    Ok(ResourcePermissionsPlan {
        permissions,
        skipped_permissions,
        gains,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{CatalogPermission, CatalogRole};
    use crate::{PermissionId, PermissionSource, RoleKind, RoleName};
    use uuid::Uuid;

    fn key(text: &str) -> PermissionKey {
        PermissionKey::parse(text).unwrap()
    }

    fn role_id(n: u128) -> RoleId {
        RoleId::new(Uuid::from_u128(n))
    }

    /// `a.a` (of role 1) and `a.b` exist; role 2 is empty; role 3 is a system role.
    fn catalog() -> Catalog {
        let permission = |n| CatalogPermission {
            id: PermissionId::new(Uuid::from_u128(n)),
            source: PermissionSource::Custom,
        };
        let role = |name: &str, kind, held: &[u128]| CatalogRole {
            name: RoleName::parse(name).unwrap(),
            kind,
            permissions: held.iter().map(|n| PermissionId::new(Uuid::from_u128(*n))).collect(),
        };
        Catalog {
            permissions: [(key("a.a"), permission(1)), (key("a.b"), permission(2))].into(),
            roles: [
                (role_id(1), role("One", RoleKind::Custom, &[1])),
                (role_id(2), role("Two", RoleKind::Custom, &[])),
                (role_id(3), role("Admin", RoleKind::EnvironmentAdmin, &[])),
            ]
            .into(),
        }
    }

    fn asked(keys: &[&str], roles: &[(u128, &[&str])]) -> ResourcePermissionsRequest {
        ResourcePermissionsRequest {
            permission_keys: keys.iter().map(|k| key(k)).collect(),
            role_permissions: roles
                .iter()
                .map(|(n, keys)| (role_id(*n), keys.iter().map(|k| key(k)).collect()))
                .collect(),
        }
    }

    #[test]
    fn only_gains_are_planned() {
        let request = asked(&["a.a", "n.n", "n.n"], &[(1, &["a.a", "n.n"]), (2, &[]), (1, &["a.b"])]);
        let plan = plan(&request, &catalog()).unwrap();
        assert_eq!((plan.permissions, plan.skipped_permissions), (vec![key("n.n")], 2));
        assert_eq!(plan.gains, [(role_id(1), [key("n.n"), key("a.b")].into())].into());
        let nothing = super::plan(&asked(&["a.a"], &[(1, &["a.a"])]), &catalog()).unwrap();
        assert!(nothing.permissions.is_empty() && nothing.gains.is_empty());
    }

    #[test]
    fn each_refusal_has_its_error_in_order() {
        use ResourcePermissionsError as E;
        for (request, expected) in [
            (asked(&[], &[]), E::Empty),
            (
                asked(&[], &[(3, &["z.z"]), (9, &[]), (8, &[])]),
                E::RoleNotFound {
                    roles: vec![role_id(8), role_id(9)],
                },
            ),
            (
                asked(&[], &[(3, &["z.z"]), (1, &["y.y"])]),
                E::UnknownPermissionKeys {
                    keys: vec![key("y.y"), key("z.z")],
                },
            ),
            (asked(&[], &[(3, &["a.a"])]), E::SystemRole),
        ] {
            assert_eq!(plan(&request, &catalog()), Err(expected));
        }
    }
}
