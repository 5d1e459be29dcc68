//! The command line.

use crate::config::{SETTINGS, Setting, duration};
use canopy_domain::{IdentityId, Slug};
use clap::{Arg, ArgGroup, ArgMatches, Args, FromArgMatches, Parser, Subcommand, value_parser};
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
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
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
    /// Fill an empty store with demo data, and print commands to try it
    #[arg(long)]
    pub demo: bool,
}

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Print a sample file instead
    #[arg(long, hide = true)]
    pub sample: bool,
    /// Print the reference of all settings instead, in Markdown
    #[arg(long, hide = true, conflicts_with = "sample")]
    pub reference: bool,
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
    /// The environment's slug; binds the token to it, as the public surface requires
    #[arg(long, value_name = "SLUG", value_parser = slug, requires = "application")]
    pub environment: Option<Slug>,
    /// The lifetime of the token, such as 30m, 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time_to_live)]
    pub ttl: Duration,
    /// Print `export` lines for a shell: the token, and the URLs that it opens [default: on a terminal]
    #[arg(long)]
    pub export: bool,
}

/// Settings as flags, for every command. They override variables and the file.
#[derive(Debug, Default)]
pub struct SettingFlags {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The settings that were given.
    pub given: Vec<(&'static Setting, String)>,
}

/// Declares one flag for each setting that has one.
impl Args for SettingFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let option = |id: String, value_name, help: &'static str| {
            Arg::new(id.clone())
                .long(id)
                .global(true)
                .value_name(value_name)
                .help(help)
                .help_heading("Settings")
        };
        let config = option(
            "config".to_owned(),
            "FILE",
            "The configuration file [default: canopy.toml, where there is one] [variable: `CANOPY_CONFIG`]",
        );
        let flags = SETTINGS.iter().filter_map(|setting| {
            Some(option(
                setting.flag_name(),
                setting.flag?.value_name,
                setting.flag?.help,
            ))
        });
        command.arg(config.value_parser(value_parser!(PathBuf))).args(flags)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.config = matches.get_one::<PathBuf>("config").cloned();
        self.given = SETTINGS
            .iter()
            .filter(|setting| setting.flag.is_some())
            .filter_map(|setting| Some((setting, matches.get_one::<String>(&setting.flag_name())?.clone())))
            .collect();
        Ok(())
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
            let [(setting, text)] = cli.settings.given.as_slice() else {
                panic!("{:?}", cli.settings)
            };
            assert_eq!((setting.path().as_str(), text.as_str()), ("listen", "x"));
        }
    }
}
