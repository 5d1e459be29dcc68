//! Instants with millisecond precision.

use crate::rfc3339;
use core::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// An instant: whole milliseconds since 1970-01-01T00:00:00Z, within the years 0000 to 9999.
///
/// Milliseconds are the precision of every text the service returns, so an instant that was read can be sent back
/// unchanged. Finer input is truncated towards the past, never rounded up. Stored in microseconds, the unit of the
/// stores; the count is a multiple of a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The error of a text or number that is not a [`Timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// The text is not an RFC 3339 date and time with an offset.
    #[error("must be an RFC 3339 date and time with an offset")]
    Format,
    /// The instant is outside the years 0000 to 9999 (UTC).
    #[error("must be in the years 0000 to 9999")]
    Range,
}

impl Timestamp {
    /// 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200_000_000);
    /// The last millisecond of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999_000);

    /// Creates an instant from microseconds since the Unix epoch, truncated to the millisecond.
    ///
    /// # Errors
    /// [`TimestampError::Range`] outside the years 0000 to 9999.
    pub const fn from_micros(micros: i64) -> Result<Self, TimestampError> {
        let whole = micros.saturating_sub(micros.rem_euclid(1_000));
        if whole < Self::MIN.0 || whole > Self::MAX.0 {
            return Err(TimestampError::Range);
        }
        Ok(Self(whole))
    }

    /// Creates an instant from milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`TimestampError::Range`] outside the years 0000 to 9999.
    pub const fn from_millis(millis: i64) -> Result<Self, TimestampError> {
        Self::from_micros(millis.saturating_mul(1_000))
    }

    /// Returns microseconds since the Unix epoch: a multiple of a thousand.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Parses an RFC 3339 text; truncates digits below a millisecond.
    ///
    /// # Errors
    /// [`TimestampError::Format`] for any other text, [`TimestampError::Range`] outside the years 0000 to 9999.
    ///
    /// ```
    /// # use canopy_domain::Timestamp;
    /// let noon = Timestamp::parse("2026-04-20T14:00:00.0009+02:00")?;
    /// assert_eq!(noon.to_string(), "2026-04-20T12:00:00.000Z");
    /// assert_eq!(Timestamp::parse(&noon.to_string())?, noon);
    /// # Ok::<(), canopy_domain::TimestampError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        rfc3339::parse(text)
            .ok_or(TimestampError::Format)
            .and_then(Self::from_millis)
    }

    /// Returns the instant this many seconds later (earlier if negative), clamped to the supported years.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        let moved = self.0.saturating_add(seconds.saturating_mul(1_000_000));
        Self(moved.clamp(Self::MIN.0, Self::MAX.0))
    }
}

/// RFC 3339 in UTC with milliseconds, as in every response: `2026-04-20T12:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        rfc3339::write(self.as_millis(), f)
    }
}

/// Converts the time of the machine, truncated to the millisecond.
///
/// ```
/// # use canopy_domain::Timestamp;
/// let at = Timestamp::try_from(std::time::UNIX_EPOCH + std::time::Duration::from_micros(1_999))?;
/// assert_eq!(at.as_millis(), 1);
/// # Ok::<(), canopy_domain::TimestampError>(())
/// ```
impl TryFrom<SystemTime> for Timestamp {
    type Error = TimestampError;

    fn try_from(at: SystemTime) -> Result<Self, TimestampError> {
        let micros = match at.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()),
            // Truncated towards the past, like every finer instant.
            Err(earlier) => i64::try_from(earlier.duration().as_nanos().div_ceil(1_000)).map(|micros| -micros),
        };
        micros.map_err(|_| TimestampError::Range).and_then(Self::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, TimestampError};

    #[test]
    fn reads_every_rfc_3339_form_and_cuts_below_the_millisecond() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00z", 0),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1970-01-01T00:00:00.001999999Z", 1),
            ("1970-01-01T00:00:00.0009Z", 0),
            ("1969-12-31T23:59:59.9999999Z", -1),
            ("1969-12-31T23:59:59.9981Z", -2),
            ("0000-01-01T00:00:00Z", Timestamp::MIN.as_millis()),
            ("9999-12-31T23:59:59.999999Z", Timestamp::MAX.as_millis()),
        ] {
            assert_eq!(Timestamp::parse(text).map(Timestamp::as_millis), Ok(millis), "{text}");
        }
    }

    #[test]
    fn microseconds_are_truncated_towards_the_past() {
        for (micros, kept) in [(0, 0), (999, 0), (1_000, 1_000), (-1, -1_000), (-1_000, -1_000)] {
            assert_eq!(Timestamp::from_micros(micros).map(Timestamp::as_micros), Ok(kept));
        }
        assert_eq!(Timestamp::from_micros(i64::MIN), Err(TimestampError::Range));
        assert_eq!(Timestamp::from_millis(i64::MAX), Err(TimestampError::Range));
        assert_eq!(
            Timestamp::from_micros(Timestamp::MIN.as_micros() - 1),
            Err(TimestampError::Range)
        );
        assert_eq!(
            Timestamp::from_micros(Timestamp::MAX.as_micros() + 999),
            Ok(Timestamp::MAX)
        );
    }

    #[test]
    fn every_instant_that_is_shown_is_read_as_itself() {
        for millis in [
            0,
            1,
            -1,
            999,
            -62_167_219_200_000,
            1_776_686_400_123,
            253_402_300_799_999,
        ] {
            let at = Timestamp::from_millis(millis).unwrap();
            assert_eq!(Timestamp::parse(&at.to_string()), Ok(at));
        }
    }

    #[test]
    fn refuses_other_texts_and_years() {
        for text in [
            "",
            "2026-04-20",
            "2026-04-20T12:00:00",
            "2026-02-30T12:00:00Z",
            "1776686400",
        ] {
            assert_eq!(Timestamp::parse(text), Err(TimestampError::Format), "{text}");
        }
        for text in ["0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prints_milliseconds_in_utc() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_999, "1970-01-01T00:00:00.001Z"),
            (Timestamp::MIN.as_micros(), "0000-01-01T00:00:00.000Z"),
            (Timestamp::MAX.as_micros(), "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(
                Timestamp::from_micros(micros).map(|t| t.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn the_time_of_the_machine_is_truncated_towards_the_past() {
        use std::time::{Duration, UNIX_EPOCH};
        for (at, micros) in [
            (UNIX_EPOCH, 0),
            (UNIX_EPOCH + Duration::from_nanos(1_999_999), 1_000),
            (UNIX_EPOCH - Duration::from_nanos(1), -1_000),
            (UNIX_EPOCH - Duration::from_millis(7), -7_000),
        ] {
            assert_eq!(Timestamp::try_from(at).map(Timestamp::as_micros), Ok(micros));
        }
        let far = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
        assert_eq!(Timestamp::try_from(far), Err(TimestampError::Range));
    }

    #[test]
    fn moving_stays_within_the_supported_years() {
        assert_eq!(Timestamp::MAX.plus_seconds(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.plus_seconds(i64::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::from_millis(5).unwrap().plus_seconds(-1).as_millis(), -995);
    }
}
