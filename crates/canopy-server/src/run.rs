//! Runs the command line: from arguments and variables to an exit code.

use crate::adapter::SystemClock;
use crate::cli::{Cli, Command, TokenArgs};
use crate::command::{serve, token};
use crate::config::{self, Config, ConfigError};
use crate::console::complain;
use crate::exports::exports;
use crate::log;
use crate::store::{StoreOpenError, opener};
use crate::tokens::{TokensError, signer};
use canopy_domain::port::{Clock as _, StoreError};
use canopy_http::token::KeyError;
use clap::Parser as _;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// The error of a failed command.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error(transparent)]
    TokenRequest(#[from] token::TokenRequestError),
    #[error("the signing key cannot be registered")]
    Register(#[source] StoreError),
    #[error("the token cannot be signed")]
    Sign(#[from] KeyError),
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    #[error("the runtime cannot be started")]
    Runtime(#[source] io::Error),
    #[error("the OpenAPI document cannot be written as JSON")]
    OpenApi(#[from] serde_json::Error),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// The exit code for an invalid command line or configuration.
const USAGE: u8 = 2;

/// Runs the command of the arguments.
pub fn run(
    arguments: impl Iterator<Item = OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            // If the message cannot be written, the exit code still reports the error.
            error.print().ok();
            return ExitCode::from(code);
        }
    };
    match execute(cli, variables.collect()) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::from(if matches!(error, RunError::Config(_)) { USAGE } else { 1 })
        }
    }
}

/// Writes an error with all its causes for people.
fn report(error: &dyn Error) {
    let mut text = format!("canopy: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    complain(text);
}

fn execute(mut cli: Cli, variables: Vec<(OsString, OsString)>) -> Result<ExitCode, RunError> {
    if let Command::OpenApi = cli.command {
        return print(&canopy_http::openapi().to_pretty_json()?);
    }
    if let Command::Config(args) = &cli.command {
        if args.sample {
            return print(config::sample().trim_end());
        }
        if args.reference {
            return print(config::reference().trim_end());
        }
    }
    let file = cli.settings.config.take();
    let config = config::load(file, cli.settings.given, variables)?;
    match cli.command {
        Command::Config(_) | Command::OpenApi => print(config::effective(&config).trim_end()),
        Command::Migrate => {
            let _log = log::start(&config.log);
            runtime()?.block_on(opener(&config).migrate())?;
            print(&format!("the schema of {} is up to date", config.database_url()))
        }
        Command::Token(args) => {
            let _log = log::start(&config.log);
            let token = token(&config, &args)?;
            if args.export || io::stdout().is_terminal() {
                print(exports(&config.public_url(), &token, token::paths(&args)).trim_end())
            } else {
                print(&token)
            }
        }
        Command::Serve(args) => {
            let log = log::start(&config.log);
            Ok(serve::run(&config, args.demo, log.lost_lines())?)
        }
    }
}

fn token(config: &Config, args: &TokenArgs) -> Result<String, RunError> {
    let now = SystemClock.now();
    let opener = opener(config);
    if args.account.is_none() && !opener.is_shared() {
        opener.require_installation()?;
        return Ok(signer(config)?.sign(&token::without_account(args, now), now)?);
    }
    runtime()?.block_on(async {
        // The store comes first: without it, no key is created for a server that was never started.
        let store = opener.open_existing().await?;
        let claims = token::claims(args, store.as_ref(), now).await?;
        let signer = signer(config)?;
        if opener.is_shared() {
            // Instances may have their own keys.
            let registered = store.installation().register_signing_key(&signer.public_key(now)).await;
            registered.map_err(RunError::Register)?;
        }
        Ok(signer.sign(&claims, now)?)
    })
}

fn runtime() -> Result<Runtime, RunError> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(RunError::Runtime)
}

fn print(text: &str) -> Result<ExitCode, RunError> {
    writeln!(io::stdout(), "{text}").map_err(RunError::Output)?;
    Ok(ExitCode::SUCCESS)
}
