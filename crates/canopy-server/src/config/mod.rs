//! The configuration: flags over `CANOPY_*` variables over the file over defaults, read once.

mod database_url;
mod key;
mod layers;
mod print;
mod source;
mod token_keys;
mod value;

pub use database_url::{DatabaseUrl, PostgresUrl};
pub use key::Key;
pub use layers::{CONFIG_VARIABLE, Layers, Raw};
pub use print::{effective, sample};
pub use source::{ConfigError, Problem, Source};
pub use token_keys::{KeyMaterial, MIN_SECRET_BYTES, TokenKeySource};
pub use value::{
    ClaimText, LogFormat, LogLevel, ProxyNetworks, PublicUrl, Secret, SigningKeyFile, Synchronous, duration,
};

use canopy_http::{LimitOptions, ServerOptions};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that can be configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// Serving HTTP.
    pub http: HttpConfig,
    /// The folder of the signing key and, by default, of the database.
    pub data_dir: PathBuf,
    /// The store.
    pub database: DatabaseConfig,
    /// How many MiB indexes may take.
    pub index_memory_mib: NonZeroU32,
    /// The MiB that one copy of one index may take.
    pub index_environment_mib: NonZeroU32,
    /// Limits on callers.
    pub limits: LimitConfig,
    /// The time that change records are kept; `None`: forever.
    pub history_retention: Option<Duration>,
    /// Access tokens.
    pub tokens: TokenConfig,
    /// The log.
    pub log: LogConfig,
    /// Where each value comes from; what is not listed is a default.
    pub sources: BTreeMap<Key, Source>,
}

/// Serving HTTP.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where `/metrics` is served alone; `None`: with the rest.
    pub metrics_listen: Option<SocketAddr>,
    /// How clients reach the installation; `None`: at the address it listens on.
    pub public_url: Option<PublicUrl>,
    /// Worker threads.
    pub workers: NonZeroU16,
    /// How long a shutdown waits for running requests.
    pub shutdown_timeout: Duration,
}

/// The store.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Where the data is.
    pub url: DatabaseUrl,
    /// How surely SQLite writes.
    pub synchronous: Synchronous,
    /// Connections to PostgreSQL.
    pub postgres: PostgresConfig,
}

/// Connections to PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// The number of connections that transactions have at most.
    pub pool_size: NonZeroU16,
    /// How long a call waits for a free one.
    pub wait_timeout: Duration,
    /// The time that each host may take to open one.
    pub connect_timeout: Duration,
    /// How long a write waits for the locks of another one.
    pub lock_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// The time that the server may leave a heartbeat or a fence unanswered.
    pub answer_timeout: Duration,
    /// The time that a commit may take.
    pub commit_timeout: Duration,
    /// The time that it may take to read an environment.
    pub load_timeout: Duration,
}

/// Limits on callers.
#[derive(Debug, Clone)]
pub struct LimitConfig {
    /// Refused credentials of a client address each minute.
    pub failed_authentications: NonZeroU32,
    /// Requests of a caller each minute; `None`: any number.
    pub requests: Option<NonZeroU32>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: ProxyNetworks,
    /// Items of a bulk call.
    pub bulk_items: NonZeroU16,
    /// Connections in all.
    pub connections: NonZeroU32,
    /// Connections of a client address.
    pub connections_per_address: NonZeroU32,
    /// The time that the head of a request may take.
    pub head_timeout: Duration,
    /// The time that the body of a request may take.
    pub body_timeout: Duration,
    /// The time that an answer waits for a client that does not take it.
    pub answer_timeout: Duration,
    /// The MiB that the bodies of requests may take together.
    pub bodies_mib: NonZeroU32,
    /// MiB of one answer.
    pub answer_mib: NonZeroU32,
    /// MiB of answers that wait for their readers.
    pub answers_in_flight_mib: NonZeroU32,
    /// MiB of the answers kept for repetitions, for each environment.
    pub kept_answers_mib: NonZeroU32,
    /// Long requests that run at once.
    pub long_requests: NonZeroU16,
    /// MiB of a document of an environment.
    pub import_mib: NonZeroU32,
    /// Environments of an application.
    pub environments: NonZeroU32,
    /// Permission keys of a catalog.
    pub catalog_keys: NonZeroU32,
    /// Keys that all roles of an environment bundle together.
    pub catalog_pairs: NonZeroU32,
}

/// Access tokens.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// The installation's own key.
    pub signing_key: SigningKeyFile,
    /// The `iss` of tokens.
    pub issuer: ClaimText,
    /// The `aud` of tokens.
    pub audience: ClaimText,
    /// Other keys.
    pub keys: Vec<TokenKeySource>,
}

/// The log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// What is logged.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// The file that is read where nobody names one.
pub const DEFAULT_FILE: &str = "canopy.toml";

/// Reads the configuration: `file` is the one named by a flag, `flags` the settings given as flags.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong.
pub fn load(
    file: Option<PathBuf>,
    flags: Vec<(Key, &'static str, String)>,
    variables: Vec<(OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let mut layers = Layers::default();
    let by_variable = variables
        .iter()
        .find(|(name, _)| name == CONFIG_VARIABLE)
        .map(|(_, value)| PathBuf::from(value));
    let named = match (file, by_variable) {
        (Some(path), _) => Some((path, Source::Flag("config".to_owned()))),
        (None, Some(path)) => Some((path, Source::Variable(CONFIG_VARIABLE.to_owned()))),
        (None, None) => None,
    };
    match named {
        Some((path, source)) => match std::fs::read_to_string(&path) {
            Ok(text) => layers.file(&path, &text),
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                layers.problems.push(Problem { source, message });
            }
        },
        None => default_file(&mut layers, Path::new(DEFAULT_FILE)),
    }
    layers.environment(variables.into_iter());
    for (key, flag, text) in flags {
        layers.flag(key, flag, text);
    }
    resolve(layers)
}

fn default_file(layers: &mut Layers, path: &Path) {
    match std::fs::read_to_string(path) {
        Ok(text) => layers.file(path, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            let (path, line) = (path.to_owned(), 1);
            let message = format!("cannot read it: {error}");
            layers.problems.push(Problem {
                source: Source::File { path, line },
                message,
            });
        }
    }
}

/// Takes values out of the layers, one by one, and remembers what was wrong and what came from where.
struct Reader {
    layers: Layers,
    problems: Vec<Problem>,
    sources: BTreeMap<Key, Source>,
}

impl Reader {
    /// The value of a setting; `None` when nobody set it or it is not valid (which is remembered).
    fn raw<T>(&mut self, key: Key, parse: impl FnOnce(&Raw) -> Result<T, String>) -> Option<T> {
        let (raw, source) = self.layers.get(key)?;
        self.sources.insert(key, source.clone());
        parse(raw)
            .map_err(|wrong| self.problems.push(Problem::with(key, source, wrong)))
            .ok()
    }

    fn text<T>(&mut self, key: Key, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.raw(key, |raw| match raw {
            Raw::Text(text) => parse(text),
            Raw::Bool(_) | Raw::List(_) | Raw::Table(_) | Raw::Other(_) => Err("must be a single value".to_owned()),
        })
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("must be a path".to_owned());
    }
    Ok(PathBuf::from(text))
}

fn number(text: &str) -> Result<NonZeroU16, String> {
    match text.parse::<NonZeroU16>() {
        Ok(number) if number.get() <= 1024 => Ok(number),
        _ => Err("must be a number from 1 to 1024".to_owned()),
    }
}

fn bulk_items(text: &str) -> Result<NonZeroU16, String> {
    match text.parse::<NonZeroU16>() {
        Ok(number) if number.get() <= 50_000 => Ok(number),
        _ => Err("must be a number from 1 to 50000".to_owned()),
    }
}

fn mib(most: u32) -> impl Fn(&str) -> Result<NonZeroU32, String> {
    move |text| match text.parse::<NonZeroU32>() {
        Ok(number) if number.get() <= most => Ok(number),
        _ => Err(format!("must be a number from 1 to {most}")),
    }
}

fn long_requests(text: &str) -> Result<NonZeroU16, String> {
    number(text)
        .ok()
        .filter(|number| number.get() >= 2)
        .ok_or_else(|| "must be a number from 2 to 1024".to_owned())
}

fn retention(text: &str) -> Result<Option<Duration>, String> {
    const DAY: Duration = Duration::from_secs(86_400);
    /// A thousand years, so that no instant lies out of range.
    const LONGEST: Duration = Duration::from_secs(86_400 * 365_000);
    match text {
        "forever" => Ok(None),
        text => match duration(text)? {
            time if (DAY..=LONGEST).contains(&time) => Ok(Some(time)),
            _ => Err("must be at least a day, or `forever`".to_owned()),
        },
    }
}

fn resolve(mut layers: Layers) -> Result<Config, ConfigError> {
    let problems = std::mem::take(&mut layers.problems);
    let mut reader = Reader {
        layers,
        problems,
        sources: BTreeMap::new(),
    };
    let config = read(&mut reader);
    match config {
        Ok(mut config) if reader.problems.is_empty() => {
            config.sources = reader.sources;
            Ok(config)
        }
        Ok(_) => Err(ConfigError(reader.problems)),
        Err(wrong) => {
            let source = Source::Default;
            reader.problems.push(Problem { source, message: wrong });
            Err(ConfigError(reader.problems))
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "must be an address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned())
}

/// Reads every setting. An error here would be a default that is not valid, which a test rules out.
fn read(reader: &mut Reader) -> Result<Config, String> {
    let listen = reader.text(Key::Listen, address);
    let metrics_listen = reader.text(Key::MetricsListen, |text| match text {
        "same" => Ok(None),
        text => address(text).map(Some),
    });
    let public_url = reader.text(Key::PublicUrl, PublicUrl::parse);
    let workers = reader.text(Key::Workers, number);
    let shutdown_timeout = reader.text(Key::ShutdownTimeout, duration);
    let data_dir = reader
        .text(Key::DataDir, path)
        .unwrap_or_else(|| PathBuf::from("./canopy-data"));
    let url = reader.text(Key::DatabaseUrl, DatabaseUrl::parse);
    let synchronous = reader.text(Key::SqliteSynchronous, Synchronous::parse);
    let postgres = postgres(reader)?;
    let index_memory_mib = reader.text(Key::IndexMemoryMib, whole_number);
    let index_memory_mib = index_memory_mib.map_or_else(|| whole_number("1024"), Ok)?;
    let index_environment_mib = reader.text(Key::IndexEnvironmentMib, whole_number);
    let failed_authentications = reader.text(Key::LimitFailedAuthentications, whole_number);
    let requests = reader.text(Key::LimitRequests, |text| {
        let number = text.parse().map_err(|_| "must be a number; 0 for no limit".to_owned());
        number.map(NonZeroU32::new)
    });
    let trusted_proxies = reader.text(Key::LimitTrustedProxies, ProxyNetworks::parse);
    let bulk_items = reader.text(Key::LimitBulkItems, bulk_items);
    let connections = reader.text(Key::LimitConnections, whole_number);
    let connections_per_address = reader.text(Key::LimitConnectionsPerAddress, whole_number);
    let head_timeout = reader.text(Key::LimitHeadTimeout, value::time_limit);
    let body_timeout = reader.text(Key::LimitBodyTimeout, value::time_limit);
    let answer_timeout = reader.text(Key::LimitAnswerTimeout, value::time_limit);
    let bodies_mib = reader.text(Key::LimitBodiesMib, bodies_mib);
    let answer_mib = reader.text(Key::LimitAnswerMib, mib(4_096));
    let answers_in_flight_mib = reader.text(Key::LimitAnswersInFlightMib, mib(65_536));
    let kept_answers_mib = reader.text(Key::LimitKeptAnswersMib, mib(65_536));
    let long_requests = reader.text(Key::LimitLongRequests, long_requests);
    let history_retention = reader.text(Key::HistoryRetention, retention);
    let import_mib = reader.text(Key::LimitImportMib, mib(2_048));
    let environments = reader.text(Key::LimitEnvironments, whole_number);
    let catalog_keys = reader.text(Key::LimitCatalogKeys, whole_number);
    let catalog_pairs = reader.text(Key::LimitCatalogPairs, whole_number);
    let signing_key = reader.text(Key::SigningKeyFile, path);
    let issuer = reader.text(Key::TokenIssuer, ClaimText::parse);
    let audience = reader.text(Key::TokenAudience, ClaimText::parse);
    let keys = reader.raw(Key::TokenKeys, TokenKeySource::parse_all);
    let level = reader.text(Key::LogLevel, LogLevel::parse);
    let format = reader.text(Key::LogFormat, LogFormat::parse);
    Ok(Config {
        http: HttpConfig {
            listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            metrics_listen: metrics_listen.flatten(),
            public_url,
            workers: workers.unwrap_or_else(cores),
            shutdown_timeout: shutdown_timeout.unwrap_or(Duration::from_secs(30)),
        },
        database: DatabaseConfig {
            url: url.unwrap_or_else(|| DatabaseUrl::Sqlite(data_dir.join("canopy.db"))),
            synchronous: synchronous.unwrap_or(Synchronous::Full),
            postgres,
        },
        index_memory_mib,
        index_environment_mib: index_environment_mib
            .or_else(|| NonZeroU32::new(index_memory_mib.get() / 2))
            .unwrap_or(NonZeroU32::MIN),
        limits: LimitConfig {
            failed_authentications: failed_authentications.unwrap_or(LimitOptions::FAILED_AUTHENTICATIONS),
            requests: requests.flatten(),
            trusted_proxies: trusted_proxies.unwrap_or_default(),
            bulk_items: bulk_items.map_or_else(|| self::bulk_items("10000"), Ok)?,
            connections: connections.map_or_else(|| whole_number("8192"), Ok)?,
            connections_per_address: connections_per_address.map_or_else(|| whole_number("1024"), Ok)?,
            head_timeout: head_timeout.unwrap_or(ServerOptions::HEAD_TIMEOUT),
            body_timeout: body_timeout.unwrap_or(Duration::from_secs(30)),
            answer_timeout: answer_timeout.unwrap_or(ServerOptions::ANSWER_TIMEOUT),
            bodies_mib: bodies_mib.map_or_else(|| self::bodies_mib("256"), Ok)?,
            answer_mib: answer_mib.map_or_else(|| mib(4_096)("64"), Ok)?,
            answers_in_flight_mib: answers_in_flight_mib.map_or_else(|| mib(65_536)("256"), Ok)?,
            kept_answers_mib: kept_answers_mib.map_or_else(|| mib(65_536)("256"), Ok)?,
            long_requests: long_requests.unwrap_or_else(|| cores().max(NonZeroU16::MIN.saturating_add(1))),
            import_mib: import_mib.map_or_else(|| mib(2_048)("256"), Ok)?,
            environments: environments.map_or_else(|| whole_number("1000"), Ok)?,
            catalog_keys: catalog_keys.map_or_else(|| whole_number("50000"), Ok)?,
            catalog_pairs: catalog_pairs.map_or_else(|| whole_number("1000000"), Ok)?,
        },
        history_retention: history_retention.map_or_else(|| retention("400d"), Ok)?,
        tokens: TokenConfig {
            signing_key: signing_key.map_or_else(
                || SigningKeyFile::Own(data_dir.join("signing-key.pem")),
                SigningKeyFile::Given,
            ),
            issuer: issuer.map_or_else(|| ClaimText::parse("canopy"), Ok)?,
            audience: audience.map_or_else(|| ClaimText::parse("canopy"), Ok)?,
            keys: keys.unwrap_or_default(),
        },
        log: LogConfig {
            level: level.map_or_else(|| LogLevel::parse("info"), Ok)?,
            format: format.unwrap_or(LogFormat::Auto),
        },
        data_dir,
        sources: BTreeMap::new(),
    })
}

fn postgres(reader: &mut Reader) -> Result<PostgresConfig, String> {
    let pool_size = reader.text(Key::PostgresPoolSize, number);
    let mut limit = |key| reader.text(key, value::time_limit);
    Ok(PostgresConfig {
        wait_timeout: limit(Key::PostgresWaitTimeout).unwrap_or(Duration::from_secs(5)),
        connect_timeout: limit(Key::PostgresConnectTimeout).unwrap_or(Duration::from_secs(5)),
        lock_timeout: limit(Key::PostgresLockTimeout).unwrap_or(Duration::from_secs(10)),
        statement_timeout: limit(Key::PostgresStatementTimeout).unwrap_or(Duration::from_secs(30)),
        answer_timeout: limit(Key::PostgresAnswerTimeout).unwrap_or(Duration::from_secs(5)),
        commit_timeout: limit(Key::PostgresCommitTimeout).unwrap_or(Duration::from_secs(10)),
        load_timeout: limit(Key::PostgresLoadTimeout).unwrap_or(Duration::from_secs(120)),
        pool_size: pool_size.map_or_else(|| number("16"), Ok)?,
    })
}

fn whole_number(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "must be a number of 1 or more".to_owned())
}

/// Enough for one body of the largest size in the share of each tenant.
fn bodies_mib(text: &str) -> Result<NonZeroU32, String> {
    match text.parse::<NonZeroU32>() {
        Ok(number) if (32..=1_048_576).contains(&number.get()) => Ok(number),
        _ => Err("must be a number from 32 to 1048576".to_owned()),
    }
}

fn cores() -> NonZeroU16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(cores.min(1024))
        .ok()
        .and_then(NonZeroU16::new)
        .unwrap_or(NonZeroU16::MIN)
}

#[cfg(test)]
mod tests;
