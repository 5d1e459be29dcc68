//! Time and identifiers.

use crate::Timestamp;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The instant now, in whole milliseconds. It may stand still or step, as clocks do.
    fn now(&self) -> Timestamp;
}

/// Mints identifiers.
pub trait Ids: Send + Sync {
    /// An id never given before: a UUID of version 7, so that ids made later sort later.
    fn mint(&self) -> Uuid;
}
