//! The permissions and roles of an environment, and the permissions of each role.
//!
//! Each permission has a [`RoleSet`] of the roles that bundle it and the sorted list of them. Up to 128 roles the set
//! is exact, and a check needs nothing else. Beyond, it filters most checks out, and the list decides the rest. Memory
//! grows with the bundled pairs, not with the product of roles and permissions. Each role also lists its permissions,
//! so that an edit changes only its own pairs.

use super::hash::{Seed, SlotTable};
use super::interner::Interner;
use super::role_set::{BITS, RoleSet};
use super::{IndexError, PermissionFact, RoleFact};
use crate::{AssignmentId, PermissionId, PermissionKey, RoleId, RoleName};

#[derive(Debug, Clone)]
pub(super) struct Catalog {
    seed: Seed,
    permission_ids: Interner,
    /// The key of each permission; `None` in free slots.
    keys: Vec<Option<PermissionKey>>,
    by_key: SlotTable,
    /// The roles that bundle the permission, by slot of the permission.
    bundler_sets: Vec<RoleSet>,
    /// The roles that bundle the permission, sorted, by slot of the permission.
    bundlers: Vec<Vec<u32>>,
    role_ids: Interner,
    roles: Vec<RoleSlot>,
    /// A bit for each role that is active.
    active: Vec<u64>,
    name_bytes: NameBytes,
    key_bytes: usize,
}

#[derive(Debug, Clone, Default)]
struct RoleSlot {
    /// `None` in free slots.
    name: Option<RoleName>,
    /// Permissions, sorted.
    permissions: Vec<u32>,
    grants: u32,
}

/// Bytes of role names, to bound the names of any set of roles.
#[derive(Debug, Clone)]
struct NameBytes {
    /// The names of all roles that share a bit of a [`RoleSet`], by bit.
    by_bit: Box<[usize]>,
    /// The length of the longest name so far.
    longest: usize,
}

impl NameBytes {
    fn new() -> Self {
        Self {
            by_bit: vec![0; BITS as usize].into_boxed_slice(),
            longest: 0,
        }
    }

    fn replace(&mut self, role: u32, old: usize, new: usize) {
        if let Some(sum) = self.by_bit.get_mut(RoleSet::bit(role) as usize) {
            *sum = *sum + new - old;
        }
        self.longest = self.longest.max(new);
    }
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
        let mut catalog = Self {
            seed,
            permission_ids: Interner::with_capacity(seed, permissions.len()),
            keys: Vec::with_capacity(permissions.len()),
            by_key: SlotTable::with_capacity(permissions.len()),
            bundler_sets: Vec::with_capacity(permissions.len()),
            bundlers: Vec::with_capacity(permissions.len()),
            role_ids: Interner::with_capacity(seed, roles.len()),
            roles: Vec::with_capacity(roles.len()),
            active: Vec::with_capacity(roles.len().div_ceil(64)),
            name_bytes: NameBytes::new(),
            key_bytes: 0,
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
        for list in &mut catalog.bundlers {
            list.shrink_to_fit();
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

    /// Returns the roles that bundle a permission. Exact if [`is_exact`](Self::is_exact), otherwise a filter before
    /// [`bundlers`](Self::bundlers).
    #[inline]
    pub(super) fn bundler_set(&self, permission: u32) -> RoleSet {
        self.bundler_sets.get(permission as usize).copied().unwrap_or_default()
    }

    /// Returns whether each bit of a [`RoleSet`] stands for a single role.
    #[inline]
    pub(super) const fn is_exact(&self) -> bool {
        self.roles.len() <= BITS as usize
    }

    /// Returns the roles that bundle a permission, sorted.
    #[inline]
    pub(super) fn bundlers(&self, permission: u32) -> &[u32] {
        self.bundlers.get(permission as usize).map_or(&[], Vec::as_slice)
    }

    /// Returns the maximum number of bytes of the names of `count` roles of a set. Takes constant time.
    pub(super) fn most_name_bytes(&self, roles: RoleSet, count: usize) -> usize {
        let NameBytes { by_bit, longest } = &self.name_bytes;
        let all: usize = roles.bits().filter_map(|bit| by_bit.get(bit as usize)).sum();
        all.min(count.saturating_mul(*longest))
    }

    /// Returns the number of permissions, and the bytes of their keys.
    pub(super) fn key_totals(&self) -> (usize, usize) {
        (self.permission_ids.len(), self.key_bytes)
    }

    #[inline]
    pub(super) fn is_active(&self, role: u32) -> bool {
        bit(&self.active, role)
    }

    #[inline]
    pub(super) fn name(&self, role: u32) -> Option<&RoleName> {
        self.roles.get(role as usize)?.name.as_ref()
    }

    /// Returns the id and the name of a role.
    pub(super) fn role(&self, role: u32) -> Option<(RoleId, &RoleName)> {
        Some((self.role_ids.id(role)?.into(), self.name(role)?))
    }

    /// Returns an empty bit set of permissions.
    pub(super) fn no_permissions(&self) -> Vec<u64> {
        vec![0; self.keys.len().div_ceil(64)]
    }

    /// Adds the permissions of a role to a set.
    pub(super) fn add_permissions_of(&self, role: u32, set: &mut [u64]) {
        for permission in self.roles.get(role as usize).iter().flat_map(|role| &role.permissions) {
            set_bit(set, *permission, true);
        }
    }

    /// Returns the keys of the permissions in a set.
    pub(super) fn keys_in(&self, set: &[u64]) -> impl Iterator<Item = &PermissionKey> {
        let keys = (0..).zip(&self.keys).filter(|(slot, _)| bit(set, *slot));
        keys.filter_map(|(_, key)| key.as_ref())
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
            self.bundler_sets.resize(self.keys.len(), RoleSet::EMPTY);
            self.bundlers.resize_with(self.keys.len(), Vec::new);
        }
        let hash = self.seed.of_text(fact.key.as_str());
        if let Some(place) = self.keys.get_mut(slot as usize) {
            *place = Some(fact.key.clone());
            self.key_bytes += fact.key.as_str().len();
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
        let bundlers = self.bundlers.get_mut(slot as usize).map(core::mem::take);
        for role in bundlers.into_iter().flatten() {
            if let Some(role) = self.roles.get_mut(role as usize)
                && let Ok(place) = role.permissions.binary_search(&slot)
            {
                role.permissions.remove(place);
            }
        }
        if let Some(set) = self.bundler_sets.get_mut(slot as usize) {
            *set = RoleSet::EMPTY;
        }
        self.forget_key(slot);
        self.permission_ids.release(slot);
    }

    fn forget_key(&mut self, slot: u32) {
        let (keys, seed) = (&self.keys, self.seed);
        self.by_key.remove(hash_of_key(keys, seed, slot), slot, |slot| {
            hash_of_key(keys, seed, slot)
        });
        if let Some(key) = self.keys.get_mut(slot as usize).and_then(Option::take) {
            self.key_bytes -= key.as_str().len();
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
            self.active.resize(self.roles.len().div_ceil(64), 0);
        }
        self.rename(slot, Some(&fact.name));
        self.bundle(slot, permissions);
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
        self.bundle(slot, Vec::new());
        self.rename(slot, None);
        set_bit(&mut self.active, slot, false);
        self.role_ids.release(slot);
        Ok(())
    }

    fn rename(&mut self, slot: u32, name: Option<&RoleName>) {
        if let Some(role) = self.roles.get_mut(slot as usize) {
            let length = |name: Option<&RoleName>| name.map_or(0, |name| name.as_str().len());
            self.name_bytes.replace(slot, length(role.name.as_ref()), length(name));
            role.name = name.cloned();
        }
    }

    /// Replaces the permissions of a role by a sorted list. Touches only the permissions that it gains or loses.
    fn bundle(&mut self, slot: u32, permissions: Vec<u32>) {
        let Some(role) = self.roles.get_mut(slot as usize) else {
            return;
        };
        let before = core::mem::replace(&mut role.permissions, permissions);
        let (bundlers, sets) = (&mut self.bundlers, &mut self.bundler_sets);
        each_difference(&before, &role.permissions, |difference| {
            let permission = match difference {
                Difference::Lost(permission) | Difference::Gained(permission) => permission as usize,
            };
            let (Some(list), Some(set)) = (bundlers.get_mut(permission), sets.get_mut(permission)) else {
                return;
            };
            match difference {
                Difference::Lost(_) => {
                    take_out(list, slot);
                    if !list.iter().any(|other| RoleSet::bit(*other) == RoleSet::bit(slot)) {
                        set.remove(slot);
                    }
                }
                Difference::Gained(_) => {
                    put_in(list, slot);
                    set.insert(slot);
                }
            }
        });
    }

    /// Returns the role that an assignment names.
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
        let bundlers: usize = self.bundlers.iter().map(Vec::capacity).sum();
        let name = |role: &RoleSlot| role.name.as_ref().map_or(0, |name| name.as_str().len());
        let listed: usize = self
            .roles
            .iter()
            .map(|role| name(role) + role.permissions.capacity() * size_of::<u32>())
            .sum();
        self.permission_ids.memory_bytes()
            + self.keys.capacity() * size_of::<Option<PermissionKey>>()
            + self.key_bytes
            + self.by_key.memory_bytes()
            + self.role_ids.memory_bytes()
            + self.roles.capacity() * size_of::<RoleSlot>()
            + listed
            + self.active.capacity() * size_of::<u64>()
            + self.bundler_sets.capacity() * size_of::<RoleSet>()
            + self.bundlers.capacity() * size_of::<Vec<u32>>()
            + bundlers * size_of::<u32>()
            + self.name_bytes.by_bit.len() * size_of::<usize>()
    }
}

/// A number that is in only one of two sorted lists.
#[derive(Debug, Clone, Copy)]
enum Difference {
    Lost(u32),
    Gained(u32),
}

/// Visits the differences of two sorted lists in one pass over both.
fn each_difference(before: &[u32], after: &[u32], mut see: impl FnMut(Difference)) {
    let (mut before, mut after) = (before, after);
    loop {
        match (before.split_first(), after.split_first()) {
            (Some((old, olds)), Some((new, news))) if old == new => (before, after) = (olds, news),
            (Some((old, olds)), Some((new, _))) if old < new => {
                see(Difference::Lost(*old));
                before = olds;
            }
            (Some((old, olds)), None) => {
                see(Difference::Lost(*old));
                before = olds;
            }
            (_, Some((new, news))) => {
                see(Difference::Gained(*new));
                after = news;
            }
            (None, None) => return,
        }
    }
}

/// Inserts a number into a sorted list that lacks it.
fn put_in(sorted: &mut Vec<u32>, one: u32) {
    match sorted.last() {
        Some(last) if *last >= one => {
            if let Err(place) = sorted.binary_search(&one) {
                sorted.insert(place, one);
            }
        }
        _ => sorted.push(one),
    }
}

/// Removes a number from a sorted list, and shrinks a list that has become much too large.
fn take_out(sorted: &mut Vec<u32>, one: u32) {
    if let Ok(place) = sorted.binary_search(&one) {
        sorted.remove(place);
    }
    if sorted.capacity() > 8 && sorted.len() < sorted.capacity() / 4 {
        sorted.shrink_to(sorted.len() * 2);
    }
}

fn hash_of_key(keys: &[Option<PermissionKey>], seed: Seed, slot: u32) -> u64 {
    keys.get(slot as usize)
        .and_then(Option::as_ref)
        .map_or(0, |key| seed.of_text(key.as_str()))
}
