//! Cursor pagination over results that may change between pages.

use canopy_domain::access::Part;
use canopy_domain::{Revision, Timestamp};

/// One page of a list that is sorted by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorPage<T, Id> {
    /// The items of the page.
    pub items: Vec<T>,
    /// The position of the next page; `None` on the last one.
    pub next: Option<Bookmark<Id>>,
    /// True if the list ends here and all its pages were evaluated at one revision, so that it is complete at that
    /// revision.
    pub is_complete: bool,
    /// The revision of the environment at which this page was evaluated.
    pub revision: Revision,
}

/// The position of a page. Later pages are evaluated at the newest revision, but all at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark<Id> {
    /// The revision at which the first page was evaluated.
    pub revision: Revision,
    /// The instant at which windows are evaluated.
    pub at: Timestamp,
    /// The last id of the previous page.
    pub after: Id,
}

impl<T, Id> CursorPage<T, Id> {
    /// Creates a page that was evaluated at this revision and instant. It is the first one, or the one after `begun`.
    pub(super) fn new<S>(
        part: Part<S>,
        (revision, at): (Revision, Timestamp),
        begun: Option<Bookmark<Id>>,
        id_of: impl Fn(&S) -> Id,
        show: impl FnMut(S) -> T,
    ) -> Self {
        let first = begun.map_or(revision, |bookmark| bookmark.revision);
        let last = part.items.last().filter(|_| part.has_more);
        Self {
            next: last.map(|last| Bookmark {
                revision: first,
                at,
                after: id_of(last),
            }),
            is_complete: !part.has_more && revision == first,
            items: part.items.into_iter().map(show).collect(),
            revision,
        }
    }
}
