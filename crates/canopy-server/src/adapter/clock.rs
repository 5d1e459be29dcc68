//! The machine's clock.

use canopy_domain::Timestamp;
use canopy_domain::port::Clock;
use time::OffsetDateTime;

/// The machine's clock, in whole milliseconds, the precision of responses.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter of the Clock port")]
    fn now(&self) -> Timestamp {
        let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos();
        let micros = i64::try_from(nanos.div_euclid(1_000)).unwrap_or(i64::MAX);
        let bounded = micros.clamp(Timestamp::MIN.as_micros(), Timestamp::MAX.as_micros());
        Timestamp::from_micros(bounded).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_time_after_this_was_written() {
        assert!(SystemClock.now() > Timestamp::parse("2026-01-01T00:00:00Z").unwrap());
    }
}
