//! Roles whose names become equal when the rules of case folding change.

use super::{RoleId, RoleName};
use crate::EnvironmentId;
use core::fmt;
use std::collections::BTreeMap;

/// Roles of one environment whose names are equal, ignoring case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCollision {
    /// The environment.
    pub environment: EnvironmentId,
    /// The roles, at least two.
    pub roles: Vec<(RoleId, RoleName)>,
}

/// All collisions of an installation, displayed for the operator, who must rename roles before the folding can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCollisions(Vec<NameCollision>);

/// Maximum number of displayed collisions; the others follow once these are resolved.
const SHOWN: usize = 20;

impl NameCollisions {
    /// Checks for names with the same [folded](crate::fold_case) form within an environment.
    ///
    /// # Errors
    /// The collisions, by environment and folded name.
    pub fn check(roles: impl IntoIterator<Item = (EnvironmentId, RoleId, RoleName)>) -> Result<(), Self> {
        let mut by_name: BTreeMap<(EnvironmentId, String), Vec<(RoleId, RoleName)>> = BTreeMap::new();
        for (environment, id, name) in roles {
            by_name
                .entry((environment, name.folded()))
                .or_default()
                .push((id, name));
        }
        let same = by_name.into_iter().filter(|(_, roles)| roles.len() > 1);
        let collisions: Vec<NameCollision> = same
            .map(|((environment, _), roles)| NameCollision { environment, roles })
            .collect();
        if collisions.is_empty() {
            Ok(())
        } else {
            Err(Self(collisions))
        }
    }

    /// Returns all collisions.
    pub fn all(&self) -> &[NameCollision] {
        &self.0
    }
}

impl std::error::Error for NameCollisions {}

impl fmt::Display for NameCollisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} role names exist more than once in their environment without regard to case; nothing was changed: \
             rename all roles but one of each with the release that ran before, then start this one again",
            self.0.len()
        )?;
        for collision in self.0.iter().take(SHOWN) {
            write!(f, "\n  environment {}:", collision.environment)?;
            for (id, name) in &collision.roles {
                write!(f, " role {id} {:?}", name.as_str())?;
            }
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NameCollisions, RoleId, RoleName};
    use crate::EnvironmentId;
    use uuid::Uuid;

    fn role(environment: u128, id: u128, name: &str) -> (EnvironmentId, RoleId, RoleName) {
        let (environment, id) = (Uuid::from_u128(environment), Uuid::from_u128(id));
        (
            EnvironmentId::new(environment),
            RoleId::new(id),
            RoleName::parse(name).unwrap(),
        )
    }

    #[test]
    fn names_collide_within_an_environment_alone() {
        let apart = [role(1, 1, "ΧΡΉΣΤΗΣ"), role(2, 2, "Χρήστης"), role(1, 3, "Editor")];
        assert_eq!(NameCollisions::check(apart.clone()), Ok(()));
        let both = apart.into_iter().chain([role(1, 4, "χρήστησ"), role(2, 5, "Reader")]);
        let found = NameCollisions::check(both).unwrap_err();
        let [only] = found.all() else {
            panic!("{found:?}");
        };
        assert_eq!(only.environment, EnvironmentId::new(Uuid::from_u128(1)));
        let text = found.to_string();
        for part in [
            "1 role names",
            "rename",
            "environment 00000000-0000-0000-0000-000000000001",
            "role 00000000-0000-0000-0000-000000000001 \"ΧΡΉΣΤΗΣ\"",
            "role 00000000-0000-0000-0000-000000000004 \"χρήστησ\"",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        let roles = (0..21).flat_map(|n| [role(n, n, "A"), role(n, 100 + n, "a")]);
        let text = NameCollisions::check(roles).unwrap_err().to_string();
        assert!(
            text.starts_with("21 role names") && text.ends_with("and 1 more"),
            "{text}"
        );
    }
}
