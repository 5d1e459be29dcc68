//! Permissions and roles, and which role bundles which permission.
//!
//! Bundling is a matrix of bits with one row for each *permission* and one column for each role: a question is about one
//! permission, so all it needs to know about all roles is one row, a word for every 64 roles. Each role also lists
//! its permissions, so that an edit changes the bits of that role alone.

use super::hash::{Seed, SlotTable};
use super::interner::Interner;
use super::{IndexError, PermissionFact, RoleFact};
use crate::{AssignmentId, PermissionId, PermissionKey, RoleId, RoleName};

#[derive(Debug, Clone)]
pub(super) struct Catalog {
    seed: Seed,
    permission_ids: Interner,
    /// The key of each permission; `None` in free slots.
    keys: Vec<Option<PermissionKey>>,
    by_key: SlotTable,
    role_ids: Interner,
    roles: Vec<RoleSlot>,
    /// Words of a row: one for every 64 roles.
    width: usize,
    bundles: Vec<u64>,
    /// One row: the roles that are active.
    active: Vec<u64>,
}

#[derive(Debug, Clone, Default)]
struct RoleSlot {
    /// `None` in free slots.
    name: Option<RoleName>,
    permissions: Vec<u32>,
    grants: u32,
}

#[inline]
fn bit(words: &[u64], at: u32) -> bool {
    words
        .get((at >> 6) as usize)
        .is_some_and(|word| word >> (at & 63) & 1 == 1)
}

fn set_bit(words: &mut [u64], at: u32, to: bool) {
    if let Some(word) = words.get_mut((at >> 6) as usize) {
        *word = (*word & !(1 << (at & 63))) | (u64::from(to) << (at & 63));
    }
}

impl Catalog {
    pub(super) fn build(seed: Seed, permissions: &[PermissionFact], roles: &[RoleFact]) -> Result<Self, IndexError> {
        let width = roles.len().div_ceil(64).max(1);
        let mut catalog = Self {
            seed,
            permission_ids: Interner::with_capacity(seed, permissions.len()),
            keys: Vec::with_capacity(permissions.len()),
            by_key: SlotTable::with_capacity(permissions.len()),
            role_ids: Interner::with_capacity(seed, roles.len()),
            roles: Vec::with_capacity(roles.len()),
            width,
            bundles: Vec::with_capacity(permissions.len() * width),
            active: vec![0; width],
        };
        for permission in permissions {
            if catalog.permission_ids.find(permission.id.as_uuid()).is_some() {
                return Err(IndexError::RepeatedPermission(permission.id));
            }
            catalog.put_permission(permission)?;
        }
        for role in roles {
            if catalog.role_ids.find(role.id.as_uuid()).is_some() {
                return Err(IndexError::RepeatedRole(role.id));
            }
            catalog.put_role(role)?;
        }
        Ok(catalog)
    }

    #[inline]
    pub(super) fn find_key(&self, key: &str) -> Option<u32> {
        let hash = self.seed.of_text(key);
        let is_it = |slot| self.key(slot).is_some_and(|known| known.as_str() == key);
        let guess = self.by_key.guess(hash);
        if is_it(guess) {
            Some(guess)
        } else {
            self.by_key.find(hash, is_it)
        }
    }

    #[inline]
    pub(super) fn key(&self, permission: u32) -> Option<&PermissionKey> {
        self.keys.get(permission as usize)?.as_ref()
    }

    /// The roles that bundle a permission, a bit each.
    #[inline]
    pub(super) fn bundlers(&self, permission: u32) -> &[u64] {
        row(&self.bundles, self.width, permission)
    }

    #[inline]
    pub(super) fn is_active(&self, role: u32) -> bool {
        bit(&self.active, role)
    }

    #[inline]
    pub(super) fn name(&self, role: u32) -> Option<&RoleName> {
        self.roles.get(role as usize)?.name.as_ref()
    }

    /// The id and the name of a role.
    pub(super) fn role(&self, role: u32) -> Option<(RoleId, &RoleName)> {
        Some((self.role_ids.id(role)?.into(), self.name(role)?))
    }

    pub(super) fn permissions_of(&self, role: u32) -> &[u32] {
        self.roles.get(role as usize).map_or(&[], |role| &role.permissions)
    }

    pub(super) fn put_permission(&mut self, fact: &PermissionFact) -> Result<(), IndexError> {
        let known = self.permission_ids.find(fact.id.as_uuid());
        match self.find_key(fact.key.as_str()) {
            Some(taken) if Some(taken) != known => return Err(IndexError::KeyTaken(fact.id)),
            Some(_) => return Ok(()),
            None => {}
        }
        if let Some(slot) = known {
            self.forget_key(slot);
        }
        let slot = self.permission_ids.intern(fact.id.as_uuid())?.0;
        if self.keys.len() < self.permission_ids.slots() {
            self.keys.resize(self.permission_ids.slots(), None);
            self.bundles.resize(self.keys.len() * self.width, 0);
        }
        let hash = self.seed.of_text(fact.key.as_str());
        if let Some(place) = self.keys.get_mut(slot as usize) {
            *place = Some(fact.key.clone());
        }
        let (keys, seed) = (&self.keys, self.seed);
        self.by_key.insert(hash, slot, |slot| hash_of_key(keys, seed, slot));
        Ok(())
    }

    /// Removes a permission from the catalog and from every role.
    pub(super) fn remove_permission(&mut self, id: PermissionId) {
        let Some(slot) = self.permission_ids.find(id.as_uuid()) else {
            return;
        };
        let bundlers = row(&self.bundles, self.width, slot);
        for (number, role) in (0..).zip(&mut self.roles) {
            if bit(bundlers, number) {
                role.permissions.retain(|permission| *permission != slot);
            }
        }
        row_mut(&mut self.bundles, self.width, slot).fill(0);
        self.forget_key(slot);
        self.permission_ids.release(slot);
    }

    fn forget_key(&mut self, slot: u32) {
        let (keys, seed) = (&self.keys, self.seed);
        self.by_key.remove(hash_of_key(keys, seed, slot), slot, |slot| {
            hash_of_key(keys, seed, slot)
        });
        if let Some(place) = self.keys.get_mut(slot as usize) {
            *place = None;
        }
    }

    pub(super) fn put_role(&mut self, fact: &RoleFact) -> Result<(), IndexError> {
        let mut permissions = Vec::with_capacity(fact.permissions.len());
        for permission in fact.permissions.iter().copied() {
            let unknown = IndexError::UnknownPermission {
                role: fact.id,
                permission,
            };
            permissions.push(self.permission_ids.find(permission.as_uuid()).ok_or(unknown)?);
        }
        permissions.sort_unstable();
        permissions.dedup();
        let slot = self.role_ids.intern(fact.id.as_uuid())?.0;
        if self.roles.len() < self.role_ids.slots() {
            self.roles.resize_with(self.role_ids.slots(), RoleSlot::default);
            self.widen(self.roles.len().div_ceil(64));
        }
        self.set_bundle(slot, false);
        if let Some(role) = self.roles.get_mut(slot as usize) {
            role.name = Some(fact.name.clone());
            role.permissions = permissions;
        }
        self.set_bundle(slot, true);
        set_bit(&mut self.active, slot, fact.is_active);
        Ok(())
    }

    pub(super) fn remove_role(&mut self, id: RoleId) -> Result<(), IndexError> {
        let Some(slot) = self.role_ids.find(id.as_uuid()) else {
            return Ok(());
        };
        if self.roles.get(slot as usize).is_some_and(|role| role.grants != 0) {
            return Err(IndexError::RoleInUse(id));
        }
        self.set_bundle(slot, false);
        if let Some(role) = self.roles.get_mut(slot as usize) {
            *role = RoleSlot::default();
        }
        set_bit(&mut self.active, slot, false);
        self.role_ids.release(slot);
        Ok(())
    }

    /// Writes the column of a role: its bit in the row of each permission that it lists.
    fn set_bundle(&mut self, role: u32, to: bool) {
        let Self {
            roles, bundles, width, ..
        } = self;
        for permission in roles.get(role as usize).iter().flat_map(|role| &role.permissions) {
            set_bit(row_mut(bundles, *width, *permission), role, to);
        }
    }

    /// Makes room for more roles. Twice as much as before, so that it happens rarely.
    fn widen(&mut self, width: usize) {
        if width <= self.width {
            return;
        }
        let wider = width.max(self.width * 2);
        let mut bundles = vec![0; self.keys.len() * wider];
        for (old, new) in self
            .bundles
            .chunks_exact(self.width)
            .zip(bundles.chunks_exact_mut(wider))
        {
            for (word, place) in old.iter().zip(new) {
                *place = *word;
            }
        }
        self.bundles = bundles;
        self.active.resize(wider, 0);
        self.width = wider;
    }

    /// The role that an assignment names.
    pub(super) fn resolve(&self, grant: AssignmentId, role: RoleId) -> Result<u32, IndexError> {
        self.role_ids
            .find(role.as_uuid())
            .ok_or(IndexError::UnknownRole { grant, role })
    }

    pub(super) fn count_grant(&mut self, role: u32, by: i32) {
        if let Some(role) = self.roles.get_mut(role as usize) {
            role.grants = role.grants.saturating_add_signed(by);
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let keys: usize = self.keys.iter().flatten().map(|key| key.as_str().len()).sum();
        let name = |role: &RoleSlot| role.name.as_ref().map_or(0, |name| name.as_str().len());
        let listed: usize = self
            .roles
            .iter()
            .map(|role| name(role) + role.permissions.capacity() * size_of::<u32>())
            .sum();
        self.permission_ids.memory_bytes()
            + self.keys.capacity() * size_of::<Option<PermissionKey>>()
            + keys
            + self.by_key.memory_bytes()
            + self.role_ids.memory_bytes()
            + self.roles.capacity() * size_of::<RoleSlot>()
            + listed
            + (self.bundles.capacity() + self.active.capacity()) * size_of::<u64>()
    }
}

fn hash_of_key(keys: &[Option<PermissionKey>], seed: Seed, slot: u32) -> u64 {
    keys.get(slot as usize)
        .and_then(Option::as_ref)
        .map_or(0, |key| seed.of_text(key.as_str()))
}

#[inline]
fn row(words: &[u64], width: usize, permission: u32) -> &[u64] {
    let start = permission as usize * width;
    words.get(start..start + width).unwrap_or_default()
}

fn row_mut(words: &mut [u64], width: usize, permission: u32) -> &mut [u64] {
    let start = permission as usize * width;
    words.get_mut(start..start + width).unwrap_or_default()
}
