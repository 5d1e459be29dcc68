//! Lists that are told in parts, however much changes between them.

use canopy_domain::access::Part;
use canopy_domain::{Revision, Timestamp};

/// One part of a list that is sorted by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldPart<T, Id> {
    /// The items of the page.
    pub items: Vec<T>,
    /// Where the next part begins; `None` for the last one.
    pub next: Option<Bookmark<Id>>,
    /// Whether the list ends here and all its parts were judged at one revision: then it has everything that held at it.
    pub is_complete: bool,
    /// The revision of the environment at which this part was judged.
    pub revision: Revision,
}

/// Where a list goes on. Later parts are judged at the newest revision, but all of them at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark<Id> {
    /// The revision at which the first part was judged.
    pub revision: Revision,
    /// The instant at which windows are judged.
    pub at: Timestamp,
    /// The last one that was told.
    pub after: Id,
}

impl<T, Id> ToldPart<T, Id> {
    /// A part that was judged at this revision and instant. The list began here, or where `begun` says.
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
