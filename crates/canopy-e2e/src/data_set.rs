//! Access-control data: pairs of user and permission, with roles that cover them exactly. Real data sets of the
//! role-mining literature, or generated ones of the same shape.

#![expect(
    clippy::panic,
    reason = "test support: data that is not what it should be ends the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Pairs of user and permission, and roles whose union is just these pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    /// The name.
    pub name: String,
    /// The users, by number.
    pub users: BTreeSet<u32>,
    /// The permissions, by number.
    pub permissions: BTreeSet<u32>,
    /// Pairs of user and permission.
    pub pairs: BTreeSet<(u32, u32)>,
    /// Roles that cover the pairs exactly.
    pub roles: Vec<DataRole>,
}

/// A role of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataRole {
    /// The permissions.
    pub permissions: Vec<u32>,
    /// The users that have it.
    pub users: Vec<u32>,
}

impl DataSet {
    /// Reads `NAME.txt` ("user permission" a line) and `NAME_roles.txt` (blocks of `role:`, `permissions:`, `users:`).
    ///
    /// # Panics
    ///
    /// If a file is missing or has another format.
    pub fn read(folder: &Path, name: &str) -> Self {
        let text = |file: String| {
            let path = folder.join(file);
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let pairs: BTreeSet<(u32, u32)> = text(format!("{name}.txt")).lines().filter_map(pair).collect();
        Self::new(name, pairs, roles(&text(format!("{name}_roles.txt"))))
    }

    /// Generates a data set of this shape, the same for the same numbers.
    pub fn made_up(name: &str, users: u32, permissions: u32, roles: u32) -> Self {
        let mut state = u64::from(users) << 40 | u64::from(permissions) << 20 | u64::from(roles);
        let mut chance = move |out_of: u32| {
            // Numerical Recipes' 64-bit linear congruential generator; the high bits are good enough for test data.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(state >> 33).expect("31 bits") % out_of
        };
        let mut some = |of: u32, about: u32| -> Vec<u32> {
            let picked: BTreeSet<u32> = (0..=chance(about)).map(|_| 1 + chance(of)).collect();
            picked.into_iter().collect()
        };
        let roles: Vec<DataRole> = (0..roles)
            .map(|_| DataRole {
                permissions: some(permissions, permissions / 2),
                users: some(users, users / 3),
            })
            .collect();
        let pairs = covered(&roles);
        Self::new(name, pairs, roles)
    }

    fn new(name: &str, pairs: BTreeSet<(u32, u32)>, roles: Vec<DataRole>) -> Self {
        let set = Self {
            name: name.to_owned(),
            users: pairs.iter().map(|(user, _)| *user).collect(),
            permissions: pairs.iter().map(|(_, permission)| *permission).collect(),
            pairs,
            roles,
        };
        assert_eq!(
            covered(&set.roles),
            set.pairs,
            "the roles of {name} cover its pairs exactly"
        );
        set
    }
}

fn covered(roles: &[DataRole]) -> BTreeSet<(u32, u32)> {
    let of_role = |role: &DataRole| -> Vec<(u32, u32)> {
        role.users
            .iter()
            .flat_map(|user| role.permissions.iter().map(|permission| (*user, *permission)))
            .collect()
    };
    roles.iter().flat_map(of_role).collect()
}

fn pair(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.split_whitespace().map(|word| word.parse().expect("a number"));
    Some((numbers.next()?, numbers.next().expect("a user and a permission")))
}

fn roles(text: &str) -> Vec<DataRole> {
    let mut roles: BTreeMap<usize, DataRole> = BTreeMap::new();
    for line in text.lines() {
        let Some((field, values)) = line.split_once(':') else {
            continue;
        };
        let numbers = || {
            values
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(|word| word.parse().expect("a number"))
        };
        match field {
            "role" => drop(roles.insert(roles.len(), DataRole::default())),
            "permissions" => roles.last_entry().expect("a role first").get_mut().permissions = numbers().collect(),
            "users" => roles.last_entry().expect("a role first").get_mut().users = numbers().collect(),
            other => panic!("unknown field `{other}`"),
        }
    }
    roles.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::{DataSet, roles};

    #[test]
    fn made_up_sets_are_the_same_every_time_and_not_trivial() {
        let set = DataSet::made_up("small", 40, 50, 12);
        assert_eq!(set, DataSet::made_up("small", 40, 50, 12));
        assert!(set.users.len() > 20 && set.permissions.len() > 25);
        assert!(set.pairs.len() < set.users.len() * set.permissions.len());
    }

    #[test]
    fn role_blocks_are_read() {
        let read = roles("role: 1\npermissions: 2, 3\nusers: 7 \n\nrole: 2\npermissions: 4\nusers: 8, 9\n");
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].permissions.as_slice(), read[0].users.as_slice()),
            ([2, 3].as_slice(), [7].as_slice())
        );
    }
}
