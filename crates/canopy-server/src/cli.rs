//! The command line.

use crate::config::{Key, duration};
use canopy_domain::{IdentityId, Slug};
use clap::{ArgGroup, Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;

/// Access control along an organisation tree.
#[derive(Debug, Parser)]
#[command(name = "canopy", version, about, max_term_width = 120)]
pub struct Cli {
    /// Settings given as flags.
    #[command(flatten)]
    pub settings: SettingFlags,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API
    Serve(ServeArgs),
    /// Bring the database's schema up to date
    Migrate,
    /// Print an access token, signed with the installation's key
    Token(TokenArgs),
    /// Print the effective configuration, and where each value comes from
    Config(ConfigArgs),
    /// Print the OpenAPI document
    #[command(name = "openapi", hide = true)]
    OpenApi,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Fill an empty store with a small company, and print commands to try it with
    #[arg(long)]
    pub demo: bool,
}

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Print a sample file instead
    #[arg(long, hide = true)]
    pub sample: bool,
}

/// Arguments of `token`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("principal").required(true).args(["operator", "admin", "identity"]))]
pub struct TokenArgs {
    /// For an operator of the installation
    #[arg(long, conflicts_with_all = ["account", "application", "environment"])]
    pub operator: bool,
    /// For an admin of an account
    #[arg(long, requires = "account")]
    pub admin: bool,
    /// For this identity
    #[arg(long, value_name = "ID", value_parser = identity_id, requires_all = ["account", "application", "environment"])]
    pub identity: Option<IdentityId>,
    /// The account's slug
    #[arg(long, value_name = "SLUG", value_parser = slug)]
    pub account: Option<Slug>,
    /// The application's slug
    #[arg(long, value_name = "SLUG", value_parser = slug, requires = "environment")]
    pub application: Option<Slug>,
    /// The environment's slug; binds the token to it, which the public surface needs
    #[arg(long, value_name = "SLUG", value_parser = slug, requires = "application")]
    pub environment: Option<Slug>,
    /// How long it is good for, such as 30m, 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time_to_live)]
    pub ttl: Duration,
    /// Print `export` lines for a shell: the token, and the URLs that it opens [default: on a terminal]
    #[arg(long)]
    pub export: bool,
}

/// Settings as flags, for every command. They win over variables and the file.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingFlags {
    /// The configuration file [default: canopy.toml, where there is one] [variable: `CANOPY_CONFIG`]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// The URL under which clients reach this installation
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// The number of HTTP worker threads
    #[arg(long, global = true, value_name = "NUMBER")]
    pub workers: Option<String>,
    /// How long a shutdown waits for running requests [default: 30s]
    #[arg(long, global = true, value_name = "TIME")]
    pub shutdown_timeout: Option<String>,
    /// The folder of the signing key and the database [default: ./canopy-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Where the data is [default: sqlite:// in the data directory]
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// The key that signs tokens
    #[arg(long, global = true, value_name = "FILE")]
    pub signing_key_file: Option<String>,
    /// What is logged: error, warn, info, debug, trace [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// The form of the log: auto, text, json [default: auto]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl SettingFlags {
    /// The settings that were given, with the names of their flags.
    pub fn given(self) -> Vec<(Key, &'static str, String)> {
        [
            (Key::Listen, "listen", self.listen),
            (Key::PublicUrl, "public-url", self.public_url),
            (Key::Workers, "workers", self.workers),
            (Key::ShutdownTimeout, "shutdown-timeout", self.shutdown_timeout),
            (Key::DataDir, "data-dir", self.data_dir),
            (Key::DatabaseUrl, "database-url", self.database_url),
            (Key::SigningKeyFile, "signing-key-file", self.signing_key_file),
            (Key::LogLevel, "log-level", self.log_level),
            (Key::LogFormat, "log-format", self.log_format),
        ]
        .into_iter()
        .filter_map(|(key, flag, text)| text.map(|text| (key, flag, text)))
        .collect()
    }
}

fn slug(text: &str) -> Result<Slug, String> {
    Slug::parse(text).map_err(|error| error.to_string())
}

fn identity_id(text: &str) -> Result<IdentityId, String> {
    Uuid::try_parse(text)
        .map(IdentityId::new)
        .map_err(|_| "must be the id of an identity, a UUID".to_owned())
}

fn time_to_live(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time.as_secs() == 0 => Err("must be at least 1s".to_owned()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parses(line: &str) -> bool {
        Cli::try_parse_from(line.split(' ')).is_ok()
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_token_is_for_exactly_one_principal_with_all_that_it_needs() {
        const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
        for (arguments, good) in [
            ("--operator", true),
            ("--operator --ttl 30m", true),
            ("--operator --export", true),
            ("", false),
            ("--operator --admin --account a", false),
            ("--operator --account a", false),
            ("--operator --ttl 0s", false),
            ("--operator --ttl soon", false),
            ("--admin", false),
            ("--admin --account a", true),
            ("--admin --account A", false),
            ("--admin --account a --application b", false),
            ("--admin --account a --environment c", false),
            ("--admin --account a --application b --environment c", true),
            (
                &format!("--identity {ID} --account a --application b --environment c"),
                true,
            ),
            (&format!("--identity {ID} --account a"), false),
            ("--identity me --account a --application b --environment c", false),
        ] {
            assert_eq!(parses(format!("canopy token {arguments}").trim()), good, "{arguments}");
        }
    }

    #[test]
    fn settings_stand_before_or_after_the_command() {
        for line in ["canopy --listen x serve", "canopy serve --demo --listen x"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.settings.given(), [(Key::Listen, "listen", "x".to_owned())]);
        }
    }
}
