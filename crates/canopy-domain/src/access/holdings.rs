//! The assignments of an environment: by identity, and by their ids.
//!
//! A check reads one [`Holder`]. The other tables are for changes, which look up the holder of an assignment, and for
//! the few checks near the border of a window.

use super::hash::Seed;
use super::holder::{Holder, Moment, Row, end};
use super::interner::Interner;
use super::records::{Id, Records, id_of};
use super::{DenialReason, GrantFact, IndexError, SubjectFact};
use crate::{AssignmentId, AssignmentStatus, IdentityId, MembershipStatus, Timestamp, Window};

#[derive(Debug, Clone)]
pub(super) struct Holdings {
    holders: Records<Holder>,
    /// The id of each holder, by its slot. Undefined in a free slot.
    ids: Vec<Id>,
    free: Vec<u32>,
    grants: Interner,
    /// The first microsecond in the window and the first one after it, by slot of the assignment.
    windows: Vec<[i64; 2]>,
    /// The slot of the holder, by slot of the assignment.
    held_by: Vec<u32>,
}

/// An assignment that has a slot but is not yet among its holder's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    identity: IdentityId,
    role: u32,
    row: Row,
}

/// The entities that a removed row named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Freed {
    pub(super) role: u32,
    pub(super) node: u32,
}

impl Holdings {
    /// Indexes subjects and assignments; `resolve` returns the slots of the role and the node of an assignment.
    pub(super) fn build(
        seed: Seed,
        subjects: &[SubjectFact],
        grants: &[GrantFact],
        mut resolve: impl FnMut(&GrantFact) -> Result<(u32, u32), IndexError>,
    ) -> Result<Self, IndexError> {
        let mut holdings = Self {
            holders: Records::with_capacity(seed, subjects.len()),
            ids: Vec::with_capacity(subjects.len()),
            free: Vec::new(),
            grants: Interner::with_capacity(seed, grants.len()),
            windows: Vec::with_capacity(grants.len()),
            held_by: Vec::with_capacity(grants.len()),
        };
        for subject in subjects {
            if holdings.find(subject.id).is_some() {
                return Err(IndexError::RepeatedSubject(subject.id));
            }
            holdings.put_subject(subject)?;
        }
        for grant in grants {
            if !holdings.grants.intern(grant.id.as_uuid())?.1 {
                return Err(IndexError::RepeatedGrant(grant.id));
            }
            let window = [grant.window.from().as_micros(), end(grant.window)];
            holdings.windows.push(window);
            let holder = holdings.holder_for(grant.key.identity)?;
            holder.expect_end(grant.window);
            let slot = holder.slot();
            holdings.held_by.push(slot);
        }
        // Rows are grouped by holder by counting, then each holder takes its own.
        let mut starts = vec![0_usize; holdings.ids.len() + 1];
        for holder in &holdings.held_by {
            if let Some(count) = starts.get_mut(*holder as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut rows = vec![(0, Row::default()); grants.len()];
        for ((slot, grant), holder) in (0..).zip(grants).zip(&holdings.held_by) {
            let (role, node) = resolve(grant)?;
            if let Some(next) = next.get_mut(*holder as usize) {
                if let Some(place) = rows.get_mut(*next) {
                    *place = (role, Row::new(node, grant.window, slot));
                }
                *next += 1;
            }
        }
        for holder in holdings.holders.iter_mut() {
            let slot = holder.slot() as usize;
            let range = starts.get(slot).zip(next.get(slot)).map(|(start, end)| *start..*end);
            holder.fill(range.and_then(|range| rows.get_mut(range)).unwrap_or_default());
        }
        Ok(holdings)
    }

    #[inline]
    pub(super) fn find(&self, identity: IdentityId) -> Option<&Holder> {
        self.holders.find(id_of(identity.as_uuid()))
    }

    /// Returns the records, for a combined look-up.
    #[inline]
    pub(super) const fn records(&self) -> &Records<Holder> {
        &self.holders
    }

    /// Returns the status of the window of a row at an instant.
    #[inline]
    pub(super) fn status(&self, holder: &Holder, row: Row, at: Moment) -> AssignmentStatus {
        if holder.is_surely_open(row, at) {
            return AssignmentStatus::Active;
        }
        match self.windows.get(row.grant() as usize) {
            Some([from, _]) if at.micros < *from => AssignmentStatus::Scheduled,
            Some([_, to]) if !row.has_end() || at.micros < *to => AssignmentStatus::Active,
            _ => AssignmentStatus::Expired,
        }
    }

    /// Returns the id and the window of a row's assignment.
    pub(super) fn assignment(&self, row: Row) -> Option<(AssignmentId, Window)> {
        let [from, to] = *self.windows.get(row.grant() as usize)?;
        let to = row.has_end().then(|| Timestamp::from_micros(to)).transpose().ok()?;
        let window = Window::new(Timestamp::from_micros(from).ok()?, to).ok()?;
        Some((self.grants.id(row.grant())?.into(), window))
    }

    pub(super) fn put_subject(&mut self, fact: &SubjectFact) -> Result<(), IndexError> {
        self.holder_for(fact.id)?.set_blocked_by(blocked_by(fact));
        Ok(())
    }

    /// Removes an identity with its assignments, and returns it.
    pub(super) fn remove_subject(&mut self, identity: IdentityId) -> Option<Holder> {
        let holder = self.holders.remove(id_of(identity.as_uuid()))?;
        for (_, row) in holder.rows().iter() {
            self.grants.release(row.grant());
        }
        self.free.push(holder.slot());
        Some(holder)
    }

    /// Returns whether there is an assignment with this id.
    pub(super) fn knows(&self, id: AssignmentId) -> bool {
        self.grants.find(id.as_uuid()).is_some()
    }

    /// Reserves a slot for a new assignment. It counts once it is [inserted](Self::insert_all).
    pub(super) fn reserve(&mut self, fact: &GrantFact, role: u32, node: u32) -> Result<Pending, IndexError> {
        let grant = self.grants.intern(fact.id.as_uuid())?.0;
        let holder = self.holder_for(fact.key.identity)?;
        holder.expect_end(fact.window);
        let slot = holder.slot();
        if self.windows.len() < self.grants.slots() {
            self.windows.resize(self.grants.slots(), [0, 0]);
            self.held_by.resize(self.grants.slots(), 0);
        }
        if let Some(window) = self.windows.get_mut(grant as usize) {
            *window = [fact.window.from().as_micros(), end(fact.window)];
        }
        if let Some(held_by) = self.held_by.get_mut(grant as usize) {
            *held_by = slot;
        }
        Ok(Pending {
            identity: fact.key.identity,
            role,
            row: Row::new(node, fact.window, grant),
        })
    }

    /// Adds all pending assignments to their holders, grouped by holder.
    pub(super) fn insert_all(&mut self, pending: &mut Vec<Pending>) -> Result<(), IndexError> {
        pending.sort_unstable_by_key(|one| one.identity);
        for some in pending.chunk_by(|one, other| one.identity == other.identity) {
            let Some(first) = some.first() else { continue };
            let holder = self.holder_for(first.identity)?;
            match some {
                [one] => holder.insert(one.role, one.row),
                many => holder.insert_many(many.iter().map(|one| (one.role, one.row))),
            }
        }
        pending.clear();
        Ok(())
    }

    /// Removes an assignment. Calls `freed` if it was there.
    pub(super) fn remove_grant(&mut self, id: AssignmentId, mut freed: impl FnMut(Freed)) {
        if let Some((slot, grant)) = self.place(id) {
            self.remove_rows(slot, &[grant], &mut freed);
        }
    }

    /// Returns the slots of the holder of an assignment and of the assignment itself.
    fn place(&self, id: AssignmentId) -> Option<(u32, u32)> {
        let grant = self.grants.find(id.as_uuid())?;
        Some((*self.held_by.get(grant as usize)?, grant))
    }

    /// Removes assignments, grouped by identity. Calls `freed` for each that was there.
    pub(super) fn remove_grants(&mut self, ids: impl Iterator<Item = AssignmentId>, mut freed: impl FnMut(Freed)) {
        let mut places: Vec<(u32, u32)> = ids.filter_map(|id| self.place(id)).collect();
        places.sort_unstable();
        places.dedup();
        for some in places.chunk_by(|(one, _), (other, _)| one == other) {
            match some {
                // The usual case, without an allocation.
                [(slot, grant)] => self.remove_rows(*slot, &[*grant], &mut freed),
                [(slot, _), ..] => {
                    let grants: Vec<u32> = some.iter().map(|(_, grant)| *grant).collect();
                    self.remove_rows(*slot, &grants, &mut freed);
                }
                [] => {}
            }
        }
    }

    /// Removes assignments of one holder, sorted by slot.
    fn remove_rows(&mut self, slot: u32, grants: &[u32], freed: &mut impl FnMut(Freed)) {
        let Some(identity) = self.ids.get(slot as usize).copied() else {
            return;
        };
        let Some(holder) = self.holders.find_mut(identity) else {
            return;
        };
        let mut take = |role, row: Row| {
            freed(Freed { role, node: row.node() });
            self.grants.release(row.grant());
        };
        match grants {
            [one] => {
                if let Some((role, row)) = holder.remove(*one) {
                    take(role, row);
                }
            }
            many => holder.remove_many(many, take),
        }
        if holder.is_empty() {
            if holder.blocked_by() == Some(DenialReason::IdentityNotFound) {
                self.holders.remove(identity);
                self.free.push(slot);
            } else {
                *holder = Holder::new(identity, slot, holder.blocked_by());
            }
        }
    }

    /// Returns the holder of an identity. An identity that is no member yet gets one too, and is denied as "not found".
    fn holder_for(&mut self, identity: IdentityId) -> Result<&mut Holder, IndexError> {
        let id = id_of(identity.as_uuid());
        if self.holders.find(id).is_none() {
            let slot = match self.free.pop() {
                Some(slot) => slot,
                None => u32::try_from(self.ids.len()).map_err(|_| IndexError::TooLarge)?,
            };
            let blocked_by = Some(DenialReason::IdentityNotFound);
            self.holders.insert(Holder::new(id, slot, blocked_by))?;
            match self.ids.get_mut(slot as usize) {
                Some(place) => *place = id,
                None => self.ids.push(id),
            }
        }
        self.holders.find_mut(id).ok_or(IndexError::TooLarge)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.holders.memory_bytes()
            + self.holders.iter().map(Holder::memory_bytes).sum::<usize>()
            + self.ids.capacity() * size_of::<Id>()
            + self.free.capacity() * size_of::<u32>()
            + self.grants.memory_bytes()
            + self.windows.capacity() * size_of::<[i64; 2]>()
            + self.held_by.capacity() * size_of::<u32>()
    }
}

/// Returns the reason for which none of the identity's assignments counts, if there is one.
const fn blocked_by(fact: &SubjectFact) -> Option<DenialReason> {
    match (fact.is_active, fact.membership) {
        (false, _) => Some(DenialReason::IdentityInactive),
        (true, MembershipStatus::Active) => None,
        (true, MembershipStatus::Invited | MembershipStatus::Deactivated | MembershipStatus::Suspended) => {
            Some(DenialReason::MembershipInactive)
        }
    }
}
