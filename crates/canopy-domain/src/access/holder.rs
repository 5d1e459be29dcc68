//! The assignments of one identity, in one block of memory.

use super::DenialReason;
use super::records::{Id, Record, uuid_of};
use super::role_set::{BITS, RoleSet};
use super::sorted::{count_below, each_common};
use crate::{IdentityId, Timestamp, Window};
use core::ops::{ControlFlow, Range};

/// An identity: one line of the cache, and a block of what it holds.
///
/// The block is the roles of its assignments, sorted, and behind them for each a [`Row`], in the same order. A question
/// is about the few roles that bundle its permission: the set of roles here tells, mostly, that none of them is
/// held, and then the block is not looked at.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Holder {
    id: Id,
    block: Box<[u32]>,
    /// The roles held.
    roles: RoleSet,
    /// No end of its windows lies earlier: before it, every window that has begun is open. Removals leave it as it
    /// is, so it may be too early, never too late.
    earliest_end: i64,
    /// By which assignments name it.
    slot: u32,
    /// Why nothing it holds counts, if so.
    standing: Option<DenialReason>,
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

/// An assignment of a holder; its role stands apart.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    node: u32,
    /// The first whole second since 1970 at which the window has begun; [`NOT_TOLD`] if it has no number here.
    begun: u32,
    /// The slot of the assignment shifted up by one; the lowest bit says that the window has an end.
    grant_and_end: u32,
}

const NOT_TOLD: u32 = u32::MAX;

/// The end of a window that never ends.
pub(super) const NEVER: i64 = i64::MAX;

const SECOND: i64 = 1_000_000;

/// An instant as rows are compared with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) micros: i64,
    /// The whole seconds since 1970 that have passed.
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
            standing: Some(DenialReason::IdentityNotFound),
        }
    }
}

/// The rows of one holder, roles beside them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    roles: &'a [u32],
    rows: &'a [[u32; 3]],
}

impl<'a> Rows<'a> {
    /// Those of one role, sorted by node.
    #[inline]
    pub(super) fn of_role(self, role: u32) -> impl Iterator<Item = Row> + Clone {
        let start = self.roles.partition_point(|other| *other < role);
        let tail = self.roles.get(start..).unwrap_or_default().iter();
        let rows = self.rows.get(start..).unwrap_or_default();
        tail.zip(rows)
            .take_while(move |(other, _)| **other == role)
            .map(|(_, row)| Row::read(*row))
    }

    /// Visits the assignments of some roles, sorted, until `see` breaks off. Costs by what is held, however many roles
    /// are given.
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

    /// All of them, each with its role.
    pub(super) fn iter(self) -> impl Iterator<Item = (u32, Row)> + 'a {
        self.roles
            .iter()
            .zip(self.rows)
            .map(|(role, row)| (*role, Row::read(*row)))
    }
}

impl Holder {
    /// An identity that holds nothing.
    pub(super) fn new(id: Id, slot: u32, standing: Option<DenialReason>) -> Self {
        Self {
            id,
            slot,
            standing,
            ..Self::default()
        }
    }

    /// Whose it is.
    pub(super) fn identity(&self) -> IdentityId {
        uuid_of(self.id).into()
    }

    pub(super) const fn slot(&self) -> u32 {
        self.slot
    }

    #[inline]
    pub(super) const fn standing(&self) -> Option<DenialReason> {
        self.standing
    }

    pub(super) const fn set_standing(&mut self, standing: Option<DenialReason>) {
        self.standing = standing;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// The number of assignments.
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

    /// The roles held.
    #[inline]
    pub(super) const fn roles(&self) -> RoleSet {
        self.roles
    }

    /// Whether the window of a row is certainly open. Where not, the window itself must be looked at.
    #[inline]
    pub(super) fn is_surely_open(&self, row: Row, at: Moment) -> bool {
        at.seconds.is_some_and(|seconds| row.begun <= seconds) && !(row.has_end() && at.micros >= self.earliest_end)
    }

    /// Adds many rows at once.
    pub(super) fn insert_many(&mut self, new: impl Iterator<Item = (u32, Row)>) {
        let mut all: Vec<(u32, Row)> = self.rows().iter().chain(new).collect();
        self.fill(&mut all);
    }

    /// Takes all rows at once, in place of those it had.
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

    /// Says when a window of a row ends.
    pub(super) fn expect_end(&mut self, window: Window) {
        self.earliest_end = self.earliest_end.min(end(window));
    }

    pub(super) fn insert(&mut self, role: u32, row: Row) {
        let place = self.place_for(role, row);
        self.replace(place..place, &[role], &[row.write()]);
        self.roles.insert(role);
    }

    /// Replaces the rows in a range; the block has just the size it needs.
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

    /// Takes out the row of an assignment.
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

    /// Takes out the rows of many assignments at once, sorted, and tells of each.
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

    /// Takes a role that is held no longer out of the set, unless another that is held shares its bit.
    fn unmark(&mut self, role: u32) {
        let roles = self.rows().roles;
        // Where all are below 128 none share a bit, and there is no need to look.
        let alone = role < BITS && roles.last().is_none_or(|last| *last < BITS);
        if alone || !roles.iter().any(|other| RoleSet::bit(*other) == RoleSet::bit(role)) {
            self.roles.remove(role);
        }
    }

    pub(super) const fn memory_bytes(&self) -> usize {
        self.block.len() * size_of::<u32>()
    }
}
