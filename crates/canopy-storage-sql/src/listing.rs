//! The arithmetic of lists, and the parts of their statements that are the same on every database.

use canopy_domain::{AssignmentStatus, PageRequest, SortOrder};

/// When the rows of a list are few: up to [`few`](Self::few) of an environment, or up to one in [`part`](Self::part).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// This number of rows is few, however many there are.
    pub few: u64,
    /// One row in so many is few.
    pub part: u64,
}

impl Effort {
    /// The largest number of rows that is few among `total`.
    pub fn most(self, total: u64) -> u64 {
        self.few.max(total / self.part.max(1))
    }
}

/// The part of an index that a page is read from: from whichever end is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// The number of rows before the page.
    pub skipped: u64,
    /// The number of rows of the page.
    pub length: u64,
    /// The direction of the walk.
    pub order: SortOrder,
}

impl Walk {
    /// The walk to a page of `item_count` rows in this order; `None` where the page is empty.
    pub fn to(page: PageRequest, item_count: u64, order: SortOrder) -> Option<Self> {
        let first = page.offset().min(item_count);
        let length = u64::from(page.take()).min(item_count - first);
        let behind = item_count - first - length;
        let (skipped, order) = if behind < first {
            (behind, opposite(order))
        } else {
            (first, order)
        };
        (length > 0).then_some(Self { skipped, length, order })
    }
}

/// The word for a direction.
pub const fn direction(order: SortOrder) -> &'static str {
    match order {
        SortOrder::Ascending => "ASC",
        SortOrder::Descending => "DESC",
    }
}

const fn opposite(order: SortOrder) -> SortOrder {
    match order {
        SortOrder::Ascending => SortOrder::Descending,
        SortOrder::Descending => SortOrder::Ascending,
    }
}

/// An offset as a database counts; beyond its numbers there are no rows either.
pub fn offset(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// The condition that the window of the assignment `s` has this status at the instant of the parameter `now`.
pub fn window_condition(status: AssignmentStatus, now: &str) -> String {
    match status {
        AssignmentStatus::Scheduled => format!("s.effective_from > {now}"),
        AssignmentStatus::Active => {
            format!("s.effective_from <= {now} AND (s.effective_to IS NULL OR s.effective_to > {now})")
        }
        // A window ends after it starts, so one that has ended has started.
        AssignmentStatus::Expired => format!("s.effective_to <= {now}"),
    }
}

/// The order by a key and then by id. A constant key is left out: it would keep an index from giving the order.
pub fn sorting(key: &str, is_constant: bool, order: &str) -> String {
    if is_constant {
        String::new()
    } else {
        format!("{key} {order}, ")
    }
}
