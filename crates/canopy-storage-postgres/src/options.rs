//! Options for opening a store.

use crate::ssl_mode::{SslMode, SslRoots};
use percent_encoding::percent_decode_str;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Options for opening a store. Start from [`PgOptions::new`] and change what differs.
#[derive(Clone)]
pub struct PgOptions {
    /// `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=/path`, as libpq reads it.
    pub url: String,
    /// The number of connections that transactions have at most. Five more belong to fences (three), the change feed
    /// and the heartbeat.
    pub pool_size: usize,
    /// Maximum wait of a unit of work for a free connection.
    pub wait_timeout: Duration,
    /// The time that each host may take to open a connection. A `connect_timeout` of the URL wins where it is shorter.
    pub connect_timeout: Duration,
    /// Maximum wait of a write for the locks of another write.
    pub lock_timeout: Duration,
    /// Maximum run time of one statement.
    pub statement_timeout: Duration,
    /// The time that the server may leave a heartbeat or a fence unanswered before it counts as unreachable.
    pub answer_timeout: Duration,
    /// The time that a commit may take before its outcome counts as open.
    pub commit_timeout: Duration,
    /// The time that it may take to read all of an environment. `statement_timeout` does not apply to that.
    pub load_timeout: Duration,
    /// The longest wait for another process that changes the schema.
    pub migration_timeout: Duration,
    /// The `application_name` of the connections in `pg_stat_activity`.
    pub application_name: String,
    /// Whether opening brings the schema up to date; otherwise an older schema is refused.
    pub migrate: bool,
}

impl PgOptions {
    /// The usual options for a database.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pool_size: 16,
            wait_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(5),
            commit_timeout: Duration::from_secs(10),
            load_timeout: Duration::from_secs(120),
            migration_timeout: Duration::from_secs(120),
            application_name: "canopy".to_owned(),
            migrate: true,
        }
    }

    /// Makes sure that the URL names a database, without reaching for it.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn check(&self) -> Result<(), UrlError> {
        self.url.parse::<Target>().map(|_| ())
    }
}

/// The URL may hold a password, so it is left out.
impl core::fmt::Debug for PgOptions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PgOptions")
            .field("pool_size", &self.pool_size)
            .field("wait_timeout", &self.wait_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("answer_timeout", &self.answer_timeout)
            .field("commit_timeout", &self.commit_timeout)
            .field("load_timeout", &self.load_timeout)
            .field("migration_timeout", &self.migration_timeout)
            .field("application_name", &self.application_name)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}

/// Why a URL does not name a PostgreSQL database. None of the messages quotes the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It begins with something else.
    #[error("the database URL must begin with `postgres://` or `postgresql://`")]
    Scheme,
    /// The driver does not understand it.
    #[error("the database URL cannot be read")]
    Url(#[source] tokio_postgres::Error),
    /// It names no database or no host.
    #[error("the database URL must name a {0}")]
    Missing(&'static str),
    /// `sslmode` is none of those that libpq knows.
    #[error("`sslmode` must be disable, allow, prefer, require, verify-ca or verify-full")]
    SslMode,
    /// `target_session_attrs` asks for a server that takes no writes, or is none of those that libpq knows.
    #[error("`target_session_attrs` must be read-write, primary or any: Canopy needs the primary")]
    SessionAttrs,
    /// `sslmode=verify-ca` without a file.
    #[error("`sslmode=verify-ca` needs `sslrootcert` with the path of a PEM file")]
    NoRoots,
    /// The roots of the system vouch for anybody, so the name must be checked too.
    #[error("`sslrootcert=system` needs `sslmode=verify-full`")]
    WeakSystem,
    /// The file of root certificates cannot be read.
    #[error("the certificates of `sslrootcert` cannot be read")]
    Roots(#[source] canopy_domain::port::store::BoxError),
}

/// The parts of a database URL: the driver's options and the TLS options.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) mode: SslMode,
    pub(crate) roots: Option<SslRoots>,
}

impl FromStr for Target {
    type Err = UrlError;

    /// Takes `sslmode`, `sslrootcert` and `target_session_attrs` out of the URL, which the driver knows only in part, and
    /// leaves it the rest. A server in recovery is refused whatever `target_session_attrs` says.
    fn from_str(url: &str) -> Result<Self, UrlError> {
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(UrlError::Scheme);
        }
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = None;
        let mut roots = None;
        let mut others: Vec<&str> = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", word)) => mode = Some(SslMode::parse(word).ok_or(UrlError::SslMode)?),
                Some(("sslrootcert", "system")) => roots = Some(SslRoots::System),
                Some(("sslrootcert", path)) => {
                    let path = percent_decode_str(path).decode_utf8_lossy();
                    roots = Some(SslRoots::File(PathBuf::from(path.as_ref())));
                }
                Some(("target_session_attrs", "any" | "read-write" | "primary")) => {}
                Some(("target_session_attrs", _)) => return Err(UrlError::SessionAttrs),
                _ => others.push(parameter),
            }
        }
        let mode = mode.unwrap_or(SslMode::Prefer);
        match (mode, &roots) {
            (SslMode::VerifyFull, _) => {}
            (_, Some(SslRoots::System)) => return Err(UrlError::WeakSystem),
            (SslMode::VerifyCa, None) => return Err(UrlError::NoRoots),
            _ => {}
        }
        let url = if others.is_empty() {
            place.to_owned()
        } else {
            format!("{place}?{}", others.join("&"))
        };
        let config: tokio_postgres::Config = url.parse().map_err(UrlError::Url)?;
        if config.get_dbname().is_none() {
            return Err(UrlError::Missing("database"));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(UrlError::Missing("host"));
        }
        Ok(Self { config, mode, roots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(query: &str) -> Result<Target, UrlError> {
        format!("postgres://u:p@localhost:5433/db{query}").parse()
    }

    #[test]
    fn reads_what_libpq_reads() {
        let plain = target("").unwrap();
        assert_eq!((plain.mode, plain.roots), (SslMode::Prefer, None));
        let full = target("?connect_timeout=3&sslmode=verify-full&sslrootcert=%2Fetc%2Fca%20file.pem").unwrap();
        assert_eq!(full.mode, SslMode::VerifyFull);
        assert_eq!(full.roots, Some(SslRoots::File("/etc/ca file.pem".into())));
        assert_eq!(full.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!(full.config.get_dbname(), Some("db"));
        assert_eq!(target("?sslmode=allow").unwrap().mode, SslMode::Prefer);
        assert_eq!(target("?sslmode=verify-full").unwrap().roots, None);
    }

    #[test]
    fn refuses_the_rest_and_never_quotes_it() {
        for url in [
            "mysql://u:geheim@h/db",
            "sqlite:db",
            "postgres://u:geheim@h",
            "postgres://u:geheim@h/db?what=1",
        ] {
            let error = Target::from_str(url).unwrap_err();
            let text = format!("{error} {error:?} {:?}", PgOptions::new(url));
            assert!(!text.contains("geheim"), "{text}");
        }
        assert!(matches!(target("?sslmode=maybe"), Err(UrlError::SslMode)));
        for good in ["any", "read-write", "primary"] {
            target(&format!("?target_session_attrs={good}")).unwrap();
        }
        for bad in ["read-only", "standby", "prefer-standby", "maybe"] {
            let refused = target(&format!("?target_session_attrs={bad}"));
            assert!(matches!(refused, Err(UrlError::SessionAttrs)));
        }
        assert!(matches!(target("?sslmode=verify-ca"), Err(UrlError::NoRoots)));
        assert!(matches!(
            target("?sslmode=require&sslrootcert=system"),
            Err(UrlError::WeakSystem)
        ));
    }
}
