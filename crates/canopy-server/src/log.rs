//! The log: structured, on standard error.

use crate::config::{LogConfig, LogFormat};
use std::io::{IsTerminal as _, stderr};
use tracing_subscriber::EnvFilter;

/// Starts the log of this process. What was started before stays.
pub fn start(config: &LogConfig) {
    let level = config.level.as_str();
    // What the HTTP server says of its workers, and of strangers that speak no HTTP, is of no use to operators, unless
    // they ask for it by name.
    let quiet = if level.contains('=') {
        ""
    } else {
        ",actix_server=warn,actix_http=off"
    };
    let filter = EnvFilter::try_new(format!("{level}{quiet}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = stderr().is_terminal();
    let json = match config.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal,
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(terminal);
    let started = if json {
        log.json().flatten_event(true).try_init()
    } else {
        log.try_init()
    };
    // Only a test that runs several servers in one process starts it twice.
    drop(started);
}
