//! The binary format of changes, for the change records of stores.
//!
//! The first byte is the version of the format, followed by the number of changes (`u32`) and each change: a byte for
//! its kind and its values. Numbers are little endian; an id is its sixteen bytes, an instant its microseconds (`i64`),
//! a text its length in bytes (`u16`) and its UTF-8. An assignment omits the values that it shares with the previous
//! assignment of the batch, so a run of them costs little more than the two ids that differ.

mod reader;
mod writer;

use canopy_domain::access::Change;
use canopy_domain::port::EnvironmentChanges;
use canopy_domain::{AssignmentKey, Timestamp};
pub use reader::decode;
use std::collections::HashMap;
pub use writer::encode;

/// The written version of the format.
const VERSION: u8 = 1;

/// The byte for each kind of change. They are stored, so a number never gets another meaning.
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

/// Bits for the parts of an assignment that follow; the other parts are those of the previous assignment.
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

/// The parts that an assignment shares with the previous one.
#[derive(Debug, Clone, Copy)]
struct Shared {
    key: AssignmentKey,
    from: Timestamp,
    to: Option<Timestamp>,
}

/// A decoding error: the store is damaged, or a newer release wrote the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// An unknown version of the format.
    #[error("the changes are written in format {0}, which this release does not know")]
    Version(u8),
    /// The bytes end before the last change does.
    #[error("the changes are cut off")]
    CutOff,
    /// Bytes follow the last change.
    #[error("bytes follow the last change")]
    Trailing,
    /// A byte without a meaning.
    #[error("byte {0} is not a kind of change, state or switch")]
    Unknown(u8),
    /// A value breaks the rule of its type.
    #[error("a {0} is not valid")]
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
