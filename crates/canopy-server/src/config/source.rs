//! The sources of values, and problems with them.

use std::fmt;
use std::path::PathBuf;

/// The source of a value; later ones override earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The default.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag on the command line.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// A problem with the configuration, and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The source of the value.
    pub source: Source,
    /// The description; never the value of a secret.
    pub message: String,
}

impl Problem {
    /// Creates a problem with the value of the setting with this path.
    pub fn with(path: &str, source: &Source, message: impl fmt::Display) -> Self {
        let message = match source {
            Source::Variable(_) | Source::Flag(_) => message.to_string(),
            Source::Default | Source::File { .. } => format!("`{path}` {message}"),
        };
        Self {
            source: source.clone(),
            message,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.message)
    }
}

/// All problems with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not valid")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
