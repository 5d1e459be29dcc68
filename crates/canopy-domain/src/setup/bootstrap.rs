//! Bootstrap: the catalog and the roles of a new environment, all or nothing.

use super::Catalog;
use crate::{Description, ENVIRONMENT_ADMIN_NAME, PermissionKey, RoleName, fold_case};
use std::collections::{BTreeSet, HashSet};

/// The input of a bootstrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapRequest {
    /// The keys of all resources and actions, in order and with repetitions.
    pub permission_keys: Vec<PermissionKey>,
    /// The roles.
    pub roles: Vec<BootstrapRole>,
}

/// A role to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapRole {
    /// Its name.
    pub name: RoleName,
    /// Its description.
    pub description: Option<Description>,
    /// Its permissions; repetitions count once.
    pub permission_keys: Vec<PermissionKey>,
}

/// The plan of a bootstrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapPlan {
    /// The custom permissions to create, each once, in order.
    pub permissions: Vec<PermissionKey>,
    /// The roles to create.
    pub roles: Vec<PlannedRole>,
    /// Number of keys that exist already or are repeated.
    pub skipped_permissions: usize,
    /// Number of roles with the name of a system role.
    pub skipped_roles: usize,
}

/// A role to create, with its permissions: new keys of the plan or keys of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRole {
    /// Its name.
    pub name: RoleName,
    /// Its description.
    pub description: Option<Description>,
    /// Its permissions.
    pub permission_keys: BTreeSet<PermissionKey>,
}

/// An error of a bootstrap. In the order in which the rules are checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// The request has neither a permission nor a role.
    #[error("the request has neither a permission nor a role")]
    Empty,
    /// Two roles of the request have the same name, ignoring case.
    #[error("two roles of the request have the same name")]
    DuplicateRoleName {
        /// Every repeated name, once, as spelled in its first repetition.
        names: Vec<RoleName>,
    },
    /// The environment has custom permissions or roles already.
    #[error("the environment has custom permissions or roles already")]
    AlreadyBootstrapped {
        /// Number of custom permissions.
        permissions: usize,
        /// Number of custom roles.
        roles: usize,
    },
    /// Roles list keys that would not exist after the bootstrap.
    #[error("roles list permission keys that neither the request nor the catalog has")]
    UnknownPermissionKeys {
        /// All of them, sorted, each once.
        keys: Vec<PermissionKey>,
    },
}

/// Plans a bootstrap of an environment with this catalog.
///
/// # Errors
/// [`BootstrapError`]; then nothing may be written.
///
/// ```
/// # use canopy_domain::setup::{Catalog, bootstrap::{plan, BootstrapRequest, BootstrapRole}};
/// # use canopy_domain::{PermissionKey, RoleName};
/// let read = PermissionKey::parse("note.read").expect("a key");
/// let viewer = BootstrapRole {
///     name: RoleName::parse("Viewer").expect("a name"),
///     description: None,
///     permission_keys: vec![read.clone()],
/// };
/// let request = BootstrapRequest { permission_keys: vec![read.clone()], roles: vec![viewer] };
/// let plan = plan(&request, &Catalog::default())?;
/// assert_eq!((plan.permissions, plan.roles.len()), (vec![read], 1));
/// # Ok::<(), canopy_domain::setup::bootstrap::BootstrapError>(())
/// ```
pub fn plan(request: &BootstrapRequest, catalog: &Catalog) -> Result<BootstrapPlan, BootstrapError> {
    if request.permission_keys.is_empty() && request.roles.is_empty() {
        return Err(BootstrapError::Empty);
    }
    let (mut seen, mut told) = (HashSet::new(), HashSet::new());
    let names = request.roles.iter().map(|role| &role.name);
    let repeated: Vec<RoleName> = names
        .filter(|name| !seen.insert(name.folded()) && told.insert(name.folded()))
        .cloned()
        .collect();
    if !repeated.is_empty() {
        return Err(BootstrapError::DuplicateRoleName { names: repeated });
    }
    let (permissions, roles) = (catalog.custom_permissions(), catalog.custom_roles());
    if permissions + roles > 0 {
        return Err(BootstrapError::AlreadyBootstrapped { permissions, roles });
    }
    let (fresh, skipped_permissions) = catalog.new_keys(&request.permission_keys);
    let unknown = catalog.unknown_keys(&fresh, request.roles.iter().flat_map(|role| &role.permission_keys));
    if !unknown.is_empty() {
        return Err(BootstrapError::UnknownPermissionKeys { keys: unknown });
    }
    let system_name = fold_case(ENVIRONMENT_ADMIN_NAME);
    let planned: Vec<PlannedRole> = request
        .roles
        .iter()
        .filter(|role| role.name.folded() != system_name)
        .map(|role| PlannedRole {
            name: role.name.clone(),
            description: role.description.clone(),
            permission_keys: role.permission_keys.iter().cloned().collect(),
        })
        .collect();
    let skipped_roles = request.roles.len() - planned.len();
    Ok(BootstrapPlan {
        permissions: fresh,
        roles: planned,
        skipped_permissions,
        skipped_roles,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{CatalogPermission, CatalogRole};
    use crate::{PermissionId, PermissionSource, RoleId, RoleKind, SYSTEM_PERMISSION_KEYS};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn key(text: &str) -> PermissionKey {
        PermissionKey::parse(text).unwrap()
    }

    fn role(name: &str, keys: &[&str]) -> BootstrapRole {
        BootstrapRole {
            name: RoleName::parse(name).unwrap(),
            description: None,
            permission_keys: keys.iter().map(|k| key(k)).collect(),
        }
    }

    fn request(keys: &[&str], roles: Vec<BootstrapRole>) -> BootstrapRequest {
        BootstrapRequest {
            permission_keys: keys.iter().map(|k| key(k)).collect(),
            roles,
        }
    }

    /// Returns the catalog of a new environment.
    fn fresh() -> Catalog {
        let mut catalog = Catalog::default();
        for (n, text) in (1..).zip(SYSTEM_PERMISSION_KEYS) {
            let id = PermissionId::new(Uuid::from_u128(n));
            catalog.permissions.insert(
                key(text),
                CatalogPermission {
                    id,
                    source: PermissionSource::System,
                },
            );
        }
        catalog.roles.insert(
            RoleId::new(Uuid::from_u128(1)),
            CatalogRole {
                name: RoleName::parse(ENVIRONMENT_ADMIN_NAME).unwrap(),
                kind: RoleKind::EnvironmentAdmin,
                permissions: catalog.permissions.values().map(|p| p.id).collect(),
            },
        );
        catalog
    }

    #[test]
    fn makes_each_key_once_and_counts_the_rest() {
        let asked = request(
            &["a.b", "role.read", "a.b", "a.c"],
            vec![role("R", &["a.b", "a.b", "role.read"])],
        );
        let plan = plan(&asked, &fresh()).unwrap();
        assert_eq!(plan.permissions, [key("a.b"), key("a.c")]);
        assert_eq!(plan.skipped_permissions, 2);
        assert_eq!(plan.roles[0].permission_keys, [key("a.b"), key("role.read")].into());
    }

    #[test]
    fn a_role_named_like_the_system_role_is_left_as_it_is() {
        let plan = plan(
            &request(&[], vec![role("environment ADMIN", &["role.read"]), role("R", &[])]),
            &fresh(),
        )
        .unwrap();
        assert_eq!((plan.roles.len(), plan.skipped_roles), (1, 1));
    }

    #[test]
    fn each_refusal_has_its_error_in_order() {
        let mut used = fresh();
        used.permissions.insert(
            key("x.y"),
            CatalogPermission {
                id: PermissionId::new(Uuid::from_u128(99)),
                source: PermissionSource::Custom,
            },
        );
        let already = BootstrapError::AlreadyBootstrapped {
            permissions: 1,
            roles: 0,
        };
        let twice = vec![role("R", &["no.pe"]), role("r", &[]), role("R", &[]), role("Q", &[])];
        let duplicate = BootstrapError::DuplicateRoleName {
            names: vec![RoleName::parse("r").unwrap()],
        };
        let unknown = BootstrapError::UnknownPermissionKeys {
            keys: vec![key("a.a"), key("b.b")],
        };
        for (asked, catalog, expected) in [
            (request(&[], vec![]), &used, BootstrapError::Empty),
            (request(&[], twice), &used, duplicate),
            (request(&["x.y"], vec![role("R", &["no.pe"])]), &used, already),
            (
                request(&[], vec![role("R", &["b.b", "a.a"]), role("Q", &["b.b"])]),
                &fresh(),
                unknown,
            ),
        ] {
            assert_eq!(plan(&asked, catalog), Err(expected));
        }
    }

    #[test]
    fn one_custom_role_is_enough_to_count_as_bootstrapped() {
        let mut used = fresh();
        used.roles.insert(
            RoleId::new(Uuid::from_u128(9)),
            CatalogRole {
                name: RoleName::parse("R").unwrap(),
                kind: RoleKind::Custom,
                permissions: BTreeSet::new(),
            },
        );
        let refused = plan(&request(&["a.b"], vec![]), &used);
        assert_eq!(
            refused,
            Err(BootstrapError::AlreadyBootstrapped {
                permissions: 0,
                roles: 1
            })
        );
    }

    proptest! {
        /// Tests plans for a new environment: created rows are new and distinct, nothing requested is lost, and each
        /// role bundles only existing keys.
        #[test]
        fn a_plan_is_sound(keys in proptest::collection::vec("[ab]\\.[ab]", 0..12), listed in proptest::collection::vec("[abc]\\.[ab]", 0..6)) {
            let catalog = fresh();
            let asked = request(&keys.iter().map(String::as_str).collect::<Vec<_>>(),
                vec![role("R", &listed.iter().map(String::as_str).collect::<Vec<_>>())]);
            let made: BTreeSet<PermissionKey> = asked.permission_keys.iter().cloned().collect();
            match plan(&asked, &catalog) {
                Ok(plan) => {
                    prop_assert_eq!(plan.permissions.len() + plan.skipped_permissions, keys.len());
                    prop_assert_eq!(plan.permissions.iter().cloned().collect::<BTreeSet<_>>(), made.clone());
                    prop_assert!(plan.roles.iter().flat_map(|r| &r.permission_keys).all(|k| made.contains(k)));
                }
                Err(BootstrapError::UnknownPermissionKeys { keys }) => {
                    prop_assert!(!keys.is_empty());
                    prop_assert!(keys.iter().all(|k| !made.contains(k)));
                }
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
