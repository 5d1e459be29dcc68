//! The access of a key: the whole public surface, or the areas and checks of its scopes.

use crate::PermissionKey;
use crate::string_enum::string_enum;
use std::collections::BTreeSet;

string_enum!(
    /// A system permission as a key scope: each opens one area of the public surface.
    ///
    /// Only system permissions open areas. A custom permission never does, even if its key resembles one.
    AreaScope {
        /// Changes of the environment itself.
        EnvironmentManage = "environment.manage",
        /// Reads of the permission catalog.
        PermissionRead = "permission.read",
        /// Changes of the permission catalog.
        PermissionManage = "permission.manage",
        /// Reads of roles.
        RoleRead = "role.read",
        /// Changes of roles.
        RoleManage = "role.manage",
        /// Reads of the tree and its schema.
        NodeRead = "node.read",
        /// Changes of the tree and its schema.
        NodeManage = "node.manage",
        /// Reads of identities and memberships.
        IdentityRead = "identity.read",
        /// Changes of identities and memberships.
        IdentityManage = "identity.manage",
        /// Reads of assignments.
        AssignmentRead = "assignment.read",
        /// Changes of assignments.
        AssignmentManage = "assignment.manage",
        /// All checks.
        Evaluate = "access.evaluate",
        /// Reads and changes of API keys.
        ApiKeyManage = "api_key.manage",
        /// Reads of the audit log.
        AuditRead = "audit.read",
    }
);

impl AreaScope {
    /// Returns whether this scope allows everything that `other` allows: managing an area includes reading it.
    pub fn includes(self, other: Self) -> bool {
        self == other || self.reading() == Some(other)
    }

    const fn reading(self) -> Option<Self> {
        match self {
            Self::PermissionManage => Some(Self::PermissionRead),
            Self::RoleManage => Some(Self::RoleRead),
            Self::NodeManage => Some(Self::NodeRead),
            Self::IdentityManage => Some(Self::IdentityRead),
            Self::AssignmentManage => Some(Self::AssignmentRead),
            Self::EnvironmentManage
            | Self::PermissionRead
            | Self::RoleRead
            | Self::NodeRead
            | Self::IdentityRead
            | Self::AssignmentRead
            | Self::Evaluate
            | Self::ApiKeyManage
            | Self::AuditRead => None,
        }
    }
}

/// The scopes of a key: areas that it opens, and custom permissions that it may check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct KeyScopes {
    areas: BTreeSet<AreaScope>,
    checks: BTreeSet<PermissionKey>,
}

impl KeyScopes {
    /// Splits permission keys into areas and checks; repetitions count once.
    pub fn new(keys: impl IntoIterator<Item = PermissionKey>) -> Self {
        let mut scopes = Self::default();
        for key in keys {
            match AreaScope::parse(key.as_str()) {
                Some(area) => {
                    scopes.areas.insert(area);
                }
                None => {
                    scopes.checks.insert(key);
                }
            }
        }
        scopes
    }

    /// Returns whether there are no scopes.
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty() && self.checks.is_empty()
    }

    /// Returns all scopes as texts, sorted.
    pub fn texts(&self) -> Vec<&str> {
        let areas = self.areas.iter().map(|area| area.as_str());
        let mut texts: Vec<&str> = areas.chain(self.checks.iter().map(PermissionKey::as_str)).collect();
        texts.sort_unstable();
        texts
    }

    fn open(&self, area: AreaScope) -> bool {
        self.areas.iter().any(|own| own.includes(area))
    }

    fn allow_check(&self, permission: &str) -> bool {
        self.open(AreaScope::Evaluate) || self.checks.contains(permission)
    }
}

/// The access of a key to the public surface.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyAccess {
    /// All of it.
    Full,
    /// Limited to its scopes.
    Scoped(KeyScopes),
}

impl KeyAccess {
    /// Returns full access without scopes, or access with at least one scope; `None` for other combinations.
    pub fn new(mode: AccessMode, scopes: impl IntoIterator<Item = PermissionKey>) -> Option<Self> {
        let scopes = KeyScopes::new(scopes);
        match mode {
            AccessMode::FullAccess => scopes.is_empty().then_some(Self::Full),
            AccessMode::Scoped => (!scopes.is_empty()).then_some(Self::Scoped(scopes)),
        }
    }

    /// Returns its access mode.
    pub const fn mode(&self) -> AccessMode {
        match self {
            Self::Full => AccessMode::FullAccess,
            Self::Scoped(_) => AccessMode::Scoped,
        }
    }

    /// Returns the scopes as texts, sorted; empty with full access.
    pub fn scopes(&self) -> Vec<&str> {
        match self {
            Self::Full => Vec::new(),
            Self::Scoped(scopes) => scopes.texts(),
        }
    }

    /// Returns the number of its scopes; 0 with full access.
    pub fn scope_count(&self) -> usize {
        match self {
            Self::Full => 0,
            Self::Scoped(scopes) => scopes.areas.len() + scopes.checks.len(),
        }
    }

    /// Returns the bytes of memory of its scopes.
    pub fn memory_bytes(&self) -> usize {
        // An entry of a set takes about 24 bytes, an allocation about 16 in addition to its text.
        match self {
            Self::Full => 0,
            Self::Scoped(scopes) => {
                scopes.areas.len() + scopes.checks.iter().map(|key| key.as_str().len() + 40).sum::<usize>()
            }
        }
    }

    /// Returns whether it opens an area.
    pub fn opens(&self, area: AreaScope) -> bool {
        match self {
            Self::Full => true,
            Self::Scoped(scopes) => scopes.open(area),
        }
    }

    /// Returns whether it allows checks of this permission.
    pub fn allows_check(&self, permission: &str) -> bool {
        match self {
            Self::Full => true,
            Self::Scoped(scopes) => scopes.allow_check(permission),
        }
    }

    /// Returns whether it allows any check.
    pub fn allows_some_check(&self) -> bool {
        match self {
            Self::Full => true,
            Self::Scoped(scopes) => scopes.open(AreaScope::Evaluate) || !scopes.checks.is_empty(),
        }
    }

    /// Returns whether a holder of this access may grant `other`, whose mode and scopes must lie within its own.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Full, _) => true,
            (Self::Scoped(_), Self::Full) => false,
            (Self::Scoped(own), Self::Scoped(asked)) => {
                asked.areas.iter().all(|area| own.open(*area))
                    && asked.checks.iter().all(|check| own.allow_check(check.as_str()))
            }
        }
    }
}

string_enum!(
    /// The access mode of a key.
    AccessMode {
        /// Access to the whole public surface, including later additions.
        FullAccess = "full_access",
        /// Limited to its scopes.
        Scoped = "scoped",
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SYSTEM_PERMISSION_KEYS;
    use proptest::prelude::*;

    fn scoped(keys: &[&str]) -> KeyAccess {
        KeyAccess::Scoped(KeyScopes::new(
            keys.iter().map(|key| PermissionKey::parse(key).unwrap()),
        ))
    }

    #[test]
    fn the_areas_are_the_system_permissions() {
        let areas: Vec<&str> = AreaScope::ALL.iter().map(|area| area.as_str()).collect();
        assert_eq!(areas, SYSTEM_PERMISSION_KEYS);
    }

    #[test]
    fn each_scope_opens_its_area_and_managing_includes_reading() {
        for own in AreaScope::ALL {
            for asked in AreaScope::ALL {
                let (area, right) = own.as_str().split_once('.').unwrap();
                let (asked_area, asked_right) = asked.as_str().split_once('.').unwrap();
                let includes = area == asked_area && right == "manage" && asked_right == "read";
                let expected = own == asked || includes;
                assert_eq!(scoped(&[own.as_str()]).opens(*asked), expected, "{own} {asked}");
                assert!(KeyAccess::Full.opens(*asked));
            }
        }
    }

    #[test]
    fn a_custom_permission_opens_no_area_whatever_it_is_called() {
        let lookalikes = scoped(&[
            "audit.manage",
            "api_key.read",
            "role.manage.x",
            "Role.manage",
            "access.read",
        ]);
        for area in AreaScope::ALL {
            assert!(!lookalikes.opens(*area), "{area}");
            assert!(!lookalikes.allows_check(area.as_str()), "{area}");
        }
    }

    #[test]
    fn checks_are_limited_to_the_keys_of_the_scopes() {
        for (scopes, asked, expected) in [
            (&["note.read"][..], "note.read", true),
            (&["note.read"], "note.write", false),
            (&["note.read"], "Note.read", false),
            (&["note.read"], "role.read", false),
            (&["access.evaluate"], "note.read", true),
            (&["access.evaluate"], "role.read", true),
            (&["access.evaluate"], "not a key", true),
            (&["role.manage"], "role.manage", false),
            (&["role.manage"], "note.read", false),
        ] {
            assert_eq!(scoped(scopes).allows_check(asked), expected, "{scopes:?} {asked}");
        }
        assert!(KeyAccess::Full.allows_check("note.read"));
        assert!(scoped(&["note.read"]).allows_some_check() && scoped(&["access.evaluate"]).allows_some_check());
        assert!(!scoped(&["role.manage", "api_key.manage"]).allows_some_check());
    }

    #[test]
    fn escalation_table() {
        let full = &KeyAccess::Full;
        let manager = &scoped(&["api_key.manage", "role.manage", "note.read"]);
        let checker = &scoped(&["api_key.manage", "access.evaluate"]);
        for (own, asked, expected) in [
            (full, full, true),
            (full, manager, true),
            (manager, full, false),
            (checker, full, false),
            (manager, manager, true),
            (manager, &scoped(&["role.read"]), true),
            (manager, &scoped(&["role.read", "role.manage"]), true),
            (manager, &scoped(&["note.read"]), true),
            (manager, &scoped(&["note.write"]), false),
            (manager, &scoped(&["note.read", "note.write"]), false),
            (manager, &scoped(&["access.evaluate"]), false),
            (manager, &scoped(&["permission.read"]), false),
            (manager, &scoped(&["role.read", "audit.read"]), false),
            (manager, &scoped(&["api_key.manage"]), true),
            (checker, &scoped(&["note.read", "note.write"]), true),
            (checker, &scoped(&["access.evaluate"]), true),
            (checker, &scoped(&["role.read"]), false),
            (&scoped(&["role.read"]), &scoped(&["role.manage"]), false),
            // All system keys together are not full access, which includes additions of later releases.
            (&scoped(&SYSTEM_PERMISSION_KEYS), full, false),
            (
                &scoped(&SYSTEM_PERMISSION_KEYS),
                &scoped(&["note.read", "environment.manage"]),
                true,
            ),
        ] {
            assert_eq!(own.covers(asked), expected, "{own:?} {asked:?}");
        }
    }

    #[test]
    fn scopes_are_told_sorted_and_once() {
        let access = scoped(&["role.read", "note.read", "access.evaluate", "role.read"]);
        assert_eq!(access.scopes(), ["access.evaluate", "note.read", "role.read"]);
        assert_eq!(
            (access.mode(), KeyAccess::Full.mode()),
            (AccessMode::Scoped, AccessMode::FullAccess)
        );
        assert!(KeyAccess::Full.scopes().is_empty() && KeyScopes::new([]).is_empty());
    }

    fn any_access() -> impl Strategy<Value = KeyAccess> {
        let known = SYSTEM_PERMISSION_KEYS
            .iter()
            .copied()
            .chain(["note.read", "note.write", "audit.manage"]);
        let known: Vec<&str> = known.collect();
        prop_oneof![
            1 => Just(KeyAccess::Full),
            9 => prop::collection::vec(prop::sample::select(known), 1..5).prop_map(|keys| scoped(&keys)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_handed_out_can_do_no_more(own in any_access(), asked in any_access(), next in any_access()) {
            prop_assert!(own.covers(&own));
            if own.covers(&asked) {
                for area in AreaScope::ALL {
                    prop_assert!(own.opens(*area) || !asked.opens(*area));
                }
                for check in ["note.read", "note.write", "audit.manage", "role.read", "x.y"] {
                    prop_assert!(own.allows_check(check) || !asked.allows_check(check));
                }
                prop_assert!(!asked.covers(&next) || own.covers(&next));
            }
        }
    }
}
