//! Pages of listings: which part of an ordered list is asked for, and that part with the size of the whole.

use crate::string_enum::string_enum;

string_enum!(
    /// The direction of a listing. One is exactly the reverse of the other, ties included.
    SortOrder {
        /// Smallest first.
        Ascending = "asc",
        /// Largest first.
        Descending = "desc",
    }
);

/// Which page of a listing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    number: u32,
    take: u32,
}

/// Why numbers do not name a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Pages are counted from 1.
    #[error("must be a whole number of 1 or more")]
    Number,
    /// A page has 1 to 100 items.
    #[error("must be a whole number from 1 to {max}", max = PageRequest::MAX_TAKE)]
    Take,
}

impl PageRequest {
    /// The size of a page where none is asked for.
    pub const DEFAULT_TAKE: u32 = 20;
    /// The largest page.
    pub const MAX_TAKE: u32 = 100;

    /// The page of this number, counted from 1, with this many items.
    ///
    /// # Errors
    /// [`PageError`] when a number is out of range; nothing is clamped.
    pub const fn new(number: u32, take: u32) -> Result<Self, PageError> {
        if number == 0 {
            return Err(PageError::Number);
        }
        if take == 0 || take > Self::MAX_TAKE {
            return Err(PageError::Take);
        }
        Ok(Self { number, take })
    }

    /// Its number, counted from 1.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Number of items on a full page.
    pub const fn take(&self) -> u32 {
        self.take
    }

    /// Number of items before the page.
    pub fn offset(&self) -> u64 {
        u64::from(self.number.saturating_sub(1)).saturating_mul(u64::from(self.take))
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            number: 1,
            take: Self::DEFAULT_TAKE,
        }
    }
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Number of items in the whole list.
    pub item_count: u64,
}

impl<T> Page<T> {
    /// The same page with each item turned into something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            item_count: self.item_count,
        }
    }
}
