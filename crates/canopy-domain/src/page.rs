//! Pages of lists.

use crate::string_enum::string_enum;

string_enum!(
    /// The direction of a list. One is exactly the reverse of the other, ties included.
    SortOrder {
        /// Smallest first.
        Ascending = "asc",
        /// Largest first.
        Descending = "desc",
    }
);

/// The requested page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    number: u32,
    take: u32,
}

/// The error of invalid page numbers.
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
    /// The default page size.
    pub const DEFAULT_TAKE: u32 = 20;
    /// Maximum page size.
    pub const MAX_TAKE: u32 = 100;

    /// Creates a request for a page, counted from 1, with this many items.
    ///
    /// # Errors
    /// [`PageError`] if a number is out of range; nothing is clamped.
    pub const fn new(number: u32, take: u32) -> Result<Self, PageError> {
        if number == 0 {
            return Err(PageError::Number);
        }
        if take == 0 || take > Self::MAX_TAKE {
            return Err(PageError::Take);
        }
        Ok(Self { number, take })
    }

    /// Returns its number, counted from 1.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Returns the number of items on a full page.
    pub const fn take(&self) -> u32 {
        self.take
    }

    /// Returns the number of items before the page.
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

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Number of items in the whole list.
    pub item_count: u64,
}

impl<T> Page<T> {
    /// Returns the page with each item mapped by a function.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            item_count: self.item_count,
        }
    }
}
