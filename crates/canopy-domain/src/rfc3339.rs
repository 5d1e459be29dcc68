//! RFC 3339 dates and times, in milliseconds since the Unix epoch.
//!
//! The calendar is the proleptic Gregorian one. Its two conversions are those of Howard Hinnant's "chrono-Compatible
//! Low-Level Date Algorithms": they count days from 0000-03-01, so that a leap day is the last day of its year.

use core::fmt;

const MILLIS_PER_DAY: i64 = 86_400_000;
/// Days of 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// A date: year, month from 1, day from 1.
type Date = (i64, i64, i64);

/// Counts the days from 1970-01-01 to a date.
const fn days_since_epoch((year, month, day): Date) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH
}

/// Returns the date that lies this many days after 1970-01-01.
const fn date_of(days_since_epoch: i64) -> Date {
    let days = days_since_epoch + DAYS_TO_EPOCH;
    let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The part of a text that is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn digit(&mut self) -> Option<i64> {
        let byte = self.0.first().filter(|byte| byte.is_ascii_digit())?;
        self.0 = self.0.get(1..)?;
        Some(i64::from(byte - b'0'))
    }

    /// Reads two digits of a number within bounds.
    fn two_digits(&mut self, min: i64, max: i64) -> Option<i64> {
        let number = self.digit()? * 10 + self.digit()?;
        (min..=max).contains(&number).then_some(number)
    }

    /// Reads a fraction of a second, truncated to milliseconds.
    fn fraction(&mut self) -> Option<i64> {
        if self.literal(b'.').is_none() {
            return Some(0);
        }
        let mut millis = self.digit()? * 100;
        let mut unit = 10;
        while let Some(digit) = self.digit() {
            millis += digit * unit;
            unit /= 10;
        }
        Some(millis)
    }

    /// Reads an offset from UTC, in milliseconds.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.byte()? {
            b'Z' | b'z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.two_digits(0, 23)?;
        self.literal(b':')?;
        let minutes = self.two_digits(0, 59)?;
        Some(sign * (hours * 60 + minutes) * 60_000)
    }
}

/// Parses a date and time with an offset; truncates digits below a millisecond.
///
/// A leap second counts as the last millisecond before it, and is accepted only at the end of a month in UTC, as in the
/// standard. Section 5.6 allows another character in place of the `T`.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let mut rest = Rest(text.as_bytes());
    let mut year = 0;
    for _ in 0..4 {
        year = year * 10 + rest.digit()?;
    }
    rest.literal(b'-')?;
    let month = rest.two_digits(1, 12)?;
    rest.literal(b'-')?;
    let day = rest.two_digits(1, days_in_month(year, month))?;
    rest.byte()?;
    let hour = rest.two_digits(0, 23)?;
    rest.literal(b':')?;
    let minute = rest.two_digits(0, 59)?;
    rest.literal(b':')?;
    let second = rest.two_digits(0, 60)?;
    let fraction = rest.fraction()?;
    let offset = rest.offset()?;
    if !rest.0.is_empty() {
        return None;
    }
    let is_leap_second = second == 60;
    let of_minute = if is_leap_second {
        59_999
    } else {
        second * 1_000 + fraction
    };
    let of_day = (hour * 60 + minute) * 60_000 + of_minute;
    let millis = days_since_epoch((year, month, day)) * MILLIS_PER_DAY + of_day - offset;
    if is_leap_second {
        let next = millis + 1;
        let (_, _, day) = date_of(next.div_euclid(MILLIS_PER_DAY));
        if day != 1 || next.rem_euclid(MILLIS_PER_DAY) != 0 {
            return None;
        }
    }
    Some(millis)
}

/// Writes an instant in UTC with milliseconds: `2026-04-20T12:00:00.000Z`.
pub(crate) fn write(millis: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (year, month, day) = date_of(millis.div_euclid(MILLIS_PER_DAY));
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
    let (minutes, second) = (seconds / 60, seconds % 60);
    let (hour, minute) = (minutes / 60, minutes % 60);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
    )
}

#[cfg(test)]
mod tests {
    //! The `time` crate is the oracle: the core parses and writes exactly the same texts.

    use super::{date_of, days_since_epoch, parse};
    use crate::Timestamp;
    use proptest::prelude::*;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    fn oracle(text: &str) -> Option<i64> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
    }

    #[test]
    fn every_day_of_the_supported_years_is_numbered() {
        let (first, last) = (Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis());
        let mut date = time::Date::from_calendar_date(0, time::Month::January, 1).unwrap();
        for days in first.div_euclid(86_400_000)..=last.div_euclid(86_400_000) {
            let expected = (
                i64::from(date.year()),
                i64::from(u8::from(date.month())),
                i64::from(date.day()),
            );
            assert_eq!((date_of(days), days_since_epoch(expected)), (expected, days));
            date = date.next_day().unwrap_or(date);
        }
    }

    #[test]
    fn leap_seconds_are_the_instant_before_the_end_of_a_month() {
        for text in [
            "2016-12-31T23:59:60Z",
            "2016-12-31T23:59:60.5Z",
            "2017-01-01T00:59:60+01:00",
            "2016-12-30T23:59:60Z",
            "2016-12-31T22:59:60Z",
            "2015-06-30T18:59:60-05:00",
            "2016-02-29T23:59:60Z",
            "2015-02-28T23:59:60Z",
            "2016-02-28T23:59:60Z",
            "9999-12-31T23:59:60Z",
            "0000-01-01T00:59:60+01:00",
            "2016-12-31T23:59:61Z",
        ] {
            assert_eq!(parse(text), oracle(text), "{text}");
        }
        assert!(parse("2016-12-31T23:59:60Z").is_some());
    }

    proptest! {
        #[test]
        fn texts_of_the_right_shape_are_read_alike(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt _x][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,12})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])?"
        ) {
            prop_assert_eq!(parse(&text), oracle(&text));
        }

        #[test]
        fn a_text_with_a_fault_is_read_alike(
            millis in Timestamp::MIN.as_millis()..=Timestamp::MAX.as_millis(),
            place in 0_usize..24,
            byte in "[0-9TZ:. +-]|é|",
        ) {
            let mut text = Timestamp::from_millis(millis).unwrap().to_string();
            text.replace_range(place..=place, &byte);
            prop_assert_eq!(parse(&text), oracle(&text), "{}", text);
        }

        #[test]
        fn instants_are_written_alike(millis in Timestamp::MIN.as_millis()..=Timestamp::MAX.as_millis()) {
            let shown = Timestamp::from_millis(millis).unwrap().to_string();
            let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap();
            let expected = format!("{}T{:02}:{:02}:{:02}.{:03}Z", at.date(), at.hour(), at.minute(), at.second(), at.millisecond());
            prop_assert_eq!(&shown, &expected);
            prop_assert_eq!(parse(&shown), Some(millis));
        }
    }
}
