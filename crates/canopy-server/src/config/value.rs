//! The values of settings. Each value is valid by construction.

use canopy_http::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A text that is never displayed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The URL under which clients reach the installation: `http` or `https`, without a `/` at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// The reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = text.trim_end_matches('/');
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let shaped = |host: &str| {
            let printable = host.bytes().all(|byte| byte.is_ascii_graphic());
            printable && !host.is_empty() && !host.starts_with('/') && !host.contains(['?', '#', '@', '"', '\\'])
        };
        match host {
            Some(host) if shaped(host) => Ok(Self(url.to_owned())),
            _ => Err("must be an http or https URL without query, as in https://access.example.com".to_owned()),
        }
    }

    /// Returns the URL of a server that listens here, as seen from the same machine.
    pub fn of_listener(mut address: std::net::SocketAddr) -> Self {
        if address.ip().is_unspecified() {
            let here: std::net::IpAddr = if address.is_ipv4() {
                std::net::Ipv4Addr::LOCALHOST.into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            };
            address.set_ip(here);
        }
        Self(format!("http://{address}"))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The `iss` or `aud` of tokens: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimText(String);

impl ClaimText {
    /// Parses a text.
    ///
    /// # Errors
    /// The reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 255 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("must be 1 to 255 visible ASCII characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The networks of trusted proxies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyNetworks(Vec<IpNet>);

impl ProxyNetworks {
    /// Parses addresses and networks separated by commas.
    ///
    /// # Errors
    /// The reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let network = |part: &str| {
            let address = || part.parse::<IpAddr>().map(IpNet::from);
            part.parse::<IpNet>().or_else(|_| address())
        };
        let networks: Result<Vec<IpNet>, _> = parts.map(network).collect();
        networks
            .map(Self)
            .map_err(|_| "must be addresses or networks, such as 10.0.0.0/8, fd00::1".to_owned())
    }

    /// Returns the networks.
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }
}

impl fmt::Display for ProxyNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(", "))
    }
}

/// The SQLite `synchronous` level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// An acknowledged write survives a power failure.
    Full,
    /// An acknowledged write survives a crash of the process.
    Normal,
}

impl Synchronous {
    /// Parses the word.
    ///
    /// # Errors
    /// The reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "full" => Ok(Self::Full),
            "normal" => Ok(Self::Normal),
            _ => Err("must be \"full\" or \"normal\"".to_owned()),
        }
    }

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Normal => "normal",
        }
    }
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl LogFormat {
    /// Parses the word.
    ///
    /// # Errors
    /// The reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be \"auto\", \"text\" or \"json\"".to_owned()),
        }
    }

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// The log level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    /// Parses a level, or a list of levels by module.
    ///
    /// # Errors
    /// The reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let level = |word: &str| matches!(word, "off" | "error" | "warn" | "info" | "debug" | "trace");
        let part = |part: &str| {
            part.split_once('=')
                .map_or(level(part), |(module, word)| !module.is_empty() && level(word))
        };
        if !text.split(',').all(part) || tracing_subscriber::EnvFilter::try_new(text).is_err() {
            return Err(
                "must be off, error, warn, info, debug or trace, or a list such as info,canopy_http=debug".to_owned(),
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The location of the installation's signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKeyFile {
    /// In the data directory, created on first start.
    Own(PathBuf),
    /// An existing file.
    Given(PathBuf),
}

impl SigningKeyFile {
    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Own(path) | Self::Given(path) => path,
        }
    }
}

/// Parses a duration such as `500ms`, `30s`, `5m`, `1h` or `7d`.
///
/// # Errors
/// The reason.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a number and a unit (ms, s, m, h or d), such as 30s".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(|| "is too long".to_owned())
}

/// Formats a duration in the format of [`duration`].
pub fn duration_text(time: Duration) -> String {
    let millis = time.as_millis();
    if millis.is_multiple_of(1_000) {
        format!("{}s", millis / 1_000)
    } else {
        format!("{millis}ms")
    }
}
