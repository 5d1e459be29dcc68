//! Who holds which role where: the assignments of each identity, kept together.
//!
//! A question is about one identity, so what it reads lies in two places: the holder (one line of the cache: standing,
//! the span in which no window matters, where its rows are) and the rows, twelve bytes each. Ids and windows of
//! assignments lie apart. A window is read only where a row would count and the instant lies outside the holder's
//! span; most instants do not.

use super::hash::Seed;
use super::interner::Interner;
use super::{DenialReason, GrantFact, IndexError, SubjectFact};
use crate::{AssignmentId, AssignmentStatus, IdentityId, MembershipStatus, Timestamp, Window};

#[derive(Debug, Clone)]
pub(super) struct Holdings {
    subjects: Interner,
    holders: Vec<Holder>,
    grants: Interner,
    /// By slot of the assignment.
    windows: Vec<[i64; 2]>,
    /// By slot of the assignment: the holder.
    held_by: Vec<u32>,
}

/// An identity.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    /// Sorted by node, then role.
    rows: Vec<Row>,
    /// No start of its windows lies later, and no end earlier: in between every window is open. Removals leave
    /// both as they are, so the span may be too narrow, never too wide.
    latest_start: i64,
    earliest_end: i64,
    /// Why nothing it holds counts, if so.
    standing: Option<DenialReason>,
}

/// An assignment of a holder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    node: u32,
    /// The slot of the role shifted up by one; the lowest bit says that the window has an end.
    role_and_end: u32,
    grant: u32,
}

/// The end of a window that never ends.
const NEVER: i64 = i64::MAX;

impl Row {
    fn new(node: u32, role: u32, window: Window, grant: u32) -> Self {
        Self {
            node,
            role_and_end: (role << 1) | u32::from(window.to().is_some()),
            grant,
        }
    }

    #[inline]
    pub(super) const fn node(self) -> u32 {
        self.node
    }

    #[inline]
    pub(super) const fn role(self) -> u32 {
        self.role_and_end >> 1
    }

    const fn order(self) -> (u32, u32) {
        (self.node, self.role_and_end >> 1)
    }
}

impl Default for Holder {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            latest_start: i64::MIN,
            earliest_end: NEVER,
            standing: Some(DenialReason::IdentityNotFound),
        }
    }
}

impl Holder {
    #[inline]
    pub(super) const fn standing(&self) -> Option<DenialReason> {
        self.standing
    }

    #[inline]
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows at one node.
    #[inline]
    pub(super) fn rows_at(&self, node: u32) -> &[Row] {
        let start = self.rows.partition_point(|row| row.node < node);
        let rest = self.rows.get(start..).unwrap_or_default();
        let len = rest.iter().take_while(|row| row.node == node).count();
        rest.get(..len).unwrap_or_default()
    }

    fn narrow(&mut self, window: Window) {
        self.latest_start = self.latest_start.max(window.from().as_micros());
        self.earliest_end = self.earliest_end.min(end(window));
    }

    fn insert(&mut self, row: Row) {
        let at = self
            .rows
            .partition_point(|other| other.order() <= row.order());
        self.rows.insert(at, row);
    }
}

fn end(window: Window) -> i64 {
    window.to().map_or(NEVER, Timestamp::as_micros)
}

/// A row that left: what counts it belonged to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Freed {
    pub(super) node: u32,
    pub(super) role: u32,
}

impl From<Row> for Freed {
    fn from(row: Row) -> Self {
        Self {
            node: row.node(),
            role: row.role(),
        }
    }
}

impl Holdings {
    /// Indexes subjects and assignments; `resolve` gives the slots of the role and node that an assignment names.
    pub(super) fn build(
        seed: Seed,
        subjects: &[SubjectFact],
        grants: &[GrantFact],
        mut resolve: impl FnMut(&GrantFact) -> Result<(u32, u32), IndexError>,
    ) -> Result<Self, IndexError> {
        let mut holdings = Self {
            subjects: Interner::with_capacity(seed, subjects.len()),
            holders: Vec::with_capacity(subjects.len()),
            grants: Interner::with_capacity(seed, grants.len()),
            windows: Vec::with_capacity(grants.len()),
            held_by: Vec::with_capacity(grants.len()),
        };
        for subject in subjects {
            if !holdings.subjects.intern(subject.id.as_uuid())?.1 {
                return Err(IndexError::RepeatedSubject(subject.id));
            }
            holdings.holders.push(Holder {
                standing: standing(subject),
                ..Holder::default()
            });
        }
        let mut held = vec![0_usize; holdings.holders.len()];
        for grant in grants {
            if !holdings.grants.intern(grant.id.as_uuid())?.1 {
                return Err(IndexError::RepeatedGrant(grant.id));
            }
            let holder = holdings.holder_for(grant.key.identity)?;
            held.resize(holdings.holders.len(), 0);
            if let Some(count) = held.get_mut(holder as usize) {
                *count += 1;
            }
            holdings.held_by.push(holder);
            holdings
                .windows
                .push([grant.window.from().as_micros(), end(grant.window)]);
        }
        for (holder, count) in holdings.holders.iter_mut().zip(held) {
            holder.rows.reserve_exact(count);
        }
        for ((slot, grant), holder) in (0..).zip(grants).zip(&holdings.held_by) {
            let (role, node) = resolve(grant)?;
            if let Some(holder) = holdings.holders.get_mut(*holder as usize) {
                holder.rows.push(Row::new(node, role, grant.window, slot));
                holder.narrow(grant.window);
            }
        }
        for holder in &mut holdings.holders {
            holder.rows.sort_unstable_by_key(|row| row.order());
        }
        Ok(holdings)
    }

    #[inline]
    pub(super) fn find(&self, identity: IdentityId) -> Option<&Holder> {
        self.holders
            .get(self.subjects.find(identity.as_uuid())? as usize)
    }

    /// Where an instant lies relative to the window of a row of this holder.
    #[inline]
    pub(super) fn status(&self, holder: &Holder, row: Row, at: i64) -> AssignmentStatus {
        let ends = row.role_and_end & 1 == 1;
        if at >= holder.latest_start && !(ends && at >= holder.earliest_end) {
            return AssignmentStatus::Active;
        }
        match self.windows.get(row.grant as usize) {
            Some([from, _]) if at < *from => AssignmentStatus::Scheduled,
            Some([_, to]) if !ends || at < *to => AssignmentStatus::Active,
            _ => AssignmentStatus::Expired,
        }
    }

    pub(super) fn put_subject(&mut self, fact: &SubjectFact) -> Result<(), IndexError> {
        let slot = self.holder_for(fact.id)?;
        if let Some(holder) = self.holders.get_mut(slot as usize) {
            holder.standing = standing(fact);
        }
        Ok(())
    }

    /// Forgets an identity with all that it holds.
    pub(super) fn remove_subject(&mut self, identity: IdentityId) -> Vec<Row> {
        let Some(slot) = self.subjects.find(identity.as_uuid()) else {
            return Vec::new();
        };
        let holder = self
            .holders
            .get_mut(slot as usize)
            .map(core::mem::take)
            .unwrap_or_default();
        for row in &holder.rows {
            self.grants.release(row.grant);
        }
        self.subjects.release(slot);
        holder.rows
    }

    /// Makes or changes an assignment; what the old one named is returned.
    pub(super) fn put_grant(
        &mut self,
        fact: &GrantFact,
        role: u32,
        node: u32,
    ) -> Result<Option<Freed>, IndexError> {
        let freed = self.remove_grant(fact.id);
        let grant = self.grants.intern(fact.id.as_uuid())?.0;
        let slot = self.holder_for(fact.key.identity)?;
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
        if let Some(holder) = self.holders.get_mut(slot as usize) {
            holder.insert(Row::new(node, role, fact.window, grant));
            holder.narrow(fact.window);
        }
        Ok(freed)
    }

    pub(super) fn remove_grant(&mut self, id: AssignmentId) -> Option<Freed> {
        let grant = self.grants.find(id.as_uuid())?;
        let slot = *self.held_by.get(grant as usize)?;
        let holder = self.holders.get_mut(slot as usize)?;
        let at = holder.rows.iter().position(|row| row.grant == grant)?;
        let row = holder.rows.remove(at);
        if holder.rows.is_empty() {
            // Nothing is left that a span could be too wide for.
            *holder = Holder {
                standing: holder.standing,
                ..Holder::default()
            };
            if holder.standing == Some(DenialReason::IdentityNotFound) {
                self.subjects.release(slot);
            }
        }
        self.grants.release(grant);
        Some(row.into())
    }

    /// The slot of an identity; one that is no member (yet) gets one too, and is answered "not found".
    fn holder_for(&mut self, identity: IdentityId) -> Result<u32, IndexError> {
        let slot = self.subjects.intern(identity.as_uuid())?.0;
        if self.holders.len() < self.subjects.slots() {
            self.holders
                .resize(self.subjects.slots(), Holder::default());
        }
        Ok(slot)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let rows: usize = self
            .holders
            .iter()
            .map(|holder| holder.rows.capacity())
            .sum();
        self.subjects.memory_bytes()
            + self.holders.capacity() * size_of::<Holder>()
            + rows * size_of::<Row>()
            + self.grants.memory_bytes()
            + self.windows.capacity() * size_of::<[i64; 2]>()
            + self.held_by.capacity() * size_of::<u32>()
    }
}

/// Why nothing that an identity holds counts, if so.
const fn standing(fact: &SubjectFact) -> Option<DenialReason> {
    match (fact.is_active, fact.membership) {
        (false, _) => Some(DenialReason::IdentityInactive),
        (true, MembershipStatus::Active) => None,
        (
            true,
            MembershipStatus::Invited | MembershipStatus::Deactivated | MembershipStatus::Suspended,
        ) => Some(DenialReason::MembershipInactive),
    }
}
