//! Changes as bytes, for stores that keep the change records of an environment.
//!
//! The first byte is the version of the format, then comes the number of changes (`u32`), then each change: a byte for
//! its kind and what it says. Numbers are little endian; an id is its sixteen bytes, an instant its microseconds
//! (`i64`), a text its length in bytes (`u16`) and its UTF-8. An assignment leaves out whatever the assignment
//! before it in the same batch has as well, so a run of them costs little more than the two ids that differ.

mod reader;
mod writer;

use canopy_domain::access::Change;
use canopy_domain::port::EnvironmentChanges;
use canopy_domain::{AssignmentKey, Timestamp};
pub use reader::decode;
use std::collections::HashMap;
pub use writer::encode;

/// The version of the format that is written.
const VERSION: u8 = 1;

/// The byte for each kind of change. They are stored: a number is never given another meaning.
mod kind {
    pub(super) const PERMISSION_PUT: u8 = 1;
    pub(super) const PERMISSION_REMOVED: u8 = 2;
    pub(super) const ROLE_PUT: u8 = 3;
    pub(super) const ROLE_REMOVED: u8 = 4;
    pub(super) const NODE_PUT: u8 = 5;
    pub(super) const NODE_REMOVED: u8 = 6;
    pub(super) const SUBJECT_PUT: u8 = 7;
    pub(super) const SUBJECT_REMOVED: u8 = 8;
    pub(super) const GRANT_PUT: u8 = 9;
    pub(super) const GRANT_REMOVED: u8 = 10;
    pub(super) const KEY_PUT: u8 = 11;
    pub(super) const KEY_REMOVED: u8 = 12;
}

/// Bits that say which parts of an assignment follow; the others are those of the assignment before.
mod given {
    pub(super) const IDENTITY: u8 = 1;
    pub(super) const ROLE: u8 = 2;
    pub(super) const NODE: u8 = 4;
    pub(super) const FROM: u8 = 8;
    /// An end follows, or [`NO_END`].
    pub(super) const TO: u8 = 16;
    /// With [`TO`]: there is no end, and nothing follows.
    pub(super) const NO_END: u8 = 32;
    pub(super) const ALL: u8 = IDENTITY | ROLE | NODE | FROM | TO;
}

/// The parts that an assignment shares with the one before it.
#[derive(Debug, Clone, Copy)]
struct Shared {
    key: AssignmentKey,
    from: Timestamp,
    to: Option<Timestamp>,
}

/// Why bytes are not the changes they should be: the store is damaged, or a newer release has written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A version of the format that this release does not know.
    #[error("the changes are written in format {0}, which this release does not know")]
    Version(u8),
    /// The bytes end before the last change does.
    #[error("the changes are cut off")]
    CutOff,
    /// Bytes follow the last change.
    #[error("bytes follow the last change")]
    Trailing,
    /// A byte that stands for nothing.
    #[error("byte {0} stands for no kind of change, state or switch")]
    Unknown(u8),
    /// A value breaks the rule of its type.
    #[error("a {0} is not one")]
    Value(&'static str),
}

/// Encodes the change records of one commit. Returns each record once, however many environments share it, and for each entry
/// the place of its record in the list.
pub fn encode_shared(entries: &[EnvironmentChanges]) -> (Vec<Vec<u8>>, Vec<usize>) {
    let mut known: HashMap<*const Change, usize> = HashMap::new();
    let mut records = Vec::new();
    let places = entries.iter().map(|entry| {
        // All empty records are the same, wherever they lie in memory.
        let address = if entry.changes.is_empty() {
            core::ptr::null()
        } else {
            entry.changes.as_ptr()
        };
        *known.entry(address).or_insert_with(|| {
            records.push(encode(&entry.changes));
            records.len() - 1
        })
    });
    let places = places.collect();
    (records, places)
}
