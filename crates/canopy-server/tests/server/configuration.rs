//! Configuration: sources, precedence and refusals.

use crate::process::{Client, Finished, Home, Server};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn flags_win_over_variables_over_the_file() {
    let home = Home::new();
    std::fs::write(
        home.path().join("canopy.toml"),
        "workers = 3\nlisten = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"\n",
    )
    .unwrap();
    let output = home
        .command(&["config", "--listen", "127.0.0.1:3"])
        .env("CANOPY_LISTEN", "127.0.0.1:2")
        .env("CANOPY_WORKERS", "4")
        .output()
        .unwrap();
    let text = Finished::of(output).ok();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("listen = \"127.0.0.1:3\"").ends_with("# --listen"), "{text}");
    assert!(line("workers = 4").ends_with("# CANOPY_WORKERS"), "{text}");
    assert!(line("level = \"warn\"").ends_with("# canopy.toml:4"), "{text}");
    assert!(line("data_dir = \"./canopy-data\"").ends_with("# default"), "{text}");
    assert!(!home.data_dir().exists(), "looking at the configuration makes nothing");
}

#[test]
fn the_file_can_be_named_by_flag_or_variable_and_must_then_exist() {
    let home = Home::new();
    std::fs::write(home.path().join("other.toml"), "workers = 7\n").unwrap();
    assert!(
        home.run(&["config", "--config", "other.toml"])
            .ok()
            .contains("workers = 7")
    );
    let output = home
        .command(&["config"])
        .env("CANOPY_CONFIG", "other.toml")
        .output()
        .unwrap();
    assert!(Finished::of(output).ok().contains("# other.toml:1"));
    let missing = home.run(&["config", "--config", "no.toml"]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("--config: cannot read no.toml"), "{missing:?}");
}

#[test]
fn slips_are_named_with_their_source() {
    let home = Home::new();
    std::fs::write(home.path().join("canopy.toml"), "\nworkerz = 3\n").unwrap();
    let output = home
        .command(&["serve", "--log-format", "loud"])
        .env("CANOPY_LISEN", "x")
        .env("CANOPY_DATABASE_URL", "postgres://u:hunter2@h")
        .output()
        .unwrap();
    let refused = Finished::of(output);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for part in [
        "canopy.toml:2: there is no setting `workerz`; did you mean `workers`?",
        "CANOPY_LISEN: there is no variable of Canopy `CANOPY_LISEN`; did you mean `CANOPY_LISTEN`?",
        "CANOPY_DATABASE_URL: cannot be used: the database URL must name a database",
        "--log-format: must be",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("hunter2"));
}

#[test]
fn what_stands_in_the_way_is_a_message_and_no_panic() {
    let home = Home::new();
    let data_dir = home.data_dir();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = home.run(&["serve", "--listen", &address]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains(&format!("canopy: cannot listen on {address}")),
        "{refused:?}"
    );

    let key = data_dir.join("signing-key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .contains("other users may access the signing key file ./canopy-data/signing-key.pem (mode 0644)"),
        "{refused:?}"
    );
    assert!(!refused.stderr.contains("PRIVATE KEY"));

    std::fs::write(home.path().join("file"), "").unwrap();
    let refused = home.run(&["serve", "--data-dir", "file"]);
    assert!(
        refused
            .stderr
            .contains("canopy: the data directory file is not a directory"),
        "{refused:?}"
    );
    let refused = home.run(&["serve", "--data-dir", "file/below"]);
    assert!(
        refused
            .stderr
            .contains("canopy: cannot create the data directory file/below"),
        "{refused:?}"
    );

    let garbage = home.path().join("garbage.db");
    std::fs::write(&garbage, "this is not a database, whatever its name says".repeat(200)).unwrap();
    let refused = home.run(&["migrate", "--database-url", "sqlite://garbage.db"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("canopy: cannot open the database garbage.db"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn programs_are_told_the_public_url() {
    let home = Home::new();
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("CANOPY_PUBLIC_URL", "https://access.example.com/canopy/");
    let server = Server::start(command);
    let at = async |server: &Server| {
        let (status, document) = Client::new(&server.url, "")
            .get("/.well-known/authzen-configuration")
            .await;
        assert_eq!(status, 200);
        (
            document["policy_decision_point"].clone(),
            document["access_evaluation_endpoint"].clone(),
        )
    };
    let base = "https://access.example.com/canopy";
    assert_eq!(
        at(&server).await,
        (base.into(), format!("{base}/access/v1/evaluation").into())
    );
    server.stop();
    let server = home.serve(&[]);
    assert_eq!(at(&server).await.0, server.url.as_str());
    server.stop();
}
