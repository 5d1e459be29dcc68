//! The settings, each declared once: reader, flags, variables, printer, sample file and documentation come from this list.

use super::kind::{AddressOrSame, AnyTime, Count, CountOrZero, Mib, Number, Retention, Small, TimeLimit, TokenKeys};
use super::setting::{Flag, Kind, Setting, settings};
use super::{ClaimText, DatabaseUrl, LogFormat, LogLevel, ProxyNetworks, PublicUrl, Synchronous};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

settings! {
    /// The HTTP server, the data directory and the database.
    [""] service: ServiceConfig {
        /// The address and port to listen on. Port 0 takes a free one, which the ready line names.
        listen: SocketAddr = "\"127.0.0.1:8080\"",
            flag "ADDRESS:PORT" "The address and port to listen on [default: 127.0.0.1:8080]";
        /// The URL under which clients reach this installation. By default built from `listen`.
        public_url: PublicUrl = "\"http://127.0.0.1:8080\"" or Config::public_url,
            flag "URL" "The URL under which clients reach this installation";
        /// The number of HTTP worker threads, 1 to 1024. By default the number of cores.
        workers: Small<1, 1024> = "2" or Config::workers,
            flag "NUMBER" "The number of HTTP worker threads";
        /// The time that a shutdown waits for running requests, such as `30s` or `2m`.
        shutdown_timeout: AnyTime = "\"30s\"",
            flag "TIME" "The time that a shutdown waits for running requests [default: 30s]";
        /// A separate address and port for `/metrics`, which is then served only there. `same`: on the address of the
        /// API, without authentication.
        metrics_listen: AddressOrSame = "\"same\"";
        /// The directory of the signing key and, by default, of the database. Created on first start, readable by its owner
        /// only.
        data_dir: PathBuf = "\"./canopy-data\"",
            flag "DIR" "The directory of the signing key and the database [default: ./canopy-data]";
        /// The database: `sqlite://` and the path of a file, by default `canopy.db` in the data directory; or a PostgreSQL
        /// database, such as `postgres://user:password@host:5432/canopy?sslmode=verify-full`, which several instances may
        /// share. `sslmode` and `sslrootcert` are those of libpq.
        database_url: DatabaseUrl = "\"sqlite://./canopy-data/canopy.db\"" or Config::database_url,
            flag "URL" "The database [default: sqlite:// in the data directory]";
        /// The Ed25519 key (PKCS#8 PEM) that signs this installation's tokens. By default `signing-key.pem` in the data
        /// directory, created on first start; a file named here must exist.
        signing_key_file: PathBuf = "\"./canopy-data/signing-key.pem\"" or Config::signing_key_path,
            flag "FILE" "The key that signs tokens";
    }

    /// The store on SQLite.
    ["sqlite"] sqlite: SqliteConfig {
        /// The SQLite `synchronous` level. `full`: an acknowledged write survives a power failure. `normal`: it survives a
        /// crash of the process, but a power failure may lose the last writes.
        synchronous: Synchronous = "\"full\"";
    }

    /// Connections to PostgreSQL.
    ["postgres"] postgres: PostgresConfig {
        /// The maximum number of connections to PostgreSQL for transactions, 1 to 1024. Writes use at most three
        /// quarters of them, and so do reads. Five more connections serve fences, the change feed and the heartbeat.
        pool_size: Small<1, 1024> = "16";
        /// The time that a call waits for a free connection before it gets 503.
        wait_timeout: TimeLimit = "\"5s\"";
        /// The time that each host may take to open a connection, including the handshake.
        connect_timeout: TimeLimit = "\"5s\"";
        /// The time that a write waits for another write of the same environment before it gets 503.
        lock_timeout: TimeLimit = "\"10s\"";
        /// The time that PostgreSQL may take for one statement before the call gets 503.
        statement_timeout: TimeLimit = "\"30s\"";
        /// The time that PostgreSQL may take to respond to a heartbeat or to the query of a fence. After that all
        /// connections are closed, and calls get 503 until a server responds.
        answer_timeout: TimeLimit = "\"5s\"";
        /// The time that a commit may take, for example while it waits for a synchronous standby. After that the call
        /// gets 503, and the write may or may not be committed.
        commit_timeout: TimeLimit = "\"10s\"";
        /// The time that loading an environment into memory may take. `statement_timeout` does not apply to it.
        load_timeout: TimeLimit = "\"120s\"";
    }

    /// The memory of decision indexes.
    ["index"] index: IndexConfig {
        /// The memory of all decision indexes together, in MiB. Above it, the least recently used index is evicted; the
        /// next check in its environment loads it again.
        memory_mib: Count = "1024";
        /// The memory of the index of one environment, in MiB; there are two copies of it during writes. Writes that
        /// would exceed it are refused, and checks of an environment that exceeds it nevertheless get 503. By default
        /// half of `memory_mib`.
        environment_mib: Count = "512" or Config::index_environment_mib;
    }

    /// Limits on callers.
    ["limit"] limit: LimitConfig {
        /// The number of failed authentications of a client address (for IPv6, a /64 network) per minute; further ones
        /// get 429. Valid credentials are never refused.
        failed_authentications: Count = "600";
        /// The number of requests of a caller (an API key, or the subject of a token) per minute; further ones get 429.
        /// 0 for no limit.
        requests: CountOrZero = "0";
        /// The addresses or networks of proxies in front of the service, separated by commas, such as `10.0.0.0/8,
        /// fd00::1`. Only their `Forwarded` and `X-Forwarded-For` headers are trusted, and their connections do not
        /// count against `limit.connections_per_address`.
        trusted_proxies: ProxyNetworks = "\"\"";
        /// The maximum number of items of a bulk call, 1 to 50000.
        bulk_items: Number<NonZeroU16, 1, 50_000> = "10000";
        /// The maximum number of connections; fewer if the system's limit on open files requires it. Above it,
        /// connections that only wait are closed: unfinished heads first, then the connection that has been idle for
        /// longest.
        connections: Count = "8192";
        /// The maximum number of connections from one client address (for IPv6, a /64 network).
        connections_per_address: Count = "1024";
        /// The time that the head of a request may take, from its first byte, before it gets 408.
        head_timeout: TimeLimit = "\"10s\"";
        /// The time that the body of a request may take before it gets 408. After 10 s it must also have arrived at 16 KiB
        /// a second.
        body_timeout: TimeLimit = "\"30s\"";
        /// The time that a response waits for a client that reads less than 16 KiB a second of it before the connection is
        /// closed.
        answer_timeout: TimeLimit = "\"20s\"";
        /// The memory of all request bodies that are being read or processed, in MiB, 32 or more; each account may use
        /// a quarter. A body that finds no free memory within 5 s gets 503. Bodies of up to 16 KiB do not count.
        bodies_mib: Mib<32, 1_048_576> = "256";
        /// The maximum size of a document of an environment in MiB, 1 to 2048. A larger one is not imported, and an
        /// environment that would result in one is neither exported nor copied.
        import_mib: Mib<1, 2_048> = "256";
        /// The maximum size of a response in MiB, 1 to 4096. A larger one is refused with 400
        /// `request.answer_too_large`. Responses to writes are not bounded.
        answer_mib: Mib<1, 4_096> = "64";
        /// The memory of large responses that wait for their readers, in MiB, 1 to 65536. Further ones get 503. One
        /// account may use at most half of it.
        answers_in_flight_mib: Mib<1, 65_536> = "256";
        /// The number of long requests (bulk checks, explanations, reverse questions, large bodies and responses) that
        /// run at once, 2 to 1024. One account runs at most one less; further ones wait up to 5 s for their turn. By
        /// default the number of cores.
        long_requests: Small<2, 1024> = "2" or Config::long_requests;
        /// The maximum number of permission keys in the catalog of an environment, including those of the system.
        catalog_keys: Count = "50000";
        /// The maximum number of keys that all roles of an environment bundle together, counted for each role.
        catalog_pairs: Count = "1000000";
        /// The maximum number of environments of an application. Existing ones stay.
        environments: Count = "1000";
        /// The memory of the responses that each environment stores for 24 hours for requests with an
        /// `Idempotency-Key`, in MiB, 1 to 65536. Beyond it, such requests are refused with 429
        /// `request.kept_answers_full`.
        kept_answers_mib: Mib<1, 65_536> = "256";
    }

    /// The history of changes.
    ["history"] history: HistoryConfig {
        /// The time that change records are kept, such as `400d` or `720h`, at least a day. `forever`: they are never
        /// deleted.
        retention: Retention = "\"400d\"";
    }

    /// Access tokens.
    ["token"] token: TokenConfig {
        /// The required `iss` of access tokens.
        issuer: ClaimText = "\"canopy\"";
        /// The required `aud` of access tokens.
        audience: ClaimText = "\"canopy\"";
        /// More keys that sign tokens, besides the installation's own. Each entry names one of `jwks_url` (https; fetched
        /// again by its Cache-Control, at least every hour), `jwks_file`, `pem_file` (a public key), `hs256_secret_file` or
        /// `hs256_secret` (at least 32 bytes); files are read again when they change. It may name the `principals` it
        /// vouches for: `operator`, `admin`, `identity` (by default only `identity`); an `issuer` and an `audience` of its
        /// own; and how claims are read: `subject` (`id`, `external_id` or `email`), `subject_claim`,
        /// `require_verified_email`, `principal` or `principal_claim`, `account` or `account_claim` with `account_by` (`id`
        /// or `slug`), `environment` or `environment_claim` with `environment_by` (`id` or `path`). See docs/operations.md.
        keys: TokenKeys = "[]";
    }

    /// The log.
    ["log"] log: LogConfig {
        /// The log level: error, warn, info, debug or trace, also by module, as in `info,canopy_http=debug`.
        level: LogLevel = "\"info\"",
            flag "LEVEL" "The log level: error, warn, info, debug, trace [default: info]";
        /// The format of the log. `text` for people, `json` for machines, `auto`: text on a terminal, json elsewhere.
        format: LogFormat = "\"auto\"",
            flag "FORMAT" "The format of the log: auto, text, json [default: auto]";
    }
}
