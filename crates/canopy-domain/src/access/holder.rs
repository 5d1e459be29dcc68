//! The assignments of one identity, in one block of memory.

use super::DenialReason;
use super::records::{Id, Record, uuid_of};
use super::role_set::{BITS, RoleSet};
use super::sorted::{count_below, each_common};
use crate::{IdentityId, Timestamp, Window};
use core::ops::{ControlFlow, Range};

/// An identity: one cache line, and a block with its assignments.
///
/// The block contains the roles of its assignments, sorted, then a [`Row`] for each in the same order. A check concerns
/// the few roles that bundle its permission. The role set usually shows that the identity has none of them, so that the
/// block is not read.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Holder {
    id: Id,
    block: Box<[u32]>,
    /// The roles of its assignments.
    roles: RoleSet,
    /// A lower bound of the ends of its windows: before it, every window that has begun is open. Removals do not raise
    /// it, so it may be too early but never too late.
    earliest_end: i64,
    /// The slot by which assignments refer to it.
    slot: u32,
    /// The reason for which none of its assignments counts, if there is one.
    blocked_by: Option<DenialReason>,
}

const NO_SLOT: u32 = u32::MAX;

impl Record for Holder {
    #[inline]
    fn id(&self) -> Id {
        self.id
    }

    #[inline]
    fn is_vacant(&self) -> bool {
        self.slot == NO_SLOT
    }
}

/// An assignment of a holder; its role is stored separately.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    node: u32,
    /// The first whole second since 1970 at which the window has begun; [`NOT_TOLD`] if it cannot be represented.
    begun: u32,
    /// The slot of the assignment shifted left by one; the lowest bit is set if the window has an end.
    grant_and_end: u32,
}

const NOT_TOLD: u32 = u32::MAX;

/// The end of a window that never ends.
pub(super) const NEVER: i64 = i64::MAX;

const SECOND: i64 = 1_000_000;

/// An instant in the units of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) micros: i64,
    /// The number of whole seconds since 1970.
    seconds: Option<u32>,
}

impl From<Timestamp> for Moment {
    #[inline]
    fn from(at: Timestamp) -> Self {
        let micros = at.as_micros();
        let seconds = u32::try_from(micros.div_euclid(SECOND));
        Self {
            micros,
            seconds: seconds.ok().filter(|seconds| *seconds != NOT_TOLD),
        }
    }
}

pub(super) fn end(window: Window) -> i64 {
    window.to().map_or(NEVER, Timestamp::as_micros)
}

impl Row {
    pub(super) fn new(node: u32, window: Window, grant: u32) -> Self {
        let micros = window.from().as_micros();
        let begun = if micros <= 0 { 0 } else { (micros - 1) / SECOND + 1 };
        Self {
            node,
            begun: u32::try_from(begun).unwrap_or(NOT_TOLD),
            grant_and_end: (grant << 1) | u32::from(window.to().is_some()),
        }
    }

    #[inline]
    pub(super) const fn node(self) -> u32 {
        self.node
    }

    #[inline]
    pub(super) const fn grant(self) -> u32 {
        self.grant_and_end >> 1
    }

    #[inline]
    pub(super) const fn has_end(self) -> bool {
        self.grant_and_end & 1 == 1
    }

    #[inline]
    const fn read([node, begun, grant_and_end]: [u32; 3]) -> Self {
        Self {
            node,
            begun,
            grant_and_end,
        }
    }

    const fn write(self) -> [u32; 3] {
        [self.node, self.begun, self.grant_and_end]
    }
}

impl Default for Holder {
    fn default() -> Self {
        Self {
            id: 0,
            block: Box::default(),
            roles: RoleSet::EMPTY,
            earliest_end: NEVER,
            slot: NO_SLOT,
            blocked_by: Some(DenialReason::IdentityNotFound),
        }
    }
}

/// The rows of one holder, with their roles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    roles: &'a [u32],
    rows: &'a [[u32; 3]],
}

impl<'a> Rows<'a> {
    /// Returns the rows of one role, sorted by node.
    #[inline]
    pub(super) fn of_role(self, role: u32) -> impl Iterator<Item = Row> + Clone {
        let start = self.roles.partition_point(|other| *other < role);
        let tail = self.roles.get(start..).unwrap_or_default().iter();
        let rows = self.rows.get(start..).unwrap_or_default();
        tail.zip(rows)
            .take_while(move |(other, _)| **other == role)
            .map(|(_, row)| Row::read(*row))
    }

    /// Visits the assignments of some roles, sorted, until `see` breaks. The cost depends on the assignments, not on
    /// the number of given roles.
    #[inline]
    pub(super) fn each_of(self, roles: &[u32], mut see: impl FnMut(u32, Row) -> ControlFlow<()>) -> ControlFlow<()> {
        each_common(self.roles, roles, |role, start| {
            let role = *role;
            let tail = self.roles.get(start..).unwrap_or_default();
            let run = count_below(tail, &role.saturating_add(1));
            for row in self.rows.get(start..start + run).unwrap_or_default() {
                see(role, Row::read(*row))?;
            }
            ControlFlow::Continue(())
        })
    }

    /// Returns all rows, each with its role.
    pub(super) fn iter(self) -> impl Iterator<Item = (u32, Row)> + 'a {
        self.roles
            .iter()
            .zip(self.rows)
            .map(|(role, row)| (*role, Row::read(*row)))
    }
}

impl Holder {
    /// Creates an identity without assignments.
    pub(super) fn new(id: Id, slot: u32, blocked_by: Option<DenialReason>) -> Self {
        Self {
            id,
            slot,
            blocked_by,
            ..Self::default()
        }
    }

    /// Returns its identity.
    pub(super) fn identity(&self) -> IdentityId {
        uuid_of(self.id).into()
    }

    pub(super) const fn slot(&self) -> u32 {
        self.slot
    }

    #[inline]
    pub(super) const fn blocked_by(&self) -> Option<DenialReason> {
        self.blocked_by
    }

    pub(super) const fn set_blocked_by(&mut self, blocked_by: Option<DenialReason>) {
        self.blocked_by = blocked_by;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// Returns the number of assignments.
    pub(super) const fn len(&self) -> usize {
        self.block.len() / 4
    }

    #[inline]
    pub(super) fn rows(&self) -> Rows<'_> {
        let (roles, rows) = self.block.split_at_checked(self.len()).unwrap_or_default();
        Rows {
            roles,
            rows: rows.as_chunks().0,
        }
    }

    /// Returns the roles held.
    #[inline]
    pub(super) const fn roles(&self) -> RoleSet {
        self.roles
    }

    /// Returns whether the window of a row is certainly open. If not, the window itself must be read.
    #[inline]
    pub(super) fn is_surely_open(&self, row: Row, at: Moment) -> bool {
        at.seconds.is_some_and(|seconds| row.begun <= seconds) && !(row.has_end() && at.micros >= self.earliest_end)
    }

    /// Adds many rows at once.
    pub(super) fn insert_many(&mut self, new: impl Iterator<Item = (u32, Row)>) {
        let mut all: Vec<(u32, Row)> = self.rows().iter().chain(new).collect();
        self.fill(&mut all);
    }

    /// Replaces all rows.
    pub(super) fn fill(&mut self, rows: &mut [(u32, Row)]) {
        rows.sort_unstable_by_key(|(role, row)| (*role, row.node, row.grant_and_end));
        let mut block = Vec::with_capacity(rows.len() * 4);
        block.extend(rows.iter().map(|(role, _)| *role));
        block.extend(rows.iter().flat_map(|(_, row)| row.write()));
        self.block = block.into_boxed_slice();
        for (role, _) in rows {
            self.roles.insert(*role);
        }
    }

    /// Lowers the bound of ends for a window of a row.
    pub(super) fn expect_end(&mut self, window: Window) {
        self.earliest_end = self.earliest_end.min(end(window));
    }

    pub(super) fn insert(&mut self, role: u32, row: Row) {
        let place = self.place_for(role, row);
        self.replace(place..place, &[role], &[row.write()]);
        self.roles.insert(role);
    }

    /// Replaces the rows in a range; the block is reallocated to its exact size.
    fn replace(&mut self, range: Range<usize>, new_roles: &[u32], new_rows: &[[u32; 3]]) {
        let Rows { roles, rows } = self.rows();
        let mut block = Vec::with_capacity((roles.len() + new_roles.len() - range.len()) * 4);
        block.extend_from_slice(roles.get(..range.start).unwrap_or_default());
        block.extend_from_slice(new_roles);
        block.extend_from_slice(roles.get(range.end..).unwrap_or_default());
        block.extend_from_slice(rows.get(..range.start).unwrap_or_default().as_flattened());
        block.extend_from_slice(new_rows.as_flattened());
        block.extend_from_slice(rows.get(range.end..).unwrap_or_default().as_flattened());
        self.block = block.into_boxed_slice();
    }

    fn place_for(&self, role: u32, row: Row) -> usize {
        let Rows { roles, rows } = self.rows();
        let start = roles.partition_point(|other| *other < role);
        let run = roles
            .get(start..)
            .unwrap_or_default()
            .partition_point(|other| *other == role);
        let rows = rows.get(start..start + run).unwrap_or_default();
        start + rows.partition_point(|[node, ..]| *node <= row.node)
    }

    /// Removes the row of an assignment.
    pub(super) fn remove(&mut self, grant: u32) -> Option<(u32, Row)> {
        let Rows { roles, rows } = self.rows();
        let place = rows.iter().position(|row| Row::read(*row).grant() == grant)?;
        let (role, row) = (*roles.get(place)?, Row::read(*rows.get(place)?));
        let same = |other: Option<usize>| other.and_then(|at| roles.get(at)).is_some_and(|other| *other == role);
        let is_last_of_role = !same(place.checked_sub(1)) && !same(Some(place + 1));
        self.replace(place..place + 1, &[], &[]);
        if is_last_of_role {
            self.unmark(role);
        }
        Some((role, row))
    }

    /// Removes the rows of many sorted assignments, and calls `told` for each.
    pub(super) fn remove_many(&mut self, grants: &[u32], mut told: impl FnMut(u32, Row)) {
        let mut kept = Vec::with_capacity(self.len().saturating_sub(grants.len()));
        for (role, row) in self.rows().iter() {
            if grants.binary_search(&row.grant()).is_ok() {
                told(role, row);
            } else {
                kept.push((role, row));
            }
        }
        self.roles = RoleSet::EMPTY;
        self.fill(&mut kept);
    }

    /// Removes a role without assignments from the set, unless another held role shares its bit.
    fn unmark(&mut self, role: u32) {
        let roles = self.rows().roles;
        // If all are below 128, none share a bit, so no search is needed.
        let alone = role < BITS && roles.last().is_none_or(|last| *last < BITS);
        if alone || !roles.iter().any(|other| RoleSet::bit(*other) == RoleSet::bit(role)) {
            self.roles.remove(role);
        }
    }

    pub(super) const fn memory_bytes(&self) -> usize {
        self.block.len() * size_of::<u32>()
    }
}
