//! The configuration as TOML: the effective one with its sources, and the sample file.

use super::value::duration_text;
use super::{Config, Key, PublicUrl, Source};
use std::fmt::Write as _;
use std::num::NonZeroU32;

/// The effective configuration as TOML, with secrets masked and with where each value comes from.
pub fn effective(config: &Config) -> String {
    let mut out = String::from("# The effective configuration, and where each value comes from.\n");
    let mut section = None;
    for key in Key::ALL.iter().copied() {
        heading(&mut out, &mut section, key);
        let source = config.sources.get(&key).unwrap_or(&Source::Default);
        let line = format!("{} = {}", key.section_and_name().1, value(config, key));
        let _ = writeln!(out, "{line:<60} # {source}");
    }
    out
}

/// A configuration file with every setting, its default and its use, all commented out.
pub fn sample() -> String {
    let mut out = String::from(
        "# Every setting of Canopy with its default. Written by scripts/gen; do not edit.\n\
         #\n\
         # Read from canopy.toml in the working directory, or from the file that --config or CANOPY_CONFIG names.\n\
         # An environment variable wins over this file, a flag on the command line over both.\n\
         # Relative paths start at the working directory.\n",
    );
    let mut section = None;
    for key in Key::ALL.iter().copied() {
        heading(&mut out, &mut section, key);
        out.push('\n');
        for line in wrapped(key.about(), 110) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "# Variable: {}", key.variable());
        let _ = writeln!(out, "#{} = {}", key.section_and_name().1, key.default_text());
    }
    out
}

fn heading(out: &mut String, section: &mut Option<&'static str>, key: Key) {
    let here = key.section_and_name().0;
    if let (Some(name), true) = (here, here != *section) {
        let _ = write!(out, "\n[{name}]\n");
    }
    *section = here;
}

fn value(config: &Config, key: Key) -> String {
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    match key {
        Key::Listen => text(&config.http.listen.to_string()),
        Key::PublicUrl => match &config.http.public_url {
            Some(url) => text(url.as_str()),
            None => text(PublicUrl::of_listener(config.http.listen).as_str()),
        },
        Key::Workers => config.http.workers.to_string(),
        Key::ShutdownTimeout => text(&duration_text(config.http.shutdown_timeout)),
        Key::MetricsListen => match config.http.metrics_listen {
            Some(address) => text(&address.to_string()),
            None => text("same"),
        },
        Key::DataDir => text(&config.data_dir.to_string_lossy()),
        Key::DatabaseUrl => text(&config.database.url.to_string()),
        Key::SigningKeyFile => text(&config.tokens.signing_key.path().to_string_lossy()),
        Key::SqliteSynchronous => text(config.database.synchronous.as_str()),
        Key::PostgresPoolSize => config.database.postgres.pool_size.to_string(),
        Key::PostgresWaitTimeout => text(&duration_text(config.database.postgres.wait_timeout)),
        Key::PostgresConnectTimeout => text(&duration_text(config.database.postgres.connect_timeout)),
        Key::PostgresLockTimeout => text(&duration_text(config.database.postgres.lock_timeout)),
        Key::PostgresStatementTimeout => text(&duration_text(config.database.postgres.statement_timeout)),
        Key::PostgresAnswerTimeout => text(&duration_text(config.database.postgres.answer_timeout)),
        Key::PostgresCommitTimeout => text(&duration_text(config.database.postgres.commit_timeout)),
        Key::PostgresLoadTimeout => text(&duration_text(config.database.postgres.load_timeout)),
        Key::IndexMemoryMib => config.index_memory_mib.to_string(),
        Key::IndexEnvironmentMib => config.index_environment_mib.to_string(),
        Key::LimitFailedAuthentications => config.limits.failed_authentications.to_string(),
        Key::LimitRequests => config.limits.requests.map_or(0, NonZeroU32::get).to_string(),
        Key::LimitTrustedProxies => text(&config.limits.trusted_proxies.to_string()),
        Key::LimitBulkItems => config.limits.bulk_items.to_string(),
        Key::LimitConnections => config.limits.connections.to_string(),
        Key::LimitConnectionsPerAddress => config.limits.connections_per_address.to_string(),
        Key::LimitHeadTimeout => text(&duration_text(config.limits.head_timeout)),
        Key::LimitBodyTimeout => text(&duration_text(config.limits.body_timeout)),
        Key::LimitAnswerTimeout => text(&duration_text(config.limits.answer_timeout)),
        Key::LimitBodiesMib => config.limits.bodies_mib.to_string(),
        Key::LimitImportMib => config.limits.import_mib.to_string(),
        Key::LimitAnswerMib => config.limits.answer_mib.to_string(),
        Key::LimitAnswersInFlightMib => config.limits.answers_in_flight_mib.to_string(),
        Key::LimitKeptAnswersMib => config.limits.kept_answers_mib.to_string(),
        Key::LimitLongRequests => config.limits.long_requests.to_string(),
        Key::HistoryRetention => match config.history_retention {
            None => text("forever"),
            Some(time) if time.as_secs().is_multiple_of(86_400) && time.subsec_millis() == 0 => {
                text(&format!("{}d", time.as_secs() / 86_400))
            }
            Some(time) => text(&duration_text(time)),
        },
        Key::LimitEnvironments => config.limits.environments.to_string(),
        Key::LimitCatalogKeys => config.limits.catalog_keys.to_string(),
        Key::LimitCatalogPairs => config.limits.catalog_pairs.to_string(),
        Key::TokenIssuer => text(config.tokens.issuer.as_str()),
        Key::TokenAudience => text(config.tokens.audience.as_str()),
        Key::TokenKeys => {
            let entries: Vec<String> = config.tokens.keys.iter().map(super::TokenKeySource::to_toml).collect();
            format!("[{}]", entries.join(", "))
        }
        Key::LogLevel => text(config.log.level.as_str()),
        Key::LogFormat => text(config.log.format.as_str()),
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
