//! Time and identifiers.

use crate::Timestamp;
use uuid::Uuid;

/// Returns the current time.
pub trait Clock: Send + Sync {
    /// Returns the current instant, in whole milliseconds. It may repeat or step back, as clocks do.
    fn now(&self) -> Timestamp;
}

/// Mints identifiers.
pub trait Ids: Send + Sync {
    /// Mints a new id: a UUID of version 7, so that later ids sort later.
    fn mint(&self) -> Uuid;
}
