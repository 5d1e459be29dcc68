//! The memory of an index, estimated before any of it is allocated.

use super::Change;

/// The counts that determine the memory of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexSize {
    /// Permissions of the catalog.
    pub permissions: usize,
    /// The bytes of their keys.
    pub permission_key_bytes: usize,
    /// Roles.
    pub roles: usize,
    /// The bytes of their names.
    pub role_name_bytes: usize,
    /// Pairs of a role and one of its permissions.
    pub pairs: usize,
    /// Nodes of the tree.
    pub nodes: usize,
    /// Identities that are or were members.
    pub subjects: usize,
    /// Assignments.
    pub assignments: usize,
    /// API keys.
    pub api_keys: usize,
    /// The scopes of all API keys.
    pub scopes: usize,
}

/// Maximum number of bytes of a scope beside its share of a set; most keys are much shorter.
const SCOPE: usize = 128;

impl IndexSize {
    /// Returns the bytes of memory of an index of this size and the ring of its API keys. An upper bound of
    /// [`memory_bytes`](super::AccessIndex::memory_bytes) after the build, mostly by less than a half.
    pub const fn bytes(&self) -> usize {
        const FIXED: usize = 4_096;
        // Beside a text, an allocation takes up to 24 bytes.
        let catalog = self.permissions * 152
            + self.permission_key_bytes
            + self.roles * 144
            + self.role_name_bytes
            + self.pairs * 8;
        let holders = self.nodes * 104 + self.subjects * 160 + self.assignments * 88;
        FIXED + catalog + holders + self.api_keys * 128 + self.scopes * SCOPE
    }

    /// Returns the maximum number of bytes that changes add: everything they put may be new. Removals are not
    /// subtracted.
    pub fn bytes_of_changes(changes: &[Change]) -> usize {
        let mut size = Self::default();
        for change in changes {
            match change {
                Change::PermissionPut(fact) => {
                    size.permissions += 1;
                    size.permission_key_bytes += fact.key.as_str().len();
                }
                Change::RolePut(fact) => {
                    size.roles += 1;
                    size.role_name_bytes += fact.name.as_str().len();
                    size.pairs += fact.permissions.len();
                }
                Change::NodePut(_) => size.nodes += 1,
                Change::SubjectPut(_) => size.subjects += 1,
                Change::GrantPut(_) => size.assignments += 1,
                Change::KeyPut(fact) => {
                    size.api_keys += 1;
                    size.scopes += fact.access.scope_count();
                }
                Change::PermissionRemoved(_)
                | Change::RoleRemoved(_)
                | Change::NodeRemoved(_)
                | Change::SubjectRemoved(_)
                | Change::GrantRemoved(_)
                | Change::KeyRemoved(_) => {}
            }
        }
        if size == Self::default() { 0 } else { size.bytes() }
    }
}
