//! The settings, each declared once: reader, flags, variables, printer, sample file and documentation come from this list.

use super::kind::{AddressOrSame, AnyTime, Count, CountOrZero, Mib, Number, Retention, Small, TimeLimit, TokenKeys};
use super::setting::{Flag, Kind, Setting, settings};
use super::{ClaimText, DatabaseUrl, LogFormat, LogLevel, ProxyNetworks, PublicUrl, Synchronous};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

settings! {
    /// The HTTP server, and where the data is.
    [""] service: ServiceConfig {
        /// The address and port to listen on. Port 0 takes a free one, which the ready line names.
        listen: SocketAddr = "\"127.0.0.1:8080\"",
            flag "ADDRESS:PORT" "Where to listen [default: 127.0.0.1:8080]";
        /// The URL under which clients reach this installation. By default made from `listen`.
        public_url: PublicUrl = "\"http://127.0.0.1:8080\"" or Config::public_url,
            flag "URL" "The URL under which clients reach this installation";
        /// The number of HTTP worker threads, 1 to 1024. By default the number of cores.
        workers: Small<1, 1024> = "2" or Config::workers,
            flag "NUMBER" "The number of HTTP worker threads";
        /// How long a shutdown waits for running requests, such as "30s" or "2m".
        shutdown_timeout: AnyTime = "\"30s\"",
            flag "TIME" "How long a shutdown waits for running requests [default: 30s]";
        /// An address and port of its own for /metrics, which is then served there alone; "same": with the API, to anybody
        /// who reaches it.
        metrics_listen: AddressOrSame = "\"same\"";
        /// The folder of the signing key and, by default, of the database. Made on first start, for its owner alone.
        data_dir: PathBuf = "\"./canopy-data\"",
            flag "DIR" "The folder of the signing key and the database [default: ./canopy-data]";
        /// Where the data is: `sqlite://` and the path of a file, by default `canopy.db` in the data directory; or a
        /// PostgreSQL database, such as postgres://user:password@host:5432/canopy?sslmode=verify-full, which several
        /// instances may share. `sslmode` and `sslrootcert` are those of libpq.
        database_url: DatabaseUrl = "\"sqlite://./canopy-data/canopy.db\"" or Config::database_url,
            flag "URL" "Where the data is [default: sqlite:// in the data directory]";
        /// The Ed25519 key (PKCS#8 PEM) that signs this installation's tokens. By default `signing-key.pem` in the data
        /// directory, made on first start; a file named here must exist.
        signing_key_file: PathBuf = "\"./canopy-data/signing-key.pem\"" or Config::signing_key_path,
            flag "FILE" "The key that signs tokens";
    }

    /// The store on SQLite.
    ["sqlite"] sqlite: SqliteConfig {
        /// "full": an acknowledged write survives the loss of power. "normal": it survives the death of the process, but
        /// the last writes may be lost with the power.
        synchronous: Synchronous = "\"full\"";
    }

    /// Connections to PostgreSQL.
    ["postgres"] postgres: PostgresConfig {
        /// How many connections to PostgreSQL transactions have at the most, 1 to 1024; writes have three quarters of them
        /// at the most, and so have reads. Five more belong to fences, the change feed and the heartbeat.
        pool_size: Small<1, 1024> = "16";
        /// How long a call waits for a free connection before it is answered 503.
        wait_timeout: TimeLimit = "\"5s\"";
        /// How long each host may take to open a connection, with the handshake.
        connect_timeout: TimeLimit = "\"5s\"";
        /// How long a write waits for another write of the same environment before it is answered 503.
        lock_timeout: TimeLimit = "\"10s\"";
        /// How long PostgreSQL may work at one statement before the call is answered 503.
        statement_timeout: TimeLimit = "\"30s\"";
        /// How long PostgreSQL may leave a heartbeat or the query of a fence unanswered. After that all connections are
        /// closed and calls are answered 503 until a server answers.
        answer_timeout: TimeLimit = "\"5s\"";
        /// How long a commit may wait, such as for a synchronous standby. After that the call is answered 503 and may or
        /// may not have taken place.
        commit_timeout: TimeLimit = "\"10s\"";
        /// How long it may take to read all of an environment into memory. `statement_timeout` does not apply to that.
        load_timeout: TimeLimit = "\"120s\"";
    }

    /// The memory of decision indexes.
    ["index"] index: IndexConfig {
        /// How many MiB the indexes of environments may take that answer checks. When they take more, those go that nobody
        /// asked for longest; the next check there reads its environment again.
        memory_mib: Count = "1024";
        /// How many MiB the index of one environment may take, of which there are two copies while it is written to. Writes
        /// that would make it larger are refused, and checks of an environment that is larger all the same are answered
        /// 503. By default half of `memory_mib`.
        environment_mib: Count = "512" or Config::index_environment_mib;
    }

    /// Limits on callers.
    ["limit"] limit: LimitConfig {
        /// How many refused credentials a client address (of IPv6, a /64 network) has each minute before further ones are
        /// answered 429. Valid credentials are never refused for them.
        failed_authentications: Count = "600";
        /// How many requests a caller (an API key, or whoever a token names) has each minute before further ones are
        /// answered 429; 0 for any number.
        requests: CountOrZero = "0";
        /// The addresses or networks of proxies in front of the service, with commas between them, such as
        /// "10.0.0.0/8, fd00::1". Of these alone Forwarded and X-Forwarded-For are believed, and their connections do not
        /// count against `limit.connections_per_address`.
        trusted_proxies: ProxyNetworks = "\"\"";
        /// How many items a bulk call may have, 1 to 50000.
        bulk_items: Number<NonZeroU16, 1, 50_000> = "10000";
        /// How many connections there may be; fewer where the system's limit on open files asks for it. When there are
        /// more, those are closed that only wait: unfinished heads first, then the connection that has been idle longest.
        connections: Count = "8192";
        /// How many of them may come from one client address (of IPv6, a /64 network).
        connections_per_address: Count = "1024";
        /// How long the head of a request may take, from its first byte, before it is answered 408.
        head_timeout: TimeLimit = "\"10s\"";
        /// How long the body of a request may take before it is answered 408. After 10s it must also have come at 16 KiB a
        /// second.
        body_timeout: TimeLimit = "\"30s\"";
        /// How long an answer waits for a client that takes less than 16 KiB a second of it before the connection is
        /// closed.
        answer_timeout: TimeLimit = "\"20s\"";
        /// How many MiB the bodies of requests that are read or worked on may take together, 32 or more; each account may
        /// take a quarter. A body that finds no room in 5s is answered 503. Bodies up to 16 KiB do not count.
        bodies_mib: Mib<32, 1_048_576> = "256";
        /// The largest document of an environment in MiB, 1 to 2048. A larger one is not imported, and an environment that
        /// would make one is neither exported nor copied.
        import_mib: Mib<1, 2_048> = "256";
        /// How many MiB one answer may have before it is refused with 400 `request.answer_too_large`, 1 to 4096. Answers
        /// to what was written are not bounded.
        answer_mib: Mib<1, 4_096> = "64";
        /// How many MiB of large answers may wait for their readers before further ones are answered 503, 1 to 65536. One
        /// environment has at most half of it.
        answers_in_flight_mib: Mib<1, 65_536> = "256";
        /// How many long requests (bulk checks, explanations, reverse questions, large bodies and answers) run at once, 2
        /// to 1024. One environment runs at most one less; further ones wait up to 5 s for their turn. By default the
        /// number of cores.
        long_requests: Small<2, 1024> = "2" or Config::long_requests;
        /// How many permission keys the catalog of an environment may have, those of the system among them.
        catalog_keys: Count = "50000";
        /// How many keys all roles of an environment together may bundle, counted for each role.
        catalog_pairs: Count = "1000000";
        /// How many MiB the answers may take that are kept for 24 hours for requests with an `Idempotency-Key`, 1 to 65536,
        /// for each environment. Beyond it, such requests are refused with 429 `request.kept_answers_full`.
        kept_answers_mib: Mib<1, 65_536> = "64";
    }

    /// The history of changes.
    ["history"] history: HistoryConfig {
        /// How long the records of changes are kept, such as "400d" or "720h", at least a day; "forever": they are never
        /// deleted.
        retention: Retention = "\"400d\"";
    }

    /// Access tokens.
    ["token"] token: TokenConfig {
        /// The `iss` that access tokens must carry.
        issuer: ClaimText = "\"canopy\"";
        /// The `aud` that access tokens must carry.
        audience: ClaimText = "\"canopy\"";
        /// More keys that tokens may be signed with, besides the installation's own. Each entry names one of `jwks_url`
        /// (https; fetched again by its Cache-Control, at least every hour), `jwks_file`, `pem_file` (a public key),
        /// `hs256_secret_file` or `hs256_secret` (at least 32 bytes); files are read again when they change. It may name
        /// the `principals` it vouches for: "operator", "admin", "identity" ("identity" alone unless it says more); an
        /// `issuer` and an `audience` of its own; and how claims are read: `subject` ("id", "external_id" or "email"),
        /// `subject_claim`, `require_verified_email`, `principal` or `principal_claim`, `account` or `account_claim` with
        /// `account_by` ("id" or "slug"), `environment` or `environment_claim` with `environment_by` ("id" or "path").
        /// See docs/operations.md.
        keys: TokenKeys = "[]";
    }

    /// The log.
    ["log"] log: LogConfig {
        /// What is logged: error, warn, info, debug or trace, also by module, as in "info,canopy_http=debug".
        level: LogLevel = "\"info\"",
            flag "LEVEL" "What is logged: error, warn, info, debug, trace [default: info]";
        /// "text" for people, "json" for machines, "auto": text where the log goes to a terminal, json elsewhere.
        format: LogFormat = "\"auto\"",
            flag "FORMAT" "The form of the log: auto, text, json [default: auto]";
    }
}
