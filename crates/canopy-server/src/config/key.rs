//! The settings there are: one list, from which flags, variables, the file, the sample and the answers are made.

/// Declares the settings: variant, path in the file, whether it is secret, and what it is for.
macro_rules! keys {
    ($($(#[$doc:meta])* $variant:ident = $path:literal, $variable:literal, $default:literal, $about:literal;)+) => {
        /// A setting.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key {
            $(#[doc = $about] $variant,)+
        }

        impl Key {
            /// Every setting, in the order of the sample file: those without a section first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its place in the file: `name`, or `section.name`.
            pub const fn path(self) -> &'static str {
                match self { $(Self::$variant => $path,)+ }
            }

            /// The environment variable that sets it.
            pub const fn variable(self) -> &'static str {
                match self { $(Self::$variant => $variable,)+ }
            }

            /// Its default, as the sample file shows it.
            pub const fn default_text(self) -> &'static str {
                match self { $(Self::$variant => $default,)+ }
            }

            /// What it is for.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)+ }
            }
        }
    };
}

keys! {
    Listen = "listen", "CANOPY_LISTEN", "\"127.0.0.1:8080\"",
        "The address and port to listen on. Port 0 takes a free one, which the ready line names.";
    PublicUrl = "public_url", "CANOPY_PUBLIC_URL", "\"http://127.0.0.1:8080\"",
        "The URL under which clients reach this installation. By default made from `listen`.";
    Workers = "workers", "CANOPY_WORKERS", "2",
        "The number of HTTP worker threads, 1 to 1024. By default the number of cores.";
    ShutdownTimeout = "shutdown_timeout", "CANOPY_SHUTDOWN_TIMEOUT", "\"30s\"",
        "How long a shutdown waits for running requests, such as \"30s\" or \"2m\".";
    MetricsListen = "metrics_listen", "CANOPY_METRICS_LISTEN", "\"same\"",
        "An address and port of its own for /metrics, which is then served there alone; \"same\": with the API, to anybody \
         who reaches it.";
    DataDir = "data_dir", "CANOPY_DATA_DIR", "\"./canopy-data\"",
        "The folder of the signing key and, by default, of the database. Made on first start, for its owner alone.";
    DatabaseUrl = "database_url", "CANOPY_DATABASE_URL", "\"sqlite://./canopy-data/canopy.db\"",
        "Where the data is: `sqlite://` and the path of a file, by default `canopy.db` in the data directory; or a \
         PostgreSQL database, such as postgres://user:password@host:5432/canopy?sslmode=verify-full, which several \
         instances may share. `sslmode` and `sslrootcert` are those of libpq.";
    SigningKeyFile = "signing_key_file", "CANOPY_SIGNING_KEY_FILE", "\"./canopy-data/signing-key.pem\"",
        "The Ed25519 key (PKCS#8 PEM) that signs this installation's tokens. By default `signing-key.pem` in the data \
         directory, made on first start; a file named here must exist.";
    SqliteSynchronous = "sqlite.synchronous", "CANOPY_SQLITE_SYNCHRONOUS", "\"full\"",
        "\"full\": an acknowledged write survives the loss of power. \"normal\": it survives the death of the process, \
         but the last writes may be lost with the power.";
    PostgresPoolSize = "postgres.pool_size", "CANOPY_POSTGRES_POOL_SIZE", "16",
        "How many connections to PostgreSQL transactions have at the most, 1 to 1024; writes have three quarters of them at the \
         most, and so have reads. Five more belong to fences, the change feed and the heartbeat.";
    PostgresWaitTimeout = "postgres.wait_timeout", "CANOPY_POSTGRES_WAIT_TIMEOUT", "\"5s\"",
        "How long a call waits for a free connection before it is answered 503.";
    PostgresConnectTimeout = "postgres.connect_timeout", "CANOPY_POSTGRES_CONNECT_TIMEOUT", "\"5s\"",
        "How long each host may take to open a connection, with the handshake.";
    PostgresLockTimeout = "postgres.lock_timeout", "CANOPY_POSTGRES_LOCK_TIMEOUT", "\"10s\"",
        "How long a write waits for another write of the same environment before it is answered 503.";
    PostgresStatementTimeout = "postgres.statement_timeout", "CANOPY_POSTGRES_STATEMENT_TIMEOUT", "\"30s\"",
        "How long PostgreSQL may work at one statement before the call is answered 503.";
    PostgresAnswerTimeout = "postgres.answer_timeout", "CANOPY_POSTGRES_ANSWER_TIMEOUT", "\"5s\"",
        "How long PostgreSQL may leave a heartbeat or the query of a fence unanswered. After that all connections are closed \
         and calls are answered 503 until a server answers.";
    PostgresCommitTimeout = "postgres.commit_timeout", "CANOPY_POSTGRES_COMMIT_TIMEOUT", "\"10s\"",
        "How long a commit may wait, such as for a synchronous standby. After that the call is answered 503 and may or may \
         not have taken place.";
    PostgresLoadTimeout = "postgres.load_timeout", "CANOPY_POSTGRES_LOAD_TIMEOUT", "\"120s\"",
        "How long it may take to read all of an environment into memory. `statement_timeout` does not apply to that.";
    IndexMemoryMib = "index.memory_mib", "CANOPY_INDEX_MEMORY_MIB", "1024",
        "How many MiB the indexes of environments may take that answer checks. When they take more, those go that nobody \
         asked for longest; the next check there reads its environment again.";
    IndexEnvironmentMib = "index.environment_mib", "CANOPY_INDEX_ENVIRONMENT_MIB", "512",
        "How many MiB the index of one environment may take, of which there are two copies while it is written to. Writes that \
         would make it larger are refused, and checks of an environment that is larger all the same are answered 503. By \
         default half of `memory_mib`.";
    LimitFailedAuthentications = "limit.failed_authentications", "CANOPY_LIMIT_FAILED_AUTHENTICATIONS", "600",
        "How many refused credentials a client address (of IPv6, a /64 network) has each minute before further ones are \
         answered 429. Valid credentials are never refused for them.";
    LimitRequests = "limit.requests", "CANOPY_LIMIT_REQUESTS", "0",
        "How many requests a caller (an API key, or whoever a token names) has each minute before further ones are answered \
         429; 0 for any number.";
    LimitTrustedProxies = "limit.trusted_proxies", "CANOPY_LIMIT_TRUSTED_PROXIES", "\"\"",
        "The addresses or networks of proxies in front of the service, with commas between them, such as \
         \"10.0.0.0/8, fd00::1\". Of these alone Forwarded and X-Forwarded-For are believed, and their connections do not \
         count against `limit.connections_per_address`.";
    LimitBulkItems = "limit.bulk_items", "CANOPY_LIMIT_BULK_ITEMS", "10000",
        "How many items a bulk call may have, 1 to 50000.";
    LimitConnections = "limit.connections", "CANOPY_LIMIT_CONNECTIONS", "8192",
        "How many connections there may be; fewer where the system's limit on open files asks for it. When there are more, \
         those are closed that only wait: unfinished heads first, then the connection that has been idle longest.";
    LimitConnectionsPerAddress = "limit.connections_per_address", "CANOPY_LIMIT_CONNECTIONS_PER_ADDRESS", "1024",
        "How many of them may come from one client address (of IPv6, a /64 network).";
    LimitHeadTimeout = "limit.head_timeout", "CANOPY_LIMIT_HEAD_TIMEOUT", "\"10s\"",
        "How long the head of a request may take, from its first byte, before it is answered 408.";
    LimitBodyTimeout = "limit.body_timeout", "CANOPY_LIMIT_BODY_TIMEOUT", "\"30s\"",
        "How long the body of a request may take before it is answered 408. After 10s it must also have come at 16 KiB a \
         second.";
    LimitAnswerTimeout = "limit.answer_timeout", "CANOPY_LIMIT_ANSWER_TIMEOUT", "\"20s\"",
        "How long an answer waits for a client that takes less than 16 KiB a second of it before the connection is closed.";
    LimitBodiesMib = "limit.bodies_mib", "CANOPY_LIMIT_BODIES_MIB", "256",
        "How many MiB the bodies of requests that are read or worked on may take together, 32 or more; each account may \
         take a quarter. A body that finds no room in 5s is answered 503. Bodies up to 16 KiB do not count.";
    LimitImportMib = "limit.import_mib", "CANOPY_LIMIT_IMPORT_MIB", "256",
        "The largest document of an environment in MiB, 1 to 2048. A larger one is not imported, and an environment that would make one is \
         neither exported nor copied.";
    LimitAnswerMib = "limit.answer_mib", "CANOPY_LIMIT_ANSWER_MIB", "64",
        "How many MiB one answer may have before it is refused with 400 `request.answer_too_large`, 1 to 4096. Answers to \
         what was written are not bounded.";
    LimitAnswersInFlightMib = "limit.answers_in_flight_mib", "CANOPY_LIMIT_ANSWERS_IN_FLIGHT_MIB", "256",
        "How many MiB of large answers may wait for their readers before further ones are answered 503, 1 to 65536. One \
         account has at most half of it.";
    LimitLongRequests = "limit.long_requests", "CANOPY_LIMIT_LONG_REQUESTS", "2",
        "How many long requests (bulk checks, explanations, reverse questions, large bodies and answers) run at once, 2 to \
         1024. One account runs at most one less; further ones wait up to 5 s for their turn. By default the number of \
         cores.";
    LimitCatalogKeys = "limit.catalog_keys", "CANOPY_LIMIT_CATALOG_KEYS", "50000",
        "How many permission keys the catalog of an environment may have, those of the system among them.";
    LimitCatalogPairs = "limit.catalog_pairs", "CANOPY_LIMIT_CATALOG_PAIRS", "1000000",
        "How many keys all roles of an environment together may bundle, counted for each role.";
    LimitEnvironments = "limit.environments", "CANOPY_LIMIT_ENVIRONMENTS", "1000",
        "How many environments an application may have. Those that are there stay.";
    LimitKeptAnswersMib = "limit.kept_answers_mib", "CANOPY_LIMIT_KEPT_ANSWERS_MIB", "256",
        "How many MiB the answers may take that are kept for 24 hours for requests with an `Idempotency-Key`, 1 to 65536, \
         for each environment. Beyond it, such requests are refused with 429 `request.kept_answers_full`.";
    HistoryRetention = "history.retention", "CANOPY_HISTORY_RETENTION", "\"400d\"",
        "How long the records of changes are kept, such as \"400d\" or \"720h\", at least a day; \"forever\": they are never \
         deleted.";
    TokenIssuer = "token.issuer", "CANOPY_TOKEN_ISSUER", "\"canopy\"",
        "The `iss` that access tokens must carry.";
    TokenAudience = "token.audience", "CANOPY_TOKEN_AUDIENCE", "\"canopy\"",
        "The `aud` that access tokens must carry.";
    TokenKeys = "token.keys", "CANOPY_TOKEN_KEYS", "[]",
        "More keys that tokens may be signed with, besides the installation's own. Each entry names one of `jwks_url` \
         (https; fetched again by its Cache-Control, at least every hour), `jwks_file`, `pem_file` (a public key), \
         `hs256_secret_file` or `hs256_secret` (at least 32 bytes); files are read again when they change. It may name the \
         `principals` it vouches for: \"operator\", \"admin\", \"identity\" (\"identity\" alone unless it says more); an \
         `issuer` and an `audience` of its own; and how claims are read: `subject` (\"id\", \"external_id\" or \"email\"), \
         `subject_claim`, `require_verified_email`, `principal` or `principal_claim`, `account` or `account_claim` with \
         `account_by` (\"id\" or \"slug\"), `environment` or `environment_claim` with `environment_by` (\"id\" or \"path\"). \
         See docs/operations.md.";
    LogLevel = "log.level", "CANOPY_LOG_LEVEL", "\"info\"",
        "What is logged: error, warn, info, debug or trace, also by module, as in \"info,canopy_http=debug\".";
    LogFormat = "log.format", "CANOPY_LOG_FORMAT", "\"auto\"",
        "\"text\" for people, \"json\" for machines, \"auto\": text where the log goes to a terminal, json elsewhere.";
}

impl Key {
    /// The setting with this place in the file.
    pub fn by_path(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.path() == path)
    }

    /// The setting of this environment variable.
    pub fn by_variable(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.variable() == name)
    }

    /// Section and name of its place in the file.
    pub fn section_and_name(self) -> (Option<&'static str>, &'static str) {
        match self.path().split_once('.') {
            Some((section, name)) => (Some(section), name),
            None => (None, self.path()),
        }
    }
}

/// The one of these names that looks most like `wrong`, if any looks like a slip of the keyboard.
pub fn nearest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|name| (distance(wrong, name), name))
        .min()
        .filter(|(steps, name)| *steps <= 3 && *steps < name.len() / 2)
        .map(|(_, name)| name)
}

/// How many characters must be put in, taken out or replaced to get from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut left = line + 1;
        let mut diagonal = line;
        for (cell, b) in row.iter_mut().zip(std::iter::once(None).chain(to.chars().map(Some))) {
            let Some(b) = b else {
                *cell = left;
                continue;
            };
            let value = (diagonal + usize::from(a != b)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, value);
            left = value;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_the_path_in_capitals() {
        for key in Key::ALL {
            let expected = format!("CANOPY_{}", key.path().replace('.', "_").to_uppercase());
            assert_eq!(key.variable(), expected);
        }
    }

    #[test]
    fn settings_without_a_section_come_first() {
        let sections: Vec<_> = Key::ALL.iter().map(|key| key.section_and_name().0).collect();
        let mut grouped = sections.clone();
        grouped.dedup();
        let mut unique = grouped.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(grouped.len(), unique.len(), "a section is split: {sections:?}");
        assert_eq!(sections.first(), Some(&None));
    }

    #[test]
    fn distances_count_edits() {
        for (from, to, steps) in [
            ("", "", 0),
            ("", "abc", 3),
            ("listen", "listen", 0),
            ("lisen", "listen", 1),
            ("kitten", "sitting", 3),
            ("abc", "", 3),
        ] {
            assert_eq!(distance(from, to), steps, "{from} {to}");
        }
        assert_eq!(
            nearest("CANOPY_LISEN", Key::ALL.iter().map(|k| k.variable())),
            Some("CANOPY_LISTEN")
        );
        assert_eq!(
            nearest("CANOPY_SOMETHING_ELSE", Key::ALL.iter().map(|k| k.variable())),
            None
        );
    }
}
