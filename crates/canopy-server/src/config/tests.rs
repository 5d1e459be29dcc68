//! Precedence, sources and refusals.

use super::*;

fn setting(path: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.path() == path).unwrap()
}

fn from(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let mut layers = Layers::default();
    layers.file(Path::new("canopy.toml"), file);
    layers.environment(variables.iter().map(|(name, value)| (name.into(), value.into())));
    for (path, text) in flags {
        layers.flag(setting(path), (*text).to_owned());
    }
    resolve(layers).map_err(|error| error.0.iter().map(ToString::to_string).collect())
}

fn refused(file: &str, variables: &[(&str, &str)]) -> Vec<String> {
    from(file, variables, &[]).expect_err("must be refused")
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let file = "listen = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"\n";
    let variables = [("CANOPY_LISTEN", "127.0.0.1:2"), ("HOME", "/nowhere")];
    let flags = [("listen", "127.0.0.1:3")];
    let port = |config: Config| config.service.listen.port();
    assert_eq!(port(from("", &[], &[]).unwrap()), 8080);
    assert_eq!(port(from(file, &[], &[]).unwrap()), 1);
    assert_eq!(port(from(file, &variables, &[]).unwrap()), 2);
    let config = from(file, &variables, &flags).unwrap();
    let source = |path: &str| config.sources.get(path).map(ToString::to_string);
    assert_eq!(source("listen").as_deref(), Some("--listen"));
    assert_eq!(source("log.level").as_deref(), Some("canopy.toml:3"));
    assert_eq!(source("data_dir"), None);
    assert_eq!(port(config), 3);
}

#[test]
fn the_database_and_the_key_follow_the_data_directory() {
    let config = from("data_dir = \"/srv/c\"", &[], &[]).unwrap();
    assert_eq!(config.database_url().to_string(), "sqlite:///srv/c/canopy.db");
    assert_eq!(
        config.signing_key(),
        SigningKeyFile::Own("/srv/c/signing-key.pem".into())
    );
    let config = from("", &[("CANOPY_SIGNING_KEY_FILE", "/k.pem")], &[]).unwrap();
    assert_eq!(config.signing_key(), SigningKeyFile::Given("/k.pem".into()));
}

#[test]
fn what_is_not_known_is_refused_with_its_source() {
    let file = "listen = \"127.0.0.1:1\"\nlisen = 1\n[log]\nlevl = \"x\"\n[tokens]\nissuer = \"x\"\n";
    assert_eq!(
        refused(file, &[("CANOPY_LISEN", "x"), ("CANOPY_FROBNICATE", "x")]),
        [
            "canopy.toml:2: there is no setting `lisen`; did you mean `listen`?",
            "canopy.toml:4: there is no setting `log.levl`; did you mean `log.level`?",
            "canopy.toml:5: there is no setting `tokens`",
            "CANOPY_FROBNICATE: there is no variable of Canopy `CANOPY_FROBNICATE`",
            "CANOPY_LISEN: there is no variable of Canopy `CANOPY_LISEN`; did you mean `CANOPY_LISTEN`?",
        ]
    );
    assert!(
        refused("listen = ", &[])
            .first()
            .unwrap()
            .starts_with("canopy.toml:1: this is not TOML")
    );
    assert_eq!(refused("log = 1", &[]), ["canopy.toml:1: there is no setting `log`"]);
}

#[test]
fn variables_of_the_tests_and_the_file_are_left_alone() {
    let variables = [
        ("CANOPY_TEST_POSTGRES_URL", "x"),
        ("CANOPY_REAL_DATA", "x"),
        (CONFIG_VARIABLE, "x"),
    ];
    assert!(from("", &variables, &[]).is_ok());
}

#[test]
fn what_kubernetes_sets_beside_a_service_of_our_name_is_left_alone() {
    let variables = [
        ("CANOPY_SERVICE_HOST", "10.0.0.1"),
        ("CANOPY_SERVICE_PORT_HTTP", "80"),
        ("CANOPY_PORT", "tcp://10.0.0.1:80"),
        ("CANOPY_PORT_80_TCP_ADDR", "10.0.0.1"),
    ];
    assert!(from("", &variables, &[]).is_ok());
    assert_eq!(
        refused("", &[("CANOPY_PORT", "9000")]),
        ["CANOPY_PORT: there is no variable of Canopy `CANOPY_PORT`"]
    );
}

#[test]
fn bad_values_are_refused_all_at_once() {
    let variables = [
        ("CANOPY_LISTEN", "localhost"),
        ("CANOPY_WORKERS", "0"),
        ("CANOPY_SHUTDOWN_TIMEOUT", "5"),
        ("CANOPY_PUBLIC_URL", "ftp://x"),
        ("CANOPY_DATA_DIR", ""),
        ("CANOPY_SQLITE_SYNCHRONOUS", "off"),
        ("CANOPY_TOKEN_ISSUER", ""),
        ("CANOPY_LOG_LEVEL", "loud"),
        ("CANOPY_LOG_FORMAT", "xml"),
        ("CANOPY_TOKEN_KEYS", "[{ pem_file = 'a', jwks_file = 'b' }]"),
        ("CANOPY_DATABASE_URL", "mysql://x"),
        ("CANOPY_POSTGRES_POOL_SIZE", "0"),
        ("CANOPY_POSTGRES_WAIT_TIMEOUT", "0s"),
        ("CANOPY_POSTGRES_STATEMENT_TIMEOUT", "2d"),
    ];
    let wrong = refused("", &variables);
    assert_eq!(wrong.len(), variables.len(), "{wrong:#?}");
    for (name, _) in variables {
        assert!(
            wrong.iter().any(|line| line.starts_with(&format!("{name}: must"))
                || name == "CANOPY_TOKEN_KEYS" && line.contains("exactly one of")),
            "{name}: {wrong:#?}"
        );
    }
}

#[test]
fn the_password_of_the_database_is_never_shown() {
    for (url, shown) in [
        ("postgres://u:hunter2@h/db", "postgres://u:***@h/db"),
        (
            "postgresql://u:hunter2%40@[::1]:5433/db?sslmode=require",
            "postgresql://u:***@[::1]:5433/db?sslmode=require",
        ),
        (
            "postgres://u@h/db?connect_timeout=3&password=hunter2",
            "postgres://u@h/db?connect_timeout=3&password=***",
        ),
        ("postgres://h/db", "postgres://h/db"),
    ] {
        let config = from("", &[("CANOPY_DATABASE_URL", url)], &[]).unwrap();
        assert_eq!(config.database_url().to_string(), shown);
        let DatabaseUrl::Postgres(whole) = config.database_url() else {
            panic!("{config:?}")
        };
        assert_eq!(whole.expose(), url);
        let text = format!("{config:?} {}", effective(&config));
        assert!(text.contains(shown) && !text.contains("hunter2"), "{text}");
    }
    for url in [
        "postgres://u:hunter2@h",
        "postgres://u:hunter2@/db",
        "postgres://u:hunter2@h/db?sslmode=maybe",
        "postgres://u:hunter2@h/db?what=1",
        "postgres://u:hunter2@h:port/db",
    ] {
        let wrong = refused(&format!("database_url = \"{url}\""), &[]).join("\n");
        assert!(
            wrong.starts_with("canopy.toml:1: `database_url` cannot be used: "),
            "{wrong}"
        );
        assert!(!wrong.contains("hunter2"), "{wrong}");
    }
}

#[test]
fn urls_of_sqlite_name_a_file() {
    for (text, good) in [
        ("sqlite:///a/b.db", true),
        ("sqlite://b.db", true),
        ("sqlite://", false),
        ("sqlite://:memory:", false),
        ("sqlite:///a/", false),
        ("sqlite:///a?mode=ro", false),
        ("/a/b.db", false),
    ] {
        assert_eq!(DatabaseUrl::parse(text).is_ok(), good, "{text}");
    }
}

#[test]
fn key_sources_are_the_same_in_file_and_variable() {
    let file = "[[token.keys]]\npem_file = \"a.pem\"\n[[token.keys]]\nhs256_secret = \"0123456789abcdef0123456789abcdef\"\n\
                principals = [\"admin\", \"identity\"]\n";
    let variable = "[{ pem_file = 'a.pem' }, { hs256_secret = '0123456789abcdef0123456789abcdef', \
                    principals = ['admin', 'identity'] }]";
    let one = from(file, &[], &[]).unwrap().token.keys;
    let two = from("", &[("CANOPY_TOKEN_KEYS", variable)], &[]).unwrap().token.keys;
    assert_eq!(one, two);
    assert_eq!(
        one.first().unwrap().principals,
        [canopy_domain::port::PrincipalKind::Identity]
    );
    for bad in [
        "[{ hs256_secret = 'short-and-sweet' }]",
        "[{ pem_file = 'a', principals = [] }]",
        "[{ pem_file = 'a', principals = ['root'] }]",
        "[{ pem_file = 1.5 }]",
        "[{ url = 'a' }]",
        "[1]",
        "'text'",
        "x",
    ] {
        let wrong = refused("", &[("CANOPY_TOKEN_KEYS", bad)]).join("\n");
        assert!(
            wrong.starts_with("CANOPY_TOKEN_KEYS: ") && !wrong.contains("sweet"),
            "{bad}: {wrong}"
        );
    }
}

#[test]
fn claims_of_a_key_source_are_read_printed_and_read_again() {
    let sources = r#"[
        { jwks_url = "https://idp.example/jwks.json", issuer = "https://idp.example/", audience = "https://api.example",
          subject = "email", require_verified_email = false, principal = "identity",
          account_claim = "https://x.example/account", account_by = "slug", environment = "notes/production" },
        { jwks_file = "keys.json", principals = ["admin", "identity"], subject = "external_id", subject_claim = "oid",
          principal_claim = "/realm/role", account = "acme", environment_claim = "/tenant/place", environment_by = "path" },
        { jwks_url = "http://127.0.0.1:9/jwks", account = "0198a7b1-7c3e-7000-8000-000000000001", account_by = "id",
          environment = "0198a7b1-7c3e-7000-8000-000000000002" },
    ]"#;
    let without_both = sources.replace(
        ", account_by = \"id\",\n          environment = \"0198",
        ",\n          environment = \"0198",
    );
    assert!(
        refused("", &[("CANOPY_TOKEN_KEYS", sources)])
            .join("\n")
            .contains("entry 2: must not have both `account`")
    );
    let config = from("", &[("CANOPY_TOKEN_KEYS", &without_both)], &[]).unwrap();
    let keys = &config.token.keys;
    let texts: Vec<String> = keys.iter().map(TokenKeySource::to_toml).collect();
    let again = from("", &[("CANOPY_TOKEN_KEYS", &format!("[{}]", texts.join(", ")))], &[]).unwrap();
    assert_eq!(&again.token.keys, keys, "{texts:#?}");
    assert!(effective(&config).contains("jwks_url = \"https://idp.example/jwks.json\""));
    assert!(texts[0].contains("require_verified_email = false") && !texts[0].contains("subject_claim"));
    let default = from(
        "",
        &[("CANOPY_TOKEN_KEYS", "[{ jwks_url = 'https://idp.example/' }]")],
        &[],
    )
    .unwrap();
    let mapping = canopy_http::token::ClaimMapping::default();
    assert_eq!(default.token.keys[0].mapping, mapping);

    for (bad, message) in [
        (
            "jwks_url = 'http://idp.example/jwks'",
            "`jwks_url` must be an https URL",
        ),
        ("jwks_url = 'https://user:secret@idp.example/'", "without credentials"),
        ("jwks_url = 'https://a.example/', jwks_file = 'a'", "exactly one of"),
        ("pem_file = 'a', subject = 'name'", "`subject` must be"),
        (
            "pem_file = 'a', subject_claim = ''",
            "`subject_claim` must be the name of a claim",
        ),
        (
            "pem_file = 'a', require_verified_email = 'no'",
            "`require_verified_email` must be true or false",
        ),
        (
            "pem_file = 'a', principal = 'admin'",
            "`principal` must be one of `principals`",
        ),
        (
            "pem_file = 'a', principal = 'identity', principal_claim = 'x'",
            "must not have both `principal`",
        ),
        (
            "pem_file = 'a', account = 'No Slug'",
            "`account` must be the slug or the id",
        ),
        (
            "pem_file = 'a', account_by = 'name'",
            "`account_by` must be \"id\" or \"slug\"",
        ),
        (
            "pem_file = 'a', account = 'acme', account_claim = 'x'",
            "must not have both `account`",
        ),
        (
            "pem_file = 'a', environment = 'notes'",
            "`environment` must be an id, or the slugs",
        ),
        (
            "pem_file = 'a', environment = 'a/b', environment_by = 'path'",
            "must not have both `environment`",
        ),
        ("pem_file = 'a', issuer = 'x y'", "`issuer` must be"),
        ("pem_file = 'a', audience = 7.5", "`audience` must be a text"),
    ] {
        let wrong = refused("", &[("CANOPY_TOKEN_KEYS", &format!("[{{ {bad} }}]"))]).join("\n");
        assert!(
            wrong.contains("entry 0: ") && wrong.contains(message) && !wrong.contains("user:"),
            "{bad}: {wrong}"
        );
    }
    let many = format!("[{}]", vec!["{ pem_file = 'a' }"; 101].join(", "));
    assert!(
        refused("", &[("CANOPY_TOKEN_KEYS", &many)])
            .join("\n")
            .contains("at most 100 entries")
    );
}

#[test]
fn the_effective_configuration_can_be_read_again_and_hides_secrets() {
    let file = "token.keys = [{ hs256_secret = \"0123456789abcdef0123456789abcdef\" }]\nworkers = 3\n";
    let config = from(file, &[("CANOPY_LOG_FORMAT", "json")], &[]).unwrap();
    let text = effective(&config);
    assert!(
        !text.contains("0123456789") && !format!("{config:?}").contains("0123456789"),
        "{text}"
    );
    assert!(
        text.contains("format = \"json\"") && text.contains("# CANOPY_LOG_FORMAT"),
        "{text}"
    );
    assert!(
        text.contains("workers = 3") && text.contains("# canopy.toml:2"),
        "{text}"
    );
    let again = from(
        &text.replace("\"***\"", "\"0123456789abcdef0123456789abcdef\""),
        &[],
        &[],
    )
    .unwrap();
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned())
            .collect()
    };
    assert_eq!(values(&effective(&again)), values(&text));
}

#[test]
fn the_sample_says_what_the_defaults_are() {
    let sample = sample();
    assert!(from(&sample, &[], &[]).is_ok());
    let switched_on: String = sample
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    let on = from(&switched_on, &[], &[]).unwrap();
    let mut off = from("", &[], &[]).unwrap();
    // These depend on the machine.
    off.service.workers = on.service.workers;
    off.limit.long_requests = on.limit.long_requests;
    let values = |config: &Config| {
        effective(config)
            .lines()
            .map(|line| line.split(" #").next().unwrap_or("").trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&on), values(&off));
    assert_eq!(on.sources.len(), SETTINGS.len());
}

#[test]
fn an_index_takes_half_of_the_memory_of_all_unless_it_is_said() {
    for (file, memory, environment) in [
        ("", 1_024, 512),
        ("[index]\nmemory_mib = 300\n", 300, 150),
        ("[index]\nmemory_mib = 1\n", 1, 1),
        ("[index]\nmemory_mib = 300\nenvironment_mib = 200\n", 300, 200),
    ] {
        let config = from(file, &[], &[]).unwrap();
        assert_eq!(config.index.memory_mib.get(), memory, "{file}");
        assert_eq!(config.index_environment_mib().get(), environment, "{file}");
    }
}

#[test]
fn limits_and_the_address_of_metrics_are_read() {
    let config = from("", &[], &[]).unwrap();
    assert_eq!(config.service.metrics_listen, None);
    assert_eq!(config.limit.failed_authentications.get(), 600);
    assert_eq!(config.limit.requests, None);
    assert!(config.limit.trusted_proxies.networks().is_empty());
    assert_eq!(config.limit.bulk_items.get(), 10_000);
    assert_eq!(config.limit.connections.get(), 8_192);
    assert_eq!(config.limit.head_timeout.as_secs(), 10);
    assert_eq!(config.limit.import_mib.get(), 256);
    assert_eq!(config.limit.answer_mib.get(), 64);
    assert_eq!(config.limit.answers_in_flight_mib.get(), 256);
    assert_eq!(config.limit.kept_answers_mib.get(), 256);
    assert!(config.long_requests().get() >= 2);
    let days = |number: u64| Some(std::time::Duration::from_secs(number * 86_400));
    assert_eq!(config.history.retention, days(400));
    for (text, expected) in [("forever", None), ("24h", days(1)), ("30d", days(30))] {
        let config = from("", &[("CANOPY_HISTORY_RETENTION", text)], &[]).unwrap();
        assert_eq!(config.history.retention, expected);
    }
    assert_eq!(config.limit.environments.get(), 1_000);
    assert_eq!(config.limit.catalog_keys.get(), 50_000);
    assert_eq!(config.limit.catalog_pairs.get(), 1_000_000);
    let file = "metrics_listen = \"127.0.0.1:9090\"\n[limit]\nfailed_authentications = 5\nrequests = 60\n\
                trusted_proxies = \"10.0.0.0/8, ::1\"\nbulk_items = 50000\nimport_mib = 2048\n\
                catalog_keys = 7\ncatalog_pairs = 9\nenvironments = 3\n";
    let config = from(file, &[], &[]).unwrap();
    assert_eq!(config.service.metrics_listen, Some("127.0.0.1:9090".parse().unwrap()));
    assert_eq!(config.limit.failed_authentications.get(), 5);
    assert_eq!(config.limit.requests.map(std::num::NonZeroU32::get), Some(60));
    assert_eq!(config.limit.trusted_proxies.to_string(), "10.0.0.0/8, ::1/128");
    assert_eq!(config.limit.bulk_items.get(), 50_000);
    assert_eq!(config.limit.import_mib.get(), 2_048);
    assert_eq!(config.limit.environments.get(), 3);
    assert_eq!(config.limit.catalog_keys.get(), 7);
    assert_eq!(config.limit.catalog_pairs.get(), 9);
    for (variable, bad) in [
        ("CANOPY_METRICS_LISTEN", "9090"),
        ("CANOPY_LIMIT_FAILED_AUTHENTICATIONS", "0"),
        ("CANOPY_LIMIT_REQUESTS", "-1"),
        ("CANOPY_LIMIT_IMPORT_MIB", "0"),
        ("CANOPY_LIMIT_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("CANOPY_LIMIT_TRUSTED_PROXIES", "proxy.example"),
        ("CANOPY_LIMIT_BULK_ITEMS", "0"),
        ("CANOPY_LIMIT_CATALOG_KEYS", "0"),
        ("CANOPY_LIMIT_CATALOG_PAIRS", "many"),
        ("CANOPY_INDEX_ENVIRONMENT_MIB", "0"),
        ("CANOPY_LIMIT_BULK_ITEMS", "50001"),
        ("CANOPY_LIMIT_CONNECTIONS", "0"),
        ("CANOPY_LIMIT_CONNECTIONS_PER_ADDRESS", "many"),
        ("CANOPY_LIMIT_HEAD_TIMEOUT", "0s"),
        ("CANOPY_LIMIT_BODY_TIMEOUT", "2d"),
        ("CANOPY_LIMIT_ANSWER_TIMEOUT", "soon"),
        ("CANOPY_LIMIT_BODIES_MIB", "31"),
        ("CANOPY_LIMIT_ANSWER_MIB", "0"),
        ("CANOPY_LIMIT_ANSWERS_IN_FLIGHT_MIB", "65537"),
        ("CANOPY_LIMIT_LONG_REQUESTS", "1"),
        ("CANOPY_HISTORY_RETENTION", "23h"),
        ("CANOPY_HISTORY_RETENTION", "never"),
        ("CANOPY_HISTORY_RETENTION", "99999999999999d"),
    ] {
        assert_eq!(refused("", &[(variable, bad)]).len(), 1, "{variable} {bad}");
    }
}

#[test]
fn variables_and_flags_are_named_after_the_path() {
    let level = setting("log.level");
    assert_eq!(
        (level.variable(), level.flag_name()),
        ("CANOPY_LOG_LEVEL".to_owned(), "log-level".to_owned())
    );
    let mut variables: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    variables.sort();
    variables.dedup();
    assert_eq!(variables.len(), SETTINGS.len());
}

#[test]
fn settings_of_a_section_stand_together_after_those_without() {
    let mut sections: Vec<&str> = SETTINGS.iter().map(|setting| setting.section).collect();
    sections.dedup();
    let mut unique = sections.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!((sections.len(), sections.first()), (unique.len(), Some(&"")));
}

#[test]
fn the_help_of_a_flag_names_the_fixed_default() {
    for setting in SETTINGS {
        let Some(help) = setting.flag.map(|flag| flag.help) else {
            continue;
        };
        if let Some((_, default)) = help.split_once("[default: ") {
            let default = default.trim_end_matches(']');
            assert!(
                setting.default.contains(default.split(' ').next().unwrap()),
                "{setting:?}"
            );
        }
    }
}

#[test]
fn defaults_are_those_of_the_http_adapter() {
    let limit = from("", &[], &[]).unwrap().limit;
    assert_eq!(
        limit.failed_authentications,
        canopy_http::LimitOptions::FAILED_AUTHENTICATIONS
    );
    assert_eq!(limit.head_timeout, canopy_http::ServerOptions::HEAD_TIMEOUT);
    assert_eq!(limit.answer_timeout, canopy_http::ServerOptions::ANSWER_TIMEOUT);
}

#[test]
fn the_reference_has_every_setting_with_its_values() {
    let text = reference();
    for setting in SETTINGS {
        assert!(text.contains(&format!("### `{}`\n", setting.path())), "{setting:?}");
    }
    assert!(
        text.contains("- Values: a number from 1 to 50000\n- Default: `10000`\n"),
        "{text}"
    );
}
