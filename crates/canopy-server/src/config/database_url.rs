//! The location of the data.

use super::value::Secret;
use canopy_storage_postgres::PgOptions;
use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;

/// The location of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file of SQLite.
    Sqlite(PathBuf),
    /// A database of PostgreSQL.
    Postgres(PostgresUrl),
}

/// A URL in the format of libpq. It may contain a password, which is masked when the URL is displayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresUrl(Secret);

impl DatabaseUrl {
    /// Parses a URL. Its errors contain no password.
    ///
    /// # Errors
    /// The reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        match scheme {
            "sqlite" if rest.is_empty() || rest.ends_with('/') || rest.starts_with(':') => {
                Err("must name a file, as in sqlite:///var/lib/canopy/canopy.db".to_owned())
            }
            "sqlite" if rest.contains('?') => Err("must not have a query (`?`)".to_owned()),
            "sqlite" => Ok(Self::Sqlite(PathBuf::from(rest))),
            "postgres" | "postgresql" => PostgresUrl::parse(text).map(Self::Postgres),
            _ => Err("must begin with `sqlite://` or `postgres://`; other databases are not supported".to_owned()),
        }
    }
}

impl PostgresUrl {
    fn parse(text: &str) -> Result<Self, String> {
        match PgOptions::new(text).check() {
            Ok(()) => Ok(Self(Secret::new(text.to_owned()))),
            Err(error) => {
                let cause = error.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
                Err(format!("cannot be used: {error}{cause}"))
            }
        }
    }

    /// Returns the whole URL with its password.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// Displays the URL with three stars for a password, before the host or among the parameters.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.expose();
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        match place.rsplit_once('@') {
            Some((user, host)) => {
                let (scheme, user) = user.split_once("://").unwrap_or(("postgres", user));
                match user.split_once(':') {
                    Some((name, _)) => write!(f, "{scheme}://{name}:***@{host}")?,
                    None => write!(f, "{scheme}://{user}@{host}")?,
                }
            }
            None => f.write_str(place)?,
        }
        for (index, parameter) in query
            .split('&')
            .enumerate()
            .filter(|(_, parameter)| !parameter.is_empty())
        {
            f.write_str(if index == 0 { "?" } else { "&" })?;
            let is_password = parameter.split_once('=').is_some_and(|(name, _)| name == "password");
            f.write_str(if is_password { "password=***" } else { parameter })?;
        }
        Ok(())
    }
}
