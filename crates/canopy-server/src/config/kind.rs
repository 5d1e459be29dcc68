//! The types of settings.

use super::layers::Raw;
use super::setting::Kind;
use super::value::{duration, duration_text};
use super::{ClaimText, DatabaseUrl, LogFormat, LogLevel, ProxyNetworks, PublicUrl, Synchronous, TokenKeySource};
use std::fmt::Display;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn quoted(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn must(rule: impl Display) -> String {
    format!("must be {rule}")
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Debug)]
pub struct Number<T, const LEAST: u32, const MOST: u32>(PhantomData<T>);

/// A whole number of 1 or more.
pub type Count = Number<NonZeroU32, 1, { u32::MAX }>;

/// An amount of memory in MiB.
pub type Mib<const LEAST: u32, const MOST: u32> = Number<NonZeroU32, LEAST, MOST>;

/// A small number.
pub type Small<const LEAST: u32, const MOST: u32> = Number<NonZeroU16, LEAST, MOST>;

impl<T, const LEAST: u32, const MOST: u32> Kind for Number<T, LEAST, MOST>
where
    T: FromStr + Display + Copy,
    NonZeroU32: From<T>,
{
    type Value = T;

    fn allowed() -> String {
        if MOST == u32::MAX {
            format!("a number of {LEAST} or more")
        } else {
            format!("a number from {LEAST} to {MOST}")
        }
    }

    fn parse(text: &str) -> Result<T, String> {
        text.parse::<T>()
            .ok()
            .filter(|number| (LEAST..=MOST).contains(&NonZeroU32::from(*number).get()))
            .ok_or_else(|| must(Self::allowed()))
    }

    fn to_toml(value: &T) -> String {
        value.to_string()
    }
}

/// A number of 1 or more; 0 for no limit.
#[derive(Debug)]
pub struct CountOrZero;

impl Kind for CountOrZero {
    type Value = Option<NonZeroU32>;

    fn allowed() -> String {
        "a number; 0 for no limit".to_owned()
    }

    fn parse(text: &str) -> Result<Self::Value, String> {
        text.parse().map(NonZeroU32::new).map_err(|_| must(Self::allowed()))
    }

    fn to_toml(value: &Self::Value) -> String {
        value.map_or(0, NonZeroU32::get).to_string()
    }
}

/// A length of time, without bounds.
#[derive(Debug)]
pub struct AnyTime;

impl Kind for AnyTime {
    type Value = Duration;

    fn allowed() -> String {
        "a length of time".to_owned()
    }

    fn parse(text: &str) -> Result<Duration, String> {
        duration(text)
    }

    fn to_toml(value: &Duration) -> String {
        quoted(duration_text(*value))
    }
}

/// A length of time from a millisecond to a day.
#[derive(Debug)]
pub struct TimeLimit;

impl Kind for TimeLimit {
    type Value = Duration;

    fn allowed() -> String {
        "from 1ms to 1d".to_owned()
    }

    fn parse(text: &str) -> Result<Duration, String> {
        match duration(text)? {
            time if time.is_zero() || time > DAY => Err(must(Self::allowed())),
            time => Ok(time),
        }
    }

    fn to_toml(value: &Duration) -> String {
        AnyTime::to_toml(value)
    }
}

/// A length of time of at least a day, or forever.
#[derive(Debug)]
pub struct Retention;

impl Kind for Retention {
    type Value = Option<Duration>;

    fn allowed() -> String {
        "at least a day, or `forever`".to_owned()
    }

    fn parse(text: &str) -> Result<Self::Value, String> {
        /// A thousand years, so that no instant is out of range.
        const LONGEST: Duration = Duration::from_secs(86_400 * 365_000);
        match text {
            "forever" => Ok(None),
            text => match duration(text)? {
                time if (DAY..=LONGEST).contains(&time) => Ok(Some(time)),
                _ => Err(must(Self::allowed())),
            },
        }
    }

    fn to_toml(value: &Self::Value) -> String {
        match value {
            None => quoted("forever"),
            Some(time) if time.as_secs().is_multiple_of(86_400) && time.subsec_millis() == 0 => {
                quoted(format_args!("{}d", time.as_secs() / 86_400))
            }
            Some(time) => AnyTime::to_toml(time),
        }
    }
}

impl Kind for SocketAddr {
    type Value = Self;

    fn allowed() -> String {
        "an address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| must(Self::allowed()))
    }

    fn to_toml(value: &Self) -> String {
        quoted(value)
    }
}

/// An address and a port, or `same` for that of the API.
#[derive(Debug)]
pub struct AddressOrSame;

impl Kind for AddressOrSame {
    type Value = Option<SocketAddr>;

    fn allowed() -> String {
        "an address and a port, or `same`".to_owned()
    }

    fn parse(text: &str) -> Result<Self::Value, String> {
        match text {
            "same" => Ok(None),
            text => SocketAddr::parse(text).map(Some),
        }
    }

    fn to_toml(value: &Self::Value) -> String {
        value.as_ref().map_or_else(|| quoted("same"), quoted)
    }
}

impl Kind for PathBuf {
    type Value = Self;

    fn allowed() -> String {
        "a path".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err(must(Self::allowed()));
        }
        Ok(Self::from(text))
    }

    fn to_toml(value: &Self) -> String {
        quoted(value.display())
    }
}

/// More keys for tokens, as a list of tables.
#[derive(Debug)]
pub struct TokenKeys;

impl Kind for TokenKeys {
    type Value = Vec<TokenKeySource>;

    fn allowed() -> String {
        "a list of tables".to_owned()
    }

    fn parse(text: &str) -> Result<Self::Value, String> {
        Self::read(&Raw::Text(text.to_owned()))
    }

    fn read(raw: &Raw) -> Result<Self::Value, String> {
        TokenKeySource::parse_all(raw)
    }

    fn to_toml(value: &Self::Value) -> String {
        let entries: Vec<String> = value.iter().map(TokenKeySource::to_toml).collect();
        format!("[{}]", entries.join(", "))
    }
}

/// Declares types of settings for values with a parser and a text form.
macro_rules! text_kinds {
    ($($kind:ty, $allowed:literal, $shown:expr;)+) => {$(
        impl Kind for $kind {
            type Value = Self;

            fn allowed() -> String {
                $allowed.to_owned()
            }

            fn parse(text: &str) -> Result<Self, String> {
                <$kind>::parse(text)
            }

            fn to_toml(value: &Self) -> String {
                let shown: fn(&Self) -> String = $shown;
                quoted(shown(value))
            }
        }
    )+};
}

text_kinds! {
    PublicUrl, "an http or https URL without query", |url| url.as_str().to_owned();
    DatabaseUrl, "a URL that begins with `sqlite://` or `postgres://`", ToString::to_string;
    Synchronous, "`full` or `normal`", |level| level.as_str().to_owned();
    ProxyNetworks, "addresses or networks, with commas between them", ToString::to_string;
    ClaimText, "1 to 255 visible ASCII characters", |text| text.as_str().to_owned();
    LogLevel, "a level, or a list of levels by module", |level| level.as_str().to_owned();
    LogFormat, "`auto`, `text` or `json`", |format| format.as_str().to_owned();
}
