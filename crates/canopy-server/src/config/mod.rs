//! The configuration, read once: flags override `CANOPY_*` variables, which override the file, which overrides
//! defaults.

mod database_url;
mod effective;
mod kind;
mod layers;
mod print;
mod setting;
mod settings;
mod source;
mod token_keys;
mod value;

pub use database_url::{DatabaseUrl, PostgresUrl};
pub use layers::{CONFIG_VARIABLE, Layers, Raw};
pub use print::{effective, reference, sample};
pub use setting::{Flag, Kind, Setting};
pub use settings::{
    Config, HistoryConfig, IndexConfig, LimitConfig, LogConfig, PostgresConfig, SETTINGS, ServiceConfig, SqliteConfig,
    TokenConfig,
};
pub use source::{ConfigError, Problem, Source};
pub use token_keys::{KeyMaterial, MIN_SECRET_BYTES, TokenKeySource};
pub use value::{
    ClaimText, LogFormat, LogLevel, ProxyNetworks, PublicUrl, Secret, SigningKeyFile, Synchronous, duration,
};

use setting::Reader;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The default configuration file.
pub const DEFAULT_FILE: &str = "canopy.toml";

/// Reads the configuration: `file` is the one named by a flag, `flags` the settings given as flags.
///
/// # Errors
/// [`ConfigError`] with all problems.
pub fn load(
    file: Option<PathBuf>,
    flags: Vec<(&'static Setting, String)>,
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
    for (setting, text) in flags {
        layers.flag(setting, text);
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

fn resolve(mut layers: Layers) -> Result<Config, ConfigError> {
    let problems = std::mem::take(&mut layers.problems);
    let mut reader = Reader {
        layers,
        problems,
        sources: BTreeMap::new(),
    };
    let config = Config::read(&mut reader);
    match config {
        Ok(mut config) if reader.problems.is_empty() => {
            config.sources = reader.sources;
            Ok(config)
        }
        Ok(_) => Err(ConfigError(reader.problems)),
        Err(message) => {
            let source = Source::Default;
            reader.problems.push(Problem { source, message });
            Err(ConfigError(reader.problems))
        }
    }
}

#[cfg(test)]
mod tests;
