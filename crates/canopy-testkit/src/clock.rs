//! A clock that a test sets and advances.

use canopy_domain::Timestamp;
use canopy_domain::port::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that returns the time it was set to. Clones share that time.
///
/// ```
/// # use canopy_domain::port::Clock;
/// # use canopy_testkit::FixedClock;
/// let clock = FixedClock::at("2026-04-20T12:00:00Z");
/// clock.advance_seconds(90);
/// assert_eq!(clock.now().to_string(), "2026-04-20T12:01:30.000Z");
/// ```
#[derive(Debug, Clone)]
pub struct FixedClock(Arc<AtomicI64>);

impl FixedClock {
    /// Creates a clock that shows an RFC 3339 time.
    ///
    /// # Panics
    ///
    /// If the text is no such time.
    pub fn at(rfc3339: &str) -> Self {
        Self::new(instant(rfc3339))
    }

    /// Creates a clock that shows this time.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.as_micros())))
    }

    /// Sets the time.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Advances the time; backward if negative.
    pub fn advance_seconds(&self, seconds: i64) {
        self.set(self.now().plus_seconds(seconds));
    }

    /// Advances the time by milliseconds; backward if negative.
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis * 1_000, Ordering::SeqCst);
    }
}

/// Noon of 20 April 2026, UTC.
impl Default for FixedClock {
    fn default() -> Self {
        Self::new(noon())
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).expect("a time in the years 0000 to 9999")
    }
}

/// Parses an RFC 3339 text.
///
/// # Panics
///
/// If the text is no such time.
pub fn instant(rfc3339: &str) -> Timestamp {
    Timestamp::parse(rfc3339).expect("an RFC 3339 time")
}

/// Returns noon of 20 April 2026, UTC: "now" in most tests.
pub fn noon() -> Timestamp {
    instant("2026-04-20T12:00:00Z")
}
